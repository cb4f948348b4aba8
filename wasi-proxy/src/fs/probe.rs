//! What stands at a path, found with `O_PATH`: nothing is read, created or changed by looking.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::io::Errno;
use tollgate_capability::{FileId, Target};

/// A granted folder, open.
#[derive(Clone, Copy)]
pub(crate) struct Root<'a> {
    pub(crate) folder: &'a std::fs::File,
    /// Patterns apply, so symbolic links are not followed below it.
    pub(crate) patterned: bool,
}

impl Root<'_> {
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// Containment is the kernel's: beneath, no magic links, and no links at all where patterns apply. What the operator
    /// mounts below the folder is below it: mount points are crossed.
    pub(crate) fn resolve(&self) -> ResolveFlags {
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        if self.patterned { beneath | ResolveFlags::NO_SYMLINKS } else { beneath }
    }

    /// `openat2` below the folder; a concurrent rename makes the kernel answer `EAGAIN`, which is tried again.
    pub(crate) fn openat2(&self, below: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        let path = if below.is_empty() { "." } else { below };
        let mut tries = 0;
        loop {
            match openat2(self.fd(), path, flags | OFlags::CLOEXEC, mode, self.resolve()) {
                Err(Errno::AGAIN | Errno::INTR) if tries < TRIES_MAX => tries += 1,
                answer => return answer,
            }
        }
    }
}

/// Answers of `EAGAIN` in a row before giving up: a rename storm does not last longer by accident.
const TRIES_MAX: u32 = 64;

/// What was found, and the `O_PATH` descriptor of it or the kernel's reason why there is none.
pub(crate) struct Probe {
    pub(crate) target: Target,
    pub(crate) fd: Result<OwnedFd, Errno>,
}

/// Looks at `below`, following a symbolic link in the last place only if `follow`.
pub(crate) fn probe(root: Root<'_>, below: &str, follow: bool) -> Probe {
    let last = if follow { OFlags::empty() } else { OFlags::NOFOLLOW };
    match root.openat2(below, OFlags::PATH | last, Mode::empty()) {
        Ok(fd) => Probe { target: target_of(&fd), fd: Ok(fd) },
        Err(errno) => Probe { target: refused(root, errno), fd: Err(errno) },
    }
}

fn refused(root: Root<'_>, errno: Errno) -> Target {
    match errno {
        Errno::NOENT => Target::Absent,
        Errno::XDEV => Target::Outside,
        Errno::LOOP if root.patterned => Target::Symlink,
        _other => Target::Unknown,
    }
}

/// The kind and identity of an open descriptor.
pub(crate) fn target_of(fd: &OwnedFd) -> Target {
    let Ok(stat) = fstat(fd) else { return Target::Unknown };
    let id = FileId { device: stat.st_dev, inode: stat.st_ino };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Target::File { id, links: stat.st_nlink },
        FileType::Directory => Target::Folder { id },
        FileType::Symlink => Target::Symlink,
        FileType::Fifo | FileType::Socket | FileType::CharacterDevice | FileType::BlockDevice | FileType::Unknown => {
            Target::Special
        }
    }
}
