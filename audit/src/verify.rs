//! The one door to verification: recomputes every hash of a ledger and judges its entries and their order.
//!
//! It must never write, lock, or trust anything in the folder: what it cannot check it reports.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::Serialize;

use crate::checkpoint::{self, Checkpoint, ReadCheckpointError};
use crate::entry::{Entry, Kind};
use crate::frame::{Frame, FrameError, Frames, Step};
use crate::ids::{CallId, LeafIndex, RootHash, TreeSize};
use crate::journal;
use crate::structure::{Problem, Structure};
use crate::tree::Frontier;

/// Most findings in a report; further ones are counted.
pub const FINDINGS_MAX: usize = 1000;

/// What verification found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The ledger's name by its first entry.
    pub origin: Option<String>,
    /// Number of entries read.
    pub size: TreeSize,
    /// Root over them.
    pub root: RootHash,
    /// Their length in the journal in bytes.
    pub journal_bytes: u64,
    /// The checkpoint, if there is one.
    pub checkpoint: Option<Checkpoint>,
    /// Number of entries by kind; kinds that do not occur are absent.
    pub entries: BTreeMap<Kind, u64>,
    /// Calls that have neither end nor closer: still running, or their host died since the last open.
    pub open_calls: Vec<CallId>,
    /// All that is wrong, at most [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// Number of findings that are not listed.
    pub findings_left_out: u64,
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("entry {index} at byte {offset}: {problem}")]
pub struct Finding {
    /// The entry; the number of entries if the whole is wrong.
    pub index: LeafIndex,
    /// Where its frame starts, in bytes from the start of the journal.
    pub offset: u64,
    /// What is wrong.
    #[serde(flatten)]
    pub problem: Problem,
}

/// What an auditor knows of a ledger from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The root.
    pub root: RootHash,
    /// The number of entries it covers; `None` for the whole ledger.
    pub size: Option<TreeSize>,
}

/// A ledger could not be read, so nothing is known about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The journal cannot be opened or read.
    #[error("the journal cannot be read")]
    Journal {
        /// The cause.
        source: io::Error,
    },
    /// The checkpoint file cannot be read.
    #[error("the checkpoint file cannot be read")]
    Checkpoint {
        /// The cause.
        source: io::Error,
    },
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// The number of entries of `kind`.
    #[must_use]
    pub fn count(&self, kind: Kind) -> u64 {
        self.entries.get(&kind).copied().unwrap_or_default()
    }
}

/// Verifies the ledger in the folder `dir`, from its first byte to its last.
///
/// Checks: each frame; each entry is in its one encoding; the ledger starts with `ledger-opened`; each call's
/// entries are consecutive, with one terminal entry per intent and the right number and root in `call-end`; the
/// checkpoint file, if there is one, and `expected`, if given, fit the entries. A checkpoint that was removed is
/// not noticed. A ledger that is being written may show [`Problem::TornTail`] in passing.
///
/// # Errors
///
/// [`VerifyError`] only when the files cannot be read; all else is in the report.
pub fn verify(dir: &Path, expected: Option<Expected>) -> Result<Report, VerifyError> {
    // Before the journal: a ledger in use grows, and its checkpoint must not be the newer of the two.
    let checkpoint = checkpoint::read(dir);
    let journal = journal::open_to_read(dir).map_err(|source| VerifyError::Journal { source })?;
    let mut verifier = Verifier::default();
    match checkpoint {
        Ok(checkpoint) => verifier.checkpoint = checkpoint,
        Err(ReadCheckpointError::Malformed { source }) => {
            verifier.report(Problem::CheckpointMalformed { reason: source.to_string() });
        }
        Err(ReadCheckpointError::Io { source }) => return Err(VerifyError::Checkpoint { source }),
    }
    verifier.anchors = anchors(verifier.checkpoint.as_ref(), expected);
    verifier.read(journal)?;
    Ok(verifier.finish(expected))
}

