//! Whose a file is: nobody but this process's user may be able to change what the ledger relies on.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;

/// Whether the user of this process owns what has this metadata: another owner can change it, or its mode, at any time.
pub(crate) fn is_ours(metadata: &fs::Metadata) -> bool {
    metadata.uid() == rustix::process::geteuid().as_raw()
}

/// The error for a file or folder of another user.
pub(crate) fn not_ours() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user, who could change it")
}
