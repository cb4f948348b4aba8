//! What must hold between entries: calls start, count and end; every intent has exactly one terminal entry.
//!
//! It judges entries in their order and must never read or write anything.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use crate::confinement::{BlockedCall, Enforcement};
use crate::entry::{CLOSER_SEQUENCES_MAX, Call, CallClass, CallEnd, Closer, Entry, LedgerKey, LedgerOpened, Verdict};
use crate::ids::{CallId, LeafHash, LeafIndex, PublicKey, RootHash, Sequence, TreeSize, WriterId};
use crate::takeover::{Adoption, Takeover};
use crate::text::Text;
use crate::tree::Frontier;

/// Something in a ledger that must not be. Serialised, `problem` holds the variant's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "problem", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Problem {
    /// The frame's check fails or its length is impossible. Nothing after it can be read.
    #[error("the frame is corrupt; nothing after it can be read")]
    CorruptFrame,
    /// The journal ends within a frame: a write that was cut short, or a change to the last entry.
    #[error("the journal ends within a frame, after {bytes} bytes of it")]
    TornTail {
        /// Bytes of the unfinished frame.
        bytes: u64,
    },
    /// The bytes are not an entry in its one encoding.
    #[error("not an entry: {reason}")]
    NotAnEntry {
        /// What is wrong.
        reason: String,
    },
    /// The ledger does not start with `ledger-opened`.
    #[error("the ledger does not start with ledger-opened")]
    NotOpened,
    /// `ledger-opened` names another origin than the first one.
    #[error("ledger-opened names another origin than the first")]
    OriginChanged,
    /// Another key than before, without a rotation that says so.
    #[error("another key than before, and no rotation to it")]
    KeyChanged,
    /// A rotation that not both keys have signed.
    #[error("the rotation is not signed by both keys")]
    KeyRotationUnsigned,
    /// A call id starts a second time.
    #[error("call {call} starts a second time")]
    CallRepeated {
        /// The call.
        call: CallId,
    },
    /// An entry of a call that never started.
    #[error("call {call} has not started")]
    CallUnknown {
        /// The call.
        call: CallId,
    },
    /// An entry of a call that has ended.
    #[error("call {call} has ended")]
    CallEnded {
        /// The call.
        call: CallId,
    },
    /// Entries of a call are missing, repeated or out of order.
    #[error("entry {expected} of call {call} expected, found {found}")]
    SequenceBroken {
        /// The call.
        call: CallId,
        /// The sequence that must come.
        expected: Sequence,
        /// The sequence that came.
        found: Sequence,
    },
    /// A terminal entry for what is not an open intent.
    #[error("intent {of} of call {call} does not exist or is closed")]
    IntentNotOpen {
        /// The call.
        call: CallId,
        /// The sequence that the entry names.
        of: Sequence,
    },
    /// The call ended with an intent open.
    #[error("intent {of} of call {call} has no terminal entry")]
    IntentLeftOpen {
        /// The call.
        call: CallId,
        /// The intent.
        of: Sequence,
    },
    /// A denied intent has an outcome.
    #[error("intent {of} of call {call} was denied, yet has an outcome")]
    DeniedButDone {
        /// The call.
        call: CallId,
        /// The intent.
        of: Sequence,
    },
    /// `call-end` names another number of entries than there are.
    #[error("call {call} has {found} entries before its end, which names {named}")]
    CallCount {
        /// The call.
        call: CallId,
        /// The number in `call-end`.
        named: u32,
        /// The number in the ledger.
        found: u32,
    },
    /// `call-end` names another root than the call's entries have.
    #[error("call {call} has root {found}, its end names {named}")]
    CallRoot {
        /// The call.
        call: CallId,
        /// The root in `call-end`.
        named: RootHash,
        /// The root of the entries in the ledger.
        found: RootHash,
    },
    /// The end of a call says that the request was turned down before the guest ran, and the call did something.
    #[error("call {call} was turned down by its end, yet it has {entries} entries before that, a result or a cap")]
    RejectedButRan {
        /// The call.
        call: CallId,
        /// Entries of the call before its end, of which there must be one.
        entries: u32,
    },
    /// A closer names other intents than are open.
    #[error("the closer of call {call} names other intents than are open")]
    CloserList {
        /// The call.
        call: CallId,
    },
    /// A writer says a second time what confines it.
    #[error("writer {writer} says a second time what confines it")]
    EnforcementRepeated {
        /// The writer.
        writer: WriterId,
    },
    /// A writer says what confines it, yet ran calls before.
    #[error("writer {writer} ran calls before it said what confines it")]
    EnforcementLate {
        /// The writer.
        writer: WriterId,
    },
    /// A blocked system call names a call of another writer.
    #[error("the blocked system call of writer {writer} names call {call}, which is another writer's")]
    BlockedCallOfAnother {
        /// The writer.
        writer: WriterId,
        /// The call.
        call: CallId,
    },
    /// An entry on what was taken over or adopted counts other entries than stand before it.
    #[error("it says that it follows entry {first} and {count} more, which are not those before it")]
    NotBefore {
        /// The first entry that it names.
        first: LeafIndex,
        /// The number of entries that it names.
        count: u64,
    },
    /// The ledger was closed, and then somebody added entries: nobody signed them, and no writer left them.
    #[error("added after the ledger was closed with {size} entries: forged by somebody who can write to its folder")]
    AddedWhileClosed {
        /// The number of entries that it was closed with.
        size: TreeSize,
    },
    /// The checkpoint file holds no checkpoint.
    #[error("no checkpoint in its file: {reason}")]
    CheckpointMalformed {
        /// What is wrong.
        reason: String,
    },
    /// The checkpoint names another origin than the ledger.
    #[error("the checkpoint is of another ledger: {origin}")]
    CheckpointOrigin {
        /// The origin in the checkpoint.
        origin: String,
    },
    /// The checkpoint is not signed as it must be.
    #[error("the checkpoint is not signed by the ledger's key: {reason}")]
    CheckpointSignature {
        /// What is wrong.
        reason: String,
    },
    /// There must be a checkpoint, and there is none.
    #[error("the checkpoint is missing")]
    CheckpointMissing,
    /// The key that the auditor knows never signed for this ledger.
    #[error("the key {key} is none of this ledger's")]
    KeyUnknown {
        /// The key that the auditor gave.
        key: String,
    },
    /// The state file beside the ledger holds no state.
    #[error("what the ledger remembers of its size cannot be read")]
    StateMalformed,
    /// A file holds something else than the journal, or its name, says.
    #[error("the file differs from what the journal or its name says")]
    FileDiffers,
    /// A file that the checkpoint needs is not there.
    #[error("the file is missing")]
    FileMissing,
    /// A file that belongs to no entry.
    #[error("the file belongs to no entry of the ledger")]
    FileUnknown,
    /// The operating system refused to read a file.
    #[error("the file cannot be read: {reason}")]
    FileUnreadable {
        /// The cause.
        reason: String,
    },
    /// The checkpoint, or what was expected, covers more entries than the ledger has: entries are lost.
    #[error("{size} entries are known to have been here")]
    EntriesLost {
        /// The size that the ledger had.
        size: TreeSize,
    },
    /// The first entries are not those that the checkpoint, or what was expected, covers: entries were changed.
    #[error("the root of the first {size} entries is {found}, known is {known}")]
    EntriesChanged {
        /// The size at which roots differ.
        size: TreeSize,
        /// The root known.
        known: RootHash,
        /// The root of the entries in the ledger.
        found: RootHash,
    },
}

