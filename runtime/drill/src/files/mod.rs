//! Files and folders that were not granted, or not so.

mod change;
mod read;

pub(super) use change::CHANGE;
pub(super) use read::READ;
