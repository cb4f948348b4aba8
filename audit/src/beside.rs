//! Where files stand that belong to a ledger and must not be in its folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The path of something that belongs to the ledger in `dir` but must not be in it: `<dir>.<extension>`.
pub fn beside(dir: &Path, extension: &str) -> io::Result<PathBuf> {
    // So that `.` and links name the same file as the folder itself.
    let dir = fs::canonicalize(dir)?;
    let name = dir.file_name().ok_or_else(|| io::Error::other("the root folder has nothing beside it"))?;
    let mut name = name.to_owned();
    name.push(".");
    name.push(extension);
    Ok(dir.with_file_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beside_is_never_inside() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = dir.path().join("ledger");
        fs::create_dir(&ledger).unwrap();
        let expected = fs::canonicalize(dir.path()).unwrap().join("ledger.key");
        assert_eq!(beside(&ledger, "key").unwrap(), expected);
        assert_eq!(beside(&ledger.join("."), "key").unwrap(), expected);
        assert!(beside(Path::new("/"), "key").is_err());
    }
}
