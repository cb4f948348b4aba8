//! Receipts: one entry with all that proves it to be in the ledger (C2SP tlog-proof), and disclosures: chosen entries
//! of a call, proven by its receipt.
//!
//! A receipt carries its entry as `extra` line. Nothing in it may be believed before the leaf hash of that entry,
//! the proof and the signature have led to each other.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::call_tree::{CallProofError, prove_in_call, verify_in_call};
use crate::checkpoint::{self, Checkpoint, ParseCheckpointError, ReadCheckpointError, SignedCheckpoint};
use crate::codec::{DecodeError, ENTRY_BYTES_MAX, kind_and_call};
use crate::entry::{CallEnd, Entry, Kind};
use crate::frame::{FrameError, Step};
use crate::ids::{CallId, LeafHash, LeafIndex, Sequence, TreeSize};
use crate::key::VerifierKey;
use crate::note::{NOTE_BYTES_MAX, VerifyNoteError};
use crate::proof::{InclusionProof, ProofError};
use crate::prover::{ProveError, Prover};
use crate::seek;
use crate::tree::leaf_hash;

/// Most bytes of a receipt or a disclosure: a note of the largest size, and thousands of entries.
pub const RECEIPT_BYTES_MAX: usize = 16 * NOTE_BYTES_MAX;

/// One entry and the proof that it is in a ledger. Text form: C2SP `tlog-proof@v1`, the entry's bytes as `extra`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    entry: Vec<u8>,
    index: LeafIndex,
    proof: InclusionProof,
    checkpoint: SignedCheckpoint,
}

/// Chosen entries of one call, proven by the receipt of its end without showing the others.
///
/// Text form: `tollgate/call-disclosure@v1`; a line `entry <sequence> <Base64>` for each entry, sequences rising; the
/// hashes of the multi-proof in Base64, one a line; an empty line; the receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disclosure {
    entries: Vec<(Sequence, Vec<u8>)>,
    hashes: Vec<[u8; 32]>,
    receipt: Receipt,
}

/// What a disclosure proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disclosed<'d> {
    /// The end of the call.
    pub end: CallEnd<'d>,
    /// The chosen entries.
    pub entries: Vec<Entry<'d>>,
    /// The checkpoint that covers them.
    pub checkpoint: &'d Checkpoint,
}

/// A text is no receipt or disclosure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseReceiptError {
    /// Longer than any.
    #[error("longer than {RECEIPT_BYTES_MAX} bytes")]
    TooLong,
    /// Another first line.
    #[error("the first line is neither {RECEIPT_LINE} nor {DISCLOSURE_LINE}")]
    Header,
    /// A line that is not what must come there.
    #[error("line {line} is malformed: {wanted} expected")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What must come there.
        wanted: &'static str,
    },
    /// The checkpoint is none.
    #[error("the checkpoint is malformed")]
    Checkpoint {
        /// What is wrong.
        source: ParseCheckpointError,
    },
}

/// A receipt or disclosure proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyReceiptError {
    /// The checkpoint is not signed by the key given.
    #[error("the checkpoint is not signed by the key given")]
    Signature {
        /// What is wrong.
        source: VerifyNoteError,
    },
    /// The entry is not in the tree of the checkpoint.
    #[error("the entry is not in the ledger of the checkpoint")]
    Inclusion {
        /// What is wrong.
        source: ProofError,
    },
    /// The bytes are proven, and are no entry.
    #[error("what is proven is not an entry")]
    NotAnEntry {
        /// What is wrong.
        source: DecodeError,
    },
    /// A disclosure needs the receipt of a `call-end`.
    #[error("the receipt is not that of the end of a call")]
    NotACallEnd,
    /// An entry belongs to another call, or stands at another place than said.
    #[error("entry {sequence} is not that of the call")]
    OtherCall {
        /// The sequence said.
        sequence: Sequence,
    },
    /// The entries are not the call's.
    #[error("the entries are not in the tree of the call")]
    Call {
        /// What is wrong.
        source: CallProofError,
    },
}

