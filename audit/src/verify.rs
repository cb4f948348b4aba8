//! The one door to verification: recomputes every hash of a ledger, judges its entries and their order, compares
//! tiles, checkpoint and memory with them.
//!
//! It must never write, lock, or trust anything in the folder: what it cannot check it reports.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::beside::beside;
use crate::checkpoint::{self, CHECKPOINT_FILE, Checkpoint, ReadCheckpointError, SignedCheckpoint};
use crate::entry::{Entry, Kind};
use crate::frame::{Frame, FrameError, Frames, Step};
use crate::ids::{CallId, LeafIndex, RootHash, TreeSize};
use crate::journal::{self, JOURNAL_FILE};
use crate::key::VerifierKey;
use crate::lock::{self, LOCK_FILE};
use crate::sets::{SETS_FOLDER, verify_sets};
use crate::state::{self, Remembered};
use crate::structure::{Problem, Structure};
use crate::takeover::{Adoption, Takeover};
use crate::tile_store::TILE_FOLDER;
use crate::tree::Frontier;
use crate::verify_tiles::TileAudit;

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
    /// The key that signed it, if that key is the ledger's.
    pub signed_by: Option<VerifierKey>,
    /// How many of the entries that signature covers.
    pub signed_to: TreeSize,
    /// How many entries are newer: nobody signed them yet, so whoever can write to the folder could have added them.
    pub newer: u64,
    /// Entries that nobody had signed when a writer went on behind them, at most [`FINDINGS_MAX`].
    pub taken_over: Vec<TakenOver>,
    /// The ledger's keys in their order, as its entries name them.
    pub keys: Vec<VerifierKey>,
    /// The size that the ledger remembers beside its folder, if it does.
    pub remembered: Option<TreeSize>,
    /// Files in the folder that are no part of the format: nothing is known about them.
    pub not_covered: Vec<String>,
    /// Number of entries by kind; kinds that do not occur are absent.
    pub entries: BTreeMap<Kind, u64>,
    /// Calls that have neither end nor closer: still running, or their writer died since the last open.
    pub open_calls: Vec<CallId>,
    /// All that is wrong, at most [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// Number of findings that are not listed.
    pub findings_left_out: u64,
}

/// Entries that were not proven when they were taken over: by the writer after a crash, or by an operator's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TakenOver {
    /// The first of them.
    pub first: LeafIndex,
    /// How many they are.
    pub count: u64,
    /// The entry that says so.
    pub at: LeafIndex,
    /// Whether an operator adopted the ledger.
    pub is_adoption: bool,
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{file}: entry {index} at byte {offset}: {problem}")]
pub struct Finding {
    /// The file, below the ledger's folder.
    pub file: String,
    /// The entry; the number of entries if the whole is wrong.
    pub index: LeafIndex,
    /// Where in the file, in bytes from its start; in the journal, where the entry's frame starts.
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

/// What an auditor brings along.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyOptions {
    /// A root known from elsewhere.
    pub expected: Option<Expected>,
    /// A key known from elsewhere: it must be one of the ledger's, and there must be a checkpoint. Without it, that
    /// the checkpoint is signed by the key that the ledger itself names proves nothing of who wrote it.
    pub key: Option<VerifierKey>,
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
    /// The folder of tiles or of capability sets, or the state file beside the ledger, cannot be read.
    #[error("tiles, capability sets or state cannot be read")]
    Other {
        /// The cause.
        source: io::Error,
    },
}

impl Report {
    /// Whether nothing is wrong. There may still be [`newer`](Self::newer) entries, of which nothing is proven.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// Whether a signature that holds covers every entry.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.newer == 0
    }

    /// The number of entries of `kind`.
    #[must_use]
    pub fn count(&self, kind: Kind) -> u64 {
        self.entries.get(&kind).copied().unwrap_or_default()
    }
}

/// Verifies the ledger in the folder `dir`, from its first byte to its last, as [`verify_with`] without a key.
///
/// # Errors
///
/// As [`verify_with`].
pub fn verify(dir: &Path, expected: Option<Expected>) -> Result<Report, VerifyError> {
    verify_with(dir, &VerifyOptions { expected, key: None })
}

