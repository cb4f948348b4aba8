//! The journal file: frames, only ever appended.
//!
//! What was appended is in the page cache: it survives the death (SIGKILL) of every process, not the loss of
//! power. A write that failed half-way is taken back; where that fails too, nothing may be appended any more.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::pipe::{SpliceFlags, splice};
use tollgate_audit::append_error::AppendError;
use tollgate_audit::codec::EncodedEntry;
use tollgate_audit::frame::push_frame;
use tollgate_audit::journal::JOURNAL_FILE;
use tollgate_audit::regular;
use tollgate_system::of_call;

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

/// An interrupted write has written nothing, so it is the one error after which to try again.
fn write_once(file: &File, bytes: &[u8], at: u64) -> io::Result<usize> {
    loop {
        match file.write_at(bytes, at) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result.map_err(|error| of_call("pwrite64", error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use tollgate_audit::entry::{Entry, LedgerKey, LedgerOpened};
    use tollgate_audit::ids::PublicKey;

    use super::*;

    #[test]
    fn nothing_is_appended_after_a_failed_write() {
        let dir = tempfile::tempdir().unwrap();
        drop(Journal::open(dir.path()).unwrap());
        let mut journal = Journal::of(tollgate_audit::journal::open_to_read(dir.path()).unwrap());
        let opened = LedgerOpened {
            origin: "o".into(),
            software: "s".into(),
            time_ns: 0,
            key: LedgerKey { public: PublicKey([0; 32]), rotated: None },
        };
        let entry = [Entry::LedgerOpened(opened).encode()];

        assert!(matches!(journal.append(&entry, 0), Err(AppendError::Write { .. })));

        // Writable again, yet stopped.
        journal.file = Journal::open(dir.path()).unwrap().file;
        assert!(matches!(journal.append(&entry, 0), Err(AppendError::Stopped)));
        assert_eq!(journal.file.metadata().unwrap().len(), 0);
    }
}
