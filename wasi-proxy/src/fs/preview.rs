//! What stands below granted folders, looked at as before each call, for who asks what would be decided without a call. Nothing
//! is opened but as a place.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use rustix::io::Errno;
use tollgate_capability::{CapabilitySet, FsPath, GrantIndex, Target};

use super::effect::open_folder;
use super::probe::{Probe, Roots};

/// The granted folders of a set.
#[derive(Debug)]
pub struct Preview(Roots);

impl Preview {
    /// Holds the folders that are there, and are those that the set means.
    #[must_use]
    pub fn of(set: &Arc<CapabilitySet>) -> Self {
        // Only a search through folders ends with a call.
        let mut roots = Roots::new(set, Instant::now());
        for (place, fs) in set.fs.iter().enumerate() {
            if let (Ok(grant), Ok(folder)) = (u16::try_from(place), open_folder(fs)) {
                roots.opened(GrantIndex(grant), &Arc::new(folder));
            }
        }
        Self(roots)
    }

    /// What a call finds that asks about the path, or opens it, following a link in the last place only if `follow`.
    ///
    /// # Errors
    ///
    /// The granted folder cannot be opened, or the kernel does not let this process look as a call does.
    pub fn target(&self, path: &FsPath, follow: bool) -> io::Result<Target> {
        self.0.look(path, follow).map_or_else(|_closed| Err(closed()), found)
    }

    /// What a call finds that removes the name.
    ///
    /// # Errors
    ///
    /// Those of [`Self::target`].
    pub fn name(&self, path: &FsPath) -> io::Result<Target> {
        self.0.look_at_name(path).map_or_else(|_closed| Err(closed()), |name| found(name.found))
    }
}

fn found(probe: Probe) -> io::Result<Target> {
    match probe {
        Probe { target: Target::Unknown, fd: Err(errno @ (Errno::NOSYS | Errno::PERM)) } => Err(errno.into()),
        Probe { target, .. } => Ok(target),
    }
}

fn closed() -> io::Error {
    io::Error::other("the granted folder cannot be opened")
}
