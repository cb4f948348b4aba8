//! The ledger as its writer holds it: folder, lock, journal, tree.
//!
//! It must never hand out an index for an entry that is not written, nor open over data that is lost or changed.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::checkpoint::{self, Checkpoint, PublishError, ReadCheckpointError};
use crate::codec::{DecodeError, EncodedEntry};
use crate::entry::{Entry, LedgerOpened};
use crate::frame::{CorruptFrame, FrameError, Frames, Step};
use crate::ids::{CallId, LeafIndex, RootHash, TreeSize};
use crate::journal::{AppendError, Journal};
use crate::lock::{LedgerLock, LockError};
use crate::structure::Structure;
use crate::tree::Frontier;

/// A ledger open for writing; this process is its only writer.
///
/// Durability: an appended entry is in the page cache. It survives the death (SIGKILL) of any process; it
/// survives the loss of power only once a [`checkpoint`](Ledger::checkpoint) covers it. Dropping the ledger
/// tries to write a last checkpoint.
#[derive(Debug)]
pub struct Ledger {
    dir: PathBuf,
    origin: String,
    writer: Mutex<Writer>,
    // Locked before `writer`; held while syncing, so that checkpoints replace each other in order.
    published: Mutex<Option<TreeSize>>,
    journal: File,
    recovery: Recovery,
    _lock: LedgerLock,
}

/// What had to be mended when the ledger was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Bytes of an unfinished frame at the end of the journal that were cut off.
    pub torn_bytes: u64,
    /// Calls whose host died; each now has a closer.
    pub closed_calls: Vec<CallId>,
}

/// The ledger is not open. No entry was changed; only [`OpenError::Append`] may leave new ones.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
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
    /// Entries are missing at the end.
    #[error("data lost: the ledger has {found} entries, its checkpoint knows {known}")]
    DataLost {
        /// Entries that the checkpoint covers.
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
    /// The entries that opening writes cannot be written.
    #[error(transparent)]
    Append(AppendError),
}

/// No checkpoint was written; the old one stands.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
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
    /// The checkpoint file cannot be written.
    #[error(transparent)]
    Publish(PublishError),
}

impl Ledger {
    /// Opens the ledger in the folder `dir` as its only writer, making it if it is new (folder mode 0700, files
    /// 0600), and records `software` and `now_ns` (wall clock, nanoseconds since the Unix epoch).
    ///
    /// A frame that a died writer left unfinished is cut off; each call that it left open is closed. The whole
    /// journal is read and compared with the checkpoint.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: in use, corrupt before its end, behind its checkpoint or different from it, of another
    /// origin, or refused by the operating system.
    pub fn open(dir: &Path, origin: &str, software: &str, now_ns: u64) -> Result<Self, OpenError> {
        if !checkpoint::is_origin(origin) {
            return Err(OpenError::BadOrigin { origin: origin.to_owned() });
        }
        let io_error = |source| OpenError::Io { path: dir.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io_error)?;
        let lock = LedgerLock::acquire(dir).map_err(|error| match error {
            LockError::Io(source) => io_error(source),
            LockError::Held { pid } => OpenError::InUse { pid },
        })?;
        let known = checkpoint::read(dir).map_err(OpenError::Checkpoint)?;
        let journal = Journal::open(dir).map_err(io_error)?;
        let found = scan(&journal, known.as_ref(), io_error)?;
        found.check(origin, known.as_ref())?;
        if found.torn_bytes > 0 {
            journal.truncate(found.journal_bytes).map_err(io_error)?;
        }
        let ledger = Self {
            dir: dir.to_owned(),
            origin: origin.to_owned(),
            journal: journal.handle().map_err(io_error)?,
            writer: Mutex::new(Writer { journal, frontier: found.frontier }),
            published: Mutex::new(known.map(|known| known.size)),
            recovery: Recovery { torn_bytes: found.torn_bytes, closed_calls: found.structure.open_calls() },
            _lock: lock,
        };
        ledger.record_open(software, now_ns, &found.structure).map_err(OpenError::Append)?;
        Ok(ledger)
    }

    /// Appends `entries` in one write and returns the index of the first; of none, the index that comes next.
    ///
    /// # Errors
    ///
    /// [`AppendError::Write`] and [`AppendError::Short`] stop the ledger: from then on every append fails with
    /// [`AppendError::Stopped`].
    pub fn append(&self, entries: &[EncodedEntry]) -> Result<LeafIndex, AppendError> {
        let mut writer = self.writer();
        let first = LeafIndex(writer.frontier.size().0);
        if entries.is_empty() {
            return Ok(first);
        }
        writer.journal.append(entries)?;
        for entry in entries {
            writer.frontier.append(entry.leaf());
        }
        Ok(first)
    }

