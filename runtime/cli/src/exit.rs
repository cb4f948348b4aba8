//! Exit codes, stable and documented in the README.

use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};

use miette::Report;

use tollgate::error::{CallError, CallErrorKind, CallFailure, CompileError, LoadError, WorkerError, with_causes};
use tollgate::log::LogLevel;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// The tool answered; the ledger verified; the call would be allowed.
    Success = 0,
    /// The tool refused, crashed or answered nonsense.
    Tool = 1,
    /// Arguments, files or requests that cannot be used; a ledger in use or out of reach.
    Usage = 2,
    /// The policy denied a call of the tool; the call would be denied.
    Violation = 3,
    /// A cap ended the call.
    Cap = 4,
    /// Tollgate itself failed; or a ledger, a proof or a decision on record does not hold: nothing ran, or `audit` found
    /// it.
    Internal = 5,
    /// Whoever asked for the call withdrew it: as a shell tells of a program that SIGINT ended.
    Cancelled = 130,
}

impl Exit {
    /// How this program ended as another process.
    pub(crate) fn of_status(status: ExitStatus) -> Self {
        let all = [Self::Success, Self::Tool, Self::Usage, Self::Violation, Self::Cap, Self::Cancelled];
        let same = all.into_iter().find(|exit| status.code() == Some(i32::from(*exit as u8)));
        same.unwrap_or(Self::Internal)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command has no result.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was given cannot be used.
    Usage(Report),
    /// The component cannot be used as a tool.
    Load {
        /// Its file.
        component: PathBuf,
        /// Why.
        error: LoadError,
    },
    /// The call failed.
    Call {
        /// How.
        failure: Box<CallFailure>,
        /// What an operator would change to let it through.
        hints: Vec<String>,
        /// What of the tool's log people are shown.
        log: LogLevel,
    },
    /// Tollgate itself failed.
    Internal(Report),
}

impl Failure {
    pub(crate) fn usage(error: impl miette::Diagnostic + Send + Sync + 'static) -> Self {
        Self::Usage(Report::new(error))
    }

    pub(crate) fn internal(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Internal(Report::from_err(error))
    }

    /// As [`Failure::internal`], with help for the user.
    pub(crate) fn internal_as(error: impl miette::Diagnostic + Send + Sync + 'static) -> Self {
        Self::Internal(Report::new(error))
    }

    /// Its causes in one line, if nothing was asked of a tool yet.
    pub(crate) fn causes(&self) -> String {
        match self {
            Self::Usage(report) | Self::Internal(report) => {
                report.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ")
            }
            Self::Load { error, .. } => with_causes(error),
            Self::Call { failure, .. } => with_causes(&failure.error),
        }
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Load {
                error: LoadError::Unrecorded(_) | LoadError::SetNotKept(_) | LoadError::Engine(_), ..
            }
            | Self::Internal(_) => Exit::Internal,
            Self::Load { error: LoadError::NoWorker(WorkerError::BelowFloor { .. }), .. } => Exit::Usage,
            Self::Load { error: LoadError::NoWorker(_), .. } => Exit::Internal,
            Self::Load { error: LoadError::Compile(CompileError::NoCompiler { .. }), .. } => Exit::Internal,
            Self::Load { error: LoadError::Describe { source }, .. } => of_call(&source.error),
            Self::Load { .. } => Exit::Usage,
            Self::Call { failure, .. } => of_call(&failure.error),
        }
    }
}

fn of_call(error: &CallError) -> Exit {
    if let CallError::NoWorker(WorkerError::BelowFloor { .. }) = error {
        return Exit::Usage;
    }
    match error.kind() {
        CallErrorKind::Rejected => Exit::Usage,
        CallErrorKind::Tool | CallErrorKind::Output | CallErrorKind::Trap => Exit::Tool,
        CallErrorKind::Violation => Exit::Violation,
        CallErrorKind::Cap => Exit::Cap,
        CallErrorKind::Cancelled => Exit::Cancelled,
        CallErrorKind::Worker | CallErrorKind::Internal => Exit::Internal,
    }
}
