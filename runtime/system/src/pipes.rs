//! Pipes whose bytes are looked at before they are taken out.

use std::io;
use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice, tee};

use crate::of_call;

/// Takes a byte from one pipe to another as the notary takes entries: where something around this process refuses that, the
/// start of the notary says so, and not each entry.
///
/// # Errors
///
/// Of the operating system, with the name of the call.
pub fn can_take_from_pipes() -> io::Result<()> {
    let ((from, fill), (_seen, look), (_taken, take)) = (pipe()?, pipe()?, pipe()?);
    rustix::io::write(&fill, &[0])?;
    tee(&from, &look, 1, SpliceFlags::NONBLOCK).map_err(|errno| of_call("tee", errno))?;
    splice(&from, None, &take, None, 1, SpliceFlags::NONBLOCK).map_err(|errno| of_call("splice", errno))?;
    Ok(())
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).map_err(|errno| of_call("pipe2", errno))
}
