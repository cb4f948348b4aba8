//! The gate between a guest and WASI: every call is decoded, checked against the capability set, recorded in the
//! ledger, and only then done. It implements wasmtime-wasi's generated host traits on its own view type.
//!
//! Data flows one way: [`Call`](tollgate_capability::Call) → [`Gate::admit`] → [`Permit`] → effect → outcome, each
//! made of the one before. An effect on the host takes the [`Permit`], or for a call that is only checked and counted a
//! proof of that, and reads from it what to act on; only the gate can make one.
#![deny(unsafe_code)]

mod ctx;
mod fs;
mod gate;
mod handle;
mod host;
mod linker;
mod stdio;
mod view;

pub use ctx::{CallFacts, GateCtx, GateInput};
pub use fs::Preview;
pub use gate::{Counter, Gate, Permit, Refused, Violation};
pub use host::{Exited, FAIL, Failed, FolderGone, UNNAMEABLE};
pub use linker::{INTERFACES, OWN_INTERFACE, add_to_linker, links};
pub use stdio::{HearsStderr, Stdout};
pub use view::{GateStore, GateView};
