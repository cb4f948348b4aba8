//! Where an effect by name takes place: the open folder, and the name in it. Must never follow a last step.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, openat2};
use rustix::io::Errno;
use tollgate_capability::{Ending, FsPath, Target};
use tollgate_system::is_pseudo;

use super::probe::{Probe, Root, Roots};
use crate::gate::{Failed, WayOut};

/// A name and the open folder that it is in, so that the last step follows nothing.
pub(super) struct Place<'a> {
    pub(super) folder: OwnedFd,
    pub(super) name: &'a str,
    root: Root<'a>,
}

impl<'a> Place<'a> {
    /// The place of a path. One that was decided on as reached without links is reached so, or [`Failed::Raced`].
    pub(super) fn of(root: Root<'a>, path: &'a FsPath, linked: bool) -> Result<Self, Failed> {
        let below = path.resolved().map_err(|_fault| Errno::INVAL)?;
        let (folder, name) = below.rsplit_once('/').unwrap_or(("", below));
        if name.is_empty() {
            return Err(Errno::BUSY.into());
        }
        if root.hidden {
            return Err(Errno::NOENT.into());
        }
        let way = if linked { root } else { root.straight() };
        match way.openat2(folder, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()) {
            Ok(folder) if root.mounts && is_pseudo(&folder)? => Err(Failed::Escapes(WayOut::Pseudo)),
            Ok(folder) => Ok(Self { folder, name, root }),
            Err(Errno::LOOP) if !linked && !root.patterned => Err(Failed::Raced),
            Err(errno) => Err(root.failed(errno, folder)),
        }
    }

    /// As [`Self::of`], for a name that is to come into being: the granted folder itself is there already.
    pub(super) fn of_new(root: Root<'a>, path: &'a FsPath, linked: bool) -> Result<Self, Failed> {
        match path.resolved() {
            Ok("") => Err(Errno::EXIST.into()),
            Ok(_) | Err(_) => Self::of(root, path, linked),
        }
    }

    /// As [`Self::of`]; none if the path ends in a dot, by which no entry is moved or replaced, and a folder stands there.
    pub(super) fn of_moved(roots: &'a Roots, path: &'a FsPath, linked: bool) -> Result<Option<Self>, Failed> {
        if path.ending() == Ending::Dot {
            return is_folder(roots, path).map(|()| None);
        }
        Self::of(roots.of(path)?, path, linked).map(Some)
    }

    /// As [`Self::of_new`], for an entry that is no folder: the kernel makes none whose name ends in a slash or a dot, and says
    /// whether something stands there.
    pub(super) fn of_new_entry(roots: &'a Roots, path: &'a FsPath, linked: bool) -> Result<Self, Failed> {
        no_dot(roots, path, Errno::EXIST)?;
        let place = Self::of_new(roots.of(path)?, path, linked)?;
        if path.ending() == Ending::Slash {
            return Err(place.open_name().err().unwrap_or(Errno::EXIST).into());
        }
        Ok(place)
    }

    /// What stands at the name, as a place only.
    pub(super) fn open_name(&self) -> Result<OwnedFd, Errno> {
        let oflags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat2(&self.folder, self.name, oflags, Mode::empty(), self.root.resolve())
    }
}

/// That a path does not end in a dot: it names no entry, and the kernel says `errno` of it where a folder stands.
pub(super) fn no_dot(roots: &Roots, path: &FsPath, errno: Errno) -> Result<(), Failed> {
    // Of the granted folder itself the place speaks.
    if path.ending() != Ending::Dot || path.resolved() == Ok("") {
        return Ok(());
    }
    is_folder(roots, path)?;
    Err(errno.into())
}

/// That a path which can only mean a folder means one; a link is followed.
pub(super) fn is_folder(roots: &Roots, path: &FsPath) -> Result<(), Failed> {
    let Probe { target, fd } = roots.look(path, true)?;
    match (target, fd) {
        (Target::Folder { .. }, _) => Ok(()),
        (Target::Absent | Target::Policy, _) => Err(Errno::NOENT.into()),
        (_, Ok(_no_folder)) => Err(Errno::NOTDIR.into()),
        (_, Err(errno)) => Err(roots.of(path)?.failed(errno, path.resolved().unwrap_or_default())),
    }
}