/// A receipt cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// The checkpoint cannot be read.
    #[error(transparent)]
    Checkpoint(ReadCheckpointError),
    /// There is no signed checkpoint yet.
    #[error("the ledger has no signed checkpoint yet")]
    Unsigned,
    /// No checkpoint covers the entry yet.
    #[error("entry {index} is not covered by the checkpoint of {size} entries yet")]
    NotCovered {
        /// The entry.
        index: LeafIndex,
        /// Entries that the checkpoint covers.
        size: TreeSize,
    },
    /// The tiles cannot be read.
    #[error(transparent)]
    Prove(ProveError),
    /// The tiles do not fit the checkpoint: `verify` says more.
    #[error("the tiles of the ledger do not fit its checkpoint")]
    Disagree,
    /// The journal cannot be read.
    #[error("the journal cannot be read")]
    Journal {
        /// The cause, if it is the operating system's.
        source: Option<std::io::Error>,
    },
    /// The ledger has no end of this call.
    #[error("the ledger has no end of call {call}")]
    NoCallEnd {
        /// The call.
        call: CallId,
    },
    /// The call has no such entries.
    #[error(transparent)]
    Call(CallProofError),
}

/// The receipt of entry `index` of the ledger in `dir`, by its checkpoint.
///
/// # Errors
///
/// [`ReceiptError`].
pub fn prove(dir: &Path, index: LeafIndex) -> Result<Receipt, ReceiptError> {
    let checkpoint = checkpoint::read(dir).map_err(ReceiptError::Checkpoint)?.ok_or(ReceiptError::Unsigned)?;
    let (size, root) = (checkpoint.unverified().size, checkpoint.unverified().root);
    if index.0 >= size.0 {
        return Err(ReceiptError::NotCovered { index, size });
    }
    let mut prover = Prover::new(dir, size);
    let entry = prover.entry(index).map_err(ReceiptError::Prove)?;
    let proof = prover.inclusion(index).map_err(ReceiptError::Prove)?;
    proof.verify(leaf_hash(&entry), index, size, root).map_err(|_wrong| ReceiptError::Disagree)?;
    Ok(Receipt { entry, index, proof, checkpoint })
}

/// The index of the `call-end` of `call` in the ledger in `dir`.
///
/// # Errors
///
/// [`ReceiptError`].
pub fn find_call_end(dir: &Path, call: CallId) -> Result<LeafIndex, ReceiptError> {
    call_entries(dir, call).map(|(end, _)| end)
}

/// The entries of `call` at the places `chosen` (rising), proven by the receipt of its end.
///
/// # Errors
///
/// [`ReceiptError`].
pub fn disclose(dir: &Path, call: CallId, chosen: &[Sequence]) -> Result<Disclosure, ReceiptError> {
    let (end, entries) = call_entries(dir, call)?;
    let leaves: Vec<LeafHash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
    let hashes = prove_in_call(&leaves, chosen).map_err(ReceiptError::Call)?;
    let shown = chosen.iter().filter_map(|sequence| {
        let place = usize::try_from(sequence.0).ok()?;
        Some((*sequence, entries.get(place)?.clone()))
    });
    Ok(Disclosure { entries: shown.collect(), hashes, receipt: prove(dir, end)? })
}

