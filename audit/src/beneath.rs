//! Files in folders below a ledger's: each folder on the way is opened from the one before it, and none may be a link.
//!
//! A link in the place of a folder must lead neither a reader nor a writer elsewhere.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, mkdirat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

use crate::regular;

/// The name of a file or folder, in a folder that is open.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    folder: OwnedFd,
    name: &'a str,
}

impl<'a> Place<'a> {
    /// The place `path` below the folder `root`. The folders on the way must be there.
    pub(crate) fn find(root: &Path, path: &'a str) -> io::Result<Self> {
        Self::on_the_way(root, path, |_folder, _name| Ok(()))
    }

    /// As [`Place::find`]; folders on the way are made if they are missing.
    pub(crate) fn make(root: &Path, path: &'a str) -> io::Result<Self> {
        Self::on_the_way(root, path, make_folder)
    }

    /// Opens the folders from `root` on; `before` is called with each before it is opened.
    fn on_the_way(
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

    /// Makes a folder of this name, unless there is something.
    pub(crate) fn make_folder(&self) -> io::Result<()> {
        Ok(make_folder(&self.folder, self.name)?)
    }

    /// The bytes of the regular file, which has at most `bytes_max`.
    pub(crate) fn read(&self, bytes_max: usize) -> io::Result<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = regular::checked(openat(&self.folder, self.name, flags, Mode::empty()).map_err(no_link)?.into())?;
        regular::read_within(file, bytes_max)
    }

    /// The length of the file in bytes.
    pub(crate) fn bytes(&self) -> io::Result<u64> {
        let found = statat(&self.folder, self.name, AtFlags::SYMLINK_NOFOLLOW)?;
        u64::try_from(found.st_size).map_err(io::Error::other)
    }

    /// Makes the file anew, empty. Whatever had the name is unlinked, not followed and not written to.
    pub(crate) fn create_fresh(&self) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let create = || openat(&self.folder, self.name, flags, Mode::from_raw_mode(regular::FILE_MODE));
        let made = match create() {
            Err(Errno::EXIST) => {
                unlinkat(&self.folder, self.name, AtFlags::empty())?;
                create()
            }
            made => made,
        };
        Ok(made?.into())
    }

    /// Gives the file another name, in the place of what has that.
    pub(crate) fn rename(&self, to: &Place<'_>) -> io::Result<()> {
        Ok(renameat(&self.folder, self.name, &to.folder, to.name)?)
    }

    /// Removes the file; whether there was one.
    pub(crate) fn remove(&self) -> io::Result<bool> {
        was_there(unlinkat(&self.folder, self.name, AtFlags::empty()))
    }

    /// Removes the folder with the files in it; whether there was one. It stays if a folder is in it, which no ledger makes.
    pub(crate) fn remove_folder(&self) -> io::Result<bool> {
        let names = match self.names() {
            Err(error) if is_absent(&error) => return Ok(false),
            names => names?,
        };
        let folder = openat(&self.folder, self.name, FOLDER | OFlags::PATH, Mode::empty())?;
        for (name, _) in names.iter().filter(|(_name, is_folder)| !is_folder) {
            was_there(unlinkat(&folder, &**name, AtFlags::empty()))?;
        }
        match unlinkat(&self.folder, self.name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY) => Ok(true),
            removed => was_there(removed),
        }
    }

    /// The names in the folder of this name, and whether each is a folder itself.
    pub(crate) fn names(&self) -> io::Result<Vec<(String, bool)>> {
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
const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// For its owner alone. What is there already is looked at when it is opened.
fn make_folder(folder: &OwnedFd, name: &str) -> rustix::io::Result<()> {
    match mkdirat(folder, name, Mode::RWXU) {
        Err(Errno::EXIST) => Ok(()),
        made => made,
    }
}

/// Whether there is nothing to be removed or listed: no such name, or no such folder.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn was_there(removed: rustix::io::Result<()>) -> io::Result<bool> {
    match removed {
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        removed => Ok(removed.map(|()| true)?),
    }
}

fn no_folder(path: &str) -> impl Fn(Errno) -> io::Error {
    move |errno| match errno {
        Errno::NOTDIR | Errno::LOOP => {
            let reason =
                format!("`{path}`: a folder of the ledger is a link, or no folder; nothing was read or written");
            io::Error::new(io::ErrorKind::NotADirectory, reason)
        }
        errno => errno.into(),
    }
}

fn no_link(errno: Errno) -> io::Error {
    if errno == Errno::LOOP { regular::is_link() } else { errno.into() }
}
