//! The daemon that has a ledger, as its operator's commands speak with it.

use std::path::{Path, PathBuf};

use miette::Diagnostic;
use tollgate_daemon::{Operator, OperatorError};

use super::exit::Failure;

#[derive(Debug, thiserror::Error, Diagnostic)]
enum OperatorFailure {
    #[error("no daemon has the ledger in `{}`", folder.display())]
    #[diagnostic(help("start one with `tollgate serve`, or name its ledger with --ledger"))]
    NoDaemon { folder: PathBuf },
    #[error("the daemon does not do it: {source}")]
    #[diagnostic(help("{help}"))]
    Refused { help: &'static str, source: OperatorError },
}

/// What the daemon of this ledger is told.
pub(crate) fn operator(ledger: &Path) -> Result<Operator, Failure> {
    match running(ledger) {
        Some(operator) => operator.map_err(|source| refused(source, RESTART_HELP)),
        None => Err(Failure::usage(OperatorFailure::NoDaemon { folder: ledger.to_owned() })),
    }
}

/// The daemon of a ledger, if one has it: its lock names it.
pub(crate) fn running(ledger: &Path) -> Option<Result<Operator, OperatorError>> {
    let holder = tollgate_audit::lock::holder(ledger)?;
    let socket = holder.daemon?;
    match Operator::connect(&socket) {
        // What a daemon left that was killed.
        Err(OperatorError::NoDaemon { .. }) => None,
        connected => Some(connected),
    }
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
pub(crate) const RELOAD_HELP: &str = "the policy before holds on; mend the file, then reload again";
