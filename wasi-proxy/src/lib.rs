//! The gate between a guest and WASI: every call is decoded, checked against the capability set, recorded in the
//! ledger, and only then done. It implements wasmtime-wasi's generated host traits on its own view type.
//!
//! Data flows one way: [`HostCall`](tollgate_capability::HostCall) → [`Gate::admit`] → [`Permit`] → effect →
//! [`Gate::settle`]. An effect on the host takes a `&Permit`, and only the gate can make one.
#![deny(unsafe_code)]

mod ctx;
mod fs;
mod gate;
mod host;
mod linker;
mod stdio;
mod view;

pub use ctx::{CallFacts, GateCtx, GateInput, Stdout};
pub use gate::{Counter, Gate, Permit, Refused, Violation};
pub use host::{FAIL, Failed, FolderGone};
pub use linker::{INTERFACES, OWN_INTERFACE, add_to_linker, links};
pub use view::{GateStore, GateView};
