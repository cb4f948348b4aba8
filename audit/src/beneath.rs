//! Files in folders below a ledger's: each folder on the way is opened from the one before it, and none may be a link.
//!
//! A link in the place of a folder must lead neither a reader nor a writer elsewhere.

#[cfg(target_os = "linux")]
mod by_folder;
#[cfg(not(target_os = "linux"))]
mod by_path;

#[cfg(target_os = "linux")]
pub use self::by_folder::{FOLDER, Place};
#[cfg(not(target_os = "linux"))]
pub use self::by_path::Place;

use std::io;

/// Whether there is nothing to be removed or listed: no such name, or no such folder.
pub fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn not_a_folder(path: &str) -> io::Error {
    let reason = format!("`{path}`: a folder of the ledger is a link, or no folder; nothing was read or written");
    io::Error::new(io::ErrorKind::NotADirectory, reason)
}
