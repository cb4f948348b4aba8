//! A process that must not outlive the one that started it, nor have its terminal: hosts and the compiler. Notaries outlive
//! theirs, to bring what pipes hold to disk.

use std::io;

use rustix::process::{Signal, getppid, set_parent_process_death_signal, setsid};

/// A session of its own, whose terminal is none, and no life without the process `parent`, as [`die_with`] says.
///
/// # Errors
///
/// As [`die_with`]; or this process leads a group already.
pub(crate) fn belong_to(parent: u32) -> io::Result<()> {
    setsid()?;
    die_with(parent)
}

/// Has the kernel end this process with the thread that started it (`PR_SET_PDEATHSIG`, `prctl(2)`), which must be one of
/// the process `parent`.
///
/// # Errors
///
/// That process is gone already, or the kernel refuses.
fn die_with(parent: u32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have died before that was set; then another process is the parent by now.
    let now = getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    if now == Some(parent) { Ok(()) } else { Err(io::Error::other("the process that started this one is gone")) }
}
