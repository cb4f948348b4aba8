//! The notary, the process that writes the ledger for others, and what those who record have of it: the record of a call, its
//! pipe, and the channel to whoever started the notary.
//!
//! It must never take an entry from a writer that the writer may not write.
#![forbid(unsafe_code)]

mod acks;
mod notary;
mod recorder;
mod trail;
mod writer;

pub use crate::notary::{
    FromNotary, Intake, LedgerFault, Notary, NotaryError, NotaryOf, PIPE_SHARE_BYTES, StartedNotary, Taken, ToNotary,
    WriterEnding, WriterFault,
};
pub use crate::recorder::{NotaryEnds, Recorder, Status, WriterEnds};
pub use crate::trail::{
    CALL_ENTRIES_MAX, CallEnding, CallStart, CallSummary, CallTrail, DenialRef, FactRef, IntentId, OutcomeTotals, Room,
};
pub use crate::writer::{LEASES_MAX, Lease, WriterKind};
