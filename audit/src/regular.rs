//! Opens files whose folder others may write to: regular files alone, never waiting, read within a bound.
//!
//! A FIFO must never keep a reader waiting, a link must never lead elsewhere, and no file is read beyond its bound.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// The mode of every file of a ledger: it is its owner's alone.
pub const FILE_MODE: u32 = 0o600;

/// Opens the regular file `path` for reading.
pub fn open(path: &Path) -> io::Result<File> {
    open_with(OpenOptions::new().read(true), path)
}

/// Opens a regular file that the user names, who may name it by a link.
pub fn open_named(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    checked(system::never_waiting(options.read(true)).open(path)?)
}

/// Opens the regular file `path` as `options` say. They must not truncate it: what it is, is known only once it is open.
pub fn open_with(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    checked(system::open_no_link(options, path)?)
}

/// The bytes of the regular file `path`, which has at most `bytes_max`.
pub fn read(path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    read_within(open(path)?, bytes_max)
}

/// The bytes of `file`, which has at most `bytes_max`.
pub fn read_within(file: impl Read, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > bytes_max {
        let reason = format!("it is longer than the {bytes_max} bytes that such a file may have");
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    Ok(bytes)
}

/// The first bytes of `file`, `bytes_max` at most.
pub fn read_start(file: &File, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(bytes_max as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether `path` is a folder itself, not a link to one.
pub fn is_folder(path: &Path) -> io::Result<bool> {
    fs::symlink_metadata(path).map(|metadata| metadata.is_dir())
}

/// The error for a link.
pub fn is_link() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is a symbolic link, not a regular file")
}

/// `file`, if it is a regular one.
pub fn checked(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular()) }
}

fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs::{File, OpenOptions};
    use std::io;
    use std::os::unix::fs::OpenOptionsExt as _;
    use std::path::Path;

    use rustix::fs::OFlags;
    use rustix::io::Errno;

    pub(super) fn never_waiting(options: &mut OpenOptions) -> &mut OpenOptions {
        options.custom_flags(flags(OFlags::NONBLOCK))
    }

    pub(super) fn open_no_link(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
        let options = options.mode(super::FILE_MODE).custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK));
        match options.open(path) {
            Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => Err(super::is_link()),
            opened => opened,
        }
    }

    fn flags(flags: OFlags) -> i32 {
        // The bits of open(2) are an `int` to the kernel.
        flags.bits().cast_signed()
    }
}

/// Elsewhere ledgers are only read, copies of them as a rule: what a name stands for is looked at before it is opened, which
/// whoever can write to the folder could exchange in between.
#[cfg(not(target_os = "linux"))]
mod system {
    use std::fs::{File, OpenOptions, symlink_metadata};
    use std::io;
    use std::path::Path;

    pub(super) fn never_waiting(options: &mut OpenOptions) -> &mut OpenOptions {
        options
    }

    pub(super) fn open_no_link(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
        let kind = symlink_metadata(path)?.file_type();
        if kind.is_symlink() {
            return Err(super::is_link());
        }
        if !kind.is_file() {
            return Err(super::not_regular());
        }
        options.open(path)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
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
}
