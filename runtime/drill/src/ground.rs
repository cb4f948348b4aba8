//! What an attacker is told to aim at, and what it holds: all that somebody who read Tollgate's source and owns the process
//! could know.

use std::ffi::CString;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::raw::Miss;
use tollgate::worker::SealedProcess;
use tollgate_audit::WriterId;
use tollgate_notary::Lease;

/// Targets outside the process. The supervisor makes them for the drill and watches them.
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
    pub(crate) held: Held,
}

/// What a process holds that attacks.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    /// Its socket to whoever started it.
    pub(crate) control: RawFd,
    /// An end of a pipe to write to: a worker's to the notary, a gateway's standard error.
    pub(crate) pipe: RawFd,
    /// A worker's socket to the notary; in a gateway the control socket.
    pub(crate) acks: RawFd,
    /// A worker's socket for calls; in a gateway the control socket.
    pub(crate) connection: RawFd,
    // As which writer it is known to the notary, and its first calls; a gateway is known as none.
    writer: Option<(WriterId, Lease)>,
}

impl Held {
    /// By a gateway that no client was handed to yet: its standard input is its control socket.
    pub(crate) const fn by_gateway() -> Self {
        Self { control: 0, pipe: 2, acks: 0, connection: 0, writer: None }
    }
}

impl From<&SealedProcess> for Held {
    fn from(worker: &SealedProcess) -> Self {
        let SealedProcess { id, calls, control, pipe, acks, connection, .. } = worker;
        let [control, pipe, acks, connection] = [*control, *pipe, *acks, *connection];
        Self { control, pipe, acks, connection, writer: Some((*id, *calls)) }
    }
}

impl Ground {
    /// As which writer the process is known to the notary, and its first calls.
    pub(super) fn writer(&self) -> Result<(WriterId, Lease), Miss> {
        self.held.writer.ok_or(Miss::Unable("a pipe to the notary"))
    }

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