/// Verifies the ledger in the folder `dir`, from its first byte to its last.
///
/// Checks: each frame; each entry is in its one encoding; the ledger starts with `ledger-opened`; each call's
/// entries are consecutive, with one terminal entry per intent and the right number and root in `call-end`; keys
/// change only by rotations that both keys signed; the checkpoint is signed by the key in force at its size; each tile
/// and bundle is what the journal makes it, none is missing, none is there too much; each capability set is what its
/// name says; checkpoint, what the ledger
/// remembers beside its folder (if that can be read), and what the auditor expects fit the entries.
///
/// Where entries are newer than the checkpoint and the process that has the ledger runs, its next checkpoint is awaited, at
/// most 2 s; what comes behind that is not looked at. If none comes, the ledger may show [`Problem::TornTail`] in
/// passing. Entries that were added to a ledger that remembers to be closed are reported. What comes after
/// [`Problem::CorruptFrame`] is not judged: neither are entries, keys or tiles reported as missing or surplus for it.
///
/// # Errors
///
/// [`VerifyError`] only when the files cannot be read; all else is in the report.
pub fn verify_with(dir: &Path, options: &VerifyOptions) -> Result<Report, VerifyError> {
    let other = |source| VerifyError::Other { source };
    // In this order: a ledger in use grows, and nothing may be newer than what it is compared with.
    let memory = || beside(dir, "state").and_then(|path| state::read(&path)).map_err(other);
    let remembered = memory()?;
    let must_be_signed = options.key.is_some()
        || remembered.as_ref().is_ok_and(|known| known.as_ref().is_some_and(|known| known.size > TreeSize(0)));
    let checkpoint = match checkpoint::read(dir) {
        Ok(None) if must_be_signed => Ok(next_checkpoint(dir, TreeSize(0))),
        checkpoint => checkpoint,
    };
    let size = |published: &SignedCheckpoint| published.unverified().size;
    let required = checkpoint.as_ref().ok().and_then(Option::as_ref).map_or(TreeSize(0), size);
    let tiles = TileAudit::list(dir, required).map_err(other)?;
    let journal = journal::open_to_read(dir).map_err(|source| VerifyError::Journal { source })?;
    let mut verifier = Verifier::new(options);
    match checkpoint {
        Ok(published) => verifier.published = published,
        Err(ReadCheckpointError::Malformed { source }) => {
            verifier.report_in(CHECKPOINT_FILE, Problem::CheckpointMalformed { reason: source.to_string() });
        }
        Err(ReadCheckpointError::Io { source }) => return Err(VerifyError::Checkpoint { source }),
    }
    match remembered {
        Ok(remembered) => verifier.remembered = remembered,
        Err(_malformed) => verifier.report_in(STATE_FILE, Problem::StateMalformed),
    }
    if verifier.published.is_none() && must_be_signed && verifier.findings.is_empty() {
        verifier.report_in(CHECKPOINT_FILE, Problem::CheckpointMissing);
    }
    if !lock::is_sound(dir) {
        verifier.report_in(LOCK_FILE, Problem::FileDiffers);
    }
    verifier.anchors = verifier.anchors();
    verifier.read(dir, journal, tiles)?;
    verifier.judge_closed(memory()?.ok().flatten().as_ref());
    for (file, problem) in verify_sets(dir).map_err(other)? {
        verifier.report_in(&file, problem);
    }
    let not_covered = not_covered(dir).map_err(other)?;
    Ok(verifier.finish(not_covered))
}

/// Verification under way.
#[derive(Default)]
struct Verifier {
    expected: Option<Expected>,
    key: Option<VerifierKey>,
    frontier: Frontier,
    structure: Structure,
    published: Option<SignedCheckpoint>,
    remembered: Option<Remembered>,
    // The root at the checkpoint's size, and where that was. Judged at the end: before, its signature is not.
    at_checkpoint: Option<(LeafIndex, u64, RootHash)>,
    // Where the first entry starts that came after the ledger was closed.
    after_close: Option<u64>,
    taken_over: Vec<TakenOver>,
    // Roots known for a part of the ledger.
    anchors: Vec<(TreeSize, RootHash)>,
    counts: BTreeMap<Kind, u64>,
    // A corrupt frame hides what comes after it: of that nothing is known, so nothing is reported.
    cut_off: bool,
    // Where the latest entry starts, for findings.
    index: u64,
    offset: u64,
    findings: Vec<Finding>,
    findings_left_out: u64,
}

