//! The lock that makes one process the ledger's only writer.
//!
//! It is the kernel's (`flock(2)`), gone with the process; the file's content only says whose it is and must
//! never be trusted for more.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use crate::regular;
use crate::system_call::of_call;

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
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = regular::open_with(&mut options, &dir.join(LOCK_FILE)).map_err(LockError::Io)?;
        if !take(&file, Duration::ZERO).map_err(LockError::Io)? {
            return Err(LockError::Held { pid: read_pid(&mut file) });
        }
        write_pid(&mut file).map_err(LockError::Io)?;
        Ok(Self(file))
    }
}

/// Takes the lock of a file, waiting up to `patience` for whoever has it; whether it was taken.
pub(crate) fn take(file: &File, patience: Duration) -> io::Result<bool> {
    let until = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(RETRY),
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(source)) => return Err(of_call("flock", source)),
        }
    }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(line(std::process::id()).as_bytes())
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(PID_BYTES_MAX as u64).read_to_string(&mut text).ok()?;
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

/// Whether the lock file below `dir` is what a holder writes: nothing, or a line.
pub(crate) fn is_sound(dir: &Path) -> bool {
    match text(dir) {
        Ok(text) => text.is_empty() || parse(&text).is_some(),
        Err(error) => !matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput),
    }
}

/// Whether another process that still runs wrote the lock file below `dir`: it probably has the ledger. Wrong where
/// numbers of processes came again, or are another namespace's; so it may decide over no more than a moment's wait.
pub(crate) fn is_probably_held(dir: &Path) -> bool {
    let holder = text(dir).ok().and_then(|text| parse(&text));
    let holder = holder.filter(|pid| *pid != std::process::id());
    holder.is_some_and(|pid| Path::new("/proc").join(pid.to_string()).exists())
}

fn text(dir: &Path) -> io::Result<String> {
    let bytes = regular::read(&dir.join(LOCK_FILE), PID_BYTES_MAX)?;
    String::from_utf8(bytes).map_err(|_not_text| io::ErrorKind::InvalidData.into())
}

/// How long a process waits for another one that is about to end: within moments, all that it had is free.
pub(crate) const ENDING_PATIENCE: Duration = Duration::from_millis(500);

/// How often a lock is tried again.
pub(crate) const RETRY: Duration = Duration::from_millis(5);

pub(crate) const LOCK_FILE: &str = "lock";

/// Digits of the largest `u32`, a space, the check and a newline.
const PID_BYTES_MAX: usize = 20;
