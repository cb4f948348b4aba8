//! The WASI interfaces, one file per package: decode, pass the gate, forward.

mod cli;
mod clocks;
mod filesystem;
mod io;
mod random;
mod refusal;
mod sockets;

pub use filesystem::FolderGone;
