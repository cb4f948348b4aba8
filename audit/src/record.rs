//! Where the entries of a call go: the one thing that a call trail needs of a ledger.
//!
//! An implementation must never report entries as kept that are not.

use std::fmt::Debug;
use std::time::Instant;

use crate::append_error::AppendError;
use crate::codec::EncodedEntry;
use crate::entry::Durability;
use crate::ids::{CallId, WriterId};

/// Takes entries into a ledger.
pub trait Record: Debug + Send + Sync {
    /// Takes `entries` in their order; returns once they are kept as `kept` says.
    ///
    /// # Errors
    ///
    /// [`RecordError`]: the first `taken` of them are in the ledger's hands, the others are not.
    fn record(&self, entries: &[EncodedEntry], kept: Kept, deadline: Instant) -> Result<(), RecordError>;

    /// The writer that it records for.
    fn writer(&self) -> WriterId;

    /// The id of the next call, which starts at `time_ms` (milliseconds since the Unix epoch).
    fn next_call(&self, time_ms: u64) -> CallId;

    /// Whether something new may begin: a call, or an effect. What ends something may be recorded in any case.
    ///
    /// # Errors
    ///
    /// [`AppendError`]: why not.
    fn ready(&self) -> Result<(), AppendError>;
}

/// What entries survive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kept {
    /// In the notary's pipe: the death of the writer or of the notary, not of all processes at once.
    #[default]
    Pipe,
    /// In the journal: the death of every process, not the loss of power.
    Journal,
    /// On disk: the loss of power too.
    Disk,
}

impl From<Durability> for Kept {
    fn from(durability: Durability) -> Self {
        match durability {
            Durability::Pipe => Self::Pipe,
            Durability::Disk => Self::Disk,
        }
    }
}

/// Entries were not taken, or not all of them.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct RecordError {
    /// How many of the entries, from the first on, are in the ledger's hands.
    pub taken: usize,
    /// Why not all.
    pub source: AppendError,
}

impl RecordError {
    pub fn none_taken(source: AppendError) -> Self {
        Self { taken: 0, source }
    }
}
