//! What tests of several crates share: sample ledgers, notaries, clients of a daemon, and what tests need of this machine. Nothing
//! here is shipped.
//!
//! It links no wasmtime, so that tests of a ledger or of a protocol are built in seconds. Labs that run tools are in `tests/support`.

pub mod calls;
pub mod chance;
pub mod entries;
pub mod foreign;
pub mod forgets;
pub mod fuse;
pub mod hmac;
pub mod judge;
pub mod ledgers;
pub mod notary;
pub mod processes;
pub mod rpc;
pub mod sealed_child;
pub mod small_group;
