//! Who decides: which policy is obeyed, which component gets whose grant, which folders a grant means, and that no tool can
//! change any of it.
//!
//! ```text
//! PolicyFile (given, or found and judged) ─▶ Policy ─▶ bind: a component's entry ─▶ capability set
//!                                                                                       │
//!                          DecidingPlaces: place × right ─▶ no grant reaches them ◀─────┤
//!                          open_folders: each folder resolved, judged, held open  ◀─────┘
//! ```
//!
//! Nothing here trusts a text: places are compared by device and inode of each folder above them, under every name that the
//! mounts give it.

mod folders;
mod found;
mod mounts;
mod places;
mod policy_file;
mod private_group;
mod trust;
mod walk;

pub use folders::{FolderError, HeldFolders, Nesting, open_folders};
pub(crate) use folders::{folder_at, hold};
pub use places::{Deciding, DecidingPlaces, PlaceError};
pub use policy_file::{Bounds, POLICY_NAME, PolicyFile, PolicyFileError, Reach};
pub use trust::{TrustError, TrustStore};

use std::fs::Metadata;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt as _;

use rustix::fs::fstat;
use tollgate_capability::FileId;

/// Device and inode of an open file.
pub(crate) fn file_id(file: impl AsFd) -> Result<FileId, rustix::io::Errno> {
    let stat = fstat(file)?;
    Ok(FileId { device: stat.st_dev, inode: stat.st_ino })
}

/// Whether a file has a second name (a hard link), by which a tool could change it that may write in that name's folder. Nobody
/// links and writes a file of root's but root.
pub(crate) fn has_other_name(file: &Metadata) -> bool {
    let is_roots = file.uid() == ROOT && user() != ROOT && file.mode() & 0o022 == 0;
    file.is_file() && file.nlink() > 1 && !is_roots
}

fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

const ROOT: u32 = 0;