impl Verifier {
    fn new(options: &VerifyOptions) -> Self {
        Self { expected: options.expected, key: options.key.clone(), ..Self::default() }
    }

    fn anchors(&self) -> Vec<(TreeSize, RootHash)> {
        let remembered = self.remembered.as_ref().map(|remembered| (remembered.size, remembered.root));
        let expected = self.expected.and_then(|expected| Some((expected.size?, expected.root)));
        let mut anchors: Vec<_> = remembered.into_iter().chain(expected).collect();
        anchors.sort_unstable_by_key(|(size, _)| *size);
        anchors.dedup();
        anchors
    }

    fn read(&mut self, dir: &Path, mut journal: File, mut tiles: TileAudit) -> Result<(), VerifyError> {
        self.compare_anchors();
        let mut last = self.read_frames(&mut journal, None, &mut tiles)?;
        let is_ahead = self.signed_size() < self.frontier.size() || matches!(last, Some(Problem::TornTail { .. }));
        if is_ahead
            && !matches!(last, Some(Problem::CorruptFrame))
            && let Some(next) = next_checkpoint(dir, self.frontier.size())
        {
            let until = next.unverified().size;
            (self.published, self.at_checkpoint) = (Some(next), None);
            self.note_checkpoint();
            last = self.read_frames(&mut journal, Some(until), &mut tiles)?;
        }
        self.cut_off = matches!(last, Some(Problem::CorruptFrame));
        let whole = last.is_none();
        last.into_iter().for_each(|problem| self.report(problem));
        for found in tiles.finish(whole) {
            let (file, index, offset, problem) = (found.file, found.index, found.offset, found.problem);
            self.push(Finding { file, index, offset, problem });
        }
        Ok(())
    }

    /// Reads on, up to that size or to where the journal ends now; what it ends with, if not with a whole frame.
    fn read_frames(
        &mut self,
        journal: &mut File,
        until: Option<TreeSize>,
        tiles: &mut TileAudit,
    ) -> Result<Option<Problem>, VerifyError> {
        let failed = |source| VerifyError::Journal { source };
        // What is appended from here on is not looked at: it may be half written.
        let length = journal.metadata().map_err(failed)?.len();
        journal.seek(SeekFrom::Start(self.offset)).map_err(failed)?;
        let rest = journal.take(length.saturating_sub(self.offset));
        let mut frames = Frames::starting_at(rest, LeafIndex(self.index), self.offset);
        loop {
            self.offset = frames.offset();
            self.index = frames.index().0;
            if until.is_some_and(|until| self.index >= until.0) {
                return Ok(None);
            }
            match frames.step() {
                Ok(Step::Frame(frame)) => {
                    tiles.push(frame.entry, frame.leaf);
                    self.frame(frame);
                }
                Ok(Step::Torn { bytes }) => return Ok(Some(Problem::TornTail { bytes })),
                Ok(Step::End) => return Ok(None),
                Err(FrameError::Corrupt(_)) => return Ok(Some(Problem::CorruptFrame)),
                Err(FrameError::Io(source)) => return Err(failed(source)),
            }
        }
    }

    fn signed_size(&self) -> TreeSize {
        self.published.as_ref().map(|published| published.unverified().size).unwrap_or_default()
    }

    fn frame(&mut self, frame: Frame<'_>) {
        if self.remembered.as_ref().is_some_and(|known| known.is_closed && known.size.0 == self.index) {
            self.after_close = Some(self.offset);
        }
        self.frontier.append(frame.leaf);
        match Entry::decode(frame.entry) {
            Err(error) => self.report(Problem::NotAnEntry { reason: error.to_string() }),
            Ok(entry) => {
                *self.counts.entry(entry.kind()).or_default() += 1;
                self.note_taken_over(frame.index, &entry);
                let mut problems = Vec::new();
                self.structure.entry(frame.index, &entry, frame.leaf, &mut |problem| problems.push(problem));
                problems.into_iter().for_each(|problem| self.report(problem));
            }
        }
        self.compare_anchors();
    }

