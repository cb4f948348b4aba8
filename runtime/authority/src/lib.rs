//! Who decides over tools: finds the policy that is obeyed, the grant that a component gets and the folders that it means, and
//! keeps tools from changing any of it.
//!
//! ```text
//! PolicyFile (given, or found and judged) ─▶ Policy ─▶ bind: a component's entry ─▶ capability set
//!                                                                                       │
//!                          DecidingPlaces: place × right ─▶ no grant reaches them ◀─────┤
//!                          open_folders: each folder resolved, judged, held open  ◀─────┘
//! ```
//!
//! Paths are never compared as text: a place is compared by device and inode of each folder above it, under every name that
//! mounts give it.

#![deny(unsafe_code)]

pub mod cause;
pub mod files;
mod folders;
mod found;
mod mounts;
mod places;
mod policy_file;
mod policy_file_error;
mod private_group;
mod remembered;
mod trust;
mod walk;

pub use folders::{FolderError, HeldFolders, Nesting, Seen, open_folders, open_folders_by};
pub use folders::{folder_at, hold};
pub use found::{Others, exposed_to, folder_of_others};
pub use places::{Deciding, DecidingPlaces, PlaceError};
pub use policy_file::{Bounds, POLICY_NAME, PolicyFile, Reach};
pub use policy_file_error::PolicyFileError;
pub use trust::{TrustError, TrustStore};

use std::fs::{self, Metadata};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::fstat;
use tollgate_capability::FileId;

/// Device and inode of an open file.
///
/// # Errors
///
/// `fstat(2)`.
pub fn file_id(file: impl AsFd) -> Result<FileId, rustix::io::Errno> {
    let stat = fstat(file)?;
    Ok(FileId { device: stat.st_dev, inode: stat.st_ino })
}

/// Whether a path leads to the file that `path` leads to. None does if `path` leads nowhere.
pub fn same_file_as(path: &Path) -> impl Fn(&Path) -> bool + use<> {
    let own = file_id_at(path);
    move |other| own.is_some() && file_id_at(other) == own
}

/// Device and inode of the file that a path leads to; `None` if it leads nowhere.
fn file_id_at(path: &Path) -> Option<FileId> {
    let found = fs::metadata(path).ok()?;
    Some(FileId { device: found.dev(), inode: found.ino() })
}

/// Whether a file has a second name (a hard link): a tool that may write in that name's folder could change the file by it. Files
/// of root do not count: only root links and writes them.
pub fn has_other_name(file: &Metadata) -> bool {
    let is_roots = file.uid() == ROOT && user() != ROOT && file.mode() & 0o022 == 0;
    file.is_file() && file.nlink() > 1 && !is_roots
}

/// Whether this owner surely is this user.
fn is_own(owner: u32) -> bool {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    owner == user() && (owner != NOBODY || maps_all(&read("/proc/self/uid_map")))
}

/// Whether a regular file of this user is at `path`, not a link.
pub fn is_own_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && is_own(found.uid()))
}

/// Whether each user has a number of its own here. In a user namespace all users without one are shown as [`NOBODY`]
/// (`user_namespaces(7)`), perhaps this user too.
fn maps_all(uid_map: &str) -> bool {
    uid_map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// As `/proc/sys/kernel/overflowuid` has it, unless somebody changed it.
const NOBODY: u32 = 65534;

fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

const ROOT: u32 = 0;

#[cfg(test)]
mod tests {
    #[test]
    fn users_without_a_number_are_told_apart_only_where_there_are_none() {
        assert!(super::maps_all("         0          0 4294967295\n"));
        for map in ["", "0 1000 1\n", "0 100000 65536\n", "0 0 65536\n65536 65536 4294901759\n"] {
            assert!(!super::maps_all(map), "{map}");
        }
    }
}
