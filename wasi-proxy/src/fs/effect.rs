//! Effects on the filesystem: each takes the permit that allows it, and acts below an open root.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RawMode, RenameFlags, ResolveFlags, Timestamps, fstat, openat2,
};
use rustix::io::Errno;
use tollgate_capability::{FsPath, HostCall, OpenFlags, Target};

use super::probe::{Root, probe, target_of};
use crate::gate::Permit;

/// Opens a granted folder by its host path: the one place where the gate uses ambient authority.
///
/// The path was resolved when the policy was loaded, so a symbolic link anywhere in it has been put there since: `ELOOP`,
/// and no other folder is granted instead. It is opened as a place only (`O_PATH`): a sealed host may do that without
/// Landlock's right to read folders, which a grant without `list` does not bring. A listing opens it again.
pub(crate) fn open_preopen(_permit: &Permit, host: &Path) -> Result<std::fs::File, Errno> {
    let oflags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat2(CWD, host, oflags, Mode::empty(), ResolveFlags::NO_SYMLINKS).map(std::fs::File::from)
}

/// Why an effect did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    /// The way to the name leads out of the granted folder, says the kernel.
    Escapes,
    /// The kernel's own reason.
    Kernel(Errno),
}

impl From<Errno> for Failed {
    fn from(errno: Errno) -> Self {
        Self::Kernel(errno)
    }
}

/// What opening gave.
pub(crate) enum Opened {
    /// The very file or folder that was decided on.
    Same(OwnedFd),
    /// Another one stands there by now: decide again.
    Raced,
}

/// Opens what the permit's `open-at` decided on: nothing is created, cut or read before that is certain.
pub(crate) fn open(permit: &Permit, root: Root<'_>) -> Result<Opened, Errno> {
    let HostCall::OpenAt { path, flags, target, .. } = permit.call() else { return Err(Errno::BADF) };
    let below = path.resolved().map_err(|_fault| Errno::INVAL)?;
    match target {
        Target::Absent if flags.create && !wants_folder(path, *flags) => create(root, below, *flags),
        Target::Absent => Err(Errno::NOENT),
        Target::File { .. } if wants_folder(path, *flags) => Err(Errno::NOTDIR),
        Target::File { .. } | Target::Folder { .. } if flags.create && flags.exclusive => Err(Errno::EXIST),
        Target::Folder { .. } if flags.write || flags.truncate => Err(Errno::ISDIR),
        Target::File { .. } | Target::Folder { .. } => existing(root, below, *flags, *target),
        Target::Symlink => Err(Errno::LOOP),
        Target::Special => Err(Errno::PERM),
        Target::Outside => Err(Errno::XDEV),
        Target::Unknown => Err(unknown(root, below)),
    }
}

fn wants_folder(path: &FsPath, flags: OpenFlags) -> bool {
    flags.directory || path.folder_only()
}

fn create(root: Root<'_>, below: &str, flags: OpenFlags) -> Result<Opened, Errno> {
    let mode = Mode::from_raw_mode(NEW_FILE_MODE);
    let access = if flags.makes_only() { NEITHER_READ_NOR_WRITE } else { access(flags) };
    let oflags = access | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
    match root.openat2(below, oflags, mode) {
        Ok(fd) => Ok(Opened::Same(fd)),
        Err(Errno::EXIST) if flags.exclusive => Err(Errno::EXIST),
        // A link that leads nowhere stands there: what it names is not brought into being through it.
        Err(Errno::EXIST) if probe(root, below, false).target == Target::Symlink => Err(Errno::LOOP),
        Err(Errno::EXIST) => Ok(Opened::Raced),
        Err(errno) => Err(errno),
    }
}

fn existing(root: Root<'_>, below: &str, flags: OpenFlags, decided: Target) -> Result<Opened, Errno> {
    let oflags = if matches!(decided, Target::Folder { .. }) {
        OFlags::RDONLY | OFlags::DIRECTORY
    } else {
        access(flags) | OFlags::NONBLOCK | OFlags::NOCTTY
    };
    let last = if flags.follow { OFlags::empty() } else { OFlags::NOFOLLOW };
    let fd = match root.openat2(below, oflags | last, Mode::empty()) {
        Ok(fd) => fd,
        // Something else took its place: a FIFO without a reader, a folder, a link, nothing.
        Err(Errno::NXIO | Errno::ISDIR | Errno::NOTDIR | Errno::LOOP | Errno::NOENT) => return Ok(Opened::Raced),
        Err(errno) => return Err(errno),
    };
    if !same(decided, target_of(&fd)) {
        return Ok(Opened::Raced);
    }
    if flags.truncate {
        rustix::fs::ftruncate(&fd, 0)?;
    }
    Ok(Opened::Same(fd))
}

/// Device, inode and kind decide; a link count that changed meanwhile does not make it another file.
fn same(decided: Target, opened: Target) -> bool {
    match (decided, opened) {
        (Target::File { id: decided, .. }, Target::File { id: opened, .. })
        | (Target::Folder { id: decided }, Target::Folder { id: opened }) => decided == opened,
        _kinds_differ => false,
    }
}

fn access(flags: OpenFlags) -> OFlags {
    match (flags.read, flags.write || flags.truncate) {
        (true, true) => OFlags::RDWR,
        (false, true) => OFlags::WRONLY,
        (_, false) => OFlags::RDONLY,
    }
}

