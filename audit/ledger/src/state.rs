//! Writes what the ledger remembers apart from its data ([`tollgate_audit::state`]).
//!
//! It must be on disk before the checkpoint that it announces is signed, and say that the ledger is open before
//! anything is appended.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use tollgate_audit::regular;
use tollgate_audit::state::{Remembered, SLOT_BYTES, StateMalformed, line, newest, read_all};

use crate::owner;

/// The open state file: two slots, written in turn, so that a torn write leaves the other one.
///
/// It is written in place: a notary that may write its folder alone keeps this file open from before.
#[derive(Debug)]
pub(crate) struct StateFile {
    file: File,
    generation: u64,
}

impl StateFile {
    /// Makes the file `path`, or takes the empty one that a crash left.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = regular::open_with(options.read(true).write(true).create(true).truncate(false), path)?;
        if !owner::is_ours(&file.metadata()?) {
            return Err(owner::not_ours());
        }
        file.set_len(0)?;
        file.sync_all()?;
        File::open(path.parent().unwrap_or_else(|| Path::new("/")))?.sync_all()?;
        Ok(Self { file, generation: 0 })
    }

    /// Opens the file `path` and reads what it remembers; `None` if there is no file, or nothing in it.
    pub(crate) fn open(path: &Path) -> io::Result<Result<Option<(Self, Remembered)>, StateMalformed>> {
        let file = match regular::open_with(OpenOptions::new().read(true).write(true), path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ok(None)),
            file => file?,
        };
        if !owner::is_ours(&file.metadata()?) {
            return Err(owner::not_ours());
        }
        let newest = newest(&read_all(&file)?);
        Ok(newest.map(|newest| newest.map(|(generation, remembered)| (Self { file, generation }, remembered))))
    }

    /// Writes `remembered` and brings it to disk.
    pub(crate) fn remember(&mut self, remembered: &Remembered) -> io::Result<()> {
        self.generation += 1;
        let mut slot = line(self.generation, remembered).into_bytes();
        slot.resize(SLOT_BYTES, 0);
        let offset = self.generation % 2 * SLOT_BYTES as u64;
        self.file.write_all_at(&slot, offset)?;
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tollgate_audit::ids::{RootHash, TreeSize};
    use tollgate_audit::state::{Resume, read};

    use super::*;

    fn remembered(size: u64) -> Remembered {
        let resume = Resume { index: u64::MAX, offset: u64::MAX };
        let (origin, root) = ("o".repeat(255), RootHash([7; 32]));
        Remembered { origin, size: TreeSize(size), root, resume, is_closed: size.is_multiple_of(2) }
    }

    #[test]
    fn the_newest_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.state");
        assert!(matches!(StateFile::open(&path).unwrap(), Ok(None)), "no file");
        let mut file = StateFile::create(&path).unwrap();
        assert!(matches!(StateFile::open(&path).unwrap(), Ok(None)), "a crash came in between");
        for size in [1, 2, u64::MAX] {
            file.remember(&remembered(size)).unwrap();
            assert_eq!(read(&path).unwrap(), Ok(Some(remembered(size))));
        }
        let (mut file, found) = StateFile::open(&path).unwrap().unwrap().unwrap();
        assert_eq!(found, remembered(u64::MAX));
        file.remember(&remembered(9)).unwrap();
        assert_eq!(read(&path).unwrap(), Ok(Some(remembered(9))), "newest by writing, not by size");
    }

    #[test]
    fn a_torn_write_leaves_what_was_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.state");
        let mut file = StateFile::create(&path).unwrap();
        (1..=2).for_each(|size| file.remember(&remembered(size)).unwrap());
        let before = fs::read(&path).unwrap();
        file.remember(&remembered(3)).unwrap();
        let after = fs::read(&path).unwrap();
        for torn in 0..SLOT_BYTES {
            let mut bytes = before.clone();
            bytes[SLOT_BYTES..SLOT_BYTES + torn].copy_from_slice(&after[SLOT_BYTES..SLOT_BYTES + torn]);
            let size = newest(&bytes).unwrap().unwrap().1.size.0;
            assert!(size == 2 || size == 3, "{torn}");
        }
        assert_eq!(newest(b"something else"), Err(StateMalformed { is_older: false }));
        let older = String::from_utf8_lossy(&before[..]).replace("state-2", "state-1");
        assert_eq!(newest(older.as_bytes()), Err(StateMalformed { is_older: true }), "another version");
    }
}
