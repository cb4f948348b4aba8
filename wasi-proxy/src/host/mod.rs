//! The WASI interfaces, one file per package, and Tollgate's own: decode, pass the gate, forward.

mod call;
mod cli;
mod clocks;
mod filesystem;
pub(crate) mod http;
mod io;
mod random;
mod refusal;
mod sockets;

pub(crate) use call::bindings;
pub use call::{FAIL, Failed};
pub use cli::Exited;
pub use filesystem::{FolderGone, UNNAMEABLE};
