//! Why entries are not in the ledger.
//!
//! Data alone: nothing is done here.

use std::io;

use crate::ids::Sequence;

/// Entries are not in the ledger; what they announce must not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The operating system refused the write (disk full, quota, file size limit).
    #[error("the ledger cannot be written")]
    Write {
        /// The cause.
        source: io::Error,
    },
    /// Only a part was written, and taken back.
    #[error("the ledger took {written} of {wanted} bytes")]
    Short {
        /// Bytes written.
        written: usize,
        /// Bytes there were to write.
        wanted: usize,
    },
    /// The entries are written, yet it is unknown whether they are on disk.
    #[error("the ledger cannot be brought to disk")]
    Sync {
        /// The cause.
        source: io::Error,
    },
    /// An earlier write failed and could not be taken back, or an earlier sync failed; the ledger takes no more until it is
    /// opened again.
    #[error("the ledger is stopped since an earlier write failed")]
    Stopped,
    /// The notary, which keeps the ledger, is not there at the moment.
    #[error("the notary, which keeps the ledger, is away; it is being started again")]
    Away,
    /// The ledger takes nothing at the moment; it goes on by itself when the reason is gone.
    #[error("the ledger takes nothing at the moment: {reason}")]
    Stalled {
        /// Why.
        reason: String,
    },
    /// The ledger had no room, or gave no sign, before the deadline.
    #[error("the ledger did not take the record in time")]
    Late,
    /// The ledger takes nothing from this process any more.
    #[error("the ledger takes no more from this process: {reason}")]
    Closed {
        /// Why.
        reason: String,
    },
    /// The call has no room left for more.
    #[error("the call has no room left in the ledger: {asked} {} asked for, {left} left", of.unit())]
    CallFull {
        /// What there is no room for.
        of: RoomFor,
        /// How much of it was asked for.
        asked: u64,
        /// How much of it is left.
        left: u64,
    },
    /// The intent was closed before, or is another call's.
    #[error("intent {intent} of the call is not open")]
    NotOpen {
        /// Sequence of the intent.
        intent: Sequence,
    },
}

/// What a call has no more room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomFor {
    /// Entries.
    Entries,
    /// Bytes of entries.
    Bytes,
}

impl RoomFor {
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Entries => "entries",
            Self::Bytes => "bytes",
        }
    }
}
