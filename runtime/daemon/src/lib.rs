//! The daemon that several programs share: one for each ledger. It keeps workers warm, and owns policy, notary and routing.
//!
//! ```text
//! client ──▶ agents/NAME.sock ──▶ Door ──▶ Gateway (sealed, parses) ──▶ lane ──▶ Tollgate::call ──▶ worker (sealed)
//!                           who is it?                              who it is goes on record
//! operator ─▶ operator.sock ──▶ status, reload, stop, the notary for another supervisor
//! ```
//!
//! Who asks is known by the door, before a byte is parsed: each agent has its own listener and its own gateway. What a request says of
//! itself is a claim. Must never take an agent's name, a session or a grant from a gateway or from a client.

#![forbid(unsafe_code)]

mod daemon;
mod door;
mod fault;
mod gateway;
mod lane;
mod operator;
mod path_text;
mod serving;
pub mod sockets;
mod status;
pub mod tokens;

pub use daemon::{Daemon, DaemonConfig, DaemonError, OPERATOR};
pub use fault::{Fault, FaultyFile, ReloadError};
pub use operator::{Operator, OperatorError};
pub use status::{AgentStatus, Status};
