//! What an auditor does with a ledger beyond verifying it: its decisions are repeated.
//!
//! It links the ledger's format and the decision core, and nothing that writes, runs tools or reads configuration. It builds on any
//! system. Proofs are verified by [`tollgate_audit`].
#![forbid(unsafe_code)]

mod replay;
mod report;

pub use crate::replay::{Difference, Repeated, Replay, Ruling, SETS_KEPT_MAX, Unrepeatable};
pub use crate::report::ReplayReport;
