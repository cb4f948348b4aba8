//! A process that must not outlive the one that started it, nor have its terminal: workers and the compiler. Notaries outlive
//! theirs, to bring what pipes hold to disk. And that a process can be ended by the one that started it.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use crate::of_call;
use rustix::process::{Signal, getppid, set_parent_process_death_signal, setsid};

/// A session of its own, whose terminal is none, and no life without the process `parent`, which it dies with (`PR_SET_PDEATHSIG`).
///
/// # Errors
///
/// That process is gone already, or the kernel refuses; or this process leads a group already.
pub fn belong_to(parent: u32) -> io::Result<()> {
    setsid().map_err(|errno| of_call("setsid", errno))?;
    die_with(parent)
}

/// Has the kernel end this process with the thread that started it (`PR_SET_PDEATHSIG`, `prctl(2)`), which must be one of
/// the process `parent`.
///
/// # Errors
///
/// That process is gone already, or the kernel refuses.
fn die_with(parent: u32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|errno| of_call("prctl(PR_SET_PDEATHSIG)", errno))?;
    // It may have died before that was set; then another process is the parent by now.
    match getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs()) {
        Some(now) if now == parent => Ok(()),
        Some(_another) => Err(io::Error::other("the process that started this one is gone")),
        None => Err(io::Error::other(
            "the process that started this one is in another PID namespace: start it inside (`unshare --pid --fork`)",
        )),
    }
}

/// Whether this process may end another one by its descriptor; nothing is sent.
///
/// # Errors
///
/// It may not, or the process is gone.
#[allow(unsafe_code, reason = "rustix sends real signals alone")]
pub fn may_signal(process: &OwnedFd) -> io::Result<()> {
    let (nothing, unused, flags): (libc::c_int, *const libc::siginfo_t, libc::c_uint) = (0, std::ptr::null(), 0);
    // SAFETY: signal 0 asks alone, and of a null pointer the kernel reads nothing.
    let answer = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), nothing, unused, flags) };
    if answer == 0 { Ok(()) } else { Err(of_call("pidfd_send_signal", io::Error::last_os_error())) }
}
