//! Effects by path: each takes the permit that allows it, reads from it what to act on, and acts below an open root.

use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RawMode, RenameFlags, ResolveFlags, Timestamps, fstat, openat2};
use rustix::io::Errno;
use tollgate_capability::{
    Call, CapabilitySet, Ending, FileId, FsCall, FsCapability, FsPath, OpenFlags, Reach, Target,
};
use tollgate_system::{is_pseudo, knows_no_rename_flags};

use super::by_other_calls;
use super::exchange::{Decided, folder_stayed};
use super::links;
use super::place::{Place, is_folder, no_dot};
use super::probe::{Root, Roots, probe, target_of};
use crate::gate::{Failed, Performed, Permit, WayOut};

/// Opens a granted folder by its host path: the one place where the gate uses ambient authority.
///
/// The path was resolved when the policy was loaded, so a symbolic link anywhere in it has been put there since: `ELOOP`,
/// and no other folder is granted instead. It is opened as a place only (`O_PATH`): a sealed host may do that without
/// Landlock's right to read folders, which a grant without `list` does not bring. A listing opens it again. Where the set
/// says which folder it was, another one that stands there by now is `ESTALE`.
pub(crate) fn open_preopen(permit: Permit, set: &CapabilitySet) -> Performed<std::fs::File> {
    permit.perform(|call| {
        let Call::Fs(FsCall::Preopen { grant }) = call else { return Err(Failed::Broken) };
        open_folder(set.fs.get(usize::from(grant.0)).ok_or(Failed::Broken)?)
    })
}

/// As [`open_preopen`], without a call: as a place.
pub(super) fn open_folder(fs: &FsCapability) -> Result<std::fs::File, Failed> {
    let oflags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = openat2(CWD, &fs.host, oflags, Mode::empty(), ResolveFlags::NO_SYMLINKS)?;
    if is_pseudo(&folder)? {
        return Err(Failed::Escapes(WayOut::Pseudo));
    }
    let stat = fstat(&folder)?;
    let found = FileId { device: stat.st_dev, inode: stat.st_ino };
    match fs.opened {
        Some(opened) if opened != found => Err(Errno::STALE.into()),
        Some(_) | None => Ok(folder.into()),
    }
}

/// What opening gave.
pub(crate) enum Opened {
    /// The very file or folder that was decided on.
    Same(OwnedFd),
    /// Another one stands there by now: decide again.
    Raced,
}

/// Opens what an `open-at` decided on: nothing is created, cut or read before that is certain.
pub(crate) fn open(permit: Permit, roots: &Roots) -> Performed<Opened> {
    permit.perform(|call| {
        let Call::Fs(FsCall::OpenAt { path, flags, target, .. }) = call else { return Err(Failed::Broken) };
        let root = roots.of(path)?;
        let opened = opened(root, path, *flags, *target);
        opened.map_err(|errno| root.failed(errno, path.resolved().unwrap_or_default()))
    })
}

fn opened(root: Root<'_>, path: &FsPath, flags: OpenFlags, target: Target) -> Result<Opened, Errno> {
    let below = path.resolved().map_err(|_fault| Errno::INVAL)?;
    match target {
        Target::Absent if flags.create && wants_folder(path, flags) => Err(no_folder_made(root, path, below)),
        Target::Absent if flags.create => create(root, below, flags),
        Target::Absent | Target::Policy => Err(Errno::NOENT),
        Target::File { .. } | Target::Folder { .. } | Target::Link { .. }
            if flags.create && path.ending() == Ending::Slash =>
        {
            Err(Errno::ISDIR)
        }
        Target::File { .. } | Target::Link { .. } if wants_folder(path, flags) => Err(Errno::NOTDIR),
        Target::File { .. } | Target::Folder { .. } | Target::Link { .. } if flags.create && flags.exclusive => {
            Err(Errno::EXIST)
        }
        Target::Folder { .. } if flags.write || flags.truncate || flags.create => Err(Errno::ISDIR),
        Target::File { .. } | Target::Folder { .. } => existing(root, below, flags, target),
        Target::Symlink | Target::Link { .. } => Err(Errno::LOOP),
        Target::Special { .. } => Err(Errno::PERM),
        Target::Outside | Target::Mount | Target::Pseudo => Err(Errno::XDEV),
        Target::Unknown => Err(unknown(root, below)),
    }
}

