//! The lock that makes one process the ledger's only writer.
//!
//! It is the kernel's (`flock(2)`), gone with the process; the file's content only says whose it is and must
//! never be trusted for more.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::journal::FILE_MODE;

/// Held as long as it lives.
#[derive(Debug)]
pub(crate) struct LedgerLock(#[expect(dead_code, reason = "the open file is the lock")] File);

#[derive(Debug)]
pub(crate) enum LockError {
    Io(io::Error),
    /// `pid` is what the holder wrote; it may not have got to it.
    Held {
        pid: Option<u32>,
    },
}

impl LedgerLock {
    pub(crate) fn acquire(dir: &Path) -> Result<Self, LockError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(dir.join("lock"))
            .map_err(LockError::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Held { pid: read_pid(&mut file) }),
            Err(TryLockError::Error(source)) => return Err(LockError::Io(source)),
        }
        write_pid(&mut file).map_err(LockError::Io)?;
        Ok(Self(file))
    }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(format!("{}\n", std::process::id()).as_bytes())
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(PID_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim_end().parse().ok()
}

/// Digits of the largest `u32` and a newline.
const PID_BYTES_MAX: u64 = 11;
