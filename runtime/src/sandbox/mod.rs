//! The one door through which a process of Tollgate gives up what it does not need: files (`landlock(7)`), then system
//! calls (`seccomp(2)`). There is no way back, and no way to skip a step: [`Confined`] is made by the first alone.
//!
//! ```text
//! confine(folders) ─▶ Confined ─▶ start threads ─▶ Confined::allow_only(calls)
//! ```

mod calls;
mod files;

use std::io;
use std::path::Path;

pub(crate) use calls::{ANY, Bits, Call, NOT_EXECUTABLE};

/// Proof that this process reaches the files below its folders and no others.
#[must_use = "the system calls are still open"]
#[derive(Debug)]
pub(crate) struct Confined(());

/// Leaves this process, which must have one thread, what is below `folders`, no network, and signals to itself. A kernel
/// without Landlock leaves that to the system calls.
///
/// # Errors
///
/// The kernel has Landlock and refuses.
pub(crate) fn confine(folders: &[&Path]) -> io::Result<Confined> {
    files::restrict(folders).map_err(io::Error::other)?;
    Ok(Confined(()))
}

impl Confined {
    /// Leaves every thread of this process the system calls in `calls`, and what every process does; any other gives
    /// `EPERM`.
    ///
    /// # Errors
    ///
    /// The kernel has no seccomp, or refuses.
    pub(crate) fn allow_only(self, calls: &[Call]) -> io::Result<()> {
        calls::allow_only(calls).map_err(io::Error::other)
    }
}
