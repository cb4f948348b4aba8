//! Replaces the checkpoint file. It must never be ahead of data that is on disk.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use tollgate_audit::checkpoint::{CHECKPOINT_FILE, FRESH_FILE};
use tollgate_audit::note::SignedNote;

use crate::fresh;

/// The checkpoint file cannot be replaced; the old one stands.
#[derive(Debug, thiserror::Error)]
#[error("the checkpoint file cannot be written")]
pub struct PublishError {
    /// The cause.
    source: io::Error,
    // What is on disk is then unknown.
    pub(crate) by_sync: bool,
}

/// Replaces the checkpoint below `dir`: written beside it, synced, renamed, folder synced.
pub(crate) fn publish(dir: &Path, note: &SignedNote) -> Result<(), PublishError> {
    let fresh = dir.join(FRESH_FILE);
    let failed = |source| PublishError { source, by_sync: false };
    let sync_failed = |source| PublishError { source, by_sync: true };
    let mut file = fresh::create(&fresh).map_err(failed)?;
    file.write_all(note.to_string().as_bytes()).map_err(failed)?;
    file.sync_all().map_err(sync_failed)?;
    fs::rename(&fresh, dir.join(CHECKPOINT_FILE)).map_err(failed)?;
    File::open(dir).map_err(failed)?.sync_all().map_err(sync_failed)
}
