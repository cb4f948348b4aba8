//! A folder under another name by FUSE, whose renames know no flags: `renameat2(RENAME_NOREPLACE)` is `EINVAL` there, as on NFS,
//! 9p and others.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::foreign::{missing, skipped};

/// A mount by bindfs, until it is dropped.
#[derive(Debug)]
pub struct Fuse {
    at: PathBuf,
}

impl Fuse {
    /// Mounts `folder` at `at`. None, with a line that says why, where this machine does not let anybody do that, or bindfs is
    /// missing, which `.ci/run` installs.
    ///
    /// # Panics
    ///
    /// In CI, where bindfs is missing.
    #[allow(clippy::disallowed_methods, reason = "the mount is another program's")]
    pub fn over(folder: &Path, at: &Path) -> Option<Self> {
        if !Path::new("/dev/fuse").exists() {
            skipped("this machine has no /dev/fuse");
            return None;
        }
        // It returns when the mount is there, and serves it from the background.
        let Ok(mounted) = Command::new("bindfs").arg("--no-allow-other").args([folder, at]).output() else {
            missing("bindfs", "apt.log");
            return None;
        };
        if !mounted.status.success() {
            skipped(&format!("FUSE cannot be mounted here: {}", String::from_utf8_lossy(&mounted.stderr).trim()));
            return None;
        }
        Some(Self { at: at.to_owned() })
    }
}

impl Drop for Fuse {
    #[allow(clippy::disallowed_methods, reason = "the mount is another program's")]
    fn drop(&mut self) {
        // Lazily: whatever a failed test still holds open must not keep the folder from being removed.
        let ended = Command::new("fusermount3").args(["-u", "-z"]).arg(&self.at).status();
        assert!(ended.is_ok_and(|status| status.success()), "{} is still mounted", self.at.display());
    }
}
