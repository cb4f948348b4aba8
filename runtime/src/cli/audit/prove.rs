//! `tollgate audit prove`, and the receipt that `tollgate run` writes.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use rustix::fs::OFlags;
use tollgate_audit::{
    CallId, CheckpointError, LeafIndex, Ledger, OpenError, ReceiptError, Sequence, disclose, prove as receipt_of,
};

use super::args::ProveArgs;
use super::fault::{AuditError, unwritable};
use super::one_call;
use crate::cli::cause::{Place, advice};
use crate::cli::exit::{Exit, Failure};
use crate::cli::given::is_dash;
use crate::cli::ledger::{Patience, SOFTWARE};
use crate::cli::{config, output};

#[derive(Debug, thiserror::Error, Diagnostic)]
enum ProveFault {
    #[error("call {call} has no end on record")]
    #[diagnostic(help("what is proven is its end: wait for it; a call whose worker died never gets one"))]
    NotEnded { call: CallId },
    #[error("call {call} has no entry #{intent} before its end")]
    #[diagnostic(help("it has #0 to #{last}, as `tollgate audit show --call {call}` prints them"))]
    NoEntry { call: CallId, intent: u32, last: u32 },
    #[error("no checkpoint covers entry {index} yet, and the ledger is in use{}", by(*pid))]
    #[diagnostic(help("its notary signs one within moments: wait for longer with --wait"))]
    NotCovered { index: LeafIndex, pid: Option<u32> },
    #[error("no checkpoint can be made of the ledger in `{}`", folder.display())]
    #[diagnostic(help("`tollgate audit verify` says what the ledger holds"))]
    NoCheckpoint { folder: PathBuf, source: CheckpointError },
    #[error("no receipt can be made out of the ledger in `{}`", folder.display())]
    #[diagnostic(help("`tollgate audit verify` says what the ledger holds"))]
    NoReceipt { folder: PathBuf, source: ReceiptError },
    #[error(transparent)]
    #[diagnostic(help("look at the disk, and do it again"))]
    NotSaved(SaveError),
}

/// Why there is no receipt of a call that is over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SaveError {
    #[error("it cannot be made out of the ledger")]
    Receipt { source: ReceiptError },
    #[error("cannot write `{}`", path.display())]
    File { path: PathBuf, source: io::Error },
}

pub(super) fn prove(args: &ProveArgs, folder: &Path) -> Result<Exit, Failure> {
    let one = one_call::find(folder, &args.call)?;
    let call = one.id;
    let Some((index, end)) = one.end else { return Err(Failure::usage(ProveFault::NotEnded { call })) };
    if let Some(intent) = args.intents.iter().find(|intent| **intent >= end.entries) {
        let last = end.entries.saturating_sub(1);
        return Err(Failure::usage(ProveFault::NoEntry { call, intent: *intent, last }));
    }
    let mut chosen: Vec<_> = args.intents.iter().copied().map(Sequence).collect();
    chosen.sort_unstable();
    chosen.dedup();
    let saved = args.out.as_deref().filter(|path| !is_dash(path)).map(SavedReceipt::reserve).transpose()?;
    let make = || match chosen.as_slice() {
        [] => receipt_of(folder, index).map(|receipt| receipt.to_string()),
        chosen => disclose(folder, call, chosen).map(|disclosure| disclosure.to_string()),
    };
    let mut patience = Patience::new(args.ledger.wait);
    let text = loop {
        match make() {
            Err(ReceiptError::NotCovered { .. } | ReceiptError::Unsigned) => {}
            made => break made,
        }
        // If another process has the ledger, its notary is about to sign.
        match sign(folder)? {
            Signed::Now => break make(),
            Signed::InUse { pid } => {
                let why = OpenError::InUse { pid }.to_string();
                if !patience.allows_another_try(folder, &why) {
                    return Err(Failure::usage(ProveFault::NotCovered { index, pid }));
                }
            }
        }
    };
    let folder = folder.to_owned();
    let text = text.map_err(|source| Failure::internal_as(ProveFault::NoReceipt { folder, source }))?;
    match saved {
        Some(saved) => saved.keep(&text).map_err(|error| Failure::internal_as(ProveFault::NotSaved(error)))?,
        None => output::print(&text).map(|_reader| ())?,
    }
    Ok(Exit::Success)
}

