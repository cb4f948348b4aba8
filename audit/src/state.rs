//! What the ledger remembers apart from its data: how far it had come when it last signed, whether it was closed
//! since, and where to go on reading. The file stands beside the folder, so that a folder put back from an older copy is
//! noticed, and that entries which somebody added to a closed ledger are told from those that a crash left.
//!
//! It must be on disk before the checkpoint that it announces is signed, and say that the ledger is open before
//! anything is appended.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::str::FromStr as _;

use sha2::{Digest as _, Sha256};

use crate::ids::{RootHash, TreeSize};
use crate::key::is_origin;
use crate::regular;

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
    /// Nothing was appended since, and nothing will be before this says otherwise.
    pub(crate) is_closed: bool,
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
    /// Makes the file `path`, or takes the empty one that a crash left.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = regular::open_with(options.read(true).write(true).create(true).truncate(false), path)?;
        if !regular::is_ours(&file.metadata()?) {
            return Err(regular::not_ours());
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
        if !regular::is_ours(&file.metadata()?) {
            return Err(regular::not_ours());
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

/// What the file `path` remembers; nothing if there is no file that may be read.
pub(crate) fn read(path: &Path) -> io::Result<Result<Option<Remembered>, StateMalformed>> {
    match regular::open(path) {
        Ok(file) => Ok(newest(&read_all(&file)?).map(|newest| newest.map(|(_, remembered)| remembered))),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => Ok(Ok(None)),
        Err(error) => Err(error),
    }
}

fn read_all(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 2 * SLOT_BYTES];
    let mut have = 0;
    while let Some(rest) = bytes.get_mut(have..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, have as u64)? {
            0 => break,
            read => have += read,
        }
    }
    bytes.truncate(have);
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
    let Remembered { origin, size, root, resume, is_closed } = remembered;
    let (Resume { index, offset }, word) = (resume, if *is_closed { CLOSED } else { OPEN });
    let said = format!("{MAGIC} {generation} {origin} {size} {root} {index} {offset} {word}");
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
    let ["", generation, origin, size, root, index, offset, word] = fields.as_slice() else {
        return None;
    };
    let is_closed = match *word {
        CLOSED => true,
        OPEN => false,
        _ => return None,
    };
    let resume = Resume { index: index.parse().ok()?, offset: offset.parse().ok()? };
    if !is_origin(origin) {
        return None;
    }
    let (size, root) = (TreeSize(size.parse().ok()?), RootHash::from_str(root).ok()?);
    Some((generation.parse().ok()?, Remembered { origin: (*origin).to_owned(), size, root, resume, is_closed }))
}

fn check(said: &str) -> String {
    let [b0, b1, b2, b3, b4, b5, b6, b7, ..] = <[u8; 32]>::from(Sha256::digest(said));
    hex::encode([b0, b1, b2, b3, b4, b5, b6, b7])
}

const MAGIC: &str = "tollgate-state-2";

const CLOSED: &str = "closed";
const OPEN: &str = "open";

/// The longest line has 447 bytes, most of them the origin; a slot stays within a disk sector.
const SLOT_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use std::fs;

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
        assert_eq!(newest(b"something else"), Err(StateMalformed));
        let older = String::from_utf8_lossy(&before[..]).replace("state-2", "state-1");
        assert_eq!(newest(older.as_bytes()), Err(StateMalformed), "another version");
    }
}
