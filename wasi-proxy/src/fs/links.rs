//! What a call takes elsewhere that moves a link or a folder, and where links lead: looked at before the decision, by names
//! and texts alone. No file is opened or asked about.

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags, openat2, readlinkat, statat};
use rustix::io::Errno;
use tollgate_capability::{Carries, Reach, names_policy};

/// Entries that are looked at for links in a folder that moves up: more count as links that lead anywhere. Each link is a
/// system call of its own.
const LINKS_ENTRIES_MAX: usize = 10_000;

/// Entries that are looked at for policies in a folder that moves: more may have one among them. Listing so many can take ten
/// seconds and more, within the call's deadline; the folders of packages that tools rename have a tenth of them.
/// [`Reason::FolderUnseen`] names it.
///
/// [`Reason::FolderUnseen`]: tollgate_capability::Reason::FolderUnseen
const POLICY_ENTRIES_MAX: usize = 1_000_000;

/// Bytes of paths of folders that wait to be looked at: what the host holds of a tree that a tool made.
const WAITING_BYTES_MAX: usize = 16 << 20;

/// Bytes of entries that are read at once.
const ENTRY_BYTES: usize = 8 << 10;

/// Where the link leads that this descriptor is of.
pub(crate) fn of_link(link: &OwnedFd) -> Reach {
    reach_of(link.as_fd(), c"").unwrap_or(Reach::Anywhere)
}

/// The text of the link that this descriptor is of: any bytes.
pub(crate) fn text_of(link: &OwnedFd) -> Result<Vec<u8>, Errno> {
    Ok(readlinkat(link, c"", Vec::new())?.into_bytes())
}

/// Where the links below a folder lead, seen from the folder that holds it. What cannot be looked at leads anywhere.
pub(crate) fn in_folder(folder: &OwnedFd, deadline: Instant) -> Reach {
    let mut reach = Reach::Up(0);
    let seen = walk(folder, LINKS_ENTRIES_MAX, deadline, |entry| {
        if entry.kind()? == FileType::Symlink {
            reach = reach.or(reach_of(entry.folder.as_fd(), entry.name)?.seen_from_above(entry.depth));
        }
        Ok(ControlFlow::Continue(()))
    });
    if seen.is_ok() { reach } else { Reach::Anywhere }
}

/// Whether something below a folder has the name of a policy.
pub(crate) fn policy_in(folder: &OwnedFd, deadline: Instant) -> Carries {
    let mut carries = Carries::NoPolicy;
    let seen = walk(folder, POLICY_ENTRIES_MAX, deadline, |entry| {
        if names_policy(&entry.name.to_string_lossy()) {
            carries = Carries::Policy;
            return Ok(ControlFlow::Break(()));
        }
        Ok(ControlFlow::Continue(()))
    });
    if seen.is_ok() { carries } else { Carries::Unseen }
}

/// An entry below a folder.
struct Entry<'a> {
    folder: &'a OwnedFd,
    name: &'a CStr,
    listed: FileType,
    /// How many folders below the top one it is, and one.
    depth: u32,
}

impl Entry<'_> {
    /// The kind of an entry; some file systems do not tell it in the listing.
    fn kind(&self) -> Result<FileType, Errno> {
        if self.listed != FileType::Unknown {
            return Ok(self.listed);
        }
        Ok(FileType::from_raw_mode(statat(self.folder, self.name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode))
    }
}

/// Folders below a top one that are still to be listed, by their ways: no descriptor stays open for one that waits.
struct Waiting {
    /// Each with the number of its names.
    ways: Vec<(CString, u32)>,
    bytes: usize,
}

impl Waiting {
    fn pop(&mut self) -> Option<(CString, u32)> {
        let next = self.ways.pop()?;
        self.bytes -= next.0.count_bytes();
        Some(next)
    }