/// Why nothing is made at a name that can only be a folder's: `open` makes files. The way to it comes first.
fn no_folder_made(root: Root<'_>, path: &FsPath, below: &str) -> Errno {
    let (folder, _name) = below.rsplit_once('/').unwrap_or_default();
    match root.openat2(folder, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()) {
        Ok(_) if path.ending() == Ending::Slash => Errno::ISDIR,
        Ok(_) => Errno::NOENT,
        Err(errno) => errno,
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
        Err(Errno::EXIST) if matches!(probe(root, below, false).target, Target::Link { .. }) => Err(Errno::LOOP),
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
        (
            Target::File { .. }
            | Target::Folder { .. }
            | Target::Absent
            | Target::Link { .. }
            | Target::Symlink
            | Target::Special { .. }
            | Target::Outside
            | Target::Mount
            | Target::Pseudo
            | Target::Policy
            | Target::Unknown,
            _,
        ) => false,
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

/// For a path whose decision does not rest on the way to it.
const ANY_WAY: bool = true;

/// Changes names as the permit's call says: makes a folder or a link, renames, removes.
#[allow(clippy::wildcard_enum_match_arm, reason = "an effect knows its own calls, and refuses every other")]
pub(crate) fn change(permit: Permit, roots: &Roots) -> Performed<()> {
    permit.perform(|call| match call {
        Call::Fs(FsCall::CreateDirectoryAt { path, .. }) => {
            no_dot(roots, path, Errno::EXIST)?;
            let Place { folder, name, .. } = Place::of_new(roots.of(path)?, path, ANY_WAY)?;
            Ok(rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(NEW_FOLDER_MODE))?)
        }
        Call::Fs(FsCall::RemoveDirectoryAt { path, linked, target }) => remove_folder(roots, path, *linked, *target),
        Call::Fs(FsCall::UnlinkFileAt { path, target }) => unlink(roots, path, *target),
        Call::Fs(FsCall::SymlinkAt { content, path, linked, .. }) => symlink(roots, content, path, *linked),
        Call::Fs(FsCall::RenameAt { from, from_linked, source, reach, to, to_linked, target, .. }) => {
            rename(roots, (from, *from_linked, *source), *reach, (to, *to_linked, *target))
        }
        Call::Fs(FsCall::LinkAt { from, source, reach, to, to_linked, .. }) => {
            hard_link(roots, (from, *source), *reach, (to, *to_linked))
        }
        _other_effect => Err(Failed::Broken),
    })
}

/// `unlinkat` with `AT_REMOVEDIR`.
fn remove_folder(roots: &Roots, path: &FsPath, linked: bool, target: Target) -> Result<(), Failed> {
    no_dot(roots, path, Errno::INVAL)?;
    let place = Place::of(roots.of(path)?, path, linked)?;
    let decided = Decided::at(&place, target)?;
    rustix::fs::unlinkat(&place.folder, place.name, AtFlags::REMOVEDIR)?;
    decided.was_removed_from(&place)
}

/// `unlinkat`.
fn unlink(roots: &Roots, path: &FsPath, target: Target) -> Result<(), Failed> {
    no_dot(roots, path, Errno::ISDIR)?;
    no_file_as_folder(path, target)?;
    let place = Place::of(roots.of(path)?, path, ANY_WAY)?;
    let decided = Decided::at(&place, target)?;
    rustix::fs::unlinkat(&place.folder, place.name, AtFlags::empty())?;
    decided.was_removed_from(&place)
}

/// `symlinkat`.
fn symlink(roots: &Roots, content: &str, path: &FsPath, linked: bool) -> Result<(), Failed> {
    let root = roots.of(path)?;
    let place = Place::of_new_entry(roots, path, linked)?;
    rustix::fs::symlinkat(content, &place.folder, place.name)?;
    match Reach::of_text(content.as_bytes()) {
        Reach::Up(0) => Ok(()),
        Reach::Up(_) | Reach::Anywhere => folder_stayed(root, path, &place),
    }
}

/// `renameat2`. What was decided on as a new name stays one: nothing that appears there meanwhile is replaced.
fn rename(
    roots: &Roots,
    (from, from_linked, source): (&FsPath, bool, Target),
    reach: Option<Reach>,
    (to, to_linked, target): (&FsPath, bool, Target),
) -> Result<(), Failed> {
    let old = Place::of_moved(roots, from, from_linked)?;
    let new = Place::of_moved(roots, to, to_linked)?;
    let (Some(old), Some(new)) = (old, new) else { return Err(Errno::BUSY.into()) };
    let decided = Decided::at(&old, source)?;
    no_file_as_folder(from, source)?;
    no_file_as_folder(to, source)?;
    let flags = match target.id() {
        Some(_) => {
            Decided::at(&new, target)?;
            RenameFlags::empty()
        }
        None if target == Target::Absent => RenameFlags::NOREPLACE,
        None => return Err(new.open_name().err().unwrap_or(Errno::AGAIN).into()),
    };
    match rustix::fs::renameat_with(&old.folder, old.name, &new.folder, new.name, flags) {
        Err(errno) if flags == RenameFlags::NOREPLACE && knows_no_rename_flags(errno) => {
            by_other_calls::rename(roots, (&old, source), &new, &decided)?;
        }
        moved => {
            moved?;
            decided.moved_to(&new)?;
        }
    }
    match reach {
        None => Ok(()),
        Some(before) if matches!(source, Target::Folder { .. }) => links_stayed(roots, &decided, before),
        Some(Reach::Up(0)) => Ok(()),
        Some(Reach::Up(_) | Reach::Anywhere) => folder_stayed(roots.of(to)?, to, &new),
    }
}

/// That nobody put a link into a folder while it moved up that leads further than those which were decided on.
fn links_stayed(roots: &Roots, folder: &Decided, before: Reach) -> Result<(), Failed> {
    let now = links::in_folder(&folder.fd, roots.deadline);
    if before.or(now) == before { Ok(()) } else { Err(Failed::Exchanged) }
}

/// `linkat`, of the very file that was decided on; a symbolic link at the old name is linked itself, not followed.
fn hard_link(
    roots: &Roots,
    (from, source): (&FsPath, Target),
    reach: Option<Reach>,
    (to, to_linked): (&FsPath, bool),
) -> Result<(), Failed> {
    no_file_as_folder(from, source)?;
    let root = roots.of(to)?;
    if let Target::Folder { .. } = source {
        let new = Place::of_new_entry(roots, to, to_linked)?;
        let stands = new.open_name().is_ok();
        return Err(if stands { Errno::EXIST } else { Errno::PERM }.into());
    }
    if from.folder_only() {
        // A folder stood there a moment ago if none is missing now.
        is_folder(roots, from)?;
        return Err(Failed::Raced);
    }
    let old = Place::of(roots.of(from)?, from, ANY_WAY)?;
    let decided = Decided::at(&old, source)?;
    let new = Place::of_new_entry(roots, to, to_linked)?;
    by_other_calls::link_held(&decided, &new)?;
    match reach {
        None | Some(Reach::Up(0)) => Ok(()),
        Some(Reach::Up(_) | Reach::Anywhere) => folder_stayed(root, to, &new),
    }
}

/// A path with a trailing slash means a folder; on a file the kernel is not even asked.
fn no_file_as_folder(path: &FsPath, target: Target) -> Result<(), Failed> {
    match target {
        Target::File { .. } | Target::Link { .. } if path.folder_only() => Err(Errno::NOTDIR.into()),
        Target::File { .. }
        | Target::Link { .. }
        | Target::Symlink
        | Target::Absent
        | Target::Folder { .. }
        | Target::Special { .. }
        | Target::Outside
        | Target::Mount
        | Target::Pseudo
        | Target::Policy
        | Target::Unknown => Ok(()),
    }
}

/// `readlinkat`; an absolute text is withheld, since it would tell host paths.
pub(crate) fn read_link(permit: Permit, roots: &Roots) -> Performed<String> {
    permit.perform(|call| {
        let Call::Fs(FsCall::ReadlinkAt { path, .. }) = call else { return Err(Failed::Broken) };
        if path.folder_only() {
            is_folder(roots, path)?;
            return Err(Errno::INVAL.into());
        }
        let Place { folder, name, .. } = Place::of(roots.of(path)?, path, ANY_WAY)?;
        let text = rustix::fs::readlinkat(folder, name, Vec::new()).map_err(Failed::from)?;
        let text = text.into_string().map_err(|_not_utf8| Errno::ILSEQ)?;
        if text.starts_with('/') { Err(Errno::PERM.into()) } else { Ok(text) }
    })
}

/// `futimens` on the very file that was probed, opened anew: Landlock knows no right to change times, so a sealed host may
/// do so through open files alone, never by a path. A symbolic link cannot be opened, and keeps its times.
pub(crate) fn set_times(permit: Permit, probed: Result<OwnedFd, Errno>, times: &Timestamps) -> Performed<()> {
    permit.perform(|call| {
        let Call::Fs(FsCall::SetTimesAt { target, .. }) = call else { return Err(Failed::Broken) };
        let probed = probed?;
        let (Target::File { .. } | Target::Folder { .. }) = target else { return Err(Errno::NOTSUP.into()) };
        if !same(*target, target_of(&probed)) {
            return Err(Failed::Broken);
        }
        let is_folder = matches!(target, Target::Folder { .. });
        let flags = if is_folder { OFlags::RDONLY | OFlags::DIRECTORY } else { OFlags::WRONLY };
        let this = format!("/proc/self/fd/{}", probed.as_raw_fd());
        let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK;
        Ok(rustix::fs::futimens(openat2(CWD, this, flags, Mode::empty(), ResolveFlags::empty())?, times)?)
    })
}
