//! The local key: random bytes in a file that only its owner reads, made when it is first needed. Must never use a key that
//! others may know.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, RenameFlags, renameat_with};
use rustix::io::Errno;
use tollgate_authority::files;

/// What artifacts are sealed with.
#[derive(Clone)]
pub struct ArtifactKey(pub(super) [u8; KEY_BYTES]);

impl fmt::Debug for ArtifactKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ArtifactKey")
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It is another user's.
    #[error("the key `{}` belongs to the user {owner}, and this process is the user {user}", path.display())]
    OfAnother {
        /// Its file.
        path: PathBuf,
        /// The owner's user id.
        owner: u32,
        /// This process's.
        user: u32,
    },
    /// Others may read or change it.
    #[error("the key `{}` can be read or changed by others (its mode is {mode:03o})", path.display())]
    Exposed {
        /// Its file.
        path: PathBuf,
        /// The permission bits.
        mode: u32,
    },
    /// What is there is no key.
    #[error("`{}` is no key: it must be a file of {KEY_BYTES} bytes", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read or made.
    #[error("the key `{}` cannot be used", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl ArtifactKey {
    /// The key in the file at `path`, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// [`KeyError`].
    pub fn open_or_make(path: &Path) -> Result<Self, KeyError> {
        match Self::open(path) {
            Err(KeyError::Unusable { source, .. }) if source.kind() == ErrorKind::NotFound => {
                make(path).map_err(|source| KeyError::Unusable { path: path.to_owned(), source })?;
                Self::open(path)
            }
            opened => opened,
        }
    }

    /// The key in the file at `path`.
    ///
    /// # Errors
    ///
    /// [`KeyError`].
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        let unusable = |source| KeyError::Unusable { path: path.to_owned(), source };
        let damaged = || KeyError::Damaged { path: path.to_owned() };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let mut file =
            File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(|error| unusable(error.into()))?);
        let metadata = file.metadata().map_err(unusable)?;
        if !metadata.is_file() {
            return Err(damaged());
        }
        let (mode, owner) = (metadata.mode() & 0o777, metadata.uid());
        let user = rustix::process::geteuid().as_raw();
        if owner != user {
            return Err(KeyError::OfAnother { path: path.to_owned(), owner, user });
        }
        if mode & 0o077 != 0 {
            return Err(KeyError::Exposed { path: path.to_owned(), mode });
        }
        let mut bytes = Vec::with_capacity(KEY_BYTES);
        // One more than there may be, to notice.
        file.by_ref().take(KEY_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unusable)?;
        bytes.try_into().map(Self).map_err(|_other_length| damaged())
    }
}

/// Two processes may do this at once: the first one's key stays.
fn make(path: &Path) -> io::Result<()> {
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key)?;
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    files::make_folder(folder)?;
    let made = files::write_hidden(folder, &key)?;
    let placed = match fs::hard_link(&made, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => place_without_link(&made, path, &key),
        linked => linked,
    };
    // A rename has taken the name.
    fs::remove_file(&made).or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
    match placed {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => files::sync_folder(folder),
    }
}

/// Where a file system has no hard links, or a filter refuses them. If a rename that replaces nothing is not there either, the
/// file is written under its name: a process that dies within these 32 bytes leaves one that is told to be no key.
fn place_without_link(made: &Path, path: &Path, key: &[u8; KEY_BYTES]) -> io::Result<()> {
    match renameat_with(CWD, made, CWD, path, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::PERM | Errno::OPNOTSUPP) => files::write_new(path, key),
        renamed => Ok(renamed?),
    }
}

const KEY_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/artifact.key");
        let first = ArtifactKey::open_or_make(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_ne!(first.0, [0; 32]);
        assert_eq!(ArtifactKey::open_or_make(&path).unwrap().0, first.0);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left over");
        let other = ArtifactKey::open_or_make(&folder.path().join("other.key")).unwrap();
        assert_ne!(other.0, first.0);
    }

    #[test]
    fn processes_that_make_it_at_once_have_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("artifact.key");
        let keys: Vec<_> = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..8).map(|_| scope.spawn(|| ArtifactKey::open_or_make(&path).unwrap().0)).collect();
            makers.into_iter().map(|maker| maker.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
    }

    #[test]
    fn a_key_that_others_may_know_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("artifact.key");
        ArtifactKey::open_or_make(&path).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o602, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = ArtifactKey::open_or_make(&path).unwrap_err();
            assert!(matches!(error, KeyError::Exposed { mode: found, .. } if found == mode), "{error}");
        }
    }

    #[test]
    fn a_key_of_another_user_is_told_as_that_and_not_as_a_matter_of_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("artifact.key");
        ArtifactKey::open_or_make(&path).unwrap();
        if std::os::unix::fs::chown(&path, Some(54_321), None).is_err() {
            return tollgate_testing::foreign::skipped("only root can give a file away");
        }
        let error = ArtifactKey::open_or_make(&path).unwrap_err();
        assert!(matches!(error, KeyError::OfAnother { owner: 54_321, user: 0, .. }), "{error}");
        assert!(error.to_string().ends_with("belongs to the user 54321, and this process is the user 0"), "{error}");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("artifact.key");
        ArtifactKey::open_or_make(&path).unwrap();
        symlink(&path, folder.path().join("link")).unwrap();
        assert!(matches!(
            ArtifactKey::open_or_make(&folder.path().join("link")).unwrap_err(),
            KeyError::Unusable { .. }
        ));
        assert!(matches!(ArtifactKey::open_or_make(folder.path()).unwrap_err(), KeyError::Damaged { .. }));
        for length in [0, 31, 33] {
            fs::write(&path, vec![1; length]).unwrap();
            assert!(matches!(ArtifactKey::open_or_make(&path).unwrap_err(), KeyError::Damaged { .. }), "{length}");
        }
    }
}
