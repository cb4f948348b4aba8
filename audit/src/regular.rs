//! Opens files whose folder others may write to: regular files alone, never waiting, read within a bound.
//!
//! A FIFO must never keep a reader waiting, a link must never lead elsewhere, and no file is read beyond its bound.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

/// The mode of every file of a ledger: it is its owner's alone.
pub(crate) const FILE_MODE: u32 = 0o600;

/// Opens the regular file `path` for reading.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    open_with(OpenOptions::new().read(true), path)
}

/// Opens a regular file that the user names, who may name it by a link.
pub(crate) fn open_named(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    checked(options.read(true).custom_flags(flags(OFlags::NONBLOCK)).open(path)?)
}

/// Opens the regular file `path` as `options` say. They must not truncate it: what it is, is known only once it is open.
pub(crate) fn open_with(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let options = options.mode(FILE_MODE).custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK));
    match options.open(path) {
        Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => Err(is_link()),
        opened => checked(opened?),
    }
}

/// Makes the file `path` anew, empty. Whatever had the name is unlinked, not followed and not written to.
pub(crate) fn create_fresh(path: &Path) -> io::Result<File> {
    let create = || OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path);
    match create() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            create()
        }
        made => made,
    }
}

/// The bytes of the regular file `path`, which has at most `bytes_max`.
pub(crate) fn read(path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    read_within(open(path)?, bytes_max)
}

/// The bytes of `file`, which has at most `bytes_max`.
pub(crate) fn read_within(file: impl Read, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > bytes_max {
        let reason = format!("it is longer than the {bytes_max} bytes that such a file may have");
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    Ok(bytes)
}

/// The first bytes of `file`, `bytes_max` at most.
pub(crate) fn read_start(file: &File, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(bytes_max as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether the user of this process owns what has this metadata: another owner can change it, or its mode, at any time.
pub(crate) fn is_ours(metadata: &fs::Metadata) -> bool {
    metadata.uid() == rustix::process::geteuid().as_raw()
}

/// The error for a file or folder of another user.
pub(crate) fn not_ours() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user, who could change it")
}

/// Whether `path` is a folder itself, not a link to one.
pub(crate) fn is_folder(path: &Path) -> io::Result<bool> {
    fs::symlink_metadata(path).map(|metadata| metadata.is_dir())
}

/// The error for a link.
pub(crate) fn is_link() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is a symbolic link, not a regular file")
}

/// `file`, if it is a regular one.
pub(crate) fn checked(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
    }
}

fn flags(flags: OFlags) -> i32 {
    // The bits of open(2) are an `int` to the kernel.
    flags.bits().cast_signed()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    /// Before, opening the FIFO for reading waited for ever.
    #[test]
    fn only_regular_files_are_opened_and_none_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let [fifo, link, file] = ["fifo", "link", "file"].map(|name| dir.path().join(name));
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        fs::write(&file, "12345").unwrap();
        symlink(&file, &link).unwrap();
        for path in [&fifo, &link, &dir.path().to_owned(), &"/dev/null".into()] {
            let error = open(path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{}: {error}", path.display());
        }
        let options = || OpenOptions::new().read(true).write(true).create(true).truncate(false).clone();
        for path in [&fifo, &link] {
            assert_eq!(open_with(&mut options(), path).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
        assert!(open_named(&link).is_ok() && open_named(&fifo).is_err());
        assert_eq!(read(&file, 5).unwrap(), b"12345");
        assert_eq!(read(&file, 4).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_link_in_the_place_of_a_new_file_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let [link, victim] = ["tile.tmp", "victim"].map(|name| dir.path().join(name));
        fs::write(&victim, "kept").unwrap();
        symlink(&victim, &link).unwrap();
        create_fresh(&link).unwrap().write_all(b"new").unwrap();
        assert_eq!((fs::read(&victim).unwrap(), fs::read(&link).unwrap()), (b"kept".to_vec(), b"new".to_vec()));
    }
}
