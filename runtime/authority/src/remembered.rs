//! Remembers in which folders tools of this user could make links on any earlier run, so that no such link is followed on the way
//! to a granted folder. Only runs write this into the trust store.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::UNIX_EPOCH;

use tollgate_capability::{Access, CapabilitySet, FileId, FsCapability};

use super::folders::{FolderError, Nesting};
use super::trust::TrustError;
use super::walk::Walk;

impl Nesting<'_> {
    /// Refuses a way through a folder in which any earlier tool of this user could make links, also by another policy or a
    /// `--grant`.
    pub(super) fn made_by_no_earlier_tool(
        &self,
        fs: &FsCapability,
        walked: &Walk,
        links: &BTreeSet<FileId>,
    ) -> Result<(), FolderError> {
        let Some(store) = self.store else { return Ok(()) };
        for folder in links {
            let born = || walked.links.iter().flat_map(|path| path.ancestors()).find_map(|path| born_ns(path, *folder));
            let inside = store.created_in(*folder, born);
            let inside = inside.map_err(|source| FolderError::Trust { guest: fs.guest.clone(), source })?;
            if let Some(inside) = inside {
                let (guest, host, changer) = (fs.guest.clone(), fs.host.clone(), "a tool of an earlier run".to_owned());
                return Err(FolderError::Link { guest, host, inside, changer });
            }
        }
        Ok(())
    }

    /// Remembers in which folders the tool of this set can make links. Returns why not, if the store cannot be written.
    pub(super) fn remember(&self, set: &CapabilitySet) -> Result<Option<String>, FolderError> {
        for fs in set.fs.iter().filter(|fs| fs.access.contains(Access::Create)) {
            let Some(store) = self.store else { return Ok(Some("there is no place to keep where".to_owned())) };
            let Some(opened) = fs.opened else { continue };
            match store.creates_in(opened, &fs.host, born_ns(&fs.host, opened)) {
                Ok(()) => {}
                Err(TrustError::Unusable { path, source }) if is_unwritable(&source) => {
                    return Ok(Some(format!("`{}` cannot be written: {source}", path.display())));
                }
                Err(source) => return Err(FolderError::Trust { guest: fs.guest.clone(), source }),
            }
        }
        Ok(None)
    }
}

/// Whether the store is of a kind that cannot be written. A full disk does not count: it could be a tool's work.
fn is_unwritable(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem | NotFound | NotADirectory)
}

/// When the folder `id` at this real path was made, in nanoseconds since the Unix epoch; `None` if another folder is there, or
/// its file system does not tell.
pub(super) fn born_ns(path: &Path, id: FileId) -> Option<u64> {
    let metadata = fs::symlink_metadata(path).ok()?;
    let is_it = (metadata.dev(), metadata.ino()) == (id.device, id.inode);
    let born = metadata.created().ok().filter(|_born| is_it)?;
    u64::try_from(born.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()
}
