//! Each folder is opened from the one before it, so that nobody can exchange it in between.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat};
use rustix::io::Errno;

use super::not_a_folder;
use crate::regular;

/// The name of a file or folder, in a folder that is open.
#[derive(Debug)]
pub struct Place<'a> {
    folder: OwnedFd,
    name: &'a str,
}

impl<'a> Place<'a> {
    /// The place `path` below the folder `root`. The folders on the way must be there.
    pub fn find(root: &Path, path: &'a str) -> io::Result<Self> {
        Self::on_the_way(root, path, |_folder, _name| Ok(()))
    }

    /// The folder of the place.
    pub fn folder(&self) -> &OwnedFd {
        &self.folder
    }

    /// Its name in that folder.
    pub fn name(&self) -> &str {
        self.name
    }

    /// Opens the folders from `root` on; `before` is called with each before it is opened.
    pub fn on_the_way(
        root: &Path,
        path: &'a str,
        before: impl Fn(&OwnedFd, &str) -> rustix::io::Result<()>,
    ) -> io::Result<Self> {
        let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut folder = openat(CWD, root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        for parent in parents.split_terminator('/') {
            before(&folder, parent)?;
            folder = openat(&folder, parent, FOLDER | OFlags::PATH, Mode::empty()).map_err(no_folder(parents))?;
        }
        Ok(Self { folder, name })
    }

    /// The bytes of the regular file, which has at most `bytes_max`.
    pub fn read(&self, bytes_max: usize) -> io::Result<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = regular::checked(openat(&self.folder, self.name, flags, Mode::empty()).map_err(no_link)?.into())?;
        regular::read_within(file, bytes_max)
    }

    /// The length of the file in bytes.
    pub fn bytes(&self) -> io::Result<u64> {
        let found = statat(&self.folder, self.name, AtFlags::SYMLINK_NOFOLLOW)?;
        u64::try_from(found.st_size).map_err(io::Error::other)
    }

    /// When the file was last written. A time before 1970 is that.
    pub fn written(&self) -> io::Result<SystemTime> {
        let found = statat(&self.folder, self.name, AtFlags::SYMLINK_NOFOLLOW)?;
        let nanos = u32::try_from(found.st_mtime_nsec).unwrap_or_default();
        let of = Duration::new(u64::try_from(found.st_mtime).unwrap_or_default(), nanos);
        Ok(UNIX_EPOCH + of)
    }

    /// The names in the folder of this name, and whether each is a folder itself.
    pub fn names(&self) -> io::Result<Vec<(String, bool)>> {
        let folder = openat(&self.folder, self.name, FOLDER | OFlags::RDONLY, Mode::empty());
        let folder = folder.map_err(no_folder(self.name))?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let mut kind = entry.file_type();
            if kind == FileType::Unknown {
                kind = FileType::from_raw_mode(statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode);
            }
            names.push((name.to_string_lossy().into_owned(), kind == FileType::Directory));
        }
        Ok(names)
    }
}

/// A folder itself, not a link to one.
pub const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn no_link(errno: Errno) -> io::Error {
    if errno == Errno::LOOP { regular::is_link() } else { errno.into() }
}

fn no_folder(path: &str) -> impl Fn(Errno) -> io::Error {
    move |errno| match errno {
        Errno::NOTDIR | Errno::LOOP => not_a_folder(path),
        errno => errno.into(),
    }
}
