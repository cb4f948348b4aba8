//! The lock file as readers meet it: its content says who has the ledger, and must never be trusted for more. The lock itself is
//! the kernel's (`flock(2)`), and its taker's.

use std::io;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::regular;

/// The process id and a check, so that a changed byte is told from another process.
pub fn line(pid: u32) -> String {
    let [c0, c1, c2, c3, ..] = <[u8; 32]>::from(Sha256::digest(pid.to_string()));
    format!("{pid} {}\n", hex::encode([c0, c1, c2, c3]))
}

/// The process id that a holder wrote.
pub fn parse(text: &str) -> Option<u32> {
    let pid = text.split_once(' ')?.0.parse().ok()?;
    (line(pid) == text).then_some(pid)
}

/// Whether the lock file below `dir` is what a holder writes: nothing, or a line.
pub fn is_sound(dir: &Path) -> bool {
    match text(dir) {
        Ok(text) => text.is_empty() || parse(&text).is_some(),
        Err(error) => !matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput),
    }
}

/// Whether another process that still runs wrote the lock file below `dir`: it probably has the ledger. Wrong where
/// numbers of processes came again, or are another namespace's; so it may decide over no more than a moment's wait.
pub fn is_probably_held(dir: &Path) -> bool {
    let holder = text(dir).ok().and_then(|text| parse(&text));
    let holder = holder.filter(|pid| *pid != std::process::id());
    holder.is_some_and(|pid| Path::new("/proc").join(pid.to_string()).exists())
}

fn text(dir: &Path) -> io::Result<String> {
    let bytes = regular::read(&dir.join(LOCK_FILE), PID_BYTES_MAX)?;
    String::from_utf8(bytes).map_err(|_not_text| io::ErrorKind::InvalidData.into())
}

pub const LOCK_FILE: &str = "lock";

/// Digits of the largest `u32`, a space, the check and a newline.
pub const PID_BYTES_MAX: usize = 20;
