//! Folders with a ledger in them, in memory where the system has such a file system: syncing is not what is looked
//! at.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tempfile::TempDir;
use tollgate_testing::ledgers::files;

/// Files by their names in the folder around the ledger: `ledger/journal`, `ledger.key`.
pub type Files = BTreeMap<String, Vec<u8>>;

/// A folder with room for `ledger`, its key and its state; gone with this value.
#[derive(Debug)]
pub struct Folder(TempDir);

impl Folder {
    /// A folder with these files.
    #[must_use]
    pub fn with(files: &Files) -> Self {
        let around = tempfile::Builder::new().prefix("tollgate-fuzz-").tempdir_in("/dev/shm");
        let folder = Self(around.or_else(|_no_such_folder| tempfile::tempdir()).expect("a temporary folder"));
        fs::create_dir(folder.ledger()).expect("a folder");
        for (name, bytes) in files {
            folder.write(name, bytes);
        }
        folder
    }

    /// The ledger's folder.
    #[must_use]
    pub fn ledger(&self) -> PathBuf {
        self.0.path().join("ledger")
    }

    /// Writes one file, for its owner alone.
    pub fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.0.path().join(name);
        let parent = path.parent().expect("a file below the folder");
        fs::create_dir_all(parent).expect("a folder");
        fs::set_permissions(parent, fs::Permissions::from_mode(0o700)).expect("permissions");
        fs::write(&path, bytes).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("permissions");
    }

    /// All files but the lock, which tells of this process.
    #[must_use]
    pub fn files(&self) -> Files {
        let mut files = files(self.0.path());
        files.remove("ledger/lock");
        files
    }
}
