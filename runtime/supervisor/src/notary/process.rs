//! The notary's own process.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use tollgate_engine::surroundings::survive_size_limit;
use tollgate_notary::{Notary, NotaryError, NotaryOf};
use tollgate_sandbox::trusted;

use super::seal;

/// Which ledger the notary keeps.
#[derive(Debug, Clone)]
pub struct NotaryRole {
    /// The ledger's folder.
    pub ledger: PathBuf,
    /// Its name; `None` for the one that it has. That of a new ledger is then drawn, so that no two have the same.
    pub origin: Option<String>,
    /// Name and version of the software, for the record.
    pub software: String,
}

/// Keeps a ledger as the process that [`NotaryProcess`](super::NotaryProcess) started, until its supervisor is gone and the
/// pipe of its writer is drained. Closes every file that it inherited but its standard streams, and seals this process
/// first: its ledger's folder is all that it can reach.
///
/// # Errors
///
/// [`NotaryError`]. The supervisor has been told.
///
/// # Safety
///
/// Nothing in this process owns or borrows a file beside its standard streams, or never uses nor closes it again: they are
/// all closed. So this is what a `main` does first, and it ends when this returns.
#[allow(unsafe_code, reason = "it closes what others may own, and says so")]
pub unsafe fn serve(role: &NotaryRole) -> Result<(), NotaryError> {
    let NotaryRole { ledger, origin, software } = role;
    survive_size_limit();
    let now_ns = now_ns();
    let control = control()?;
    // What the supervisor's starter had open is none of the record's business.
    // SAFETY: the caller promises it; the descriptor that was made here is kept.
    unsafe { trusted::close_inherited(&[control.as_fd()]) }?;
    let of = NotaryOf { folder: ledger, origin: origin.as_deref(), software, now_ns };
    let notary = Notary::open(of, control)?;
    let confined = trusted::confine(&[ledger])?;
    // Its last thread, while threads can be made.
    let started = notary.start()?;
    seal::seal(confined)?;
    started.serve()
}

/// The socket to the supervisor, which is this process's standard input.
fn control() -> std::io::Result<OwnedFd> {
    std::io::stdin().as_fd().try_clone_to_owned()
}

#[allow(clippy::disallowed_methods, reason = "the notary reads the clock once, for the entry that opens the ledger")]
fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
