//! Reads a ledger entry by entry, for people and `jq`.
//!
//! It shows, it does not verify: only the frames' own checks are looked at.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::codec::DecodeError;
use crate::entry::Entry;
use crate::frame::{CorruptFrame, FrameError, Frames, Step};
use crate::ids::LeafIndex;
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
    frames: Option<Frames<File>>,
}

/// The entries of the ledger in the folder `dir`. It may be open for writing elsewhere.
///
/// # Errors
///
/// [`ReadError::Io`] when there is no journal to open.
pub fn read(dir: &Path) -> Result<Entries, ReadError> {
    let journal = journal::open_to_read(dir).map_err(|source| ReadError::Io { source })?;
    Ok(Entries { frames: Some(Frames::new(journal)) })
}

impl Iterator for Entries {
    type Item = Result<(LeafIndex, Entry<'static>), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let last = match self.frames.as_mut()?.step() {
            Ok(Step::Frame(frame)) => {
                let index = frame.index;
                let entry = Entry::decode_owned(frame.entry)
                    .map(|entry| (index, entry))
                    .map_err(|source| ReadError::NotAnEntry { index, source });
                return Some(entry);
            }
            Ok(Step::Torn { .. } | Step::End) => None,
            Err(FrameError::Io(source)) => Some(Err(ReadError::Io { source })),
            Err(FrameError::Corrupt(corrupt)) => Some(Err(ReadError::Corrupt(corrupt))),
        };
        self.frames = None;
        last
    }
}