    fn compare_anchors(&mut self) {
        let size = self.frontier.size();
        self.note_checkpoint();
        let known = self.anchors.iter().filter(|(at, _)| *at == size);
        let problems: Vec<_> = known.filter_map(|(_, known)| self.compare(*known)).collect();
        problems.into_iter().for_each(|problem| self.report(problem));
    }

    fn note_checkpoint(&mut self) {
        let size = self.frontier.size();
        if self.published.as_ref().is_some_and(|published| published.unverified().size == size) {
            self.at_checkpoint = Some((LeafIndex(self.index), self.offset, self.frontier.root()));
        }
    }

    fn note_taken_over(&mut self, at: LeafIndex, entry: &Entry<'_>) {
        if let Entry::Takeover(Takeover { first, count, .. }) | Entry::Adoption(Adoption { first, count, .. }) = entry
            && self.taken_over.len() < FINDINGS_MAX
        {
            let is_adoption = matches!(entry, Entry::Adoption(_));
            self.taken_over.push(TakenOver { first: *first, count: *count, at, is_adoption });
        }
    }

    /// A writer remembers that the ledger is open before it appends: what came while it was closed is no writer's.
    fn judge_closed(&mut self, remembered_now: Option<&Remembered>) {
        let Some(offset) = self.after_close else { return };
        if let Some(known) = self.remembered.clone().filter(|known| remembered_now == Some(known)) {
            let problem = Problem::AddedWhileClosed { size: known.size };
            self.push(Finding { file: JOURNAL_FILE.to_owned(), index: LeafIndex(known.size.0), offset, problem });
        }
    }

    fn compare(&self, known: RootHash) -> Option<Problem> {
        let (size, found) = (self.frontier.size(), self.frontier.root());
        (found != known).then_some(Problem::EntriesChanged { size, known, found })
    }

    fn finish(mut self, not_covered: Vec<String>) -> Report {
        let size = self.frontier.size();
        let signed_by = self.judge_checkpoint();
        let keys = self.keys();
        if !self.cut_off {
            self.judge_whole(size, &keys);
        }
        self.compare_origins();
        let signed_to = if signed_by.is_some() { self.signed_size().min(size) } else { TreeSize(0) };
        Report {
            origin: self.structure.origin().map(str::to_owned),
            size,
            root: self.frontier.root(),
            journal_bytes: self.offset,
            checkpoint: self.published.as_ref().map(|published| published.unverified().clone()),
            signed_by,
            signed_to,
            newer: size.0 - signed_to.0,
            taken_over: self.taken_over,
            keys,
            remembered: self.remembered.map(|remembered| remembered.size),
            not_covered,
            entries: self.counts,
            open_calls: self.structure.open_calls(),
            findings: self.findings,
            findings_left_out: self.findings_left_out,
        }
    }

    /// What only the whole journal can show.
    fn judge_whole(&mut self, size: TreeSize, keys: &[VerifierKey]) {
        let lost: Vec<_> = self.anchors.iter().map(|(at, _)| *at).filter(|at| *at > size).collect();
        lost.into_iter().for_each(|size| self.report(Problem::EntriesLost { size }));
        let whole = self.expected.filter(|expected| expected.size.is_none());
        if let Some(problem) = whole.and_then(|expected| self.compare(expected.root)) {
            self.report(problem);
        }
        if size == TreeSize(0) {
            self.report(Problem::NotOpened);
        }
        if let Some(key) = self.key.clone().filter(|key| !keys.contains(key)) {
            self.report(Problem::KeyUnknown { key: key.to_string() });
        }
    }

    fn compare_origins(&mut self) {
        let Some(origin) = self.structure.origin().map(str::to_owned) else {
            return;
        };
        let published = self.published.as_ref().map(|published| (CHECKPOINT_FILE, &published.unverified().origin));
        let remembered = self.remembered.as_ref().map(|remembered| (STATE_FILE, &remembered.origin));
        let others = published.into_iter().chain(remembered).filter(|(_, named)| **named != origin);
        let others: Vec<_> = others.map(|(file, named)| (file, named.clone())).collect();
        for (file, origin) in others {
            self.report_in(file, Problem::CheckpointOrigin { origin });
        }
    }

