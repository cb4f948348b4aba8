//! The lock that makes one process the ledger's only writer.
//!
//! It is the kernel's (`flock(2)`), gone with the process; the file's content only says whose it is and must
//! never be trusted for more.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use tollgate_audit::lock::{Holder, LINE_BYTES_MAX, LOCK_FILE, line, parse};
use tollgate_audit::regular;
use tollgate_system::of_call;

/// Held as long as it lives.
#[derive(Debug)]
pub(crate) struct LedgerLock(File);

#[derive(Debug)]
pub(crate) enum LockError {
    Io(io::Error),
    /// `pid` is whom the holder named; it may not have got to it.
    Held {
        pid: Option<u32>,
    },
}

impl LedgerLock {
    /// Takes the lock of the ledger in `dir`, and names `holder` in it; this process if none is given.
    pub(crate) fn acquire(dir: &Path, holder: Option<&Holder>) -> Result<Self, LockError> {
        let line = line_of(holder).map_err(LockError::Io)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = regular::open_with(&mut options, &dir.join(LOCK_FILE)).map_err(LockError::Io)?;
        if !take(&file, Duration::ZERO).map_err(LockError::Io)? {
            return Err(LockError::Held { pid: read_pid(&mut file) });
        }
        write(&file, &line).map_err(LockError::Io)?;
        Ok(Self(file))
    }

    /// Names this process, whoever it named before.
    pub(crate) fn name_this_process(&self) -> io::Result<()> {
        write(&self.0, &line_of(None)?)
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

fn line_of(holder: Option<&Holder>) -> io::Result<String> {
    match holder {
        Some(Holder { pid, daemon }) => line(*pid, daemon.as_deref()),
        None => line(std::process::id(), None),
    }
}

fn write(mut file: &File, line: &str) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(line.as_bytes())
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(LINE_BYTES_MAX as u64).read_to_string(&mut text).ok()?;
    parse(&text).map(|holder| holder.pid)
}

/// How often a lock is tried again.
pub(crate) const RETRY: Duration = Duration::from_millis(5);
