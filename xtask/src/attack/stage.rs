//! What all attacks share: the programs, the hostile tool, and a home in which that tool is compiled already. Must never
//! leave its folder behind.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

use crate::{Result, cargo};

pub(super) struct Stage {
    pub(super) folder: PathBuf,
    pub(super) tollgate: PathBuf,
    pub(super) verify: PathBuf,
    /// The component of the hostile tool.
    pub(super) hostile: PathBuf,
    scenes: AtomicU32,
}

impl Stage {
    pub(super) fn new() -> Result<Self> {
        let built = cargo::built()?;
        let folder = env::temp_dir().join(format!("tollgate-attack-{}", process::id()));
        fs::create_dir(&folder).map_err(|error| format!("cannot make the folder {}: {error}", folder.display()))?;
        Ok(Self {
            folder,
            tollgate: built.join("tollgate"),
            verify: built.join("tollgate-verify"),
            hostile: built.join("guests/wasm32-wasip2/guest/examples/probe_attack.wasm"),
            scenes: AtomicU32::new(0),
        })
    }

    /// What each home begins with.
    pub(super) fn seed(&self) -> PathBuf {
        self.folder.join("seed")
    }

    /// This program, where another user may run it as a client ([`client`](super::daemon::client)).
    pub(super) fn client(&self) -> Result<PathBuf> {
        self.for_others("xtask")
    }

    /// A program that was built, where another user may run it.
    pub(super) fn for_others(&self, program: &str) -> Result<PathBuf> {
        let place = self.folder.join(program);
        if !place.exists() {
            // By its own link: another build may have put another file in this program's place.
            let built = if program == "xtask" { "/proc/self/exe".into() } else { cargo::built()?.join(program) };
            fs::copy(built, &place)?;
            fs::set_permissions(&place, fs::Permissions::from_mode(0o755))?;
        }
        Ok(place)
    }

    /// A folder that is not there yet.
    pub(super) fn next_folder(&self) -> PathBuf {
        self.folder.join(self.scenes.fetch_add(1, Ordering::Relaxed).to_string())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("xtask: {} stays behind: {error}", self.folder.display());
        }
    }
}

/// Copies a folder and all below it; links stay links.
pub(super) fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_tree(&from, &to)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&from)?, &to)?;
        } else {
            fs::copy(&from, &to)?;
        }
    }
    Ok(())
}
