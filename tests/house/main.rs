//! The house in order: what ARCHITECTURE.md says of files and folders is true.

mod map;
