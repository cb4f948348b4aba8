//! The places of sockets, and their listeners.
//!
//! ```text
//! FOLDER/                 0700, the daemon's user
//!   operator.sock         0600: reload, status, and whatever else only the operator may
//!   agents/NAME.sock      one for each agent, unless `listen` says where
//! ```

use std::fs::{self, Permissions};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};
use sha2::{Digest as _, Sha256};
use tollgate_authority::folder_of_others;
use tollgate_system::of_call;

/// Why a socket cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Its path is longer than the kernel takes.
    #[error("the path of the socket `{}` has {} bytes, and the most is {PATH_BYTES_MAX}", path.display(), path.as_os_str().len())]
    Long {
        /// The path.
        path: PathBuf,
    },
    /// Others may change the folder, so that they could put a socket of theirs in its place.
    #[error(
        "on the way to a socket, the folder `{}` or the next one belongs to another user, or others may change it", folder.display()
    )]
    Folder {
        /// The folder.
        folder: PathBuf,
    },
    /// Two agents have it, by one path or by two that lead to it.
    #[error("the socket `{}` is another agent's", path.display())]
    Twice {
        /// The path.
        path: PathBuf,
    },
    /// It would stand among the daemon's own.
    #[error("the socket `{}` would stand in the daemon's own folder: leave `listen` out, or name another folder", path.display())]
    Own {
        /// The path.
        path: PathBuf,
    },
    /// Something else than a socket has its name.
    #[error("`{}` is there already, and is no socket of this user", path.display())]
    Taken {
        /// The path.
        path: PathBuf,
    },
    /// The operating system refuses.
    #[error("the socket `{place}` cannot be opened")]
    Io {
        /// Its path, or its port.
        place: String,
        /// Why.
        source: io::Error,
    },
}

/// How a socket is to be opened by others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rights {
    pub(crate) mode: u32,
    pub(crate) group: Option<u32>,
}

impl Rights {
    pub(crate) const OWN: Self = Self { mode: 0o600, group: None };
}

/// Where the sockets of a ledger's daemon stand: a folder of its own below `runtime`, the user's folder for such (`XDG_RUNTIME_DIR`),
/// or below `home` where there is none.
#[must_use]
pub fn folder_of(ledger: &Path, runtime: Option<&Path>, home: &Path) -> PathBuf {
    let digest = Sha256::digest(ledger.as_os_str().as_encoded_bytes());
    let name = hex::encode(digest.get(..6).unwrap_or_default());
    match runtime {
        Some(runtime) => runtime.join("tollgate").join(name),
        None => home.join("run").join(name),
    }
}

/// Makes the folder, which nobody else can enter.
pub(crate) fn make_folder(folder: &Path) -> Result<(), SocketError> {
    let failed = |source| SocketError::Io { place: folder.display().to_string(), source };
    tollgate_authority::files::make_folder(folder).map_err(failed)?;
    fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(failed)?;
    must_be_own(folder)
}

/// That nobody but this user, and root, can put another socket in place of one in the folder, or move the folder away.
fn must_be_own(folder: &Path) -> Result<(), SocketError> {
    let failed = |source| SocketError::Io { place: folder.display().to_string(), source };
    match folder_of_others(folder).map_err(failed)? {
        Some(folder) => Err(SocketError::Folder { folder }),
        None => Ok(()),
    }
}

/// A listener for streams at `path`, which appears with its rights. A socket that is there is a dead daemon's: the ledger's lock says
/// that no other daemon lives.
pub(crate) fn listen_at(path: &Path, rights: Rights) -> Result<UnixListener, SocketError> {
    let fd = listen_as(path, rights, SocketType::STREAM)?;
    Ok(UnixListener::from(fd))
}

/// The same for packets.
pub(crate) fn listen_for_packets(path: &Path) -> Result<OwnedFd, SocketError> {
    listen_as(path, Rights::OWN, SocketType::SEQPACKET)
}

fn listen_as(path: &Path, rights: Rights, kind: SocketType) -> Result<OwnedFd, SocketError> {
    let failed = |source| SocketError::Io { place: path.display().to_string(), source };
    // It gets its rights under another name.
    let new = path.with_extension(NEW);
    if new.as_os_str().len() > PATH_BYTES_MAX {
        return Err(SocketError::Long { path: path.to_owned() });
    }
    must_be_own(path.parent().unwrap_or_else(|| Path::new("/")))?;
    for place in [path, &new] {
        match fs::symlink_metadata(place) {
            Ok(found) if found.file_type().is_socket() && found.uid() == rustix::process::geteuid().as_raw() => {}
            Ok(_other) => return Err(SocketError::Taken { path: place.to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
    }
    fs::remove_file(&new).or_else(not_there).map_err(failed)?;
    let errno = |call| move |errno| failed(of_call(call, errno));
    let fd = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).map_err(errno("socket"))?;
    let address = SocketAddrUnix::new(&new).map_err(errno("bind"))?;
    bind(&fd, &address).map_err(errno("bind"))?;
    if let Some(group) = rights.group {
        chown(&new, None, Some(group)).map_err(failed)?;
    }
    fs::set_permissions(&new, Permissions::from_mode(rights.mode)).map_err(failed)?;
    listen(&fd, BACKLOG).map_err(errno("listen"))?;
    fs::rename(&new, path).map_err(failed)?;
    Ok(fd)
}

fn not_there(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// A listener on the loopback interface.
pub(crate) fn listen_on(port: u16) -> Result<TcpListener, SocketError> {
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    TcpListener::bind(address).map_err(|source| SocketError::Io { place: address.to_string(), source })
}

/// `sun_path` has 108 bytes, the last for a NUL (`unix(7)`).
pub const PATH_BYTES_MAX: usize = 107;

const NEW: &str = "new";
const BACKLOG: i32 = 128;

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_socket_appears_with_its_rights_and_replaces_a_dead_one() {
        let around = tempfile::tempdir().unwrap();
        let folder = around.path().join("deep/run");
        make_folder(&folder).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        let path = folder.join("a.sock");
        drop(listen_at(&path, Rights::OWN).unwrap());
        let _listener = listen_at(&path, Rights { mode: 0o660, group: None }).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o660);
        UnixStream::connect(&path).unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing is left over");
    }

    #[test]
    fn no_socket_stands_where_others_could_exchange_it_or_something_else_is() {
        let around = tempfile::tempdir().unwrap();
        let open = around.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
        let refused = |path: &Path| listen_at(path, Rights::OWN).unwrap_err().to_string();
        assert!(refused(&open.join("a.sock")).contains("others may change it"));
        let file = around.path().join("file");
        fs::write(&file, "kept").unwrap();
        assert!(refused(&file).contains("is no socket of this user"));
        assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
        let long = around.path().join("x".repeat(120));
        assert!(refused(&long).contains("the most is 107"));
    }

    #[test]
    fn a_ledger_has_one_folder_for_its_sockets_wherever_that_is() {
        let [one, other] = ["/a/ledger", "/b/ledger"].map(Path::new);
        let home = Path::new("/home/me/tollgate");
        let folder = folder_of(one, Some(Path::new("/run/user/1000")), home);
        assert!(
            folder.starts_with("/run/user/1000/tollgate")
                && folder != folder_of(other, Some(Path::new("/run/user/1000")), home)
        );
        assert!(folder_of(one, None, home).starts_with("/home/me/tollgate/run"));
    }
}
