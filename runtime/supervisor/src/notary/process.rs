//! The notary's own process: `main` hears the supervisors and moves entries; `checkpointer` syncs and signs.

use std::ffi::OsString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use tollgate_audit::lock::Holder;
use tollgate_engine::surroundings::survive_size_limit;
use tollgate_notary::{Notary, NotaryError, NotaryOf};
use tollgate_sandbox::trusted;
use tollgate_system::ProcessCommand;

use super::seal;

/// Which ledger the notary keeps.
#[derive(Debug, Clone)]
pub struct NotaryRole {
    /// The ledger's folder.
    pub ledger: PathBuf,
    /// Its name; `None` keeps the name that it has. The name of a new ledger is then drawn, so that no two have the same.
    pub origin: Option<String>,
    /// Name and version of the software, for the record.
    pub software: String,
    /// The socket on which the daemon that starts it hears clients, if it is one that does: an absolute path of at most 255 bytes.
    /// The ledger's lock names it, and the daemon's process.
    pub daemon: Option<PathBuf>,
}

impl NotaryRole {
    /// The `tollgate` command at `program`, as this notary.
    #[must_use]
    pub fn command(&self, program: &Path) -> ProcessCommand {
        let Self { ledger, origin, software, daemon } = self;
        let mut arguments: Vec<OsString> = vec!["notary".into(), "--ledger".into(), ledger.into()];
        arguments.extend(["--software", software].map(Into::into));
        arguments.extend(origin.iter().flat_map(|origin| ["--origin", origin]).map(Into::into));
        arguments.extend(daemon.iter().flat_map(|daemon| [OsString::from("--daemon"), daemon.into()]));
        ProcessCommand::new(program, arguments)
    }
}

/// Keeps a ledger as the process that [`NotaryProcess`](super::NotaryProcess) started. Closes every inherited file but the
/// standard streams, opens the ledger, and seals this process, which then reaches the ledger's folder and nothing else. Returns
/// once all supervisors are gone and the pipes of their writers are drained.
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
    let NotaryRole { ledger, origin, software, daemon } = role;
    survive_size_limit();
    let now_ns = now_ns();
    let control = control()?;
    // Files that the supervisor's starter had open do not concern the record.
    // SAFETY: the caller promises it; the descriptor that was made here is kept.
    unsafe { trusted::close_inherited(&[control.as_fd()]) }?;
    let holder = daemon.as_deref().and_then(daemon_of);
    let of = NotaryOf { folder: ledger, origin: origin.as_deref(), software, now_ns, holder: holder.as_ref() };
    let notary = Notary::open(of, control)?;
    let confined = trusted::confine(&[ledger])?;
    // Starts its last thread, while threads can be started.
    let started = notary.start()?;
    seal::seal(confined)?;
    started.serve()
}

/// The daemon that started this process; `None` if it is gone already.
fn daemon_of(socket: &Path) -> Option<Holder> {
    let parent = rustix::process::getppid()?;
    let pid = u32::try_from(parent.as_raw_pid()).ok()?;
    Some(Holder { pid, daemon: Some(socket.to_owned()) })
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
