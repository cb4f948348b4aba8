//! What a ledger, a receipt or two checkpoints prove, in plain words and for programs: what every command that verifies
//! says.
//!
//! It reads, and must never write or ask the network. A text from a ledger must never reach a terminal as it is.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::{Value, json};
use tollgate_plain::one_line;

use crate::checkpoint::{CHECKPOINT_FILE, Checkpoint, ParseCheckpointError, SignedCheckpoint};
use crate::entry::{Entry, Kind};
use crate::ids::TreeSize;
use crate::key::{ParseKeyError, SECRET_PREFIX, VerifierKey};
use crate::prover::{ProveError, Prover};
use crate::receipt::{Disclosure, ParseReceiptError, RECEIPT_BYTES_MAX, Receipt};
use crate::regular;
use crate::verify::{Report, TakenOver, VerifyError, VerifyOptions, verify_with};

/// What came of a verification. Its text (`Display`) is `verified`, `signed to N; K newer, not proven` or `NOT VERIFIED`,
/// and a line for each statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It verifies.
    Proven {
        /// What is proven.
        proven: Vec<String>,
        /// Entries of a ledger that nobody has signed yet: nothing is proven of them.
        newer: Option<Newer>,
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

/// How far a ledger is signed, where it has entries behind that. Text form: `signed to N; K newer, not proven`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Newer {
    /// How many entries are signed.
    pub signed_to: TreeSize,
    /// How many are newer.
    pub entries: u64,
}

impl Newer {
    /// Of this ledger; `None` if all of it is signed.
    #[must_use]
    pub fn of(report: &Report) -> Option<Self> {
        (!report.is_complete()).then_some(Self { signed_to: report.signed_to, entries: report.newer })
    }
}

impl fmt::Display for Newer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "signed to {}; {} newer, not proven", self.signed_to, self.entries)
    }
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
    /// A key is none, or its file holds none.
    #[error("`{given}`{}", hint.as_deref().map(|hint| format!(" ({hint})")).unwrap_or_default())]
    Key {
        /// What was given.
        given: String,
        /// What may have been meant.
        hint: Option<String>,
        /// What is wrong.
        source: ParseKeyError,
    },
    /// A ledger cannot be read.
    #[error("{}", folder.display())]
    Ledger {
        /// Its folder.
        folder: PathBuf,
        /// The cause.
        source: VerifyError,
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
            return Self::Proven { proven: proven_of_ledger(report, key), newer: Newer::of(report), facts };
        }
        let mut failed: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
        failed.extend(Newer::of(report).map(|newer| newer.to_string()));
        if report.findings_left_out > 0 {
            failed.push(format!("and {} more", report.findings_left_out));
        }
        Self::NotProven { failed, facts }
    }

    /// What the ledger in `folder` proves, if `key` is one of its keys, where there is one given.
    ///
    /// # Errors
    ///
    /// [`UntriedError::Ledger`].
    pub fn of_folder(folder: &Path, key: Option<&VerifierKey>) -> Result<Self, UntriedError> {
        let options = VerifyOptions { key: key.cloned(), expected: None };
        let report = verify_with(folder, &options);
        let report = report.map_err(|source| UntriedError::Ledger { folder: folder.to_owned(), source })?;
        Ok(Self::of_ledger(&report, key))
    }

    /// What the receipt or disclosure in `file`, or on standard input for `-`, proves by a checkpoint that `key` signed.
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
                newer: None,
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
            let step = format!(
                "the new checkpoint has {} entries, the old one had {}; the old one is given first, so they may be swapped",
                new.size, old.size
            );
            return Ok(Self::no(&step));
        }
        let proof = Prover::new(tiles, new.size).consistency(old.size).map_err(UntriedError::Prove)?;
        Ok(match proof.verify((old.size, old.root), (new.size, new.root)) {
            Err(error) => {
                Self::no(&format!("the entries of the old checkpoint are not the first of the new one: {error}"))
            }
            Ok(()) => {
                let facts = json!({ "old": old, "new": new });
                Self::Proven { proven: proven_consistent(old, new, key), newer: None, facts }
            }
        })
    }

    /// Whether it verifies, as far as it is signed.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        matches!(self, Self::Proven { .. })
    }

    /// Whether it verifies and nothing is left of which nothing is proven.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        matches!(self, Self::Proven { newer: None, .. })
    }

    /// For programs: `verified`, `complete` (nothing is newer than what is signed), `proven` or `failed`, `facts`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Proven { proven, newer, facts } => {
                json!({ "verified": true, "complete": newer.is_none(), "proven": proven, "facts": facts })
            }
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
            Self::Proven { proven, newer: None, .. } => ("verified".to_owned(), proven),
            Self::Proven { proven, newer: Some(newer), .. } => (newer.to_string(), proven),
            Self::NotProven { failed, .. } => ("NOT VERIFIED".to_owned(), failed),
        };
        writeln!(f, "{word}")?;
        lines.iter().try_for_each(|line| writeln!(f, "{}", one_line(line)))
    }
}

