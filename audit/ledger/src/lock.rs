//! The lock that makes one process the ledger's only writer.
//!
//! It is the kernel's (`flock(2)`), gone with the process; the file's content only says whose it is and must
//! never be trusted for more.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use tollgate_audit::lock::{LOCK_FILE, PID_BYTES_MAX, line, parse};
use tollgate_audit::regular;
use tollgate_system::of_call;

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

/// How often a lock is tried again.
pub(crate) const RETRY: Duration = Duration::from_millis(5);