/// Follows the calls of a ledger, entry by entry.
#[derive(Debug)]
pub struct Structure {
    origin: Option<String>,
    // By the index from which on they sign, rising.
    keys: Vec<(LeafIndex, PublicKey)>,
    // What came before is not known.
    resumed: bool,
    open: HashMap<CallId, OpenCall>,
    // Kept to know a call that starts twice; a notary, which runs for ever, tells that by the ids alone.
    ended: Option<HashSet<CallId>>,
    // Writers that have begun.
    writers: HashMap<WriterId, Begun>,
}

/// What a writer wrote first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    Call,
    Enforcement,
}

#[derive(Debug)]
pub struct OpenCall {
    writer: WriterId,
    first: LeafIndex,
    tree: Frontier,
    next: Sequence,
    // Rising by sequence, where the journal makes sense.
    intents: Vec<(Sequence, Verdict)>,
}

impl Structure {
    /// The structure of a ledger of this origin, from somewhere behind its start on.
    pub fn resumed(origin: String) -> Self {
        Self { origin: Some(origin), resumed: true, ..Self::default() }
    }

    /// The structure of what one writer writes: memory does not grow with the calls that ended.
    pub fn of_writer() -> Self {
        Self { resumed: true, ended: None, ..Self::default() }
    }

    /// Goes on with a writer that has begun before: with a call, or by saying what confines it.
    pub fn has_begun(&mut self, writer: WriterId, is_confined: bool) {
        self.writers.insert(writer, if is_confined { Begun::Enforcement } else { Begun::Call });
    }

