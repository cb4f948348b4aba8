//! The lock that makes one process the ledger's only writer.
//!
//! It is the kernel's (`flock(2)`), gone with the process; the file's content only says whose it is and must
//! never be trusted for more.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use sha2::{Digest as _, Sha256};

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
            .open(dir.join(LOCK_FILE))
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
    file.write_all(line(std::process::id()).as_bytes())
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(PID_BYTES_MAX).read_to_string(&mut text).ok()?;
    parse(&text)
}

/// The process id and a check, so that a changed byte is told from another process.
fn line(pid: u32) -> String {
    let [c0, c1, c2, c3, ..] = <[u8; 32]>::from(Sha256::digest(pid.to_string()));
    format!("{pid} {}\n", hex::encode([c0, c1, c2, c3]))
}

fn parse(text: &str) -> Option<u32> {
    let pid = text.split_once(' ')?.0.parse().ok()?;
    (line(pid) == text).then_some(pid)
}

/// Whether the lock file below `dir` is what a holder writes: nothing, a process id of format version 1, or a line.
pub(crate) fn is_sound(dir: &Path) -> bool {
    match fs::read_to_string(dir.join(LOCK_FILE)) {
        Ok(text) => {
            let bare = text.strip_suffix('\n').is_some_and(|pid| pid.parse::<u32>().is_ok());
            text.is_empty() || bare || parse(&text).is_some()
        }
        Err(error) => error.kind() != io::ErrorKind::InvalidData,
    }
}

pub(crate) const LOCK_FILE: &str = "lock";

/// Digits of the largest `u32`, a space, the check and a newline.
const PID_BYTES_MAX: u64 = 20;
