//! The sealed process: sealed as a worker is, then it does natively what each probe says, with the system calls that the
//! gate would use, and tells how each ended.

use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, RawDir, RenameFlags, ResolveFlags, Timespec, Timestamps, fstat, openat, openat2,
};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType};
use serde_json::Value;
use tollgate::kernel_plan::{plan, united};
use tollgate::sandbox::confine;
use tollgate_audit::Level;
use tollgate_capability::PrivateSet;

use crate::probe::{OUT, Op};

/// Reads the private texts of capability sets, one a line (more than one: a compartment's tools), an empty line, and the
/// probes; seals itself; writes what came of each probe.
pub fn main() {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).expect("what to do");
    let (sets, probes) = text.split_once("\n\n").expect("sets and probes");
    let plan = sets
        .lines()
        .map(|set| plan(&PrivateSet::from_private_json(set).expect("a set").into_set()))
        .reduce(united)
        .expect("a set");
    let probes: Value = serde_json::from_str(probes).expect("probes");
    // SAFETY: this process has just started, and has no files but its standard streams.
    let confined = unsafe { confine(&plan, Level::Full, &[]) }.expect("a process that can be confined");
    let filtered = confined.filter().expect("a process that can be filtered");
    let ends: Value = probes.as_array().expect("a list").iter().map(|probe| end_of(run(probe))).collect();
    std::io::stdout().write_all(ends.to_string().as_bytes()).expect("somebody who listens");
    drop(filtered);
}

fn end_of(result: Result<(), Errno>) -> Value {
    match result {
        Ok(()) => "ok".into(),
        Err(Errno::PERM) => "PERM".into(),
        Err(Errno::ACCESS) => "ACCESS".into(),
        Err(Errno::XDEV) => "XDEV".into(),
        Err(errno) => errno.to_string().into(),
    }
}

/// One probe's folders and paths.
struct Native<'p> {
    from: &'p str,
    path: &'p str,
    to: &'p str,
    to_path: &'p str,
    outside: &'p str,
}

fn run(probe: &Value) -> Result<(), Errno> {
    let text = |key: &str| probe[key].as_str().unwrap_or_default();
    let native = Native {
        from: text("from"),
        path: text("path"),
        to: text("to"),
        to_path: text("to_path"),
        outside: text("outside"),
    };
    match Op::ALL.into_iter().find(|op| format!("{op:?}") == text("op")) {
        Some(op) => native.below_folders(op),
        None => beside_folders(text("op")),
    }
}

impl Native<'_> {
    fn below_folders(&self, op: Op) -> Result<(), Errno> {
        match op {
            Op::Read | Op::FollowLink => read(self.open(OFlags::RDONLY)?),
            Op::OpenPipe => self.open(OFlags::RDONLY | OFlags::NONBLOCK).map(drop),
            Op::Write => write(self.open(OFlags::WRONLY)?),
            Op::Append => append(self.open(OFlags::WRONLY)?),
            Op::Truncate => rustix::fs::ftruncate(self.open(OFlags::WRONLY)?, 0),
            Op::SetSize => rustix::fs::ftruncate(self.open(OFlags::WRONLY)?, 1),
            Op::Make => self.open(OFlags::ACCMODE | NEW).map(drop),
            Op::MakeAndRead => read(self.open(OFlags::RDONLY | NEW)?),
            Op::MakeAndWrite => write(self.open(OFlags::WRONLY | NEW)?),
            Op::OpenFolder => self.open(OFlags::RDONLY | OFlags::DIRECTORY).map(drop),
            Op::List => list(self.open(OFlags::RDONLY | OFlags::DIRECTORY)?),
            Op::Stat | Op::Hash => fstat(self.open(OFlags::PATH)?).map(drop),
            Op::ReadLink => self.at(|folder, name| rustix::fs::readlinkat(folder, name, Vec::new()).map(drop)),
            Op::SetTimes | Op::SetTimesOpen => rustix::fs::futimens(self.open(OFlags::WRONLY)?, &TIMES),
            Op::MakeFolder => self.at(|folder, name| rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o777))),
            Op::RemoveFolder => self.at(|folder, name| rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR)),
            Op::Unlink | Op::UnlinkLink => self.at(|folder, name| rustix::fs::unlinkat(folder, name, AtFlags::empty())),
            Op::Symlink => self.at(|folder, name| rustix::fs::symlinkat("file.txt", folder, name)),
            Op::SymlinkOut => self.at(|folder, name| rustix::fs::symlinkat(OUT, folder, name)),
            Op::RenameFile | Op::RenameFolder | Op::RenameLink => self.rename(RenameFlags::NOREPLACE),
            Op::RenameOnto => self.rename(RenameFlags::empty()),
            Op::LinkFile | Op::LinkLink => self.link(),
            Op::SyncFile => rustix::fs::fsync(self.open(OFlags::RDONLY)?),
            Op::SyncFolder => {
                let folder = granted(self.from)?;
                rustix::fs::fsync(openat2(folder, ".", OFlags::RDONLY, Mode::empty(), ResolveFlags::BENEATH)?)
            }
            Op::FollowAway => read(anywhere(&Path::new(self.from).join(self.path), OFlags::RDONLY)?),
            Op::StatOutside => fstat(anywhere(Path::new(self.outside), OFlags::PATH)?).map(drop),
            Op::SetTimesOutside => set_times(anywhere(Path::new(self.outside), OFlags::PATH)?),
            Op::ReadOutside => read(anywhere(Path::new(self.outside), OFlags::RDONLY)?),
            Op::WriteOutside => write(anywhere(Path::new(self.outside), OFlags::WRONLY)?),
            Op::LinkFromOutside => {
                let (folder, name) = place(self.to, self.to_path)?;
                rustix::fs::linkat(CWD, self.outside, folder, name, AtFlags::empty())
            }
        }
    }

    fn open(&self, flags: OFlags) -> Result<std::os::fd::OwnedFd, Errno> {
        below(granted(self.from)?, self.path, flags)
    }

    fn at(&self, act: impl FnOnce(std::os::fd::OwnedFd, &str) -> Result<(), Errno>) -> Result<(), Errno> {
        let (folder, name) = place(self.from, self.path)?;
        act(folder, name)
    }

    fn rename(&self, flags: RenameFlags) -> Result<(), Errno> {
        let ((old, old_name), (new, new_name)) = (place(self.from, self.path)?, place(self.to, self.to_path)?);
        rustix::fs::renameat_with(old, old_name, new, new_name, flags)
    }

    fn link(&self) -> Result<(), Errno> {
        let old = self.open(OFlags::PATH | OFlags::NOFOLLOW)?;
        let (new, new_name) = place(self.to, self.to_path)?;
        rustix::fs::linkat(CWD, format!("/proc/self/fd/{}", old.as_raw_fd()), new, new_name, AtFlags::SYMLINK_FOLLOW)
    }
}

