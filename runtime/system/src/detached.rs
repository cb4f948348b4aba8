//! A process that outlives whoever started it, and has nothing of it: no open file, no session, no mask.

use std::io;

use rustix::fs::Mode;
use rustix::process::{setsid, umask};

use crate::of_call;

/// Has every file of this process but its standard streams closed in the programs that it starts from here on (`CLOSE_RANGE_CLOEXEC`):
/// those that it was started with and does not know.
///
/// # Errors
///
/// The kernel cannot (Linux before 5.11).
#[allow(unsafe_code, reason = "rustix has no close_range(2)")]
pub fn keep_files_from_programs() -> io::Result<()> {
    let first = libc::c_uint::try_from(libc::STDERR_FILENO).unwrap_or_default() + 1;
    let flags = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: takes numbers alone, and sets a flag: every file of this process stays open in it.
    let answer = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, flags) };
    if answer == 0 { Ok(()) } else { Err(of_call("close_range", io::Error::last_os_error())) }
}

/// Leaves what whoever started this process, which must have one thread, has of it: its session and terminal, its mask of signals and
/// its mask of new files' modes, which becomes 077.
///
/// # Errors
///
/// This process leads a group already, or the kernel refuses.
pub fn detach() -> io::Result<()> {
    setsid().map_err(|errno| of_call("setsid", errno))?;
    umask(Mode::RWXG | Mode::RWXO);
    block_no_signal()
}

#[allow(unsafe_code, reason = "rustix has no sigprocmask(2)")]
fn block_no_signal() -> io::Result<()> {
    // A bit for each of 64 signals, as the kernel has them.
    let (none, old, bytes) = (0_u64, std::ptr::null_mut::<u64>(), size_of::<u64>());
    // SAFETY: the kernel reads `none`, and writes nothing where the place for the old mask is null.
    let answer = unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const none, old, bytes) };
    if answer == 0 { Ok(()) } else { Err(of_call("rt_sigprocmask", io::Error::last_os_error())) }
}
