//! Where symbolic links lead that a call takes elsewhere: looked at before the decision, by their texts alone.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags, openat2, readlinkat, statat};
use rustix::io::Errno;
use tollgate_capability::Reach;

/// Entries that are looked at in a folder that moves: more are not worth a call's time, and count as links that lead
/// anywhere.
const ENTRIES_MAX: usize = 10_000;

/// Bytes of entries that are read at once.
const ENTRY_BYTES: usize = 8 << 10;

/// Where the link leads that this descriptor is of.
pub(crate) fn of_link(link: &OwnedFd) -> Reach {
    text_of(link.as_fd(), c"").unwrap_or(Reach::Anywhere)
}

/// Where the links below a folder lead, seen from the folder that holds it. What cannot be looked at leads anywhere.
pub(crate) fn in_folder(folder: &OwnedFd) -> Reach {
    let mut left = ENTRIES_MAX;
    // Ways below the folder, each with the number of its names: no descriptor stays open for one that waits.
    let mut waiting = vec![(c".".to_owned(), 1)];
    let mut reach = Reach::Up(0);
    while let Some((way, depth)) = waiting.pop() {
        match look_in(folder, &way, depth, &mut left, &mut waiting) {
            Ok(found) => reach = reach.or(found),
            Err(_unseen) => return Reach::Anywhere,
        }
    }
    reach
}

type Ways = Vec<(std::ffi::CString, u32)>;

/// The links in one folder below `top`; the folders in it are added to those that wait.
fn look_in(
    top: &OwnedFd,
    way: &std::ffi::CStr,
    depth: u32,
    left: &mut usize,
    waiting: &mut Ways,
) -> Result<Reach, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let folder = openat2(top, way, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty(), resolve)?;
    let mut reach = Reach::Up(0);
    let mut buffer = [MaybeUninit::uninit(); ENTRY_BYTES];
    let mut entries = RawDir::new(&folder, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        *left = left.checked_sub(1).ok_or(Errno::TOOBIG)?;
        match kind(&folder, name, entry.file_type())? {
            FileType::Symlink => reach = reach.or(text_of(folder.as_fd(), name)?.seen_from_above(depth)),
            FileType::Directory => {
                let below = [way.to_bytes(), b"/", name.to_bytes()].concat();
                waiting.push((std::ffi::CString::new(below).map_err(|_nul| Errno::INVAL)?, depth + 1));
            }
            FileType::RegularFile
            | FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => {}
        }
    }
    Ok(reach)
}

/// The kind of an entry; some file systems do not tell it in the listing.
fn kind(folder: &OwnedFd, name: &std::ffi::CStr, listed: FileType) -> Result<FileType, Errno> {
    match listed {
        FileType::Unknown => Ok(FileType::from_raw_mode(statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode)),
        FileType::RegularFile
        | FileType::Directory
        | FileType::Symlink
        | FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice => Ok(listed),
    }
}

fn text_of(at: BorrowedFd<'_>, name: &std::ffi::CStr) -> Result<Reach, Errno> {
    Ok(Reach::of_text(readlinkat(at, name, Vec::new())?.as_bytes()))
}
