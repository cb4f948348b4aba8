//! What stands at a path, found with `O_PATH`: nothing is read, created or changed by looking.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat2};
use rustix::io::Errno;
use tollgate_capability::{
    Access, AccessSet, CapabilitySet, Carries, FileId, FsCall, FsCapability, FsPath, GrantIndex, POLICY_NAME, Reach,
    Target,
};
use tollgate_system::is_pseudo;

use super::links;
use crate::gate::{Failed, WayOut};

/// The granted folders of a call, each once it is open.
#[derive(Debug)]
pub(crate) struct Roots {
    set: Arc<CapabilitySet>,
    folders: Vec<Option<Arc<std::fs::File>>>,
    /// When the call must have ended: what is looked at ends with it.
    pub(super) deadline: Instant,
}

impl Roots {
    /// No folder is open yet.
    pub(crate) fn new(set: &Arc<CapabilitySet>, deadline: Instant) -> Self {
        Self { set: Arc::clone(set), folders: vec![None; set.fs.len()], deadline }
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
                Ok(Root { folder, fs, patterned: !fs.patterns.is_empty(), hidden, mounts: fs.mounts })
            }
            (Some(_) | None, _) => Err(Failed::Broken),
        }
    }

    /// Looks at a path whose text is usable; one whose text is not is denied on its text alone. A policy is not there for a
    /// tool that could change it, by whichever name the path ends at.
    pub(crate) fn look(&self, path: &FsPath, follow: bool) -> Result<Probe, Failed> {
        let root = self.of(path)?;
        Ok(match path.resolved() {
            Ok(_) if root.hidden => HIDDEN,
            Ok(below) if root.fs.hides_policies() => probe_unhidden(root, below, follow),
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
        let found = if root.fs.hides_policies() { found.unless_policy(root, below.as_ref()) } else { found };
        Ok(Name { found, linked })
    }

    /// Where the links lead that a rename takes elsewhere, if its decision needs that. It is looked at only where the set
    /// brings the system calls for it to a sealed host, and otherwise the rename is denied for want of the same rights.
    pub(crate) fn reach_of_move(&self, (from, old): (&FsPath, &Name), (to, new): (&FsPath, &Name)) -> Option<Reach> {
        let may = |path: &FsPath, access| self.access(path).contains(access);
        let source = old.found.target;
        let moves = FsCall::moves_links(source, (from, old.linked), (to, new.linked));
        if !moves || !may(from, Access::Delete) || !may(to, Access::Create) {
            return None;
        }
        match (&old.found.fd, source) {
            (Ok(folder), Target::Folder { .. }) if may(from, Access::List) => {
                Some(links::in_folder(folder, self.deadline))
            }
            (Ok(link), Target::Link { .. }) => Some(links::of_link(link)),
            (Ok(_) | Err(_), _) => Some(Reach::Anywhere),
        }
    }

    /// Whether a policy is in the folder that a rename takes elsewhere, looked at where [`Self::reach_of_move`] would look.
    pub(crate) fn carried_by_move(&self, (from, old): (&FsPath, &Name), to: &FsPath) -> Option<Carries> {
        let may = |path: &FsPath, access| self.access(path).contains(access);
        match (&old.found.fd, old.found.target) {
            (Ok(folder), Target::Folder { .. }) if may(from, Access::Delete) && may(to, Access::Create) => {
                let lists = may(from, Access::List);
                Some(if lists { links::policy_in(folder, self.deadline) } else { Carries::Unseen })
            }
            (Ok(_) | Err(_), _) => None,
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

    /// Whether the set brings a sealed host the system call that gives a file another name.
    pub(super) fn may_link(&self) -> bool {
        [Access::Create, Access::Read].into_iter().all(|right| self.set.fs.iter().any(|fs| fs.access.contains(right)))
    }

    fn access(&self, path: &FsPath) -> AccessSet {
        self.set.fs.get(usize::from(path.grant.0)).map_or(AccessSet::EMPTY, |fs| fs.access)
    }
}

/// A granted folder, open.
#[derive(Clone, Copy)]
pub(crate) struct Root<'a> {
    pub(crate) folder: &'a std::fs::File,
    pub(crate) fs: &'a FsCapability,
    /// Patterns apply, so symbolic links are not followed below it.
    pub(crate) patterned: bool,
    /// The path has the name of a policy, which is not there for a tool that could change it.
    pub(crate) hidden: bool,
    /// What is mounted below it is granted too.
    pub(crate) mounts: bool,
}

impl Root<'_> {
    /// The same folder, with no link followed below it.
    pub(crate) fn straight(self) -> Self {
        Self { patterned: true, ..self }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// Containment is the kernel's: beneath, no magic links, no links at all where patterns apply, and no other mount unless
    /// it is granted.
    pub(crate) fn resolve(&self) -> ResolveFlags {
        let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        resolve.set(ResolveFlags::NO_SYMLINKS, self.patterned);
        resolve.set(ResolveFlags::NO_XDEV, !self.mounts);
        resolve
    }

    /// Why the kernel refused the way to `below`: for a link that leads out and for a mount it has one word.
    pub(crate) fn failed(&self, errno: Errno, below: &str) -> Failed {
        if errno != Errno::XDEV {
            return errno.into();
        }
        let across = Self { mounts: true, ..*self };
        match across.openat2(below, OFlags::PATH, Mode::empty()) {
            Err(Errno::XDEV) => Failed::Escapes(WayOut::Link),
            Ok(_) | Err(_) if self.mounts => Failed::Escapes(WayOut::Link),
            Ok(_) | Err(_) => Failed::Escapes(WayOut::Mount),
        }
    }

    /// `openat2` below the folder; a concurrent rename makes the kernel answer `EAGAIN`, which is tried again.
    pub(crate) fn openat2(&self, below: impl AsRef<OsStr>, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        let below = below.as_ref();
        let path = if below.is_empty() { OsStr::new(".") } else { below };
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

/// What is found where a path leads to a policy by another name.
const POLICY: Probe = Probe { target: Target::Policy, fd: Err(Errno::NOENT) };

/// What stands at a name, and whether a link is on the way to it.
pub(crate) struct Name {
    pub(crate) found: Probe,
    pub(crate) linked: bool,
}

/// Looks at `below`, following a symbolic link in the last place only if `follow`.
pub(crate) fn probe(root: Root<'_>, below: impl AsRef<OsStr>, follow: bool) -> Probe {
    let below = below.as_ref();
    let last = if follow { OFlags::empty() } else { OFlags::NOFOLLOW };
    match root.openat2(below, OFlags::PATH | last, Mode::empty()) {
        // Below the granted folder's own mount there is its own file system alone.
        Ok(fd) if root.mounts && is_pseudo(&fd).unwrap_or(true) => {
            Probe { target: Target::Pseudo, fd: Err(Errno::PERM) }
        }
        Ok(fd) => Probe { target: target_of(&fd), fd: Ok(fd) },
        Err(errno) => Probe { target: refused(root, below, last, errno), fd: Err(errno) },
    }
}

/// As [`probe`], where policies are hidden: one that the path leads to by a link of whichever kind is not shown.
fn probe_unhidden(root: Root<'_>, below: &str, follow: bool) -> Probe {
    let straight = probe(root, below, false);
    if !follow || !matches!(straight.target, Target::Link { .. }) {
        return straight.unless_policy(root, below.as_ref());
    }
    let followed = probe(root, below, true);
    // The kernel's own reasons not to follow it.
    if followed.fd.is_err() { followed } else { probe_end(root, below, straight) }
}

/// What stands where the links end that begin at `below`. The name at which they end is judged, so the last link is always
/// followed here, by its text; the kernel follows those on the way. What is opened later is compared with what was found.
fn probe_end(root: Root<'_>, below: &str, mut found: Probe) -> Probe {
    let mut way = OsString::from(below);
    for _link in 0..LINKS_MAX {
        if !matches!(found.target, Target::Link { .. }) {
            return found.unless_policy(root, &way);
        }
        match found.fd.and_then(|link| links::text_of(&link)) {
            Ok(text) => way = OsString::from_vec([folder_of(&way), text.as_slice()].concat()),
            Err(errno) => return Probe { target: Target::Unknown, fd: Err(errno) },
        }
        if root.fs.hides(&way.to_string_lossy()) {
            return POLICY;
        }
        found = probe(root, &way, false);
    }
    Probe { target: Target::Unknown, fd: Err(Errno::LOOP) }
}

/// Links that are followed one after the other, as the kernel has it (`MAXSYMLINKS`).
const LINKS_MAX: u32 = 40;

/// All of a path but its last name: empty, or with a slash at the end.
fn folder_of(way: &OsStr) -> &[u8] {
    let bytes = way.as_bytes();
    let names = bytes.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    bytes.get(..names).unwrap_or_default()
}

impl Probe {
    /// The same, unless it is the policy of the folder that it lies in, or of one above: by a hard link, or since the policy's
    /// own name is a symbolic link to it.
    ///
    /// A policy that is found must have one name and be no link, but that is only looked at when it is obeyed: a tool could
    /// change it by its second name, remove that name, and the next run would find a policy with one name.
    fn unless_policy(self, root: Root<'_>, way: &OsStr) -> Self {
        let Target::File { id, .. } = self.target else { return self };
        let mut way = way;
        while !way.is_empty() {
            let folder = folder_of(way);
            let policy = OsString::from_vec([folder, POLICY_NAME.as_bytes()].concat());
            let found = root.openat2(&policy, OFlags::PATH, Mode::empty());
            if found.is_ok_and(|policy| target_of(&policy).id() == Some(id)) {
                return POLICY;
            }
            way = OsStr::from_bytes(folder.strip_suffix(b"/").unwrap_or(folder));
        }
        self
    }
}

fn refused(root: Root<'_>, below: &OsStr, last: OFlags, errno: Errno) -> Target {
    match errno {
        // A new name would be in the file system of the folder that it is made in.
        Errno::NOENT if root.mounts => {
            let folder = Path::new(below).parent().unwrap_or_else(|| Path::new(""));
            let folder = root.openat2(folder, OFlags::PATH, Mode::empty());
            if folder.is_ok_and(|folder| is_pseudo(&folder).unwrap_or(true)) { Target::Pseudo } else { Target::Absent }
        }
        Errno::NOENT => Target::Absent,
        Errno::XDEV if !root.mounts => {
            let across = Root { mounts: true, ..root };
            let is_out = across.openat2(below, OFlags::PATH | last, Mode::empty()).is_err_and(|why| why == Errno::XDEV);
            if is_out { Target::Outside } else { Target::Mount }
        }
        Errno::XDEV => Target::Outside,
        Errno::LOOP if root.patterned => Target::Symlink,
        _other => Target::Unknown,
    }
}

/// How many names a file has.
#[allow(clippy::useless_conversion, reason = "32 bits on some architectures")]
pub(super) fn names_of(stat: &Stat) -> u64 {
    u64::from(stat.st_nlink)
}

/// The kind and identity of an open descriptor.
pub(crate) fn target_of(fd: &OwnedFd) -> Target {
    let Ok(stat) = fstat(fd) else { return Target::Unknown };
    let id = FileId { device: stat.st_dev, inode: stat.st_ino };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Target::File { id, links: names_of(&stat) },
        FileType::Directory => Target::Folder { id },
        FileType::Symlink => Target::Link { id },
        FileType::Fifo | FileType::Socket | FileType::CharacterDevice | FileType::BlockDevice | FileType::Unknown => {
            Target::Special { id }
        }
    }
}