/// Roots known for a part of the ledger.
fn anchors(checkpoint: Option<&Checkpoint>, expected: Option<Expected>) -> Vec<(TreeSize, RootHash)> {
    let checkpoint = checkpoint.map(|checkpoint| (checkpoint.size, checkpoint.root));
    let expected = expected.and_then(|expected| Some((expected.size?, expected.root)));
    checkpoint.into_iter().chain(expected).collect()
}

/// Verification under way.
#[derive(Default)]
struct Verifier {
    frontier: Frontier,
    structure: Structure,
    checkpoint: Option<Checkpoint>,
    anchors: Vec<(TreeSize, RootHash)>,
    counts: BTreeMap<Kind, u64>,
    // Where the latest entry starts, for findings.
    index: u64,
    offset: u64,
    findings: Vec<Finding>,
    findings_left_out: u64,
}

impl Verifier {
    fn read(&mut self, journal: File) -> Result<(), VerifyError> {
        // What is appended from here on is not looked at: it may be half written.
        let length = journal.metadata().map_err(|source| VerifyError::Journal { source })?.len();
        let mut frames = Frames::new(journal.take(length));
        self.compare_anchors();
        let last = loop {
            self.offset = frames.offset();
            self.index = frames.index().0;
            match frames.step() {
                Ok(Step::Frame(frame)) => self.frame(frame),
                Ok(Step::Torn { bytes }) => break Some(Problem::TornTail { bytes }),
                Ok(Step::End) => break None,
                Err(FrameError::Corrupt(_)) => break Some(Problem::CorruptFrame),
                Err(FrameError::Io(source)) => return Err(VerifyError::Journal { source }),
            }
        };
        last.into_iter().for_each(|problem| self.report(problem));
        Ok(())
    }

    fn frame(&mut self, frame: Frame<'_>) {
        self.frontier.append(frame.leaf);
        match Entry::decode(frame.entry) {
            Err(error) => self.report(Problem::NotAnEntry { reason: error.to_string() }),
            Ok(entry) => {
                *self.counts.entry(entry.kind()).or_default() += 1;
                let mut problems = Vec::new();
                self.structure.entry(frame.index, &entry, frame.leaf, &mut |problem| problems.push(problem));
                problems.into_iter().for_each(|problem| self.report(problem));
            }
        }
        self.compare_anchors();
    }

    fn compare_anchors(&mut self) {
        let size = self.frontier.size();
        let known = self.anchors.iter().filter(|(at, _)| *at == size);
        let problems: Vec<_> = known.filter_map(|(_, known)| self.compare(*known)).collect();
        problems.into_iter().for_each(|problem| self.report(problem));
    }

    fn compare(&self, known: RootHash) -> Option<Problem> {
        let (size, found) = (self.frontier.size(), self.frontier.root());
        (found != known).then_some(Problem::EntriesChanged { size, known, found })
    }

    fn finish(mut self, expected: Option<Expected>) -> Report {
        let size = self.frontier.size();
        let lost: Vec<_> = self.anchors.iter().map(|(at, _)| *at).filter(|at| *at > size).collect();
        lost.into_iter().for_each(|size| self.report(Problem::EntriesLost { size }));
        let whole = expected.filter(|expected| expected.size.is_none());
        if let Some(problem) = whole.and_then(|expected| self.compare(expected.root)) {
            self.report(problem);
        }
        if let (Some(checkpoint), Some(origin)) = (&self.checkpoint, self.structure.origin())
            && checkpoint.origin != origin
        {
            self.report(Problem::CheckpointOrigin { origin: checkpoint.origin.clone() });
        }
        if size == TreeSize(0) {
            self.report(Problem::NotOpened);
        }
        Report {
            origin: self.structure.origin().map(str::to_owned),
            size,
            root: self.frontier.root(),
            journal_bytes: self.offset,
            checkpoint: self.checkpoint,
            entries: self.counts,
            open_calls: self.structure.open_calls(),
            findings: self.findings,
            findings_left_out: self.findings_left_out,
        }
    }

    fn report(&mut self, problem: Problem) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { index: LeafIndex(self.index), offset: self.offset, problem });
        } else {
            self.findings_left_out += 1;
        }
    }
}
