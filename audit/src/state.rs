//! What the ledger remembers apart from its data: how far it had come when it last signed, whether it was closed
//! since, and where to go on reading. The file stands beside the folder, so that a folder put back from an older copy is
//! noticed, and that entries which somebody added to a closed ledger are told from those that a crash left.
//!
//! It must be on disk before the checkpoint that it announces is signed, and say that the ledger is open before
//! anything is appended.

use std::fs::File;
use std::io;
use std::path::Path;
use std::str::FromStr as _;

use sha2::{Digest as _, Sha256};

use crate::ids::{RootHash, TreeSize};
use crate::key::is_origin;
use crate::regular;

/// A place in the journal from which recovery can go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resume {
    /// A multiple of the tile width; tiles before it are on disk.
    pub index: u64,
    /// Where the frame of this entry starts.
    pub offset: u64,
}

/// What was true when a checkpoint was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    pub origin: String,
    pub size: TreeSize,
    pub root: RootHash,
    pub resume: Resume,
    /// Nothing was appended since, and nothing will be before this says otherwise.
    pub is_closed: bool,
}

/// The state file holds something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateMalformed {
    /// It is a state of version 1, which was not released and is not read.
    pub is_older: bool,
}

/// What the file `path` remembers; nothing if there is no file that may be read.
pub fn read(path: &Path) -> io::Result<Result<Option<Remembered>, StateMalformed>> {
    match regular::open(path) {
        Ok(file) => Ok(newest(&read_all(&file)?).map(|newest| newest.map(|(_, remembered)| remembered))),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => Ok(Ok(None)),
        Err(error) => Err(error),
    }
}

/// Both slots, of a file that was read no further.
pub fn read_all(file: &File) -> io::Result<Vec<u8>> {
    regular::read_start(file, 2 * SLOT_BYTES)
}

/// The newer of the two slots. One may be empty, or torn by a crash.
pub fn newest(bytes: &[u8]) -> Result<Option<(u64, Remembered)>, StateMalformed> {
    let empty = bytes.iter().all(|byte| *byte == 0);
    let slots = bytes.chunks(SLOT_BYTES).filter_map(parse);
    match slots.max_by_key(|(generation, _)| *generation) {
        None if empty => Ok(None),
        None => Err(StateMalformed { is_older: bytes.chunks(SLOT_BYTES).any(|slot| slot.starts_with(OLDER)) }),
        newest => Ok(newest),
    }
}

/// What a slot says.
pub fn line(generation: u64, remembered: &Remembered) -> String {
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
/// How a state of version 1 begins.
const OLDER: &[u8] = b"tollgate-state-1 ";

const CLOSED: &str = "closed";
const OPEN: &str = "open";

/// The longest line has 447 bytes, most of them the origin; a slot stays within a disk sector.
pub const SLOT_BYTES: usize = 512;