/// Where the end of `call` is, and its entries before.
fn call_entries(dir: &Path, call: CallId) -> Result<(LeafIndex, Vec<Vec<u8>>), ReceiptError> {
    let failed = |source| ReceiptError::Journal { source: Some(source) };
    let mut frames = seek::frames_for(dir, call).map_err(failed)?;
    let mut entries = Vec::new();
    loop {
        match frames.step() {
            Ok(Step::Frame(frame)) => match kind_and_call(frame.entry) {
                Some((Kind::CallEnd, Some(of))) if of == call => return Ok((frame.index, entries)),
                // These stand outside the call's own tree.
                Some((Kind::Closer | Kind::Erasure | Kind::BlockedCall, _)) => {}
                Some((_, Some(of))) if of == call => entries.push(frame.entry.to_vec()),
                _ => {}
            },
            Ok(Step::Torn { .. } | Step::End) => return Err(ReceiptError::NoCallEnd { call }),
            Err(FrameError::Io(source)) => return Err(failed(source)),
            Err(FrameError::Corrupt(_)) => return Err(ReceiptError::Journal { source: None }),
        }
    }
}

impl Receipt {
    /// What is proven: the entry, by a checkpoint that `key` signed.
    ///
    /// # Errors
    ///
    /// [`VerifyReceiptError`] names the first step that fails.
    pub fn verify(&self, key: &VerifierKey) -> Result<(Entry<'_>, &Checkpoint), VerifyReceiptError> {
        let checkpoint = self.checkpoint.verify(key).map_err(|source| VerifyReceiptError::Signature { source })?;
        let leaf = leaf_hash(&self.entry);
        let included = self.proof.verify(leaf, self.index, checkpoint.size, checkpoint.root);
        included.map_err(|source| VerifyReceiptError::Inclusion { source })?;
        let entry = Entry::decode(&self.entry).map_err(|source| VerifyReceiptError::NotAnEntry { source })?;
        Ok((entry, checkpoint))
    }

    /// The place of the entry in the ledger.
    #[must_use]
    pub fn index(&self) -> LeafIndex {
        self.index
    }

    /// The checkpoint, of which nothing is known yet.
    #[must_use]
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    fn read(lines: &mut Lines<'_>) -> Result<Self, ParseReceiptError> {
        let entry = lines.next("an extra line with the entry in Base64", |line| {
            let entry = STANDARD.decode(line.strip_prefix("extra ")?).ok()?;
            (entry.len() <= ENTRY_BYTES_MAX).then_some(entry)
        })?;
        let index = lines.next("the index, in decimal without leading zeros", |line| {
            let text = line.strip_prefix("index ")?;
            let index: u64 = text.parse().ok()?;
            (index.to_string() == text).then_some(LeafIndex(index))
        })?;
        let proof = InclusionProof(lines.hashes(INCLUSION_HASHES_MAX)?);
        let checkpoint = lines.rest.parse().map_err(|source| ParseReceiptError::Checkpoint { source })?;
        Ok(Self { entry, index, proof, checkpoint })
    }
}

impl Disclosure {
    /// What is proven: the call's end, and the chosen entries of it, by a checkpoint that `key` signed.
    ///
    /// # Errors
    ///
    /// [`VerifyReceiptError`] names the first step that fails.
    pub fn verify(&self, key: &VerifierKey) -> Result<Disclosed<'_>, VerifyReceiptError> {
        let (Entry::CallEnd(end), checkpoint) = self.receipt.verify(key)? else {
            return Err(VerifyReceiptError::NotACallEnd);
        };
        let leaves: Vec<_> = self.entries.iter().map(|(sequence, bytes)| (*sequence, leaf_hash(bytes))).collect();
        // Their number comes from what is signed, never from the disclosure.
        let in_call = verify_in_call(end.root, end.entries, &leaves, &self.hashes);
        in_call.map_err(|source| VerifyReceiptError::Call { source })?;
        let mut entries = Vec::with_capacity(self.entries.len());
        for (sequence, bytes) in &self.entries {
            let entry = Entry::decode(bytes).map_err(|source| VerifyReceiptError::NotAnEntry { source })?;
            if entry.call() != Some(end.call) || entry.sequence() != Some(*sequence) {
                return Err(VerifyReceiptError::OtherCall { sequence: *sequence });
            }
            entries.push(entry);
        }
        Ok(Disclosed { end, entries, checkpoint })
    }

    /// The receipt of the call's end.
    #[must_use]
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{RECEIPT_LINE}\nextra {}\nindex {}", STANDARD.encode(&self.entry), self.index)?;
        self.proof.0.iter().try_for_each(|hash| writeln!(f, "{}", STANDARD.encode(hash)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

impl fmt::Display for Disclosure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{DISCLOSURE_LINE}")?;
        for (sequence, entry) in &self.entries {
            writeln!(f, "entry {sequence} {}", STANDARD.encode(entry))?;
        }
        self.hashes.iter().try_for_each(|hash| writeln!(f, "{}", STANDARD.encode(hash)))?;
        write!(f, "\n{}", self.receipt)
    }
}

