//! Writes files that appear whole or not at all: under a hidden name, on disk, then renamed. Reads regular files alone, since a
//! FIFO could be waited for without end.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, makedev};
use rustix::io::Errno;

/// What hidden names begin with; no name of a tool or an artifact does.
pub const HIDDEN: &str = ".new-";

/// Makes a folder and those above it, for their owner alone. A folder that is there already is no error.
///
/// # Errors
///
/// It cannot be made, or something that is no folder is there.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    // Something is there that is no folder.
    made.map_err(|error| if error.kind() == ErrorKind::AlreadyExists { Errno::NOTDIR.into() } else { error })
}

/// Writes a new file, for its owner alone, and syncs it to disk.
///
/// # Errors
///
/// Something is there already, or it cannot be written.
pub fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Writes a new file under a hidden name, which is returned.
///
/// # Errors
///
/// It cannot be written; then nothing of it is left.
pub fn write_hidden(folder: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let path = hidden_name(folder)?;
    match write_new(&path, bytes) {
        Ok(()) => Ok(path),
        Err(error) => {
            // Best effort: a half-written file only takes room.
            fs::remove_file(&path).ok();
            Err(error)
        }
    }
}

/// Writes or replaces `folder/name`.
///
/// # Errors
///
/// It cannot be written or renamed; then the old file is unchanged.
pub fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let written = write_hidden(folder, bytes)?;
    if let Err(error) = fs::rename(&written, folder.join(name)) {
        fs::remove_file(&written).ok();
        return Err(error);
    }
    sync_folder(folder)
}

/// A name in `folder` that nothing has.
///
/// # Errors
///
/// There is no randomness.
pub fn hidden_name(folder: &Path) -> io::Result<PathBuf> {
    let mut random = [0; 8];
    getrandom::fill(&mut random)?;
    Ok(folder.join(format!("{HIDDEN}{}", hex::encode(random))))
}

/// Syncs the names in a folder to disk.
///
/// # Errors
///
/// The folder cannot be opened, or not be brought to disk.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Opens a regular file, or `/dev/null`, for reading; follows links. Anything else is an error.
///
/// # Errors
///
/// It cannot be opened, or is something else.
pub fn open(path: &Path) -> io::Result<File> {
    let file = open_at_once(path)?;
    let metadata = file.metadata()?;
    let is_null = metadata.file_type().is_char_device() && metadata.rdev() == makedev(NULL.0, NULL.1);
    if metadata.is_file() || is_null {
        return Ok(file);
    }
    if metadata.is_dir() {
        return Err(Errno::ISDIR.into());
    }
    Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"))
}

/// The major and minor number of `/dev/null`, null(4).
const NULL: (u32, u32) = (1, 3);

/// Opens `path` for reading, whatever it is, without waiting for the other end of a FIFO, and without taking a terminal for this
/// process. The caller must look at what it is before reading.
///
/// # Errors
///
/// It cannot be opened.
pub fn open_at_once(path: &Path) -> io::Result<File> {
    // The bits of open(2) are an `int` to the kernel.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// Reads a regular file of at most `max_bytes`.
///
/// # Errors
///
/// As for [`open`]; it is longer, or cannot be read.
pub fn read(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes { Err(ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}
