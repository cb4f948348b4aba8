//! Walks a path name by name, as the kernel resolves it, and notes each folder that holds a name on the way. Must never
//! follow a link by text: each step opens the very thing that it then looks at.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, fstat, open, openat, readlinkat};
use rustix::io::Errno;

/// Most links that are followed on one way: as many as Linux follows (`path_resolution(7)`).
const LINKS_MAX: usize = 40;

/// What a walk found on its way.
#[derive(Debug)]
pub(super) struct Walk {
    /// The real path of each folder that holds a name on the way, links included. `/` is the first.
    pub(super) holders: Vec<PathBuf>,
    /// The real path of the folder of each link that was followed.
    pub(super) links: Vec<PathBuf>,
    /// The real path of the end. Names that do not exist yet are as written.
    pub(super) resolved: PathBuf,
    /// The thing at the end; `None` if a name on the way does not exist, or is out of this process's reach.
    pub(super) end: Option<End>,
}

/// The thing at the end of a path.
#[derive(Debug)]
pub(super) struct End {
    /// Opened as a place only (`O_PATH`).
    pub(super) file: OwnedFd,
    pub(super) kind: FileType,
}

/// A name on the way: the folder that holds it, and the thing that it names, which may be a link.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step<'w> {
    /// As a place only (`O_PATH`).
    pub(super) folder: &'w OwnedFd,
    /// The folder's real path.
    pub(super) path: &'w Path,
    pub(super) named: &'w Stat,
}

/// Walks the absolute path `path`.
///
/// # Errors
///
/// A system call fails, other than because nothing can be reached there.
pub(super) fn walk(path: &Path) -> io::Result<Walk> {
    walk_by(path, |_step| {})
}

/// As [`walk`], and shows each step as it is taken.
///
/// # Errors
///
/// Those of [`walk`].
pub(super) fn walk_by(path: &Path, mut show: impl FnMut(Step<'_>)) -> io::Result<Walk> {
    let mut walk = Walk { holders: Vec::new(), links: Vec::new(), resolved: PathBuf::from("/"), end: None };
    let mut names = names(path.as_os_str());
    let mut here = End { file: open("/", PLACE, Mode::empty())?, kind: FileType::Directory };
    while let Some(name) = names.pop_front() {
        if here.kind != FileType::Directory {
            walk.stop(name, names);
            return Ok(walk);
        }
        if name == ".." {
            here.file = openat(&here.file, "..", PLACE, Mode::empty())?;
            walk.resolved.pop();
            continue;
        }
        walk.note_holder();
        let next = match openat(&here.file, &name, PLACE, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::NAMETOOLONG) => {
                walk.stop(name, names);
                return Ok(walk);
            }
            Err(errno) => return Err(errno.into()),
        };
        let named = fstat(&next)?;
        show(Step { folder: &here.file, path: &walk.resolved, named: &named });
        let kind = FileType::from_raw_mode(named.st_mode);
        if kind != FileType::Symlink {
            here = End { file: next, kind };
            walk.resolved.push(name);
            continue;
        }
        if walk.links.len() == LINKS_MAX {
            walk.stop(name, names);
            return Ok(walk);
        }
        walk.links.push(walk.resolved.clone());
        let text = OsString::from_vec(readlinkat(&next, "", Vec::new())?.into_bytes());
        if Path::new(&text).is_absolute() {
            here = End { file: open("/", PLACE, Mode::empty())?, kind: FileType::Directory };
            walk.resolved = PathBuf::from("/");
        }
        for name in self::names(&text).into_iter().rev() {
            names.push_front(name);
        }
    }
    walk.end = Some(here);
    Ok(walk)
}

impl Walk {
    fn note_holder(&mut self) {
        if !self.holders.contains(&self.resolved) {
            self.holders.push(self.resolved.clone());
        }
    }

    /// Ends where `name` cannot be reached: the rest stays as it is written.
    fn stop(&mut self, name: OsString, rest: VecDeque<OsString>) {
        self.resolved.push(name);
        self.resolved.extend(rest);
    }
}

/// The names in a path, `.` and empty ones left out.
fn names(path: &OsStr) -> VecDeque<OsString> {
    let name = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    };
    Path::new(path).components().filter_map(name).collect()
}

/// Opens the thing itself, also a link, as a place only.
const PLACE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The absolute form of `path`, which is joined to the working folder if it is relative. Nothing of it is resolved.
pub(super) fn absolute(path: &Path) -> io::Result<PathBuf> {
    if path.is_absolute() { Ok(path.to_owned()) } else { Ok(std::env::current_dir()?.join(path)) }
}

/// Opens a folder by its real path, in which no link may stand.
pub(super) fn open_real(path: &Path) -> io::Result<OwnedFd> {
    use rustix::fs::{ResolveFlags, openat2};
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS);
    opened.map_err(|errno| tollgate_system::of_call("openat2", errno))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().canonicalize().unwrap();
        (place, path)
    }

    #[test]
    fn a_walk_ends_where_the_kernel_would() {
        let (_place, at) = place();
        fs::create_dir_all(at.join("a/b/c")).unwrap();
        symlink("a/b", at.join("rel")).unwrap();
        symlink(at.join("a"), at.join("abs")).unwrap();
        symlink("../b/c", at.join("a/b/up")).unwrap();
        for path in ["a/b/c", "rel/c", "abs/b", "abs/b/../b/up", "rel/up/..", "a/./b//c"] {
            let walked = walk(&at.join(path)).unwrap();
            assert_eq!(walked.resolved, at.join(path).canonicalize().unwrap(), "{path}");
            assert!(walked.end.is_some(), "{path}");
        }
    }

    #[test]
    fn what_is_not_there_stays_as_written() {
        let (_place, at) = place();
        fs::create_dir(at.join("a")).unwrap();
        fs::write(at.join("file"), "").unwrap();
        symlink("a/missing", at.join("dangling")).unwrap();
        symlink("loop", at.join("loop")).unwrap();
        for (path, resolved) in [("a/x/y", "a/x/y"), ("dangling/z", "a/missing/z"), ("file/x", "file/x")] {
            let walked = walk(&at.join(path)).unwrap();
            assert_eq!((walked.resolved, walked.end.is_some()), (at.join(resolved), false), "{path}");
        }
        assert!(walk(&at.join("loop")).unwrap().end.is_none());
    }

    #[test]
    fn every_folder_that_holds_a_name_on_the_way_is_noted() {
        let (_place, at) = place();
        fs::create_dir_all(at.join("links")).unwrap();
        fs::create_dir_all(at.join("real/deep")).unwrap();
        symlink("../real/deep", at.join("links/to")).unwrap();
        let walked = walk(&at.join("links/to/name")).unwrap();
        for holder in ["", "links", "real", "real/deep"] {
            let holder = if holder.is_empty() { at.clone() } else { at.join(holder) };
            assert!(walked.holders.contains(&holder), "{}", holder.display());
        }
        assert_eq!(walked.links, [at.join("links")]);
    }
}
