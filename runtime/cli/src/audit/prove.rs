//! `tollgate audit prove`, and the receipt that `tollgate run` writes.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use rustix::fs::OFlags;
use tollgate_audit::{CallId, LeafIndex, ReceiptError, Sequence, disclose, prove as receipt_of};
use tollgate_ledger::{CheckpointError, Ledger, OpenError};

use super::args::ProveArgs;
use super::fault::{AuditError, unwritable};
use super::one_call;
use crate::cause::{Place, advice};
use crate::exit::{Exit, Failure};
use crate::given::is_dash;
use crate::ledger::{Patience, SOFTWARE};
use crate::{config, load, output};
use tollgate_authority::{Deciding, DecidingPlaces, exposed_to, file_id};

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
    #[error("`{}` is no place for a receipt: {what} is there", path.display())]
    #[diagnostic(help("nothing was done; name a file elsewhere"))]
    Decides { path: PathBuf, what: Deciding },
    #[error("`{}` is where standard output or standard error goes", path.display())]
    #[diagnostic(help("nothing was done; name another file for the receipt"))]
    Stream { path: PathBuf },
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
    let out = args.out.as_deref().filter(|path| !is_dash(path));
    let places = || Ok(config::deciding_places(None, &load::working_folder()?).with_ledger(folder));
    let saved = out.map(|path| SavedReceipt::reserve(path, &places()?)).transpose()?;
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

/// A file for a receipt, made before it is needed so that it can be written then; removed again if it is not, and was made here.
/// It is locked as long, so that what a killed command left empty is told from what a running one will write to.
pub(crate) struct SavedReceipt {
    path: PathBuf,
    file: File,
    is_new: bool,
}

/// Why a call that is over has no receipt.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("call {call} is over, and has no receipt")]
#[diagnostic(help(
    "its answer, if it has one, is withheld; `tollgate audit prove --call {call}` makes a receipt later"
))]
struct NoReceipt {
    call: CallId,
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// A call is over, and nothing can prove it.
pub(crate) fn no_receipt(call: CallId, source: Box<dyn std::error::Error + Send + Sync>) -> Failure {
    Failure::internal_as(NoReceipt { call, source })
}

impl SavedReceipt {
    /// Makes the file, which is at none of `places`. One that is there already is evidence, and left alone, unless it is empty
    /// and nobody will write to it.
    pub(crate) fn reserve(path: &Path, places: &DecidingPlaces) -> Result<Self, Failure> {
        if let Some(what) = places.holding(path) {
            return Err(Failure::usage(ProveFault::Decides { path: path.to_owned(), what }));
        }
        let (file, is_new) = reserved(path).map_err(|source| {
            let help = if source.kind() == io::ErrorKind::AlreadyExists {
                "nothing was done; it is there already: give another name".to_owned()
            } else {
                format!("nothing was done; {}", advice(&source, Place::OUTPUT))
            };
            Failure::usage(AuditError::File { path: path.to_owned(), help, source })
        })?;
        let saved = Self { path: path.to_owned(), file, is_new };
        if is_stream(&saved.file) {
            return Err(Failure::usage(ProveFault::Stream { path: path.to_owned() }));
        }
        Ok(saved)
    }

    /// Writes the receipt of the entry `index`.
    pub(crate) fn prove(self, folder: &Path, index: LeafIndex) -> Result<(), SaveError> {
        let receipt = receipt_of(folder, index).map_err(|source| SaveError::Receipt { source })?;
        self.keep(&receipt.to_string())
    }

    fn keep(mut self, text: &str) -> Result<(), SaveError> {
        let failed = |source| SaveError::File { path: self.path.clone(), source };
        // The call has taken its time.
        if empty_at(&self.path, &self.file).is_none() {
            return Err(failed(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "somebody has written it, or exchanged it",
            )));
        }
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_all());
        if let Err(source) = written {
            self.file.set_len(0).ok();
            return Err(failed(source));
        }
        self.is_new = false;
        Ok(())
    }
}

/// A file at `path` that is empty, and this process's to write to; whether it was made for that.
fn reserved(path: &Path) -> io::Result<(File, bool)> {
    // Nobody else writes a receipt, whatever the mask of this process says.
    let there = match OpenOptions::new().write(true).create_new(true).mode(0o644).open(path) {
        Ok(file) => {
            // Where files cannot be locked no other process takes an empty one over.
            return match file.try_lock() {
                Err(TryLockError::WouldBlock) => Err(io::ErrorKind::AlreadyExists.into()),
                Ok(()) | Err(TryLockError::Error(_)) => Ok((file, true)),
            };
        }
        Err(error) => error,
    };
    if there.kind() != io::ErrorKind::AlreadyExists {
        return Err(there);
    }
    left_empty(path).map(|file| (file, false)).ok_or(there)
}

/// The file at `path`, if a command that was killed left it empty.
fn left_empty(path: &Path) -> Option<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = OpenOptions::new().write(true).custom_flags(flags).open(path).ok()?;
    file.try_lock().ok()?;
    // Before it was locked, another process may have written to it, or put another in its place.
    let opened = empty_at(path, &file)?;
    let is_ours = exposed_to(&file).ok()?.is_none();
    (is_ours && opened.nlink() == 1).then_some(file)
}

/// What `file` is, if it is a file that is empty and is the one at `path`.
fn empty_at(path: &Path, file: &File) -> Option<Metadata> {
    let (opened, named) = (file.metadata().ok()?, fs::symlink_metadata(path).ok()?);
    let is_same = (opened.dev(), opened.ino()) == (named.dev(), named.ino());
    (is_same && opened.is_file() && opened.len() == 0).then_some(opened)
}

/// Whether what this command prints goes into `file`.
fn is_stream(file: &File) -> bool {
    let into = |stream: &dyn AsFd| file_id(stream).is_ok_and(|stream| file_id(file).is_ok_and(|file| file == stream));
    into(&io::stdout()) || into(&io::stderr())
}

impl Drop for SavedReceipt {
    fn drop(&mut self) {
        // An empty file is no receipt, and says so.
        if self.is_new && empty_at(&self.path, &self.file).is_some() {
            fs::remove_file(&self.path).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_into_its_place_meanwhile_is_neither_written_nor_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("r"), folder.path().join("other"));
        let reserve = || SavedReceipt::reserve(&path, &DecidingPlaces::none()).unwrap();
        let refused = |saved: SavedReceipt| {
            let Err(SaveError::File { source, .. }) = saved.keep("receipt") else { panic!("kept") };
            assert_eq!(source.to_string(), "somebody has written it, or exchanged it");
        };
        let saved = reserve();
        fs::write(&path, "theirs").unwrap();
        refused(saved);
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
        fs::remove_file(&path).unwrap();

        let saved = reserve();
        fs::write(&other, "").unwrap();
        fs::rename(&other, &path).unwrap();
        refused(saved);
        assert_eq!(fs::read(&path).unwrap(), b"", "another file");
        fs::remove_file(&path).unwrap();

        drop(reserve());
        assert!(!path.exists(), "it was made for nothing");
        reserve().keep("receipt").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "receipt");
    }
}
