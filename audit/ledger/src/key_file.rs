//! The file that holds the ledger's secret key, beside the ledger's folder (which may be served to anyone).
//!
//! A key that others may read or write, or that another user made, must never be used.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use tollgate_audit::key::{ParseKeyError, SigningKey};
use tollgate_audit::regular::{self, FILE_MODE};

/// The key file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The operating system refused.
    #[error("the key file {} cannot be read or written", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Another user owns it, and could sign with it or change it.
    #[error("the key file {} is of user {owner}, not of this one ({user}); a key that another user made is none", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The owner's user id.
        owner: u32,
        /// The effective user id of this process.
        user: u32,
    },
    /// Group or world may read or write it, or its mode is otherwise more than 600.
    #[error("the key file {} is open to others (mode {mode:o}); make it 600 if nobody has read it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It holds something else.
    #[error("the key file {} holds no key", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ParseKeyError,
    },
}

/// Where a key waits that a rotation has not put in place yet.
pub(crate) fn next_path(path: &Path) -> PathBuf {
    let mut next = path.as_os_str().to_owned();
    next.push(".next");
    next.into()
}

/// The key in the file `path`; `None` if there is no file.
pub(crate) fn load(path: &Path) -> Result<Option<SigningKey>, KeyFileError> {
    let failed = |source| KeyFileError::Io { path: path.to_owned(), source };
    let file = match regular::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    // Of the open file: a path could be exchanged between look and read.
    let metadata = file.metadata().map_err(failed)?;
    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != user {
        return Err(KeyFileError::Foreign { path: path.to_owned(), owner, user });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & !FILE_MODE != 0 {
        return Err(KeyFileError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::with_capacity(KEY_FILE_BYTES_MAX));
    file.take(KEY_FILE_BYTES_MAX as u64).read_to_string(&mut text).map_err(failed)?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let malformed = |source| KeyFileError::Malformed { path: path.to_owned(), source };
    SigningKey::from_secret_text(text).map(Some).map_err(malformed)
}

/// Writes `key` to a new file `path` (mode 0600) and brings it to disk.
pub(crate) fn create(path: &Path, key: &SigningKey) -> Result<(), KeyFileError> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)?;
        file.write_all(key.to_secret_text().as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        sync_parent(path)
    };
    write().map_err(|source| KeyFileError::Io { path: path.to_owned(), source })
}

/// Puts the key in `next` in the place of the one in `path`.
pub(crate) fn replace(path: &Path, next: &Path) -> Result<(), KeyFileError> {
    let replace = || {
        fs::rename(next, path)?;
        sync_parent(path)
    };
    replace().map_err(|source| KeyFileError::Io { path: path.to_owned(), source })
}

/// Removes the key in `path`, if there is one.
pub(crate) fn remove(path: &Path) -> Result<(), KeyFileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(KeyFileError::Io { path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

/// A prefix, a name of at most 255 bytes, hash and key.
const KEY_FILE_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_read_back_unless_others_may_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.key");
        assert!(load(&path).unwrap().is_none());
        let key = SigningKey::generate("example.com/ledger").unwrap();
        create(&path, &key).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(load(&path).unwrap().unwrap().verifier(), key.verifier());
        assert!(matches!(create(&path, &key), Err(KeyFileError::Io { .. })), "never written over");
        for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o700, 0o4600] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(matches!(load(&path), Err(KeyFileError::Exposed { mode: found, .. }) if found == mode));
        }
    }

    /// Only root can give a file away, so elsewhere there is no such file to try.
    #[test]
    fn a_key_of_another_user_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.key");
        create(&path, &SigningKey::generate("example.com/ledger").unwrap()).unwrap();
        if std::os::unix::fs::chown(&path, Some(12_345), None).is_ok() {
            assert!(matches!(load(&path), Err(KeyFileError::Foreign { owner: 12_345, .. })));
        }
    }

    #[test]
    fn a_link_to_a_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let [path, link] = ["ledger.key", "link.key"].map(|name| dir.path().join(name));
        create(&path, &SigningKey::generate("example.com/ledger").unwrap()).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(load(&link), Err(KeyFileError::Io { .. })));
    }

    #[test]
    fn another_content_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.key");
        fs::write(&path, "nothing\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(load(&path), Err(KeyFileError::Malformed { .. })));
    }
}