    /// Brings all entries to disk, then replaces the checkpoint file. Appends go on meanwhile.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`]. An error of syncing stops the ledger: what is on disk is then unknown.
    pub fn checkpoint(&self) -> Result<Checkpoint, CheckpointError> {
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        let checkpoint = self.current()?;
        if *published == Some(checkpoint.size) {
            return Ok(checkpoint);
        }
        self.journal.sync_data().map_err(|source| {
            self.writer().journal.stop();
            CheckpointError::Sync { source }
        })?;
        checkpoint::publish(&self.dir, &checkpoint).map_err(CheckpointError::Publish)?;
        *published = Some(checkpoint.size);
        Ok(checkpoint)
    }

    /// The number of entries.
    #[must_use]
    pub fn size(&self) -> TreeSize {
        self.writer().frontier.size()
    }

    /// The root over all entries.
    #[must_use]
    pub fn root(&self) -> RootHash {
        self.writer().frontier.root()
    }

    /// The ledger's name.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// What had to be mended when this ledger was opened.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    fn record_open(&self, software: &str, time_ns: u64, structure: &Structure) -> Result<(), AppendError> {
        let opened = LedgerOpened { origin: self.origin().into(), software: software.into(), time_ns };
        let closers = self.recovery.closed_calls.iter().map(|call| structure.closer(*call, HOST_DIED));
        let entries: Vec<_> = std::iter::once(Entry::LedgerOpened(opened))
            .chain(closers.map(Entry::Closer))
            .map(|entry| entry.encode())
            .collect();
        self.append(&entries)?;
        Ok(())
    }

    fn current(&self) -> Result<Checkpoint, CheckpointError> {
        let writer = self.writer();
        if writer.journal.is_stopped() {
            return Err(CheckpointError::Stopped);
        }
        let (size, root) = (writer.frontier.size(), writer.frontier.root());
        Ok(Checkpoint { origin: self.origin.clone(), size, root })
    }

    /// A panic while the lock was held leaves journal and tree possibly apart: the ledger is then stopped.
    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(|poisoned| {
            let mut writer = poisoned.into_inner();
            writer.journal.stop();
            writer
        })
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        // Best effort: without it the next open still has the journal, which is the truth.
        self.checkpoint().ok();
    }
}

#[derive(Debug)]
struct Writer {
    journal: Journal,
    frontier: Frontier,
}

/// What a journal holds.
struct Found {
    frontier: Frontier,
    structure: Structure,
    // The root at the size of the checkpoint, once the journal has come that far.
    root_at_checkpoint: Option<RootHash>,
    journal_bytes: u64,
    torn_bytes: u64,
}

impl Found {
    fn check(&self, origin: &str, known: Option<&Checkpoint>) -> Result<(), OpenError> {
        let other = |found: &str| OpenError::OtherOrigin { wanted: origin.to_owned(), found: found.to_owned() };
        if self.frontier.size() > TreeSize(0) && self.structure.origin() != Some(origin) {
            return Err(other(self.structure.origin().unwrap_or_default()));
        }
        let Some(known) = known else {
            return Ok(());
        };
        if known.origin != origin {
            return Err(other(&known.origin));
        }
        match self.root_at_checkpoint {
            None => Err(OpenError::DataLost { known: known.size, found: self.frontier.size() }),
            Some(root) if root == known.root => Ok(()),
            Some(found) => Err(OpenError::DataChanged { size: known.size, known: known.root, found }),
        }
    }
}

fn scan(
    journal: &Journal,
    known: Option<&Checkpoint>,
    io_error: impl Fn(io::Error) -> OpenError,
) -> Result<Found, OpenError> {
    let mut frontier = Frontier::new();
    let mut structure = Structure::default();
    let mut root_at_checkpoint = None;
    let mut frames = Frames::new(journal.reader());
    let torn_bytes = loop {
        if known.is_some_and(|known| known.size == frontier.size()) {
            root_at_checkpoint = Some(frontier.root());
        }
        match frames.step() {
            Ok(Step::Frame(frame)) => {
                let entry = Entry::decode(frame.entry).map_err(|source| OpenError::NotAnEntry {
                    index: frame.index,
                    offset: frame.offset,
                    source,
                })?;
                frontier.append(frame.leaf);
                // Only what is needed to close calls: judging the past is `verify`'s.
                structure.entry(frame.index, &entry, frame.leaf, &mut |_| {});
            }
            Ok(Step::Torn { bytes }) => break bytes,
            Ok(Step::End) => break 0,
            Err(FrameError::Io(source)) => return Err(io_error(source)),
            Err(FrameError::Corrupt(corrupt)) => return Err(OpenError::Corrupt(corrupt)),
        }
    };
    Ok(Found { frontier, structure, root_at_checkpoint, journal_bytes: frames.offset(), torn_bytes })
}

const HOST_DIED: &str = "the host ended without closing the call";