fn granted(host: &str) -> Result<std::os::fd::OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat2(CWD, host, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
}

fn below(folder: std::os::fd::OwnedFd, path: &str, flags: OFlags) -> Result<std::os::fd::OwnedFd, Errno> {
    let mode = Mode::from_raw_mode(if flags.contains(OFlags::CREATE) { 0o666 } else { 0 });
    openat2(folder, path, flags | OFlags::CLOEXEC, mode, ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS)
}

fn place<'p>(host: &str, path: &'p str) -> Result<(std::os::fd::OwnedFd, &'p str), Errno> {
    let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
    Ok((below(granted(host)?, folder, OFlags::PATH | OFlags::DIRECTORY)?, name))
}

fn anywhere(path: &Path, flags: OFlags) -> Result<std::os::fd::OwnedFd, Errno> {
    openat2(CWD, path, flags | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::empty())
}

fn read(file: std::os::fd::OwnedFd) -> Result<(), Errno> {
    let mut byte = [0];
    rustix::io::pread(file, &mut byte[..], 0).map(drop)
}

fn write(file: std::os::fd::OwnedFd) -> Result<(), Errno> {
    rustix::io::pwrite(file, b"new", 0).map(drop)
}

fn append(file: std::os::fd::OwnedFd) -> Result<(), Errno> {
    let bytes = [std::io::IoSlice::new(b"new")];
    rustix::io::pwritev2(file, &bytes, 0, rustix::io::ReadWriteFlags::APPEND).map(drop)
}

fn list(folder: std::os::fd::OwnedFd) -> Result<(), Errno> {
    let anew = openat(folder, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut buffer = [std::mem::MaybeUninit::uninit(); 1024];
    RawDir::new(anew, &mut buffer).next().map_or(Ok(()), |entry| entry.map(drop))
}

fn set_times(file: std::os::fd::OwnedFd) -> Result<(), Errno> {
    rustix::fs::utimensat(file, "", &TIMES, AtFlags::EMPTY_PATH)
}

/// What no folder is needed for.
fn beside_folders(what: &str) -> Result<(), Errno> {
    let socket = |family, kind| rustix::net::socket(family, kind, None).map(drop);
    match what {
        "clocks" => {
            std::hint::black_box(std::time::Instant::now());
            Ok(())
        }
        "random" => {
            // The first of a thread asks the system for random bytes.
            std::hint::black_box(std::collections::hash_map::RandomState::new());
            Ok(())
        }
        "tcp" => socket(AddressFamily::INET, SocketType::STREAM),
        "tcp6" => socket(AddressFamily::INET6, SocketType::STREAM),
        "udp" => socket(AddressFamily::INET, SocketType::DGRAM),
        "unix" => socket(AddressFamily::UNIX, SocketType::STREAM),
        other => panic!("no probe {other}"),
    }
}

const NEW: OFlags = OFlags::CREATE.union(OFlags::EXCL).union(OFlags::NOFOLLOW);
const TIMES: Timestamps = Timestamps {
    last_access: Timespec { tv_sec: 1_000_000, tv_nsec: 0 },
    last_modification: Timespec { tv_sec: 1_000_000, tv_nsec: 0 },
};
