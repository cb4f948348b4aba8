//! Systems on which ledgers are only read, copies of them as a rule: each folder on the way is looked at before the file is opened,
//! which whoever can write to the folder could exchange in between.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::not_a_folder;
use crate::regular;

/// The name of a file or folder, in a folder that was looked at.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    name: String,
}

impl Place {
    /// The place `path` below the folder `root`. The folders on the way must be there.
    pub fn find(root: &Path, path: &str) -> io::Result<Self> {
        let mut folder = root.to_owned();
        let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
        for parent in parents.split_terminator('/') {
            folder.push(parent);
            if !regular::is_folder(&folder)? {
                return Err(not_a_folder(parents));
            }
        }
        Ok(Self { path: folder.join(name), name: name.to_owned() })
    }

    /// The bytes of the regular file, which has at most `bytes_max`.
    pub fn read(&self, bytes_max: usize) -> io::Result<Vec<u8>> {
        regular::read(&self.path, bytes_max)
    }

    /// The length of the file in bytes.
    pub fn bytes(&self) -> io::Result<u64> {
        fs::symlink_metadata(&self.path).map(|metadata| metadata.len())
    }

    /// When the file was last written.
    pub fn written(&self) -> io::Result<SystemTime> {
        fs::symlink_metadata(&self.path)?.modified()
    }

    /// The names in the folder of this name, and whether each is a folder itself.
    pub fn names(&self) -> io::Result<Vec<(String, bool)>> {
        if !regular::is_folder(&self.path)? {
            return Err(not_a_folder(&self.name));
        }
        let name = |entry: fs::DirEntry| {
            let is_folder = entry.file_type()?.is_dir();
            Ok((entry.file_name().to_string_lossy().into_owned(), is_folder))
        };
        fs::read_dir(&self.path)?.map(|entry| entry.and_then(name)).collect()
    }
}
