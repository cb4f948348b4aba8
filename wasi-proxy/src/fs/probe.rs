//! What stands at a path, found with `O_PATH`: nothing is read, created or changed by looking.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::io::Errno;
use tollgate_capability::{Access, AccessSet, CapabilitySet, FileId, FsPath, GrantIndex, HostCall, Reach, Target};

use super::links;
use crate::gate::Failed;

/// The granted folders of a call, each once it is open.
#[derive(Debug)]
pub(crate) struct Roots {
    set: Arc<CapabilitySet>,
    folders: Vec<Option<Arc<std::fs::File>>>,
}

impl Roots {
    /// No folder is open yet.
    pub(crate) fn new(set: &Arc<CapabilitySet>) -> Self {
        Self { set: Arc::clone(set), folders: vec![None; set.fs.len()] }
    }

    /// Notes that a granted folder is open; the first time counts, since handles may be from then on.
    pub(crate) fn opened(&mut self, grant: GrantIndex, folder: &Arc<std::fs::File>) {
        if let Some(root @ None) = self.folders.get_mut(usize::from(grant.0)) {
            *root = Some(Arc::clone(folder));
        }
    }

    /// The folder that a path is below; it is open, or no handle could have led to the path.
    pub(crate) fn of(&self, path: &FsPath) -> Result<Root<'_>, Failed> {
        let grant = usize::from(path.grant.0);
        match (self.folders.get(grant), self.set.fs.get(grant)) {
            (Some(Some(folder)), Some(fs)) => {
                let hidden = path.resolved().is_ok_and(|below| fs.hides(below));
                Ok(Root { folder, patterned: !fs.patterns.is_empty(), hidden })
            }
            (Some(_) | None, _) => Err(Failed::Broken),
        }
    }

    /// Looks at a path whose text is usable; one whose text is not is denied on its text alone.
    pub(crate) fn look(&self, path: &FsPath, follow: bool) -> Result<Probe, Failed> {
        let root = self.of(path)?;
        Ok(match path.resolved() {
            Ok(_) if root.hidden => HIDDEN,
            Ok(below) => probe(root, below, follow),
            Err(_fault) => UNUSABLE,
        })
    }

    /// Looks at a name that is to be made, moved or removed. A link in the last place is the name itself; one on the way is
    /// told, since the place of the name is another one than its text says.
    pub(crate) fn look_at_name(&self, path: &FsPath) -> Result<Name, Failed> {
        let root = self.of(path)?;
        let Ok(below) = path.resolved() else { return Ok(Name { found: UNUSABLE, linked: false }) };
        if root.hidden {
            return Ok(Name { found: HIDDEN, linked: false });
        }
        let straight = probe(root.straight(), below, false);
        let linked = straight.target == Target::Symlink;
        let found = if linked { probe(root, below, false) } else { straight };
        Ok(Name { found, linked })
    }

    /// Where the links lead that a rename takes elsewhere, if its decision needs that. It is looked at only where the set
    /// brings the system calls for it to a sealed host, and otherwise the rename is denied for want of the same rights.
    pub(crate) fn reach_of_move(&self, (from, old): (&FsPath, &Name), (to, new): (&FsPath, &Name)) -> Option<Reach> {
        let may = |path: &FsPath, access| self.access(path).contains(access);
        let source = old.found.target;
        let moves = HostCall::moves_links(source, (from, old.linked), (to, new.linked));
        if !moves || !may(from, Access::Delete) || !may(to, Access::Create) {
            return None;
        }
        match (&old.found.fd, source) {
            (Ok(folder), Target::Folder { .. }) if may(from, Access::List) => Some(links::in_folder(folder)),
            (Ok(link), Target::Link { .. }) => Some(links::of_link(link)),
            (Ok(_) | Err(_), _) => Some(Reach::Anywhere),
        }
    }

    /// As [`Self::reach_of_move`], of what gets a further name.
    pub(crate) fn reach_of_link(&self, from: &FsPath, old: &Probe, to: &FsPath) -> Option<Reach> {
        let may = self.access(from).contains(Access::Read) && self.access(to).contains(Access::Create);
        match (&old.fd, old.target) {
            (Ok(link), Target::Link { .. }) if may => Some(links::of_link(link)),
            (Ok(_) | Err(_), _) => None,
        }
    }

    fn access(&self, path: &FsPath) -> AccessSet {
        self.set.fs.get(usize::from(path.grant.0)).map_or(AccessSet::EMPTY, |fs| fs.access)
    }
}

/// A granted folder, open.
#[derive(Clone, Copy)]
pub(crate) struct Root<'a> {
    pub(crate) folder: &'a std::fs::File,
    /// Patterns apply, so symbolic links are not followed below it.
    pub(crate) patterned: bool,
    /// The path has the name of a policy, which is not there for a tool that could change it.
    pub(crate) hidden: bool,
}

impl Root<'_> {
    /// The same folder, with no link followed below it.
    pub(crate) fn straight(self) -> Self {
        Self { patterned: true, ..self }
    }

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

/// What is found where a path cannot be used: nothing is looked at.
const UNUSABLE: Probe = Probe { target: Target::Unknown, fd: Err(Errno::INVAL) };

/// What is found under the name of a policy: nothing, for a tool that could change it.
const HIDDEN: Probe = Probe { target: Target::Absent, fd: Err(Errno::NOENT) };

/// What stands at a name, and whether a link is on the way to it.
pub(crate) struct Name {
    pub(crate) found: Probe,
    pub(crate) linked: bool,
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
        FileType::Symlink => Target::Link { id },
        FileType::Fifo | FileType::Socket | FileType::CharacterDevice | FileType::BlockDevice | FileType::Unknown => {
            Target::Special { id }
        }
    }
}
