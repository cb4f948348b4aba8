//! What a drill is made with: files, sockets and memory that nobody granted, and a watch over them.
//!
//! The supervisor makes it and keeps it; no attack is made in its process.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Pid, test_kill_process};
use tempfile::TempDir;

use super::ground::Aim;

/// Everything outside that attacks aim at.
#[derive(Debug)]
pub struct Scene {
    folder: TempDir,
    aim: Aim,
    memory: Box<AtomicU64>,
    tcp: TcpListener,
    udp: UdpSocket,
    unix: UnixListener,
    named: UnixListener,
    before: Vec<Found>,
}

/// What became of something outside that must not have changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Harm {
    /// A file or folder.
    #[error("outside the process, `{}` is not what it was", path.display())]
    Changed {
        /// Which.
        path: PathBuf,
    },
    /// A process.
    #[error("the {who} is gone")]
    Gone {
        /// Which.
        who: &'static str,
    },
    /// Memory of the supervisor.
    #[error("the supervisor's memory was written")]
    Memory,
    /// A socket.
    #[error("something came to the {what}")]
    Heard {
        /// Which.
        what: &'static str,
    },
    /// It cannot be told.
    #[error("it cannot be told whether there was harm")]
    Unknown(#[from] io::Error),
}

impl Scene {
    /// Makes it in a new folder.
    ///
    /// # Errors
    ///
    /// Of the operating system.
    pub fn new() -> io::Result<Self> {
        // Its error names the cause by a number, which that of `tempdir` does not.
        fs::metadata(std::env::temp_dir())?;
        let folder = tempfile::Builder::new().prefix("tollgate-drill-").tempdir()?;
        let path = folder.path().canonicalize()?;
        let outside = path.join("outside");
        furnish(&outside)?;
        fs::create_dir(path.join("granted"))?;
        let unix_path = path.join("socket");
        let abstract_name = path.to_string_lossy().into_owned();
        let named = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&abstract_name)?)?;
        let (unix, tcp) = (UnixListener::bind(&unix_path)?, TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?);
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        unix.set_nonblocking(true)?;
        named.set_nonblocking(true)?;
        tcp.set_nonblocking(true)?;
        udp.set_nonblocking(true)?;
        let memory = Box::new(AtomicU64::new(MEMORY));
        let aim = Aim {
            outside_file: outside.join("secret"),
            outside_folder: outside.clone(),
            granted: None,
            parent: std::process::id().cast_signed(),
            parent_memory: memory.as_ptr().expose_provenance() as u64,
            notary: 0,
            ledger: path.join("ledger"),
            ledger_key: path.join("ledger.key"),
            side_store: path.join("ledger.private/00000001.open"),
            tcp_port: tcp.local_addr()?.port(),
            udp_port: udp.local_addr()?.port(),
            unix_path,
            abstract_name,
        };
        let before = survey(&outside)?;
        Ok(Self { folder, aim, memory, tcp, udp, unix, named, before })
    }

    /// Where the ledger of the drill is to be kept.
    pub fn ledger(&self) -> &Path {
        &self.aim.ledger
    }

    /// Who keeps it.
    pub fn set_notary(&mut self, pid: u32) {
        self.aim.notary = pid.cast_signed();
    }

    /// What to aim at, with or without a folder that is granted. That is made new for each attack, which may change it, by
    /// right.
    ///
    /// # Errors
    ///
    /// Of the operating system.
    pub(crate) fn aim(&self, is_granted: bool) -> io::Result<Aim> {
        let granted = if is_granted { Some(self.granted()?) } else { None };
        Ok(Aim { granted, ..self.aim.clone() })
    }

    fn granted(&self) -> io::Result<PathBuf> {
        let granted = self.granted_folder();
        // Emptied, not removed: a worker is sealed for the folder, not for its name.
        fs::create_dir_all(&granted)?;
        for entry in fs::read_dir(&granted)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
        }
        fs::write(granted.join("inside"), [0x90; 4096])?;
        symlink(&self.aim.outside_file, granted.join("link-out"))?;
        Ok(granted)
    }

    /// Where the folder is that may be granted, beside the one outside.
    pub(crate) fn granted_folder(&self) -> PathBuf {
        self.aim.outside_folder.with_file_name("granted")
    }

    /// Whether everything outside is as it was when this was last asked.
    ///
    /// # Errors
    ///
    /// [`Harm`]: the first that is found.
    pub(crate) fn unharmed(&mut self) -> Result<(), Harm> {
        let now = survey(&self.aim.outside_folder)?;
        let before = std::mem::replace(&mut self.before, now);
        let changed = before.iter().find(|found| !self.before.contains(found));
        let changed = changed.or_else(|| self.before.iter().find(|found| !before.contains(found)));
        if let Some(found) = changed {
            return Err(Harm::Changed { path: found.path.clone() });
        }
        let notary = Pid::from_raw(self.aim.notary).ok_or(Harm::Gone { who: "notary" })?;
        test_kill_process(notary).map_err(|_gone| Harm::Gone { who: "notary" })?;
        if self.memory.load(Ordering::SeqCst) != MEMORY {
            return Err(Harm::Memory);
        }
        silent("TCP listener", self.tcp.accept())?;
        silent("UDP socket", self.udp.recv(&mut [0]))?;
        silent("unix socket", self.unix.accept())?;
        silent("abstract unix socket", self.named.accept())
    }

    /// Removes it all.
    ///
    /// # Errors
    ///
    /// Of the operating system.
    pub fn close(self) -> io::Result<()> {
        self.folder.close()
    }
}

