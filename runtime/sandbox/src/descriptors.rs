//! Closes the descriptors that a process was started with and does not need.

use std::io;
use std::os::fd::RawFd;

use tollgate_system::of_call;

/// Closes all from 3 on but `kept`.
pub(super) fn close_but(kept: &mut [RawFd]) -> io::Result<()> {
    kept.sort_unstable();
    let mut next = u32::try_from(libc::STDERR_FILENO).unwrap_or_default() + 1;
    for fd in kept.iter().filter_map(|&fd| u32::try_from(fd).ok()) {
        if fd > next {
            close_range(next, fd - 1)?;
        }
        next = next.max(fd.saturating_add(1));
    }
    close_range(next, u32::MAX)
}

#[allow(unsafe_code, reason = "no crate here has close_range(2)")]
pub(super) fn close_range(first: u32, last: u32) -> io::Result<()> {
    let flags: u32 = 0;
    // SAFETY: takes numbers alone. The callers of `strip` and `close_inherited` promise that nothing here uses these files again.
    let answer = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    if answer == 0 { Ok(()) } else { Err(of_call("close_range", io::Error::last_os_error())) }
}