/// The checkpoint in the file `path`, on standard input for `-`, or of the ledger in the folder `path`.
///
/// # Errors
///
/// [`UntriedError::File`], [`UntriedError::Checkpoint`].
pub fn read_checkpoint(path: &Path) -> Result<SignedCheckpoint, UntriedError> {
    let path = if path.is_dir() { path.join(CHECKPOINT_FILE) } else { path.to_owned() };
    let text = read_text(&path)?;
    SignedCheckpoint::from_str(&text).map_err(|source| UntriedError::Checkpoint { path, source })
}

/// The key `given`, or in a file as `@FILE`, or on standard input as `@-`.
///
/// # Errors
///
/// [`UntriedError::Key`], [`UntriedError::File`].
pub fn read_key(given: &str) -> Result<VerifierKey, UntriedError> {
    let text = given.strip_prefix('@').map(|path| read_text(Path::new(path))).transpose()?;
    let text = text.as_deref().unwrap_or(given);
    let parsed = text.trim().parse();
    parsed.map_err(|source| UntriedError::Key { given: given.to_owned(), hint: key_hint(given, text), source })
}

/// What may have been meant by a key that is none: `given`, where `text` is what it is or what its file has.
#[must_use]
pub fn key_hint(given: &str, text: &str) -> Option<String> {
    if text.starts_with(SECRET_PREFIX) {
        let hint =
            "that is the secret key, by which the ledger is signed: give the one that `tollgate audit key` prints";
        return Some(hint.to_owned());
    }
    let is_file = !given.starts_with('@') && Path::new(given).is_file();
    is_file.then(|| format!("there is a file of this name: did you mean `@{given}`?"))
}

fn proven_of_ledger(report: &Report, key: Option<&VerifierKey>) -> Vec<String> {
    let origin = report.origin.as_deref().unwrap_or_default();
    let mut proven = Vec::new();
    if report.is_complete() {
        // What an adoption gave up is missing, and nothing tells of it.
        let is_adopted = report.taken_over.iter().any(|taken| taken.is_adoption);
        let how = if is_adopted { "none changed or out of order" } else { "none changed, missing or out of order" };
        proven.push(format!("The ledger {origin} has {} entries, {how}.", report.size));
    }
    proven.push(format!(
        "Its {} calls are told without gaps: every intent has one outcome, violation or closer.",
        report.count(Kind::Call)
    ));
    match &report.signed_by {
        Some(signer) => {
            proven.push(format!("The first {} of them are signed by {signer}.", report.signed_to));
            proven.push("Its tiles and bundles are what its journal says.".to_owned());
        }
        None => proven.push("NOT proven: who wrote it. It has no signed checkpoint.".to_owned()),
    }
    if let Some(Newer { signed_to, entries }) = Newer::of(report) {
        if report.signed_by.is_some() {
            proven.insert(0, format!("Of the ledger {origin} the first {signed_to} entries are as they were signed."));
        }
        proven.push(format!(
            "NOT proven: the {entries} newer entries. Nobody signed them, so whoever can write to the folder could have \
             added them."
        ));
    }
    proven.extend(taken_over(report));
    if key.is_none() {
        proven.push("NOT proven: that this key is the one you trust. Give it with --key.".to_owned());
    }
    if !report.open_calls.is_empty() {
        proven.push(format!("{} calls have not ended yet.", report.open_calls.len()));
    }
    for name in &report.not_covered {
        proven.push(format!("NOT proven: anything about the file {name}, which is no part of the ledger."));
    }
    proven
}

/// What nobody vouched for before it was signed.
fn taken_over(report: &Report) -> impl Iterator<Item = String> {
    report.taken_over.iter().map(|TakenOver { first, count, at, is_adoption }| match (is_adoption, count) {
        (true, 0) => format!("NOT proven: that nothing is missing before entry {at}, where an operator adopted the ledger."),
        (true, _) => format!(
            "NOT proven: who wrote the {count} entries from {first} on, and that nothing is missing behind them: an operator \
             adopted the ledger (entry {at})."
        ),
        (false, _) => format!(
            "NOT proven: who wrote the {count} entries from {first} on. They were unsigned when a crash had left them \
             (entry {at})."
        ),
    })
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
    let facts = json!({ "index": index, "call_end": end.to_json(), "entries": entries });
    Answer::Proven { proven, newer: None, facts }
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
    let bytes = if path.as_os_str() == STDIN {
        regular::read_within(io::stdin().lock(), RECEIPT_BYTES_MAX)
    } else {
        regular::open_named(path).and_then(|file| regular::read_within(file, RECEIPT_BYTES_MAX))
    };
    String::from_utf8(bytes.map_err(named)?).map_err(|_not_text| named(io::ErrorKind::InvalidData.into()))
}

/// The path that stands for standard input; a file of this name is `./-`.
const STDIN: &str = "-";

/// The error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
