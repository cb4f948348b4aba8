//! Renames that replace nothing, also on file systems that know a plain rename alone: FUSE, NFS, 9p and older ZFS.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// Renames `from` to `to`, which nothing may have as its name. Where a file system knows no such rename, it is looked first: what
/// gets that name in between is replaced.
///
/// # Errors
///
/// [`ErrorKind::AlreadyExists`]: something has that name. Otherwise those of `rename(2)`.
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    rename_new_by(from, to, |from, to, flags| renameat_with(CWD, from, CWD, to, flags))
}

/// The same by `rename`, for whoever tries it as on another file system.
///
/// # Errors
///
/// As [`rename_new`].
pub fn rename_new_by(
    from: &Path,
    to: &Path,
    rename: impl Fn(&Path, &Path, RenameFlags) -> Result<(), Errno>,
) -> io::Result<()> {
    match rename(from, to, RenameFlags::NOREPLACE) {
        Err(errno) if knows_no_rename_flags(errno) => match fs::symlink_metadata(to) {
            Ok(_there) => Err(ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == ErrorKind::NotFound => match rename(from, to, RenameFlags::empty()) {
                // A folder that got the name in between; an empty one is replaced.
                Err(Errno::NOTEMPTY) => Err(ErrorKind::AlreadyExists.into()),
                renamed => Ok(renamed?),
            },
            Err(error) => Err(error),
        },
        renamed => Ok(renamed?),
    }
}

/// Whether a file system says so that it knows no flags of a rename (`renameat2(2)`).
#[must_use]
pub fn knows_no_rename_flags(errno: Errno) -> bool {
    [Errno::INVAL, Errno::NOSYS, Errno::NOTSUP].contains(&errno)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As on FUSE.
    fn without_flags(from: &Path, to: &Path, flags: RenameFlags) -> Result<(), Errno> {
        if flags.is_empty() { renameat_with(CWD, from, CWD, to, flags) } else { Err(Errno::INVAL) }
    }

    #[test]
    fn what_has_the_name_stays_on_every_file_system() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other, free] = ["one", "other", "free"].map(|name| folder.path().join(name));
        for rename in [rename_new as fn(&Path, &Path) -> _, |from, to| rename_new_by(from, to, without_flags)] {
            fs::write(&one, "one").unwrap();
            fs::write(&other, "other").unwrap();
            assert_eq!(rename(&one, &other).unwrap_err().kind(), ErrorKind::AlreadyExists);
            assert_eq!(fs::read_to_string(&other).unwrap(), "other");
            rename(&one, &free).unwrap();
            assert_eq!(fs::read_to_string(&free).unwrap(), "one");
            fs::remove_file(&free).unwrap();
        }
    }
}