/// A file outside, and all that can be told about it.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    path: PathBuf,
    about: [u64; 9],
    content: Option<Vec<u8>>,
    target: Option<OsString>,
}

/// A file with a secret and a second name, a symbolic link to it, an empty folder, a file of tokens.
fn furnish(outside: &Path) -> io::Result<()> {
    fs::create_dir(outside)?;
    let secret = outside.join("secret");
    // As long as a page, so that it can be mapped whole.
    fs::write(&secret, "nobody granted this\n".repeat(256))?;
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
    fs::hard_link(&secret, outside.join("second-name"))?;
    symlink("secret", outside.join("link"))?;
    fs::create_dir(outside.join("empty"))?;
    fs::write(outside.join("tokens"), "agent 00\n")?;
    // Not every filesystem takes it; the times of change tell of it where it does.
    rustix::fs::setxattr(&secret, "user.drill", b"as it was", rustix::fs::XattrFlags::empty()).unwrap_or_default();
    Ok(())
}

fn survey(folder: &Path) -> io::Result<Vec<Found>> {
    let mut found = vec![look_at(folder)?];
    for entry in fs::read_dir(folder)? {
        found.push(look_at(&entry?.path())?);
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

fn look_at(path: &Path) -> io::Result<Found> {
    let metadata = fs::symlink_metadata(path)?;
    let content = metadata.is_file().then(|| fs::read(path)).transpose()?;
    let target = metadata.is_symlink().then(|| fs::read_link(path)).transpose()?.map(PathBuf::into_os_string);
    Ok(Found { path: path.to_owned(), about: about(&metadata), content, target })
}

/// The time of change is last changed by whatever changes content, mode, owner, links, times or attributes.
fn about(metadata: &Metadata) -> [u64; 9] {
    let modified = [metadata.mtime().cast_unsigned(), metadata.mtime_nsec().cast_unsigned()];
    let changed = [metadata.ctime().cast_unsigned(), metadata.ctime_nsec().cast_unsigned()];
    let [m0, m1] = modified;
    let [c0, c1] = changed;
    let owner = u64::from(metadata.uid()) << 32 | u64::from(metadata.gid());
    [metadata.ino(), metadata.mode().into(), owner, metadata.nlink(), metadata.size(), m0, m1, c0, c1]
}

fn silent<T>(what: &'static str, heard: io::Result<T>) -> Result<(), Harm> {
    match heard {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
        Ok(_) | Err(_) => Err(Harm::Heard { what }),
    }
}

/// What stands in the supervisor's memory.
const MEMORY: u64 = 0x746f_6c6c_6761_7465;
