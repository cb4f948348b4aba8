//! What a ledger, a receipt or two checkpoints prove, in plain words and for programs: what every command that verifies
//! says.
//!
//! It reads, and must never write or ask the network. A text from a ledger must never reach a terminal as it is.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::{Value, json};
use tollgate_plain::one_line;

use crate::checkpoint::{CHECKPOINT_FILE, Checkpoint, ParseCheckpointError, SignedCheckpoint};
use crate::entry::{Entry, Kind};
use crate::key::VerifierKey;
use crate::prover::{ProveError, Prover};
use crate::receipt::{Disclosure, ParseReceiptError, RECEIPT_BYTES_MAX, Receipt};
use crate::verify::Report;

/// What came of a verification. Its text (`Display`) is `verified` or `NOT VERIFIED`, and a line for each statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It verifies.
    Proven {
        /// What is proven.
        proven: Vec<String>,
        /// The same for programs.
        facts: Value,
    },
    /// It does not.
    NotProven {
        /// The steps that failed.
        failed: Vec<String>,
        /// What is known all the same.
        facts: Value,
    },
}

/// Nothing can be said, for want of something to verify.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UntriedError {
    /// A file cannot be read.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file holds no checkpoint.
    #[error("{}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ParseCheckpointError,
    },
    /// A file holds neither a receipt nor a disclosure.
    #[error("{}", path.display())]
    Receipt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ParseReceiptError,
    },
    /// The proof cannot be made out of the folder.
    #[error(transparent)]
    Prove(ProveError),
}

impl Answer {
    /// What `report`, by [`verify_with`](crate::verify_with) with `key`, says of its ledger.
    #[must_use]
    pub fn of_ledger(report: &Report, key: Option<&VerifierKey>) -> Self {
        // Numbers, names and texts always have a JSON form.
        let facts = json!(report);
        if report.is_clean() {
            return Self::Proven { proven: proven_of_ledger(report, key), facts };
        }
        let mut failed: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
        if report.findings_left_out > 0 {
            failed.push(format!("and {} more", report.findings_left_out));
        }
        Self::NotProven { failed, facts }
    }

    /// What the receipt or disclosure in `file` proves by a checkpoint that `key` signed.
    ///
    /// # Errors
    ///
    /// [`UntriedError`].
    pub fn of_receipt(file: &Path, key: &VerifierKey) -> Result<Self, UntriedError> {
        let text = read_text(file)?;
        let malformed = |source| UntriedError::Receipt { path: file.to_owned(), source };
        if text.starts_with("tollgate/") {
            let disclosure: Disclosure = text.parse().map_err(malformed)?;
            return Ok(of_disclosure(&disclosure, key));
        }
        let receipt: Receipt = text.parse().map_err(malformed)?;
        Ok(match receipt.verify(key) {
            Err(error) => Self::no(&chain(&error)),
            Ok((entry, checkpoint)) => Self::Proven {
                proven: proven_entry(&entry, &receipt, checkpoint, key),
                facts: json!({ "index": receipt.index(), "entry": entry.to_json(), "checkpoint": checkpoint }),
            },
        })
    }

    /// Whether the ledger whose checkpoint is `new` goes on from the checkpoint `old`, with nothing before it changed.
    /// Each is a file or the folder of a ledger; the tiles are those beside `new`.
    ///
    /// # Errors
    ///
    /// [`UntriedError`].
    pub fn of_consistency(old: &Path, new: &Path, key: &VerifierKey) -> Result<Self, UntriedError> {
        let (old_signed, new_signed) = (read_checkpoint(old)?, read_checkpoint(new)?);
        let tiles = if new.is_dir() { new } else { new.parent().unwrap_or_else(|| Path::new(".")) };
        let (old, new) = match (old_signed.verify(key), new_signed.verify(key)) {
            (Ok(old), Ok(new)) => (old, new),
            (Err(error), _) => return Ok(Self::no(&format!("the old checkpoint: {}", chain(&error)))),
            (_, Err(error)) => return Ok(Self::no(&format!("the new checkpoint: {}", chain(&error)))),
        };
        if new.size < old.size {
            let step = format!("the new checkpoint has {} entries, the old one had {}", new.size, old.size);
            return Ok(Self::no(&step));
        }
        let proof = Prover::new(tiles, new.size).consistency(old.size).map_err(UntriedError::Prove)?;
        Ok(match proof.verify((old.size, old.root), (new.size, new.root)) {
            Err(error) => {
                Self::no(&format!("the entries of the old checkpoint are not the first of the new one: {error}"))
            }
            Ok(()) => {
                Self::Proven { proven: proven_consistent(old, new, key), facts: json!({ "old": old, "new": new }) }
            }
        })
    }

