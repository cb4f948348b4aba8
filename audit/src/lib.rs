//! The ledger: what tools asked for and what was answered, in a Merkle tree over an append-only journal.
//!
//! It records and proves. It must never decide (that is `tollgate-capability`), never read a clock or the
//! environment by itself apart from the elapsed time of a call, and never re-serialise an entry to verify it.
//!
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod call_tree;
mod checkpoint;
mod codec;
mod entry;
mod frame;
mod ids;
mod journal;
mod json;
mod ledger;
mod lock;
mod pairs;
mod show;
mod structure;
mod text;
mod trail;
mod tree;
mod verify;

pub use crate::call_tree::call_root;
pub use crate::checkpoint::{Checkpoint, ORIGIN_BYTES_MAX, ParseCheckpointError, PublishError, ReadCheckpointError};
pub use crate::codec::{DecodeError, ENTRY_BYTES_MAX, ENTRY_VERSION, EncodedEntry, TEXT_BYTES_MAX};
pub use crate::entry::{
    Action, CLOSER_SEQUENCES_MAX, Call, CallClass, CallEnd, Closer, Entry, Fact, Intent, Kind, Layer, LedgerOpened,
    Outcome, Policy, Usage, Verdict, Violation,
};
pub use crate::frame::{CorruptFrame, FRAME_BYTES_MAX};
pub use crate::ids::{CallId, Digest, LeafHash, LeafIndex, ParseIdError, RootHash, Sequence, TreeSize};
pub use crate::journal::AppendError;
pub use crate::ledger::{CheckpointError, Ledger, OpenError, Recovery};
pub use crate::pairs::{PAIR_KEY_BYTES_MAX, PAIRS_MAX, Pairs};
pub use crate::show::{Entries, ReadError, read};
pub use crate::structure::Problem;
pub use crate::text::{Cut, Text};
pub use crate::trail::{
    CALL_ENTRIES_MAX, CallEnding, CallStart, CallSummary, CallTrail, DenialRef, FactRef, IntentId, OutcomeTotals,
};
pub use crate::tree::{Frontier, leaf_hash, node_hash};
pub use crate::verify::{Expected, FINDINGS_MAX, Finding, Report, VerifyError, verify};