    fn keys(&self) -> Vec<VerifierKey> {
        let origin = self.structure.origin().unwrap_or_default();
        self.structure.keys().iter().filter_map(|(_, key)| VerifierKey::new(origin, *key).ok()).collect()
    }

    /// Judges the checkpoint by its signature, and only then the entries by it. Returns the key that signed.
    fn judge_checkpoint(&mut self) -> Option<VerifierKey> {
        let published = self.published.clone()?;
        let Checkpoint { size, root, .. } = *published.unverified();
        let signed_by = match self.signed_by(&published) {
            Ok(key) => Some(key),
            // The key in force at its size may be one that could not be read.
            Err(_) if self.cut_off && self.at_checkpoint.is_none() => return None,
            Err(reason) => {
                self.report_in(CHECKPOINT_FILE, Problem::CheckpointSignature { reason });
                // Which tiles must be there was known by it alone; of the journal nothing was.
                if self.findings.iter().all(|finding| finding.file != JOURNAL_FILE) {
                    self.findings.rotate_right(1);
                }
                return None;
            }
        };
        match self.at_checkpoint {
            None if self.cut_off => {}
            None => self.report(Problem::EntriesLost { size }),
            Some((_, _, found)) if found == root => {}
            Some((index, offset, found)) => {
                let problem = Problem::EntriesChanged { size, known: root, found };
                self.push(Finding { file: JOURNAL_FILE.to_owned(), index, offset, problem });
            }
        }
        signed_by
    }

    /// The ledger's key that signed `published`.
    fn signed_by(&self, published: &SignedCheckpoint) -> Result<VerifierKey, String> {
        let Checkpoint { origin, size, .. } = published.unverified();
        let key = self.structure.key_at(*size).and_then(|key| VerifierKey::new(origin, key).ok());
        let key = key.ok_or("the ledger names no key")?;
        published.verify(&key).map_err(|error| error.to_string())?;
        Ok(key)
    }

    /// Reports what is wrong with the entry at hand, or with the whole.
    fn report(&mut self, problem: Problem) {
        let (index, offset) = (LeafIndex(self.index), self.offset);
        self.push(Finding { file: JOURNAL_FILE.to_owned(), index, offset, problem });
    }

    /// Reports what is wrong with a file as a whole.
    fn report_in(&mut self, file: &str, problem: Problem) {
        let index = self.published.as_ref().map_or(0, |published| published.unverified().size.0);
        self.push(Finding { file: file.to_owned(), index: LeafIndex(index), offset: 0, problem });
    }

    fn push(&mut self, finding: Finding) {
        if self.findings.len() == FINDINGS_MAX {
            self.findings_left_out += 1;
        } else if !self.findings.contains(&finding) {
            // Checkpoint and memory may say the same.
            self.findings.push(finding);
        }
    }
}

/// The next checkpoint of at least this size that the process which has the ledger publishes; `None` if there is none to
/// wait for, or it takes too long.
fn next_checkpoint(dir: &Path, size: TreeSize) -> Option<SignedCheckpoint> {
    let until = Instant::now() + CHECKPOINT_PATIENCE;
    loop {
        // Asked before: it may publish and end in between.
        let is_held = lock::is_probably_held(dir);
        match checkpoint::read(dir) {
            Ok(Some(next)) if next.unverified().size >= size => return Some(next),
            _ if is_held && Instant::now() < until => thread::sleep(CHECKPOINT_LOOK_EVERY),
            _ => return None,
        }
    }
}

/// Names in the folder `dir` that are no part of the format.
fn not_covered(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for file in std::fs::read_dir(dir)? {
        let name = file?.file_name().to_string_lossy().into_owned();
        if ![JOURNAL_FILE, CHECKPOINT_FILE, LOCK_FILE, TILE_FOLDER, SETS_FOLDER].contains(&name.as_str()) {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// How findings name the state file, which stands beside the folder.
const STATE_FILE: &str = "(state)";

/// A notary signs within 100 ms, unless its disk is slow.
const CHECKPOINT_PATIENCE: Duration = Duration::from_secs(2);
const CHECKPOINT_LOOK_EVERY: Duration = Duration::from_millis(10);
