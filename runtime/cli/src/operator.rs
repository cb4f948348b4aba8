//! The daemon that has a ledger, as its operator's commands speak with it.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use miette::{Diagnostic, LabeledSpan, NamedSource};
use rustix::io::Errno;
use tollgate_audit::lock;
use tollgate_daemon::{Fault, FaultyFile, Operator, OperatorError};

use super::exit::Failure;

#[derive(Debug, thiserror::Error, Diagnostic)]
enum OperatorFailure {
    #[error("no daemon has the ledger in `{}`", folder.display())]
    #[diagnostic(help("start one with `tollgate serve`, or name its ledger with --ledger"))]
    NoDaemon { folder: PathBuf },
    #[error("whether a daemon has the ledger in `{}` is for the user {uid} to see, whose ledger it is", folder.display())]
    #[diagnostic(help("ask as that user, or name another ledger with --ledger"))]
    Unseen { folder: PathBuf, uid: u32 },
    #[error("the daemon that has the ledger in `{}` is the user {uid}'s, and answers nobody else", folder.display())]
    #[diagnostic(help("ask as that user, or name another ledger with --ledger"))]
    OfAnother { folder: PathBuf, uid: u32 },
    #[error("the daemon does not do it")]
    #[diagnostic(help("{help}"))]
    Refused { help: &'static str, source: OperatorError },
    #[error("the daemon does not do it: {}", fault.message)]
    #[diagnostic(help("{}{RELOAD_HELP}", fault.help.as_ref().map(|help| format!("{help}\n")).unwrap_or_default()))]
    NotReloaded { fault: Box<Fault> },
    #[error("the daemon does not do it: {message}")]
    #[diagnostic(help("{}{RELOAD_HELP}", help.as_ref().map(|help| format!("{help}\n")).unwrap_or_default()))]
    WrongPolicy {
        message: String,
        help: Option<String>,
        #[source_code]
        text: NamedSource<String>,
        #[label(collection)]
        labels: Vec<LabeledSpan>,
    },
}

/// What the daemon of this ledger is told.
pub(crate) fn operator(ledger: &Path) -> Result<Operator, Failure> {
    found(ledger, RESTART_HELP)?.ok_or_else(|| {
        let folder = ledger.to_owned();
        let unseen = hidden_by(ledger).map(|uid| OperatorFailure::Unseen { folder: folder.clone(), uid });
        Failure::usage(unseen.unwrap_or(OperatorFailure::NoDaemon { folder }))
    })
}

/// The daemon of this ledger, if one has it and takes this user.
pub(crate) fn found(ledger: &Path, help: &'static str) -> Result<Option<Operator>, Failure> {
    let failed = |error| {
        if let OperatorError::OfAnother { uid } = error {
            return Failure::usage(OperatorFailure::OfAnother { folder: ledger.to_owned(), uid });
        }
        refused(error, help)
    };
    running(ledger).transpose().map_err(failed)
}

/// The user who hides from this one who has a ledger.
fn hidden_by(ledger: &Path) -> Option<u32> {
    let is_hidden = |path: &Path| rustix::fs::access(path, rustix::fs::Access::READ_OK) == Err(Errno::ACCESS);
    if !is_hidden(&ledger.join(lock::LOCK_FILE)) {
        return None;
    }
    let seen = ledger.ancestors().find_map(|folder| std::fs::metadata(folder).ok());
    seen.map(|folder| folder.uid()).filter(|uid| *uid != rustix::process::geteuid().as_raw())
}

/// The daemon of a ledger, if one has it: its lock names it.
pub(crate) fn running(ledger: &Path) -> Option<Result<Operator, OperatorError>> {
    let holder = lock::holder(ledger)?;
    let socket = holder.daemon?;
    match Operator::connect(&socket) {
        // What a daemon left that was killed.
        Err(OperatorError::NoDaemon { .. }) => None,
        Err(OperatorError::OfAnother { .. }) if !lock::is_probably_held(ledger) => None,
        connected => Some(connected),
    }
}

/// Why a policy that was read again does not hold, as at a start.
pub(crate) fn not_reloaded(error: OperatorError) -> Failure {
    let OperatorError::NotReloaded(mut fault) = error else { return refused(error, RESTART_HELP) };
    let Some(FaultyFile { name, text, labels, place: _ }) = fault.file.take() else {
        return Failure::usage(OperatorFailure::NotReloaded { fault });
    };
    let labels = labels.into_iter().map(|(label, offset, length)| LabeledSpan::new(label, offset, length)).collect();
    let Fault { message, help, file: _ } = *fault;
    Failure::usage(OperatorFailure::WrongPolicy { message, help, text: NamedSource::new(name, text), labels })
}

/// Has the daemon of a ledger, if one has it, tell whoever listens that a tool was installed or removed.
pub(crate) fn tools_changed(ledger: Option<PathBuf>) {
    // Whoever does not listen looks again in a while.
    if let Some(Ok(operator)) = ledger.and_then(|ledger| running(&ledger)) {
        operator.changed().unwrap_or_default();
    }
}

pub(crate) fn refused(source: OperatorError, help: &'static str) -> Failure {
    let help = if matches!(source, OperatorError::Channel(_)) { RESTART_HELP } else { help };
    Failure::usage(OperatorFailure::Refused { help, source })
}

pub(crate) const RESTART_HELP: &str =
    "restart the daemon: `tollgate serve stop`, then `tollgate serve`, or `tollgate service restart`";
const RELOAD_HELP: &str = "the policy before holds on; mend that, then reload again";
