//! What the ledger remembers apart from its data: how far it had come when it last signed, and where to go on
//! reading. The file stands beside the folder, so that a folder put back from an older copy is noticed.
//!
//! It must be on disk before the checkpoint that it announces is signed.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::str::FromStr as _;

use sha2::{Digest as _, Sha256};

use crate::ids::{RootHash, TreeSize};
use crate::journal::FILE_MODE;

/// A place in the journal from which recovery can go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resume {
    /// A multiple of the tile width; tiles before it are on disk.
    pub(crate) index: u64,
    /// Where the frame of this entry starts.
    pub(crate) offset: u64,
}

/// What was true when a checkpoint was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remembered {
    pub(crate) origin: String,
    pub(crate) size: TreeSize,
    pub(crate) root: RootHash,
    pub(crate) resume: Resume,
}

/// The open state file: two slots, written in turn, so that a torn write leaves the other one.
///
/// It is written in place: a notary that may write its folder alone keeps this file open from before.
#[derive(Debug)]
pub(crate) struct StateFile {
    file: File,
    generation: u64,
}

/// The state file holds something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StateMalformed;

impl StateFile {
    /// Opens the file `path`, making it if there is none, and reads what it remembers.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Result<Option<Remembered>, StateMalformed>)> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(path)?;
        if file.metadata()?.len() == 0 {
            file.sync_all()?;
            File::open(path.parent().unwrap_or_else(|| Path::new("/")))?.sync_all()?;
        }
        let newest = newest(&read_all(&file)?);
        let generation = newest.as_ref().map_or(0, |newest| newest.as_ref().map_or(0, |(generation, _)| *generation));
        Ok((Self { file, generation }, newest.map(|newest| newest.map(|(_, remembered)| remembered))))
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

/// What the file `path` remembers; nothing if there is no file that may be read.
pub(crate) fn read(path: &Path) -> io::Result<Result<Option<Remembered>, StateMalformed>> {
    match File::open(path) {
        Ok(file) => Ok(newest(&read_all(&file)?).map(|newest| newest.map(|(_, remembered)| remembered))),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => Ok(Ok(None)),
        Err(error) => Err(error),
    }
}

fn read_all(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(2 * SLOT_BYTES);
    file.take(2 * SLOT_BYTES as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The newer of the two slots. One may be empty, or torn by a crash.
fn newest(bytes: &[u8]) -> Result<Option<(u64, Remembered)>, StateMalformed> {
    let empty = bytes.iter().all(|byte| *byte == 0);
    let slots = bytes.chunks(SLOT_BYTES).filter_map(parse);
    match slots.max_by_key(|(generation, _)| *generation) {
        None if empty => Ok(None),
        None => Err(StateMalformed),
        newest => Ok(newest),
    }
}

fn line(generation: u64, remembered: &Remembered) -> String {
    let Remembered { origin, size, root, resume } = remembered;
    let said = format!("{MAGIC} {generation} {origin} {size} {root} {} {}", resume.index, resume.offset);
    let check = check(&said);
    format!("{said} {check}\n")
}

fn parse(slot: &[u8]) -> Option<(u64, Remembered)> {
    let end = slot.iter().position(|byte| *byte == b'\n')?;
    let (said, found) = std::str::from_utf8(slot.get(..end)?).ok()?.rsplit_once(' ')?;
    if check(said) != found {
        return None;
    }
    let fields: Vec<_> = said.strip_prefix(MAGIC)?.split(' ').collect();
    let ["", generation, origin, size, root, index, offset] = fields.as_slice() else {
        return None;
    };
    let resume = Resume { index: index.parse().ok()?, offset: offset.parse().ok()? };
    let (size, root) = (TreeSize(size.parse().ok()?), RootHash::from_str(root).ok()?);
    Some((generation.parse().ok()?, Remembered { origin: (*origin).to_owned(), size, root, resume }))
}

fn check(said: &str) -> String {
    let [b0, b1, b2, b3, b4, b5, b6, b7, ..] = <[u8; 32]>::from(Sha256::digest(said));
    hex::encode([b0, b1, b2, b3, b4, b5, b6, b7])
}

const MAGIC: &str = "tollgate-state-1";

/// The longest line has 440 bytes, most of them the origin; a slot stays within a disk sector.
const SLOT_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn remembered(size: u64) -> Remembered {
        let resume = Resume { index: u64::MAX, offset: u64::MAX };
        Remembered { origin: "o".repeat(255), size: TreeSize(size), root: RootHash([7; 32]), resume }
    }

    #[test]
    fn the_newest_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.state");
        let (mut file, found) = StateFile::open(&path).unwrap();
        assert_eq!(found, Ok(None));
        for size in [1, 2, u64::MAX] {
            file.remember(&remembered(size)).unwrap();
            assert_eq!(read(&path).unwrap(), Ok(Some(remembered(size))));
        }
        let (mut file, found) = StateFile::open(&path).unwrap();
        assert_eq!(found, Ok(Some(remembered(u64::MAX))));
        file.remember(&remembered(9)).unwrap();
        assert_eq!(read(&path).unwrap(), Ok(Some(remembered(9))), "newest by writing, not by size");
    }

    #[test]
    fn a_torn_write_leaves_what_was_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.state");
        let (mut file, _) = StateFile::open(&path).unwrap();
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
        assert_eq!(newest(b"something else"), Err(StateMalformed));
    }
}
