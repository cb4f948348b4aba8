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
mod mounts;
mod places;
mod policy_file;
mod private_group;
mod remembered;
mod trust;
mod walk;

pub use folders::{FolderError, HeldFolders, Nesting, open_folders};
pub(crate) use folders::{folder_at, hold};
pub use places::{Deciding, DecidingPlaces, PlaceError};
pub use policy_file::{POLICY_NAME, PolicyFile, PolicyFileError, Reach};
pub use trust::{TrustError, TrustStore};

use std::os::fd::AsFd;

use rustix::fs::fstat;
use tollgate_capability::FileId;

/// Device and inode of an open file.
pub(crate) fn file_id(file: impl AsFd) -> Result<FileId, rustix::io::Errno> {
    let stat = fstat(file)?;
    Ok(FileId { device: stat.st_dev, inode: stat.st_ino })
}