    /// The number of calls that are open.
    pub fn open_count(&self) -> usize {
        self.open.len()
    }

    /// Whether `call` has started and neither ended nor been closed.
    pub fn is_open(&self, call: CallId) -> bool {
        self.open.contains_key(&call)
    }

    /// The number of intents of `call` that are open.
    pub fn open_intents(&self, call: CallId) -> usize {
        self.open.get(&call).map_or(0, |state| state.intents.len())
    }

    /// Takes the open calls of the writers that are wanted out, each to be gone on with by [`Structure::adopt`].
    pub fn take_open(&mut self, is_wanted: impl Fn(WriterId) -> bool) -> HashMap<CallId, OpenCall> {
        self.open.extract_if(|_call, state| is_wanted(state.writer)).collect()
    }

    /// Goes on with calls that another structure has followed until here.
    pub fn adopt(&mut self, open: HashMap<CallId, OpenCall>) {
        self.open.extend(open);
    }

    /// The keys that signed, each with the entry that named it.
    pub fn keys(&self) -> &[(LeafIndex, PublicKey)] {
        &self.keys
    }

    /// The key in force over the first `size` entries. A rotation tells which key was before it.
    pub fn key_at(&self, size: TreeSize) -> Option<PublicKey> {
        self.keys.iter().rev().find(|(index, _)| index.0 < size.0).map(|(_, key)| *key)
    }

    /// The origin that the first entry names.
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// The calls that started and neither ended nor were closed, in the order of their start.
    pub fn open_calls(&self) -> Vec<CallId> {
        let mut calls: Vec<_> = self.open.iter().map(|(call, state)| (state.first, *call)).collect();
        calls.sort_unstable();
        calls.into_iter().map(|(_, call)| call).collect()
    }

