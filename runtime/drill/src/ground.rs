//! What an attacker is told to aim at, and what it holds: all that somebody who read Tollgate's source and owns the worker
//! could know.

use std::ffi::CString;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::raw::Miss;
use tollgate::worker::SealedProcess;

/// Targets outside the worker. The supervisor makes them for the drill and watches them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Aim {
    /// A file that nobody granted. It has content, an attribute and a second name.
    pub(crate) outside_file: PathBuf,
    /// The folder it is in.
    pub(crate) outside_folder: PathBuf,
    /// A folder that is granted to read, write, create, delete and list; it has a file `inside`.
    pub(crate) granted: Option<PathBuf>,
    /// The supervisor.
    pub(crate) parent: i32,
    /// Where eight bytes of it are that nobody may read or change.
    pub(crate) parent_memory: u64,
    /// The notary.
    pub(crate) notary: i32,
    /// The ledger's folder.
    pub(crate) ledger: PathBuf,
    /// Its key.
    pub(crate) ledger_key: PathBuf,
    /// A file in which private texts are kept.
    pub(crate) side_store: PathBuf,
    /// Port of a TCP listener on 127.0.0.1.
    pub(crate) tcp_port: u16,
    /// Port of a UDP socket on 127.0.0.1.
    pub(crate) udp_port: u16,
    /// A listener on a unix socket.
    pub(crate) unix_path: PathBuf,
    /// A listener on an abstract unix socket; without the leading zero.
    pub(crate) abstract_name: String,
}

/// Where an attack takes place.
#[derive(Debug, Clone)]
pub(crate) struct Ground {
    /// What there is outside.
    pub(crate) aim: Aim,
    /// What there is within.
    pub(crate) held: SealedProcess,
}

impl Ground {
    /// The file outside.
    pub(super) fn file(&self) -> Result<CString, Miss> {
        text(&self.aim.outside_file)
    }

    /// The folder outside.
    pub(super) fn folder(&self) -> Result<CString, Miss> {
        text(&self.aim.outside_folder)
    }

    /// Something in the folder outside.
    pub(super) fn beside(&self, name: &str) -> Result<CString, Miss> {
        text(&self.aim.outside_folder.join(name))
    }

    /// Something in the folder that is granted. Where none is, the attack is stopped before it comes to the path.
    pub(super) fn inside(&self, name: &str) -> Result<CString, Miss> {
        text(&self.aim.granted.as_ref().unwrap_or(&self.aim.outside_folder).join(name))
    }

    /// `/proc/self/fd/N`.
    pub(super) fn by_proc(descriptor: RawFd) -> Result<CString, Miss> {
        text(Path::new(&format!("/proc/self/fd/{descriptor}")))
    }
}

/// A path as the kernel takes it.
pub(super) fn text(path: &Path) -> Result<CString, Miss> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_zero| Miss::Unable("a path with a zero byte"))
}