enum Signed {
    Now,
    /// By this process, if it says so.
    InUse {
        pid: Option<u32>,
    },
}

/// Has a checkpoint signed of the whole ledger, if nobody else has it.
fn sign(folder: &Path) -> Result<Signed, Failure> {
    let ledger = match open(folder) {
        Ok(ledger) => ledger,
        Err(OpenError::InUse { pid }) => return Ok(Signed::InUse { pid }),
        Err(error) => return Err(unwritable(folder, error)),
    };
    let signed = ledger.checkpoint();
    signed
        .map(|_checkpoint| Signed::Now)
        .map_err(|source| Failure::internal_as(ProveFault::NoCheckpoint { folder: folder.to_owned(), source }))
}

/// Opens a ledger that is there for writing, under the name that it has.
pub(super) fn open(folder: &Path) -> Result<Ledger, OpenError> {
    Ledger::reopen(folder, SOFTWARE, config::now_ns())
}

fn by(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" by process {pid}")).unwrap_or_default()
}

/// A file for a receipt, made before it is needed so that it can be written then; removed again if it is not. It is locked as
/// long, so that what a killed command left empty is told from what a running one will write to.
pub(crate) struct SavedReceipt {
    path: PathBuf,
    file: File,
    is_kept: bool,
}

impl SavedReceipt {
    /// Makes the file. One that is there already is evidence, and left alone, unless it is empty and nobody will write to it.
    pub(crate) fn reserve(path: &Path) -> Result<Self, Failure> {
        let file = reserved(path).map_err(|source| {
            let help = if source.kind() == io::ErrorKind::AlreadyExists {
                "nothing was done; it is there already: give another name".to_owned()
            } else {
                format!("nothing was done; {}", advice(&source, Place::OUTPUT))
            };
            Failure::usage(AuditError::File { path: path.to_owned(), help, source })
        })?;
        Ok(Self { path: path.to_owned(), file, is_kept: false })
    }

    /// Writes the receipt of the entry `index`.
    pub(crate) fn prove(self, folder: &Path, index: LeafIndex) -> Result<(), SaveError> {
        let receipt = receipt_of(folder, index).map_err(|source| SaveError::Receipt { source })?;
        self.keep(&receipt.to_string())
    }

    fn keep(mut self, text: &str) -> Result<(), SaveError> {
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_all());
        self.is_kept = written.is_ok();
        written.map_err(|source| SaveError::File { path: self.path.clone(), source })
    }
}

/// A file at `path` that is empty, and this process's to write to.
fn reserved(path: &Path) -> io::Result<File> {
    let there = match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(file) => {
            // Where files cannot be locked no other process takes an empty one over.
            return match file.try_lock() {
                Err(TryLockError::WouldBlock) => Err(io::ErrorKind::AlreadyExists.into()),
                Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
            };
        }
        Err(error) => error,
    };
    if there.kind() != io::ErrorKind::AlreadyExists {
        return Err(there);
    }
    left_empty(path).ok_or(there)
}

/// The file at `path`, if a command that was killed left it empty.
fn left_empty(path: &Path) -> Option<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = OpenOptions::new().write(true).custom_flags(flags).open(path).ok()?;
    file.try_lock().ok()?;
    // Before it was locked, another process may have written to it, or put another in its place.
    let (opened, named) = (file.metadata().ok()?, fs::symlink_metadata(path).ok()?);
    let is_same = (opened.dev(), opened.ino()) == (named.dev(), named.ino());
    (is_same && opened.is_file() && opened.len() == 0).then_some(file)
}

impl Drop for SavedReceipt {
    fn drop(&mut self) {
        if !self.is_kept {
            // An empty file is no receipt, and says so.
            fs::remove_file(&self.path).ok();
        }
    }
}
