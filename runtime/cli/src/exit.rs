//! Exit codes, stable; `docs/errors.md` has the one table of them, which a test holds against this file.

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
    /// More is asked at once than is taken; the same may succeed later (`EX_TEMPFAIL` of `sysexits.h`).
    Busy = 75,
    /// The call was withdrawn (as shells tell of `SIGINT`: 128 and its number).
    Cancelled = 130,
}

impl Exit {
    /// How this program ended as another process.
    pub(crate) fn of_status(status: ExitStatus) -> Self {
        let all = [Self::Success, Self::Tool, Self::Usage, Self::Violation, Self::Cap, Self::Busy, Self::Cancelled];
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
    /// The same may succeed later.
    Busy(Report),
    /// Tollgate itself failed.
    Internal(Report),
}

impl Failure {
    pub(crate) fn usage(error: impl miette::Diagnostic + Send + Sync + 'static) -> Self {
        Self::Usage(Report::new(error))
    }

    pub(crate) fn busy(error: impl miette::Diagnostic + Send + Sync + 'static) -> Self {
        Self::Busy(Report::new(error))
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
            Self::Usage(report) | Self::Busy(report) | Self::Internal(report) => {
                report.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ")
            }
            Self::Load { error, .. } => with_causes(error),
            Self::Call { failure, .. } => with_causes(&failure.error),
        }
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Busy(_) => Exit::Busy,
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
    of_kind(error.kind())
}

fn of_kind(kind: CallErrorKind) -> Exit {
    match kind {
        CallErrorKind::Rejected => Exit::Usage,
        CallErrorKind::Tool | CallErrorKind::Output | CallErrorKind::Trap => Exit::Tool,
        CallErrorKind::Violation => Exit::Violation,
        CallErrorKind::Cap => Exit::Cap,
        CallErrorKind::Cancelled => Exit::Cancelled,
        CallErrorKind::Busy => Exit::Busy,
        CallErrorKind::Worker | CallErrorKind::Internal => Exit::Internal,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tollgate_audit::CallClass;

    use super::*;

    /// The rows of the table: class in the ledger, `kind` in JSON, exit code, without their backticks.
    fn table() -> Vec<[String; 3]> {
        let rows = include_str!("../../../docs/errors.md").lines().filter(|line| line.starts_with("| "));
        let cells = |row: &str| -> Vec<String> {
            row.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect()
        };
        let mut rows = rows.map(cells);
        let head = rows.next().unwrap();
        assert_eq!(head, ["class in the ledger", "kind in JSON", "exit code", "meaning", "who has to act"]);
        rows.map(|row| {
            let [class, kind, exit, meaning, who] = row.try_into().unwrap();
            assert!(!meaning.is_empty() && !who.is_empty(), "{kind}");
            [class, kind, exit]
        })
        .collect()
    }

    /// Each kind, one after the other, so that a new one does not compile before it has its place here.
    fn kinds() -> impl Iterator<Item = CallErrorKind> {
        let next = |kind: &CallErrorKind| match kind {
            CallErrorKind::Rejected => Some(CallErrorKind::Tool),
            CallErrorKind::Tool => Some(CallErrorKind::Output),
            CallErrorKind::Output => Some(CallErrorKind::Trap),
            CallErrorKind::Trap => Some(CallErrorKind::Violation),
            CallErrorKind::Violation => Some(CallErrorKind::Cap),
            CallErrorKind::Cap => Some(CallErrorKind::Cancelled),
            CallErrorKind::Cancelled => Some(CallErrorKind::Busy),
            CallErrorKind::Busy => Some(CallErrorKind::Worker),
            CallErrorKind::Worker => Some(CallErrorKind::Internal),
            CallErrorKind::Internal => None,
        };
        std::iter::successors(Some(CallErrorKind::Rejected), next)
    }

    /// Each exit, likewise.
    fn exits() -> impl Iterator<Item = Exit> {
        let next = |exit: &Exit| match exit {
            Exit::Success => Some(Exit::Tool),
            Exit::Tool => Some(Exit::Usage),
            Exit::Usage => Some(Exit::Violation),
            Exit::Violation => Some(Exit::Cap),
            Exit::Cap => Some(Exit::Internal),
            Exit::Internal => Some(Exit::Busy),
            Exit::Busy => Some(Exit::Cancelled),
            Exit::Cancelled => None,
        };
        std::iter::successors(Some(Exit::Success), next)
    }

    const RESERVED: [(&str, &str); 2] = [("off", "6"), ("approval-needed", "7")];

    #[test]
    fn the_table_of_errors_has_each_kind_with_its_class_and_its_exit_code() {
        let table = table();
        for kind in kinds() {
            let name = serde_json::to_value(kind).unwrap();
            let rows: Vec<_> = table.iter().filter(|[_, kind, _]| name == kind.as_str()).collect();
            let [[class, _, exit]] = rows[..] else { panic!("{name}: {rows:?}") };
            let expected = (kind.class().as_str(), (of_kind(kind) as u8).to_string());
            assert_eq!((class.as_str(), exit), (expected.0, &expected.1), "{name}");
        }
        let others: Vec<_> = table.iter().filter(|[_, name, _]| !is_of_a_call(name)).cloned().collect();
        let expected = [
            ["success", "–", "0"],
            ["–", "usage", "2"],
            ["–", "load", "2"],
            ["–", "off", "6 (reserved)"],
            ["–", "approval-needed", "7 (reserved)"],
        ];
        assert_eq!(others, expected);
    }

    fn is_of_a_call(name: &str) -> bool {
        kinds().any(|kind| serde_json::to_value(kind).unwrap() == name)
    }

    #[test]
    fn the_table_of_errors_has_each_class_and_each_exit_code_and_no_other() {
        let table = table();
        let classes: BTreeSet<_> =
            table.iter().map(|[class, ..]| class.as_str()).filter(|class| *class != "–").collect();
        assert_eq!(classes, CallClass::ALL.iter().map(|class| class.as_str()).collect());
        let codes: BTreeSet<_> =
            table.iter().map(|[.., exit]| exit.trim_end_matches(" (reserved)").to_owned()).collect();
        let known = exits().map(|exit| (exit as u8).to_string());
        let reserved = RESERVED.map(|(_, code)| code.to_owned());
        assert!(exits().all(|exit| !reserved.contains(&(exit as u8).to_string())), "reserved, and used");
        assert_eq!(codes, known.chain(reserved).collect());
    }

    #[test]
    fn help_lists_each_exit_code() {
        let help = crate::command_line::EXIT_CODES;
        let listed: Vec<_> = help.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(listed, exits().map(|exit| (exit as u8).to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn each_exit_is_known_again_when_this_program_ran_as_another_process() {
        use std::os::unix::process::ExitStatusExt as _;
        for exit in exits() {
            assert_eq!(Exit::of_status(ExitStatus::from_raw(i32::from(exit as u8) << 8)), exit);
        }
    }
}
