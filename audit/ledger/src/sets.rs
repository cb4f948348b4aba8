//! Stores capability sets in the ledger's folder, each under its digest ([`tollgate_audit::read_set`]).

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Mutex;

use tollgate_audit::ids::Digest;
use tollgate_audit::regular;
use tollgate_audit::sets::{FRESH_SET, SET_BYTES_MAX, SETS_FOLDER, file_name, read_file};
use tollgate_system::lock;

use crate::fresh;

/// Writes a capability set to `sets/` in the ledger's folder `dir` (folder mode 0700, file 0600), on disk when this
/// returns, and returns the digest under which it is there. What is there already is left alone, or mended if it is
/// something else. Only for the process that has the ledger open.
///
/// # Errors
///
/// [`io::ErrorKind::InvalidInput`]: longer than [`SET_BYTES_MAX`]. Otherwise the operating system's.
pub fn store_set(dir: &Path, canonical_json: &str) -> io::Result<Digest> {
    if canonical_json.len() > SET_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the capability set is too long"));
    }
    let digest = Digest::of(canonical_json.as_bytes());
    let path = dir.join(file_name(digest));
    // One at a time: they share the name of the unfinished file.
    let _writing = lock(&WRITING);
    // What is something else, or cannot be read, is replaced.
    if read_file(&path).is_ok_and(|found| found.is_some_and(|found| found == canonical_json.as_bytes())) {
        return Ok(digest);
    }
    let folder = dir.join(SETS_FOLDER);
    match DirBuilder::new().mode(0o700).create(&folder) {
        Ok(()) => File::open(dir)?.sync_all()?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && regular::is_folder(&folder)? => {}
        Err(error) => return Err(error),
    }
    let fresh = dir.join(FRESH_SET);
    let mut file = fresh::create(&fresh)?;
    file.write_all(canonical_json.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, &path)?;
    File::open(&folder)?.sync_all()?;
    Ok(digest)
}

static WRITING: Mutex<()> = Mutex::new(());