    fn push(&mut self, way: &CStr, name: &CStr, depth: u32) -> Result<(), Errno> {
        let below = [way.to_bytes(), b"/", name.to_bytes()].concat();
        self.bytes += below.len();
        if self.bytes > WAITING_BYTES_MAX {
            return Err(Errno::TOOBIG);
        }
        self.ways.push((CString::new(below).map_err(|_nul| Errno::INVAL)?, depth));
        Ok(())
    }
}

/// Shows every entry below `top`, at any depth, until `see` breaks. It fails if there are more than `left`, if one cannot be
/// looked at, or if the call's time is over.
fn walk(
    top: &OwnedFd,
    mut left: usize,
    deadline: Instant,
    mut see: impl FnMut(&Entry<'_>) -> Result<ControlFlow<()>, Errno>,
) -> Result<(), Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let oflags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut waiting = Waiting { ways: vec![(c".".to_owned(), 1)], bytes: 1 };
    while let Some((way, depth)) = waiting.pop() {
        let folder = openat2(top, &way, oflags, Mode::empty(), resolve)?;
        let mut buffer = [MaybeUninit::uninit(); ENTRY_BYTES];
        let mut entries = RawDir::new(&folder, &mut buffer);
        loop {
            if entries.is_buffer_empty() && Instant::now() >= deadline {
                return Err(Errno::TIMEDOUT);
            }
            let Some(entry) = entries.next() else { break };
            let entry = entry?;
            if matches!(entry.file_name().to_bytes(), b"." | b"..") {
                continue;
            }
            left = left.checked_sub(1).ok_or(Errno::TOOBIG)?;
            let entry = Entry { folder: &folder, name: entry.file_name(), listed: entry.file_type(), depth };
            if see(&entry)?.is_break() {
                return Ok(());
            }
            if entry.kind()? == FileType::Directory {
                waiting.push(&way, entry.name, depth + 1)?;
            }
        }
    }
    Ok(())
}

fn reach_of(at: BorrowedFd<'_>, name: &CStr) -> Result<Reach, Errno> {
    Ok(Reach::of_text(readlinkat(at, name, Vec::new())?.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    /// `top/a/tollgate.toml` and `top/b/c`.
    fn opened() -> (tempfile::TempDir, OwnedFd) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a")).unwrap();
        fs::create_dir_all(folder.path().join("b/c")).unwrap();
        fs::write(folder.path().join("a/tollgate.toml"), "").unwrap();
        let fd = fs::File::open(folder.path()).unwrap().into();
        (folder, fd)
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(600)
    }

    #[test]
    fn a_policy_is_found_at_any_depth() {
        let (folder, fd) = opened();
        assert_eq!(policy_in(&fd, later()), Carries::Policy);
        fs::rename(folder.path().join("a/tollgate.toml"), folder.path().join("b/c/Tollgate.toml")).unwrap();
        assert_eq!(policy_in(&fd, later()), Carries::Policy);
        fs::remove_file(folder.path().join("b/c/Tollgate.toml")).unwrap();
        assert_eq!(policy_in(&fd, later()), Carries::NoPolicy);
    }

    #[test]
    fn what_takes_too_long_is_not_seen() {
        let (_folder, fd) = opened();
        assert_eq!(policy_in(&fd, Instant::now()), Carries::Unseen);
        assert_eq!(in_folder(&fd, Instant::now()), Reach::Anywhere);
    }

    #[test]
    fn entries_are_counted_over_all_folders() {
        let (_folder, fd) = opened();
        let all = |left| walk(&fd, left, later(), |_entry| Ok(ControlFlow::Continue(())));
        assert_eq!((all(3), all(4)), (Err(Errno::TOOBIG), Ok(())));
        let first = walk(&fd, 1, later(), |_entry| Ok(ControlFlow::Break(())));
        assert_eq!(first, Ok(()), "it ends early");
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut waiting = Waiting { ways: Vec::new(), bytes: WAITING_BYTES_MAX - 8 };
        assert_eq!(waiting.push(c"1234", c"5", 1), Ok(()));
        assert_eq!(waiting.push(c"1", c"2", 1), Err(Errno::TOOBIG));
    }
}