    /// The closer that fits `call` as it stands. Each number is in it once, rising, whatever the journal holds.
    pub fn closer(&self, call: CallId, reason: impl Into<Text<'static>>) -> Closer<'static> {
        let open = self.open.get(&call).map(|state| state.intents.as_slice()).unwrap_or_default();
        let mut of: Vec<_> = open.iter().map(|(seq, _)| *seq).collect();
        of.sort_unstable();
        of.dedup();
        let left_out = of.len().saturating_sub(CLOSER_SEQUENCES_MAX) as u64;
        of.truncate(CLOSER_SEQUENCES_MAX);
        Closer { call, of, left_out, reason: reason.into() }
    }

    /// Takes the next entry; what is wrong with it goes to `report`.
    pub fn entry(&mut self, index: LeafIndex, entry: &Entry<'_>, leaf: LeafHash, report: &mut impl FnMut(Problem)) {
        if index == LeafIndex(0) && !matches!(entry, Entry::LedgerOpened(_)) {
            report(Problem::NotOpened);
        }
        match entry {
            Entry::LedgerOpened(entry) => self.ledger_opened(index, entry, report),
            Entry::Policy(_) | Entry::KernelRecord(_) | Entry::Reload(_) => {}
            Entry::Call(entry) => self.call(index, entry, leaf, report),
            Entry::Intent(entry) => {
                if let Some(state) = self.step(entry.call, entry.seq, leaf, report) {
                    state.intents.push((entry.seq, entry.verdict));
                }
            }
            Entry::Outcome(entry) => {
                let (call, of) = (entry.call, entry.of);
                if let Some(state) = self.step(call, entry.seq, leaf, report)
                    && state.close(call, of, report) == Some(Verdict::Deny)
                {
                    report(Problem::DeniedButDone { call, of });
                }
            }
            Entry::Violation(entry) => {
                if let Some(state) = self.step(entry.call, entry.seq, leaf, report) {
                    state.close(entry.call, entry.of, report);
                }
            }
            Entry::CallEnd(entry) => self.call_end(entry, report),
            Entry::Closer(entry) => self.close(entry, report),
            // Of any call, as often as anybody asks: texts of a call whose worker died before its first entry can be erased too.
            Entry::Erasure(_) => {}
            Entry::Enforcement(entry) => self.enforcement(entry, report),
            Entry::BlockedCall(entry) => self.blocked_call(entry, report),
            Entry::Takeover(Takeover { first, count, .. }) | Entry::Adoption(Adoption { first, count, .. }) => {
                if first.0.checked_add(*count) != Some(index.0) {
                    report(Problem::NotBefore { first: *first, count: *count });
                }
            }
        }
    }

    fn ledger_opened(&mut self, index: LeafIndex, entry: &LedgerOpened<'_>, report: &mut impl FnMut(Problem)) {
        match &self.origin {
            None => self.origin = Some(entry.origin.to_string()),
            Some(origin) if entry.origin == origin.as_str() => {}
            Some(_) => report(Problem::OriginChanged),
        }
        let before = self.keys.last().map(|(_, key)| *key);
        let LedgerKey { public, rotated } = &entry.key;
        match rotated {
            Some(rotation) => {
                if before.is_some_and(|before| before != rotation.old_key) {
                    report(Problem::KeyChanged);
                } else if !rotation.is_signed(entry, *public) {
                    report(Problem::KeyRotationUnsigned);
                }
                match before {
                    Some(_) => {}
                    None if self.resumed => self.keys.push((LeafIndex(0), rotation.old_key)),
                    None => report(Problem::KeyChanged),
                }
            }
            None if before.is_some_and(|before| before != *public) => report(Problem::KeyChanged),
            None => {}
        }
        if before != Some(*public) {
            self.keys.push((index, *public));
        }
    }

    fn call(&mut self, first: LeafIndex, entry: &Call<'_>, leaf: LeafHash, report: &mut impl FnMut(Problem)) {
        let call = entry.call;
        let has_ended = self.ended.as_ref().is_some_and(|ended| ended.contains(&call));
        if self.open.contains_key(&call) || has_ended {
            return report(Problem::CallRepeated { call });
        }
        self.writers.entry(entry.writer).or_insert(Begun::Call);
        let mut tree = Frontier::new();
        tree.append(leaf);
        let state = OpenCall { writer: entry.writer, first, tree, next: Sequence(1), intents: Vec::new() };
        self.open.insert(call, state);
    }

    /// The state of `call` with one more entry counted.
    fn step(
        &mut self,
        call: CallId,
        seq: Sequence,
        leaf: LeafHash,
        report: &mut impl FnMut(Problem),
    ) -> Option<&mut OpenCall> {
        let Some(state) = self.open.get_mut(&call) else {
            report(not_open(self.ended.as_ref(), call));
            return None;
        };
        state.expect(call, seq, report);
        state.tree.append(leaf);
        Some(state)
    }

    fn call_end(&mut self, entry: &CallEnd<'_>, report: &mut impl FnMut(Problem)) {
        let call = entry.call;
        let Some(mut state) = self.open.remove(&call) else {
            return report(not_open(self.ended.as_ref(), call));
        };
        self.end(call);
        state.expect(call, entry.seq, report);
        for (of, _) in &state.intents {
            report(Problem::IntentLeftOpen { call, of: *of });
        }
        let count = u32::try_from(state.tree.size().0).unwrap_or(u32::MAX);
        if entry.entries != count {
            report(Problem::CallCount { call, named: entry.entries, found: count });
        }
        let is_bare = count == 1 && entry.result.is_none() && entry.cap.is_none();
        if entry.class == CallClass::Rejected && !is_bare {
            report(Problem::RejectedButRan { call, entries: count });
        }
        let root = state.tree.root();
        if entry.root != root {
            report(Problem::CallRoot { call, named: entry.root, found: root });
        }
    }

    fn enforcement(&mut self, entry: &Enforcement<'_>, report: &mut impl FnMut(Problem)) {
        let writer = entry.writer;
        match self.writers.insert(writer, Begun::Enforcement) {
            None => {}
            Some(Begun::Enforcement) => report(Problem::EnforcementRepeated { writer }),
            Some(Begun::Call) => report(Problem::EnforcementLate { writer }),
        }
    }

    /// The call that it stopped, if it names one, is open.
    fn blocked_call(&self, entry: &BlockedCall, report: &mut impl FnMut(Problem)) {
        let Some(call) = entry.call else { return };
        match self.open.get(&call) {
            None => report(not_open(self.ended.as_ref(), call)),
            Some(state) if state.writer != entry.writer => {
                report(Problem::BlockedCallOfAnother { writer: entry.writer, call });
            }
            Some(_its_own) => {}
        }
    }

    fn close(&mut self, entry: &Closer<'_>, report: &mut impl FnMut(Problem)) {
        let call = entry.call;
        if !self.open.contains_key(&call) {
            return report(not_open(self.ended.as_ref(), call));
        }
        let fitting = self.closer(call, "");
        if (&fitting.of, fitting.left_out) != (&entry.of, entry.left_out) {
            report(Problem::CloserList { call });
        }
        self.open.remove(&call);
        self.end(call);
    }

    fn end(&mut self, call: CallId) {
        if let Some(ended) = &mut self.ended {
            ended.insert(call);
        }
    }
}

impl Default for Structure {
    fn default() -> Self {
        let (open, ended) = (HashMap::new(), Some(HashSet::new()));
        Self { origin: None, keys: Vec::new(), resumed: false, open, ended, writers: HashMap::new() }
    }
}

impl OpenCall {
    /// Who writes its entries.
    pub fn writer(&self) -> WriterId {
        self.writer
    }

    fn expect(&mut self, call: CallId, found: Sequence, report: &mut impl FnMut(Problem)) {
        if found != self.next {
            report(Problem::SequenceBroken { call, expected: self.next, found });
        }
        self.next = Sequence(found.0.saturating_add(1));
    }

    /// The verdict on the intent that is closed hereby.
    fn close(&mut self, call: CallId, of: Sequence, report: &mut impl FnMut(Problem)) -> Option<Verdict> {
        // Usually the latest: searched from the end.
        let Some(place) = self.intents.iter().rposition(|(seq, _)| *seq == of) else {
            report(Problem::IntentNotOpen { call, of });
            return None;
        };
        let (_, verdict) = self.intents.remove(place);
        Some(verdict)
    }
}

fn not_open(ended: Option<&HashSet<CallId>>, call: CallId) -> Problem {
    if ended.is_some_and(|ended| ended.contains(&call)) {
        Problem::CallEnded { call }
    } else {
        Problem::CallUnknown { call }
    }
}