/// Linux's fourth access mode: the descriptor is of the very file, and can be asked about and flushed, but neither read nor
/// written. The kernel asks for no right to either, so that `create` alone is enough to make a file (`open(2)`, "access
/// mode 3"; it asks for both permissions of a file that stands there, and a new one is `O_EXCL`).
const NEITHER_READ_NOR_WRITE: OFlags = OFlags::ACCMODE;

/// The kernel's own reason for a path it could not look at.
fn unknown(root: Root<'_>, below: &str) -> Errno {
    root.openat2(below, OFlags::PATH, Mode::empty()).err().unwrap_or(Errno::AGAIN)
}

/// Mode of a new file before the process's umask.
const NEW_FILE_MODE: RawMode = 0o666;
/// Mode of a new folder before the process's umask.
const NEW_FOLDER_MODE: RawMode = 0o777;

/// A name and the open folder that it is in, so that the last step follows nothing.
struct Place<'a> {
    folder: OwnedFd,
    name: &'a str,
}

fn place<'a>(root: Root<'_>, path: &'a FsPath) -> Result<Place<'a>, Failed> {
    let below = path.resolved().map_err(|_fault| Errno::INVAL)?;
    let (folder, name) = below.rsplit_once('/').unwrap_or(("", below));
    if name.is_empty() {
        return Err(Errno::BUSY.into());
    }
    match root.openat2(folder, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()) {
        Ok(folder) => Ok(Place { folder, name }),
        Err(Errno::XDEV) => Err(Failed::Escapes),
        Err(errno) => Err(errno.into()),
    }
}

/// As [`place`], for a name that is to come into being: the granted folder itself is there already.
fn new_place<'a>(root: Root<'_>, path: &'a FsPath) -> Result<Place<'a>, Failed> {
    match path.resolved() {
        Ok("") => Err(Errno::EXIST.into()),
        Ok(_) | Err(_) => place(root, path),
    }
}

/// `mkdirat`.
pub(crate) fn create_folder(_permit: &Permit, root: Root<'_>, path: &FsPath) -> Result<(), Failed> {
    let Place { folder, name } = new_place(root, path)?;
    Ok(rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(NEW_FOLDER_MODE))?)
}

/// `unlinkat` with `AT_REMOVEDIR`.
pub(crate) fn remove_folder(_permit: &Permit, root: Root<'_>, path: &FsPath) -> Result<(), Failed> {
    let Place { folder, name } = place(root, path)?;
    Ok(rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR)?)
}

/// `unlinkat`.
pub(crate) fn unlink(_permit: &Permit, root: Root<'_>, path: &FsPath) -> Result<(), Failed> {
    let Place { folder, name } = place(root, path)?;
    Ok(rustix::fs::unlinkat(folder, name, AtFlags::empty())?)
}

/// `renameat2`. What was decided on as a new name stays one: nothing that appears there meanwhile is replaced.
pub(crate) fn rename(
    permit: &Permit,
    (from_root, from): (Root<'_>, &FsPath),
    (to_root, to): (Root<'_>, &FsPath),
) -> Result<(), Failed> {
    let old = place(from_root, from)?;
    let new = place(to_root, to)?;
    let onto_nothing = matches!(permit.call(), HostCall::RenameAt { target: Target::Absent, .. });
    let flags = if onto_nothing { RenameFlags::NOREPLACE } else { RenameFlags::empty() };
    Ok(rustix::fs::renameat_with(old.folder, old.name, new.folder, new.name, flags)?)
}

/// `linkat`; a symbolic link at the old name is linked itself, not followed.
pub(crate) fn hard_link(
    _permit: &Permit,
    (from_root, from): (Root<'_>, &FsPath),
    (to_root, to): (Root<'_>, &FsPath),
) -> Result<(), Failed> {
    let old = place(from_root, from)?;
    let new = new_place(to_root, to)?;
    Ok(rustix::fs::linkat(old.folder, old.name, new.folder, new.name, AtFlags::empty())?)
}

/// `symlinkat`.
pub(crate) fn symlink(_permit: &Permit, root: Root<'_>, content: &str, path: &FsPath) -> Result<(), Failed> {
    let Place { folder, name } = new_place(root, path)?;
    Ok(rustix::fs::symlinkat(content, folder, name)?)
}

/// `readlinkat`; an absolute text is withheld, since it would tell host paths.
pub(crate) fn read_link(_permit: &Permit, root: Root<'_>, path: &FsPath) -> Result<String, Failed> {
    let Place { folder, name } = place(root, path)?;
    let text = rustix::fs::readlinkat(folder, name, Vec::new())?;
    let text = text.into_string().map_err(|_not_utf8| Errno::ILSEQ)?;
    if text.starts_with('/') { Err(Errno::PERM.into()) } else { Ok(text) }
}

/// `futimens` on the very file that was probed, opened anew: Landlock knows no right to change times, so a sealed host may
/// do so through open files alone, never by a path. A symbolic link cannot be opened, and keeps its times.
pub(crate) fn set_times(_permit: &Permit, probed: &OwnedFd, times: &Timestamps) -> Result<(), Errno> {
    let flags = match FileType::from_raw_mode(fstat(probed)?.st_mode) {
        FileType::RegularFile => OFlags::WRONLY,
        FileType::Directory => OFlags::RDONLY | OFlags::DIRECTORY,
        FileType::Symlink
        | FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => return Err(Errno::NOTSUP),
    };
    let this = format!("/proc/self/fd/{}", probed.as_raw_fd());
    let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK;
    rustix::fs::futimens(openat2(CWD, this, flags, Mode::empty(), ResolveFlags::empty())?, times)
}
