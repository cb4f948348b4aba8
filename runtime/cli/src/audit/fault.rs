//! What can be wrong with a ledger or an argument, for all subcommands.

use std::io;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use tollgate_audit::{OlderFormat, ReadError, VerifyError};
use tollgate_ledger::OpenError;

use crate::cause::{Place, advice};
use crate::exit::{Exit, Failure};
use crate::ledger::NEW_LEDGER;
use crate::report::aside;

#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("the side store beside the ledger cannot be read")]
#[diagnostic(help("{}", mend_side_store(source)))]
pub(super) struct SideStoreUnreadable {
    pub(super) source: io::Error,
}

#[derive(Debug, thiserror::Error, Diagnostic)]
pub(super) enum AuditError {
    #[error("`{given}` is not a {what}")]
    #[diagnostic(help("copy it from what tollgate printed, or see --help"))]
    Argument { given: String, what: &'static str },
    #[error("there is no ledger in `{}`", folder.display())]
    #[diagnostic(help("give its folder with --ledger; the first `tollgate run` makes one"))]
    NoLedger { folder: PathBuf },
    #[error("the ledger in `{}` cannot be read", folder.display())]
    #[diagnostic(help("{help}"))]
    Unreadable { folder: PathBuf, help: String, source: io::Error },
    #[error("the ledger in `{}` is damaged", folder.display())]
    #[diagnostic(help(
        "`tollgate audit show` prints what stands before the damage; `tollgate audit verify` says more"
    ))]
    Damaged { folder: PathBuf, source: ReadError },
    #[error("the last entry of the ledger in `{}` is not whole", folder.display())]
    #[diagnostic(help(
        "a crash left it so, or somebody cut the journal: `tollgate audit verify` says whether entries are missing that were signed"
    ))]
    Torn { folder: PathBuf, source: ReadError },
    #[error("the ledger in `{}` is not whole: entries are missing at its end", folder.display())]
    #[diagnostic(help(
        "somebody cut the journal, or put an older copy in its place: `tollgate audit verify` says more"
    ))]
    Cut { folder: PathBuf, source: ReadError },
    #[error("`{option}` is given no words")]
    #[diagnostic(help("nothing was done; say {what}: it goes on record"))]
    NoWords { option: &'static str, what: &'static str },
    #[error("the ledger in `{}` has no call `{given}`", folder.display())]
    #[diagnostic(help("`tollgate audit show` lists all calls"))]
    NoCall { folder: PathBuf, given: String },
    #[error("the ledger in `{}` has several calls `{given}`: {}", folder.display(), found.join(", "))]
    #[diagnostic(help("give more digits"))]
    SeveralCalls { folder: PathBuf, given: String, found: Vec<String> },
    #[error("the ledger in `{}` cannot be written to", folder.display())]
    #[diagnostic(help("{help}"))]
    Unwritable { folder: PathBuf, help: String, source: OpenError },
    #[error("cannot write `{}`", path.display())]
    #[diagnostic(help("{help}"))]
    File { path: PathBuf, help: String, source: io::Error },
}

fn mend_side_store(source: &io::Error) -> &'static str {
    if source.kind() == io::ErrorKind::InvalidData {
        "move away what has `.private` behind the ledger's name, or of it the file that is named: the ledger can be read without it"
    } else {
        "read it as the user that it belongs to; it is the folder with `.private` behind the ledger's name"
    }
}

pub(super) fn argument(given: &str, what: &'static str) -> Failure {
    Failure::usage(AuditError::Argument { given: given.to_owned(), what })
}

/// That a text for the record says something.
pub(super) fn must_say(option: &'static str, what: &'static str, given: Option<&str>) -> Result<(), Failure> {
    match given {
        Some(given) if given.trim().is_empty() => Err(Failure::usage(AuditError::NoWords { option, what })),
        Some(_) | None => Ok(()),
    }
}

const BROKEN: &str = "`tollgate audit verify` says more. If you restored the ledger from a copy, or know \
                      otherwise why it is so, `tollgate audit adopt --reason TEXT` goes on and records the break";

