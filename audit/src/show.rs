//! Reads a ledger entry by entry, for people and `jq`.
//!
//! It shows, it does not verify: only the frames' own checks are looked at.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::codec::DecodeError;
use crate::entry::Entry;
use crate::frame::{CorruptFrame, FrameError, Frames, Step};
use crate::ids::{LeafHash, LeafIndex};
use crate::journal;

/// An entry cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The journal cannot be opened or read.
    #[error("the journal cannot be read")]
    Io {
        /// The cause.
        source: io::Error,
    },
    /// The frame is corrupt. Nothing after it can be read.
    #[error(transparent)]
    Corrupt(CorruptFrame),
    /// The bytes are not an entry. Reading can go on.
    #[error("entry {index} is not an entry")]
    NotAnEntry {
        /// Index of the entry.
        index: LeafIndex,
        /// What is wrong.
        source: DecodeError,
    },
}

/// The entries of a ledger in order, up to its end or to the first frame that cannot be read.
///
/// An unfinished frame at the end is not shown: nobody was told that its entry is in the ledger.
#[derive(Debug)]
pub struct Entries {
    dir: PathBuf,
    frames: Option<Frames<File>>,
    // Where reading ended, unless at a frame that cannot be read.
    end: Option<(LeafIndex, u64)>,
    latest: Option<LeafHash>,
}

/// The entries of the ledger in the folder `dir`. It may be open for writing elsewhere.
///
/// # Errors
///
/// [`ReadError::Io`] when there is no journal to open.
pub fn read(dir: &Path) -> Result<Entries, ReadError> {
    let journal = journal::open_to_read(dir).map_err(|source| ReadError::Io { source })?;
    Ok(Entries { dir: dir.to_owned(), frames: Some(Frames::new(journal)), end: None, latest: None })
}

impl Entries {
    /// Lets reading go on behind the end that it came to, if there is more by now; whether there is. Never behind a
    /// frame that cannot be read.
    ///
    /// # Errors
    ///
    /// [`ReadError::Io`].
    pub fn go_on(&mut self) -> Result<bool, ReadError> {
        let io = |source| ReadError::Io { source };
        let Some((index, offset)) = self.end else { return Ok(self.frames.is_some()) };
        let length = fs::metadata(self.dir.join(journal::JOURNAL_FILE)).map_err(io)?.len();
        if length <= offset {
            return Ok(false);
        }
        let journal = journal::read_from(&self.dir, offset).map_err(io)?;
        self.frames = Some(Frames::starting_at(journal, index, offset));
        self.end = None;
        Ok(true)
    }

    /// The leaf hash of the entry read last.
    #[must_use]
    pub fn latest_leaf(&self) -> Option<LeafHash> {
        self.latest
    }
}

impl Iterator for Entries {
    type Item = Result<(LeafIndex, Entry<'static>), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let frames = self.frames.as_mut()?;
        let end = (frames.index(), frames.offset());
        let last = match frames.step() {
            Ok(Step::Frame(frame)) => {
                let index = frame.index;
                self.latest = Some(frame.leaf);
                let entry = Entry::decode_owned(frame.entry)
                    .map(|entry| (index, entry))
                    .map_err(|source| ReadError::NotAnEntry { index, source });
                return Some(entry);
            }
            Ok(Step::Torn { .. } | Step::End) => {
                self.end = Some(end);
                None
            }
            Err(FrameError::Io(source)) => Some(Err(ReadError::Io { source })),
            Err(FrameError::Corrupt(corrupt)) => Some(Err(ReadError::Corrupt(corrupt))),
        };
        self.frames = None;
        last
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write as _;

    use super::*;
    use crate::entry::LedgerOpened;
    use crate::frame::push_frame;

    #[test]
    fn reading_goes_on_behind_whole_frames_only() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = OpenOptions::new().create(true).append(true).open(dir.path().join("journal")).unwrap();
        let entry = |time_ns| {
            Entry::LedgerOpened(LedgerOpened { origin: "o".into(), software: "s".into(), time_ns, key: None }).encode()
        };
        let frame = |time_ns| {
            let mut frame = Vec::new();
            push_frame(&mut frame, &entry(time_ns));
            frame
        };
        journal.write_all(&frame(0)).unwrap();
        let mut entries = read(dir.path()).unwrap();
        assert!(entries.go_on().unwrap(), "not read yet");
        assert_eq!(entries.by_ref().map(|read| read.unwrap().0).collect::<Vec<_>>(), [LeafIndex(0)]);
        assert_eq!(entries.latest_leaf(), Some(entry(0).leaf()));
        assert!(!entries.go_on().unwrap());

        let second = frame(1);
        journal.write_all(&second[..9]).unwrap();
        assert!(entries.go_on().unwrap());
        assert!(entries.next().is_none(), "half a frame is no entry");
        journal.write_all(&second[9..]).unwrap();
        assert!(entries.go_on().unwrap());
        assert_eq!(entries.by_ref().map(|read| read.unwrap().0).collect::<Vec<_>>(), [LeafIndex(1)]);
        assert_eq!(entries.latest_leaf(), Some(entry(1).leaf()));

        journal.write_all(&[0; 99]).unwrap();
        assert!(entries.go_on().unwrap());
        assert!(matches!(entries.next(), Some(Err(ReadError::Corrupt(_)))));
        assert!(!entries.go_on().unwrap(), "never behind what cannot be read");
    }
}
