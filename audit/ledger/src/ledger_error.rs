//! Why a ledger does not open, sign, or change its key.
//!
//! Data alone: nothing is done here.

use std::io;
use std::path::PathBuf;

use crate::key_file::KeyFileError;
use crate::publish::PublishError;
use tollgate_audit::append_error::AppendError;
use tollgate_audit::checkpoint::ReadCheckpointError;
use tollgate_audit::codec::DecodeError;
use tollgate_audit::frame::CorruptFrame;
use tollgate_audit::ids::{LeafIndex, RootHash, TreeSize};
use tollgate_audit::structure::Problem;

/// The ledger is not open. No entry was changed; only [`OpenError::Append`] may leave new ones.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No name for a ledger.
    #[error("not an origin: {origin:?} (1 to 255 bytes without spaces or plus signs)")]
    BadOrigin {
        /// What was given.
        origin: String,
    },
    /// The folder or a file in it cannot be made or opened.
    #[error("the ledger {} cannot be opened", path.display())]
    Io {
        /// The ledger's folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Another process (or this one) has it open.
    #[error("the ledger is in use by {}", pid.map_or("another process".to_owned(), |pid| format!("process {pid}")))]
    InUse {
        /// The process that holds it, if it has written its id.
        pid: Option<u32>,
    },
    /// An entry before the end cannot be read.
    #[error(transparent)]
    Corrupt(CorruptFrame),
    /// A frame holds something other than an entry.
    #[error("entry {index} at byte {offset} of the journal is not an entry")]
    NotAnEntry {
        /// Index of the entry.
        index: LeafIndex,
        /// Where its frame starts, in bytes from the start of the journal.
        offset: u64,
        /// What is wrong.
        source: DecodeError,
    },
    /// The ledger has another name.
    #[error("the ledger is of origin {found:?}, not {wanted:?}")]
    OtherOrigin {
        /// The name asked for.
        wanted: String,
        /// The name it has; empty when its first entry does not say.
        found: String,
    },
    /// The checkpoint file cannot be used.
    #[error(transparent)]
    Checkpoint(ReadCheckpointError),
    /// Somebody who can write to the folder added entries while nobody had the ledger open.
    #[error(
        "forged: {} entries were added after the ledger was closed with {closed}; nobody signed them, and they are not signed now",
        found.0.saturating_sub(closed.0)
    )]
    AddedWhileClosed {
        /// Entries when it was closed.
        closed: TreeSize,
        /// Entries in the journal.
        found: TreeSize,
    },
    /// Entries that a dead writer left make no sense: no writer of this software wrote them, and nobody signed them.
    #[error("entry {index} at byte {offset} of the journal, which no checkpoint covers, makes no sense: {problem}")]
    Senseless {
        /// Index of the first such entry.
        index: LeafIndex,
        /// Where its frame starts, in bytes from the start of the journal.
        offset: u64,
        /// What is wrong.
        problem: Problem,
    },
    /// Entries are missing at the end.
    #[error("data lost: the ledger has {found} entries, {known} were signed")]
    DataLost {
        /// Entries that the checkpoint, or what is remembered beside the folder, covers.
        known: TreeSize,
        /// Entries in the journal.
        found: TreeSize,
    },
    /// Entries that the checkpoint covers were changed.
    #[error("data changed: the root of the first {size} entries is {found}, the checkpoint's is {known}")]
    DataChanged {
        /// Entries that the checkpoint covers.
        size: TreeSize,
        /// Their root by the checkpoint.
        known: RootHash,
        /// Their root by the journal.
        found: RootHash,
    },
    /// The checkpoint is not signed by the key that the ledger names.
    #[error("the checkpoint is not signed by the ledger's key")]
    CheckpointNotOurs,
    /// The key file cannot be used.
    #[error(transparent)]
    Key(KeyFileError),
    /// The ledger names a key, and there is none: without it nobody could go on with this ledger.
    #[error("the ledger's key is gone from {}", path.display())]
    KeyMissing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The key is not the one that the ledger names.
    #[error("the key in {} is not the ledger's", path.display())]
    OtherKey {
        /// The key file.
        path: PathBuf,
    },
    /// The key says that the ledger is not new, and what it remembers of itself is gone.
    #[error(
        "the state file {} is {}, and the key beside it says that the ledger is not new",
        path.display(),
        if *is_empty { "empty" } else { "gone" }
    )]
    StateMissing {
        /// Where it should be.
        path: PathBuf,
        /// Whether there is a file, and nothing in it.
        is_empty: bool,
    },
    /// The ledger is what it remembers to be: it needs nobody who lets it go on.
    #[error("the ledger is what it remembers to be: there is nothing to adopt")]
    NothingToAdopt,
    /// What the ledger remembers of its size cannot be read.
    #[error("the state file {} holds no state of this version", path.display())]
    State {
        /// The file.
        path: PathBuf,
    },
    /// What stands beside the ledger is of a ledger of an earlier version.
    #[error(
        "the state file {} is of version 1; this program reads version 2: keep it with the ledger that it is of, and the program \
         that wrote it",
        path.display()
    )]
    OlderState {
        /// The file.
        path: PathBuf,
    },
    /// The entries that opening writes cannot be written.
    #[error(transparent)]
    Append(AppendError),
}

/// No checkpoint was written; the old one stands.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// An earlier write or sync failed, so what is on disk is unknown.
    #[error("the ledger is stopped since an earlier write failed")]
    Stopped,
    /// The journal cannot be brought to disk; the ledger is stopped.
    #[error("the journal cannot be synced")]
    Sync {
        /// The cause.
        source: io::Error,
    },
    /// Tiles cannot be written. Another try may go well.
    #[error("the tiles cannot be written")]
    Tiles {
        /// The cause.
        source: io::Error,
    },
    /// The new size cannot be remembered, so nothing was signed; the ledger is stopped.
    #[error("the state file cannot be written")]
    Remember {
        /// The cause.
        source: io::Error,
    },
    /// The checkpoint file cannot be written.
    #[error(transparent)]
    Publish(PublishError),
}

/// The key was not changed, unless [`RotateKeyError::Checkpoint`] says that only the new checkpoint is missing.
#[derive(Debug, thiserror::Error)]
pub enum RotateKeyError {
    /// The operating system gives no randomness.
    #[error("no randomness for a new key")]
    Random {
        /// The cause.
        source: io::Error,
    },
    /// The key file cannot be written.
    #[error(transparent)]
    Key(KeyFileError),
    /// The rotation cannot be recorded.
    #[error(transparent)]
    Append(AppendError),
    /// The rotation is recorded, and no checkpoint covers it yet.
    #[error(transparent)]
    Checkpoint(CheckpointError),
}

impl From<CheckpointError> for AppendError {
    fn from(error: CheckpointError) -> Self {
        match error {
            CheckpointError::Sync { source } | CheckpointError::Remember { source } => Self::Sync { source },
            CheckpointError::Stopped | CheckpointError::Tiles { .. } | CheckpointError::Publish(_) => Self::Stopped,
        }
    }
}

impl CheckpointError {
    /// Whether what is on disk is unknown from here on.
    #[must_use]
    pub fn is_by_sync(&self) -> bool {
        match self {
            Self::Sync { .. } | Self::Remember { .. } => true,
            Self::Publish(error) => error.by_sync,
            Self::Stopped | Self::Tiles { .. } => false,
        }
    }
}
