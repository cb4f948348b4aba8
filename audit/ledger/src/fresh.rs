//! Makes new files in folders that others may write to.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use tollgate_audit::regular::FILE_MODE;

/// Makes the file `path` anew, empty. Whatever had the name is unlinked, not followed and not written to.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    let make = || OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path);
    match make() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            make()
        }
        made => made,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_in_the_place_of_a_new_file_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let [link, victim] = ["tile.tmp", "victim"].map(|name| dir.path().join(name));
        fs::write(&victim, "kept").unwrap();
        symlink(&victim, &link).unwrap();
        create(&link).unwrap().write_all(b"new").unwrap();
        assert_eq!((fs::read(&victim).unwrap(), fs::read(&link).unwrap()), (b"kept".to_vec(), b"new".to_vec()));
    }
}