const CONTRADICTS: &str = "the folder contradicts itself, which no reason mends: `tollgate audit verify` says more. Restore \
                           another copy, or keep this one as it is and give a new folder with --ledger";

/// Says why what is printed is not all, and how the command ends for it.
pub(super) fn said(damage: &Failure) -> Exit {
    aside(damage);
    damage.exit()
}

/// A ledger that cannot be verified at all.
#[allow(clippy::wildcard_enum_match_arm, reason = "only where a file cannot be read is the folder to blame")]
pub(super) fn not_verified(folder: &Path, error: VerifyError) -> Failure {
    match error {
        VerifyError::Journal { source } | VerifyError::Checkpoint { source } | VerifyError::Other { source } => {
            unreadable(folder, source)
        }
        other => Failure::internal(other),
    }
}

#[allow(clippy::wildcard_enum_match_arm, reason = "only where a file cannot be read is the folder to blame")]
pub(super) fn not_read(folder: &Path, error: ReadError) -> Failure {
    match error {
        ReadError::Io { source } => unreadable(folder, source),
        source @ ReadError::Torn { .. } => Failure::internal_as(AuditError::Torn { folder: folder.to_owned(), source }),
        source @ ReadError::Cut { .. } => Failure::internal_as(AuditError::Cut { folder: folder.to_owned(), source }),
        source => Failure::internal_as(AuditError::Damaged { folder: folder.to_owned(), source }),
    }
}

pub(super) fn unreadable(folder: &Path, source: io::Error) -> Failure {
    let folder = folder.to_owned();
    if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
        return Failure::usage(AuditError::NoLedger { folder });
    }
    let help = if OlderFormat::is_cause_of(&source) {
        NEW_LEDGER.to_owned()
    } else if source.kind() == io::ErrorKind::PermissionDenied {
        "read it as the user that it belongs to, or give another folder with --ledger".to_owned()
    } else {
        advice(&source, Place::LEDGER)
    };
    Failure::usage(AuditError::Unreadable { folder, help, source })
}

/// A ledger that is needed for writing, with what to do about it.
pub(super) fn unwritable(folder: &Path, source: OpenError) -> Failure {
    unusable(folder, source, BROKEN)
}

/// A ledger that even an operator's word does not mend.
pub(super) fn not_adopted(folder: &Path, source: OpenError) -> Failure {
    unusable(folder, source, CONTRADICTS)
}

#[allow(clippy::wildcard_enum_match_arm, reason = "all that is left says that the ledger cannot be trusted")]
fn unusable(folder: &Path, source: OpenError, broken: &str) -> Failure {
    let (damaged, help) = match &source {
        OpenError::InUse { .. } => (false, "wait for longer with --wait, or end that process".to_owned()),
        OpenError::Io { source, .. } if OlderFormat::is_cause_of(source) => (false, NEW_LEDGER.to_owned()),
        OpenError::OlderState { .. } => (false, NEW_LEDGER.to_owned()),
        OpenError::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            (false, "do it as the user that the ledger belongs to".to_owned())
        }
        OpenError::Io { source, .. } => (false, advice(source, Place::LEDGER)),
        OpenError::NothingToAdopt => (false, "`tollgate run` goes on with it".to_owned()),
        OpenError::DataLost { .. }
        | OpenError::DataChanged { .. }
        | OpenError::AddedWhileClosed { .. }
        | OpenError::StateMissing { .. }
        | OpenError::State { .. } => (true, broken.to_owned()),
        OpenError::KeyMissing { .. } | OpenError::OtherKey { .. } => {
            (true, "put the ledger's key back, the file with `.key` behind the ledger's name".to_owned())
        }
        _ => (true, "`tollgate audit verify` says more".to_owned()),
    };
    let help = format!("nothing was done; {help}");
    let report = miette::Report::new(AuditError::Unwritable { folder: folder.to_owned(), help, source });
    if damaged { Failure::Internal(report) } else { Failure::Usage(report) }
}
