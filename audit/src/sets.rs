//! Capability sets in the ledger's folder, each under its digest, so that what a `policy` or `call` entry names can be
//! read back.
//!
//! A set must never be handed out that is not what its name says.

use std::fs;
use std::io;
use std::path::Path;

use crate::ids::Digest;
use crate::regular;
use crate::structure::Problem;

/// Longest capability set that is kept: as long as the canonical text of a set may be (`CANONICAL_BYTES_MAX` of
/// `tollgate-capability`).
pub const SET_BYTES_MAX: usize = 16 << 20;

/// The capability set with this digest from the ledger's folder `dir`; `None` if it is not there.
///
/// # Errors
///
/// [`io::ErrorKind::InvalidData`]: the file holds something else than its name says. Otherwise the operating system's.
pub fn read_set(dir: &Path, digest: Digest) -> io::Result<Option<String>> {
    let Some(bytes) = read_file(&dir.join(file_name(digest)))? else {
        return Ok(None);
    };
    let differs = || io::Error::new(io::ErrorKind::InvalidData, "the file of the capability set differs from its name");
    if Digest::of(&bytes) != digest {
        return Err(differs());
    }
    String::from_utf8(bytes).map(Some).map_err(|_not_text| differs())
}

/// What is wrong with the folder of sets in `dir`, by file.
pub fn verify_sets(dir: &Path) -> io::Result<Vec<(String, Problem)>> {
    let folder = dir.join(SETS_FOLDER);
    match regular::is_folder(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Ok(false) => return Ok(vec![(SETS_FOLDER.to_owned(), Problem::FileUnknown)]),
        is_folder => is_folder?,
    };
    let files = fs::read_dir(folder)?;
    let mut found = Vec::new();
    for file in files {
        let name = format!("{SETS_FOLDER}/{}", file?.file_name().to_string_lossy());
        if let Some(problem) = problem_of(dir, &name) {
            found.push((name, problem));
        }
    }
    found.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
    Ok(found)
}

fn problem_of(dir: &Path, name: &str) -> Option<Problem> {
    if name.ends_with(FRESH_EXTENSION) {
        return None;
    }
    let Some(digest) = digest_of(name) else {
        return Some(Problem::FileUnknown);
    };
    match read_file(&dir.join(name)) {
        Ok(Some(bytes)) if Digest::of(&bytes) == digest => None,
        Ok(Some(_)) => Some(Problem::FileDiffers),
        // Nothing has to be there.
        Ok(None) => None,
        Err(error) => Some(Problem::FileUnreadable { reason: error.to_string() }),
    }
}

pub fn read_file(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match regular::read(path, SET_BYTES_MAX) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        bytes => bytes.map(Some),
    }
}

/// `sets/<64 lower-case hex digits>.json`, the place of a set in the ledger's folder.
pub fn file_name(digest: Digest) -> String {
    format!("{SETS_FOLDER}/{}.json", hex::encode(digest.0))
}

fn digest_of(name: &str) -> Option<Digest> {
    let digits = name.strip_prefix(SETS_FOLDER)?.strip_prefix('/')?.strip_suffix(".json")?;
    format!("sha256:{digits}").parse().ok()
}

pub const SETS_FOLDER: &str = "sets";

/// Left behind only by a crash.
pub const FRESH_SET: &str = "sets/set.tmp";
const FRESH_EXTENSION: &str = ".tmp";
