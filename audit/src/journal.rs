//! The journal file: frames, only ever appended.
//!
//! What was appended is in the page cache: it survives the death (SIGKILL) of every process, not the loss of
//! power. After a failed or short write nothing may be appended any more: the file then ends in a torn frame.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::codec::EncodedEntry;
use crate::frame::push_frame;

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
    /// Only a part was written; the next open of the ledger drops it.
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
    /// An earlier write failed, so the ledger takes no more until it is opened again.
    #[error("the ledger is stopped since an earlier write failed")]
    Stopped,
    /// The call has as many entries as a call may have ([`CALL_ENTRIES_MAX`](crate::CALL_ENTRIES_MAX)).
    #[error("the call has as many ledger entries as a call may have ({entries})")]
    CallFull {
        /// Entries of the call.
        entries: u32,
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
    stopped: bool,
}

impl Journal {
    /// Opens the journal below `dir`, creating it (mode 0600) if there is none.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        let file =
            OpenOptions::new().read(true).append(true).create(true).mode(FILE_MODE).open(dir.join(JOURNAL_FILE))?;
        Ok(Self::of(file))
    }

    /// The journal in `file`, which must append.
    fn of(file: File) -> Self {
        Self { file, frames: Vec::new(), stopped: false }
    }

    /// A second handle for [`File::sync_data`] beside appends.
    pub(crate) fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    pub(crate) fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    /// Appends all `entries` in one write.
    pub(crate) fn append(&mut self, entries: &[EncodedEntry]) -> Result<(), AppendError> {
        if self.stopped {
            return Err(AppendError::Stopped);
        }
        self.frames.clear();
        for entry in entries {
            push_frame(&mut self.frames, entry);
        }
        let wanted = self.frames.len();
        let result = match write_once(&self.file, &self.frames) {
            Ok(written) if written == wanted => Ok(()),
            Ok(written) => Err(AppendError::Short { written, wanted }),
            Err(source) => Err(AppendError::Write { source }),
        };
        self.stopped = result.is_err();
        result
    }

    pub(crate) fn stop(&mut self) {
        self.stopped = true;
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped
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
    File::open(dir.join(JOURNAL_FILE))
}

/// An interrupted write has written nothing, so it is the one error after which to try again.
fn write_once(mut file: &File, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match file.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

pub(crate) const JOURNAL_FILE: &str = "journal";

/// The ledger is its owner's alone.
pub(crate) const FILE_MODE: u32 = 0o600;

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

        assert!(matches!(journal.append(&entry), Err(AppendError::Write { .. })));

        // Writable again, yet stopped.
        journal.file = Journal::open(dir.path()).unwrap().file;
        assert!(matches!(journal.append(&entry), Err(AppendError::Stopped)));
        assert_eq!(journal.file.metadata().unwrap().len(), 0);
    }
}