impl FromStr for Receipt {
    type Err = ParseReceiptError;

    fn from_str(text: &str) -> Result<Self, ParseReceiptError> {
        Self::read(&mut Lines::start(text, RECEIPT_LINE)?)
    }
}

impl FromStr for Disclosure {
    type Err = ParseReceiptError;

    fn from_str(text: &str) -> Result<Self, ParseReceiptError> {
        let mut lines = Lines::start(text, DISCLOSURE_LINE)?;
        let mut entries = Vec::new();
        while lines.rest.starts_with("entry ") {
            entries.push(lines.next("`entry <sequence> <Base64>`", |line| {
                let (sequence, entry) = line.strip_prefix("entry ")?.split_once(' ')?;
                let number: u32 = sequence.parse().ok()?;
                let entry = STANDARD.decode(entry).ok()?;
                (number.to_string() == sequence && entry.len() <= ENTRY_BYTES_MAX).then_some((Sequence(number), entry))
            })?);
        }
        let hashes = lines.hashes(usize::MAX)?;
        lines.next(RECEIPT_LINE, |line| (line == RECEIPT_LINE).then_some(()))?;
        Ok(Self { entries, hashes, receipt: Receipt::read(&mut lines)? })
    }
}

/// The lines of a text that are not read yet.
struct Lines<'t> {
    rest: &'t str,
    line: usize,
}

impl<'t> Lines<'t> {
    fn start(text: &'t str, header: &str) -> Result<Self, ParseReceiptError> {
        if text.len() > RECEIPT_BYTES_MAX {
            return Err(ParseReceiptError::TooLong);
        }
        let rest = text.strip_prefix(header).and_then(|rest| rest.strip_prefix('\n'));
        Ok(Self { rest: rest.ok_or(ParseReceiptError::Header)?, line: 2 })
    }

    fn next<T>(
        &mut self,
        wanted: &'static str,
        parse: impl FnOnce(&'t str) -> Option<T>,
    ) -> Result<T, ParseReceiptError> {
        let malformed = ParseReceiptError::Line { line: self.line, wanted };
        let Some((line, rest)) = self.rest.split_once('\n') else {
            return Err(malformed);
        };
        let value = parse(line).ok_or(malformed)?;
        self.rest = rest;
        self.line += 1;
        Ok(value)
    }

    /// At most `max` hashes, and the empty line after them.
    fn hashes(&mut self, max: usize) -> Result<Vec<[u8; 32]>, ParseReceiptError> {
        let mut hashes = Vec::new();
        loop {
            let full = hashes.len() >= max;
            let hash = self.next("a hash in Base64 or the empty line after them", |line| match line {
                "" => Some(None),
                _ if full => None,
                line => STANDARD.decode(line).ok()?.try_into().ok().map(Some),
            })?;
            match hash {
                Some(hash) => hashes.push(hash),
                None => return Ok(hashes),
            }
        }
    }
}

const RECEIPT_LINE: &str = "c2sp.org/tlog-proof@v1";
const DISCLOSURE_LINE: &str = "tollgate/call-disclosure@v1";

/// A tree of 2⁶⁴ entries is 64 levels high.
const INCLUSION_HASHES_MAX: usize = 64;