    /// Whether it verifies.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        matches!(self, Self::Proven { .. })
    }

    /// For programs: `verified`, `proven` or `failed`, `facts`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Proven { proven, facts } => json!({ "verified": true, "proven": proven, "facts": facts }),
            Self::NotProven { failed, facts } => json!({ "verified": false, "failed": failed, "facts": facts }),
        }
    }

    fn no(step: &str) -> Self {
        Self::NotProven { failed: vec![step.to_owned()], facts: json!({}) }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, lines) = match self {
            Self::Proven { proven, .. } => ("verified", proven),
            Self::NotProven { failed, .. } => ("NOT VERIFIED", failed),
        };
        writeln!(f, "{word}")?;
        lines.iter().try_for_each(|line| writeln!(f, "{}", one_line(line)))
    }
}

/// The checkpoint in the file `path`, or of the ledger in the folder `path`.
///
/// # Errors
///
/// [`UntriedError::File`], [`UntriedError::Checkpoint`].
pub fn read_checkpoint(path: &Path) -> Result<SignedCheckpoint, UntriedError> {
    let path = if path.is_dir() { path.join(CHECKPOINT_FILE) } else { path.to_owned() };
    let text = read_text(&path)?;
    SignedCheckpoint::from_str(&text).map_err(|source| UntriedError::Checkpoint { path, source })
}

fn proven_of_ledger(report: &Report, key: Option<&VerifierKey>) -> Vec<String> {
    let origin = report.origin.as_deref().unwrap_or_default();
    let mut proven = vec![
        format!("The ledger {origin} has {} entries, none changed, missing or out of order.", report.size),
        format!(
            "Its {} calls are told without gaps: every intent has one outcome, violation or closer.",
            report.count(Kind::Call)
        ),
    ];
    match (&report.checkpoint, &report.signed_by) {
        (Some(checkpoint), Some(signer)) => {
            proven.push(format!("The first {} of them are signed by {signer}.", checkpoint.size));
            proven.push("Its tiles and bundles are what its journal says.".to_owned());
        }
        _ => proven.push("NOT proven: who wrote it. It has no signed checkpoint.".to_owned()),
    }
    if key.is_none() {
        proven.push("NOT proven: that this key is the one you trust. Give it with --key.".to_owned());
    }
    if !report.open_calls.is_empty() {
        proven.push(format!("{} calls have not ended yet.", report.open_calls.len()));
    }
    for name in &report.not_covered {
        proven.push(format!("Nothing is known about the file {name}: it is no part of the ledger."));
    }
    proven
}

fn of_disclosure(disclosure: &Disclosure, key: &VerifierKey) -> Answer {
    let disclosed = match disclosure.verify(key) {
        Err(error) => return Answer::no(&chain(&error)),
        Ok(disclosed) => disclosed,
    };
    let mut proven = vec![format!(
        "These {} of the {} entries of call {} were recorded as they stand here:",
        disclosed.entries.len(),
        disclosed.end.entries,
        disclosed.end.call
    )];
    proven.extend(disclosed.entries.iter().map(|entry| format!("  {}", entry.to_json())));
    let end = Entry::CallEnd(disclosed.end);
    proven.extend(proven_entry(&end, disclosure.receipt(), disclosed.checkpoint, key));
    let entries: Vec<_> = disclosed.entries.iter().map(Entry::to_json).collect();
    let index = disclosure.receipt().index();
    Answer::Proven { proven, facts: json!({ "index": index, "call_end": end.to_json(), "entries": entries }) }
}

fn proven_entry(entry: &Entry<'_>, receipt: &Receipt, checkpoint: &Checkpoint, key: &VerifierKey) -> Vec<String> {
    vec![
        format!("This is entry {} of the ledger {}:", receipt.index(), checkpoint.origin),
        format!("  {}", entry.to_json()),
        format!("The ledger had {} entries when {key} signed it, and whoever has that checkpoint", checkpoint.size),
        "or a later one finds this entry in it: it cannot be taken back or changed.".to_owned(),
    ]
}

fn proven_consistent(old: &Checkpoint, new: &Checkpoint, key: &VerifierKey) -> Vec<String> {
    vec![
        format!("Both checkpoints of {} are signed by {key}.", new.origin),
        format!("The first {} of its {} entries are those of the old checkpoint: only added to.", old.size, new.size),
    ]
}

/// A file of at most the length that a receipt can have.
fn read_text(path: &Path) -> Result<String, UntriedError> {
    let named = |source| UntriedError::File { path: path.to_owned(), source };
    let mut text = String::new();
    let file = File::open(path).map_err(named)?;
    file.take(RECEIPT_BYTES_MAX as u64 + 1).read_to_string(&mut text).map_err(named)?;
    Ok(text)
}

/// The error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
