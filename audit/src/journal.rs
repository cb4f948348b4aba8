//! The journal file as readers meet it: frames, one after the other. Only the ledger's writer adds to it.

use std::fs::File;
use std::io::{self, Seek as _};
use std::path::Path;

use crate::codec::{self, ENTRY_VERSION};
use crate::frame::{FRAME_BYTES_MAX, Head, head};
use crate::regular;

/// Opens the journal below `dir` for reading from `offset` on.
pub fn read_from(dir: &Path, offset: u64) -> io::Result<File> {
    let mut file = open_to_read(dir)?;
    file.seek(io::SeekFrom::Start(offset))?;
    Ok(file)
}

/// Opens the journal below `dir` for reading only. One of an [`OlderFormat`] is refused.
pub fn open_to_read(dir: &Path) -> io::Result<File> {
    let mut file = regular::open(&dir.join(JOURNAL_FILE))?;
    let start = regular::read_start(&file, FRAME_BYTES_MAX)?;
    file.rewind()?;
    match head(&start) {
        Head::Frame { entry, .. } => match codec::version(entry).filter(|found| (1..ENTRY_VERSION).contains(found)) {
            Some(found) => Err(io::Error::new(io::ErrorKind::InvalidData, OlderFormat { found })),
            None => Ok(file),
        },
        Head::Incomplete | Head::Bad => Ok(file),
    }
}

/// A ledger was begun in a format before [`ENTRY_VERSION`]; nothing of it was read, and nothing in it was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this ledger has format {found}; this program reads format {ENTRY_VERSION}: keep the ledger and the program that wrote it"
)]
pub struct OlderFormat {
    /// The format that its first entry names.
    pub found: u64,
}

impl OlderFormat {
    /// Whether this is why a journal could not be read.
    #[must_use]
    pub fn is_cause_of(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|cause| cause.is::<Self>())
    }
}

pub const JOURNAL_FILE: &str = "journal";
