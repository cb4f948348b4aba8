//! The journal file: frames, only ever appended.
//!
//! What was appended is in the page cache: it survives the death (SIGKILL) of every process, not the loss of
//! power. A write that failed half-way is taken back; where that fails too, nothing may be appended any more.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::pipe::{SpliceFlags, splice};

use crate::codec::EncodedEntry;
use crate::frame::push_frame;
use crate::regular;
use crate::system_call::of_call;

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
    /// The call has no [`Room`](crate::Room) left for more.
    #[error("the call has no room left in the ledger: {asked} {} asked for, {left} left", of.unit())]
    CallFull {
        /// What there is no room for.
        of: crate::trail::RoomFor,
        /// How much of it was asked for.
        asked: u64,
        /// How much of it is left.
        left: u64,
    },
    /// The intent was closed before, or is another call's.
    #[error("intent {intent} of the call is not open")]
    NotOpen {
        /// Sequence of the intent.
        intent: crate::ids::Sequence,
    },
}

#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    // Kept between appends for its memory.
    frames: Vec<u8>,
    // Why nothing may be appended any more.
    stopped: Option<String>,
}

impl Journal {
    /// Opens the journal below `dir`, creating it (mode 0600) if there is none.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        // Not for appending: `splice(2)` refuses such a file.
        options.read(true).write(true).create(true).truncate(false);
        Ok(Self::of(regular::open_with(&mut options, &dir.join(JOURNAL_FILE))?))
    }

    /// The journal in `file`.
    fn of(file: File) -> Self {
        Self { file, frames: Vec::new(), stopped: None }
    }

    /// A second handle for [`File::sync_data`] beside appends.
    pub(crate) fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// What stands from `from` on.
    pub(crate) fn read_tail(&self, from: u64) -> io::Result<Vec<u8>> {
        let bytes = self.file.metadata()?.len().saturating_sub(from);
        let mut tail = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut tail, from)?;
        Ok(tail)
    }

    pub(crate) fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    /// Writes all `entries` at `end`, where the journal ends, in one write.
    pub(crate) fn append(&mut self, entries: &[EncodedEntry], end: u64) -> Result<(), AppendError> {
        if self.is_stopped() {
            return Err(AppendError::Stopped);
        }
        self.frames.clear();
        for entry in entries {
            push_frame(&mut self.frames, entry);
        }
        let wanted = self.frames.len();
        let failed = match write_once(&self.file, &self.frames, end) {
            Ok(written) if written == wanted => return Ok(()),
            Ok(written) => AppendError::Short { written, wanted },
            Err(source) => AppendError::Write { source },
        };
        // What is left of it would stand behind the next, shorter one.
        if let Err(error) = self.file.set_len(end) {
            self.stop(format!("a write failed half-way, and what it left stays: {error}"));
        }
        Err(failed)
    }

    /// Moves up to `bytes` from the pipe to `at` in the journal. What moved has left the pipe, and nothing else has,
    /// whenever this process dies.
    pub(crate) fn splice(&self, pipe: BorrowedFd<'_>, bytes: usize, mut at: u64) -> io::Result<usize> {
        if let Some(why) = &self.stopped {
            return Err(io::Error::other(format!("{}: {why}", AppendError::Stopped)));
        }
        let moved = splice(pipe, None, &self.file, Some(&mut at), bytes, SpliceFlags::NONBLOCK);
        moved.map_err(|errno| of_call("splice", errno))
    }

    /// Takes no more; the first reason counts.
    pub(crate) fn stop(&mut self, why: String) {
        self.stopped.get_or_insert(why);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.is_some()
    }
}

/// Opens the journal below `dir` for reading from `offset` on.
pub(crate) fn read_from(dir: &Path, offset: u64) -> io::Result<File> {
    let mut file = open_to_read(dir)?;
    file.seek(io::SeekFrom::Start(offset))?;
    Ok(file)
}

/// Opens the journal below `dir` for reading only.
pub(crate) fn open_to_read(dir: &Path) -> io::Result<File> {
    regular::open(&dir.join(JOURNAL_FILE))
}

/// An interrupted write has written nothing, so it is the one error after which to try again.
fn write_once(file: &File, bytes: &[u8], at: u64) -> io::Result<usize> {
    loop {
        match file.write_at(bytes, at) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result.map_err(|error| of_call("pwrite64", error)),
        }
    }
}

pub(crate) const JOURNAL_FILE: &str = "journal";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Entry, LedgerOpened};

    #[test]
    fn nothing_is_appended_after_a_failed_write() {
        let dir = tempfile::tempdir().unwrap();
        drop(Journal::open(dir.path()).unwrap());
        let mut journal = Journal::of(open_to_read(dir.path()).unwrap());
        let opened = LedgerOpened { origin: "o".into(), software: "s".into(), time_ns: 0, key: None };
        let entry = [Entry::LedgerOpened(opened).encode()];

        assert!(matches!(journal.append(&entry, 0), Err(AppendError::Write { .. })));

        // Writable again, yet stopped.
        journal.file = Journal::open(dir.path()).unwrap().file;
        assert!(matches!(journal.append(&entry, 0), Err(AppendError::Stopped)));
        assert_eq!(journal.file.metadata().unwrap().len(), 0);
    }
}
