//! What the notary takes from a writer: only whole frames with entries that this writer may write, in an order that makes
//! sense. The writer's bytes are not trusted.
//!
//! It works in memory alone, and its memory is bounded whatever a writer writes.

use std::collections::{HashMap, VecDeque};

use tollgate_audit::codec::DecodeError;
use tollgate_audit::confinement::BlockedCall;
use tollgate_audit::entry::{Closer, Entry, Kind};
use tollgate_audit::frame::{Head, head};
use tollgate_audit::ids::{CallId, LeafHash, LeafIndex, WriterId};
use tollgate_audit::structure::{OpenCall, Problem, Structure};

use crate::writer::{LEASES_MAX, Lease, WriterKind};

/// What one writer has written so far.
#[derive(Debug)]
pub struct Intake {
    writer: WriterId,
    kind: WriterKind,
    leased: Leased,
    calls: Structure,
    // The first that its filter stopped.
    blocked: Option<BlockedCall>,
}

/// What the journal holds of a writer that an earlier notary served.
#[derive(Debug)]
pub(super) struct Past {
    /// The calls that it may name, and which of them it did.
    pub(super) leased: Leased,
    /// Whether it said what confines it.
    pub(super) is_confined: bool,
    /// What its filter stopped.
    pub(super) blocked: Option<BlockedCall>,
}

impl Past {
    /// Of a writer that may name these calls, and of which nothing was found yet.
    pub(super) fn of(calls: &[Lease]) -> Self {
        Self { leased: Leased::of(calls), is_confined: false, blocked: None }
    }
}

/// A writer wrote what it may not. It is either broken or broken into.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriterFault {
    /// The bytes are no frame.
    #[error("bytes that are no frame")]
    BadFrame,
    /// The frame holds no entry.
    #[error("a frame that holds no entry: {0}")]
    NotAnEntry(#[from] DecodeError),
    /// An entry that writers of its kind do not write.
    #[error("an entry of kind {kind}, which is not its to write")]
    NotItsKind {
        /// The kind.
        kind: Kind,
    },
    /// An entry of another writer.
    #[error("an entry of writer {writer}, which is another one")]
    OtherWriter {
        /// The other writer.
        writer: WriterId,
    },
    /// An entry of a call that its supervisor has not given to it.
    #[error("an entry of call {call}, which was not given to it")]
    OtherCall {
        /// The call.
        call: CallId,
    },
    /// A call number that came before, or is too far behind.
    #[error("call {call} a second time")]
    Repeated {
        /// The call.
        call: CallId,
    },
    /// Entries that make no sense.
    #[error("entries that make no sense: {0}")]
    Senseless(#[from] Problem),
    /// More calls open at once than a writer can have.
    #[error("more than {OPEN_CALLS_MAX} calls at once")]
    TooManyCalls,
    /// More intents open in one call than a call can have.
    #[error("more than {OPEN_INTENTS_MAX} open intents in call {call}")]
    TooManyIntents {
        /// The call.
        call: CallId,
    },
}

/// An entry that was taken.
#[derive(Clone, Copy, Debug)]
pub struct Taken<'b> {
    /// Its bytes.
    pub entry: &'b [u8],
    /// Their hash as a leaf.
    pub leaf: LeafHash,
    /// The call that it ends.
    pub ends: Option<CallId>,
}

impl Intake {
    /// For a writer that has not written anything: its id, its kind, and the calls that it may name.
    #[must_use]
    pub fn new(writer: WriterId, kind: WriterKind, calls: &[Lease]) -> Self {
        Self { writer, kind, leased: Leased::of(calls), calls: Structure::of_writer(), blocked: None }
    }

    /// For a writer that has written something before this notary came: these of its calls are open.
    pub(super) fn resumed(writer: WriterId, kind: WriterKind, open: HashMap<CallId, OpenCall>, past: Past) -> Self {
        let Past { leased, is_confined, blocked } = past;
        let mut intake = Self { leased, blocked, ..Self::new(writer, kind, &[]) };
        if is_confined || intake.leased.is_begun() {
            intake.calls.has_begun(writer, is_confined);
        }
        intake.calls.adopt(open);
        intake
    }

    /// It may name these calls too.
    pub(super) fn lease(&mut self, calls: Lease) {
        self.leased.add(calls);
    }

    /// Takes the whole frames that `bytes` begins with; `taken` gets each entry. Returns how many bytes they have.
    ///
    /// # Errors
    ///
    /// [`WriterFault`] of the frame after those that `taken` got.
    pub fn take<'b>(&mut self, bytes: &'b [u8], mut taken: impl FnMut(Taken<'b>)) -> (usize, Option<WriterFault>) {
        let mut used = 0;
        loop {
            match head(bytes.get(used..).unwrap_or_default()) {
                Head::Frame { entry, leaf, size } => match self.accept(entry, leaf) {
                    Ok(ends) => {
                        used += size;
                        taken(Taken { entry, leaf, ends });
                    }
                    Err(fault) => return (used, Some(fault)),
                },
                Head::Incomplete => return (used, None),
                Head::Bad => return (used, Some(WriterFault::BadFrame)),
            }
        }
    }

    /// The system call that the writer's filter stopped, the first if there were several.
    #[must_use]
    pub fn blocked(&self) -> Option<&BlockedCall> {
        self.blocked.as_ref()
    }

    /// Whether the writer has begun this call and not ended it.
    pub(crate) fn is_open(&self, call: CallId) -> bool {
        self.calls.is_open(call)
    }

    /// The closers of all calls that are open, each with this reason.
    pub(crate) fn closers(&self, reason: &str) -> Vec<Closer<'static>> {
        let calls = self.calls.open_calls();
        calls.into_iter().map(|call| self.calls.closer(call, reason.to_owned())).collect()
    }

    fn accept(&mut self, bytes: &[u8], leaf: LeafHash) -> Result<Option<CallId>, WriterFault> {
        let entry = Entry::decode(bytes)?;
        if !self.kind.may_write(entry.kind()) {
            return Err(WriterFault::NotItsKind { kind: entry.kind() });
        }
        if let Some(writer) = entry.writer().filter(|writer| *writer != self.writer) {
            return Err(WriterFault::OtherWriter { writer });
        }
        // A call that takes long is gone on with when its lease does not count any more.
        if let Some(call) = entry.call().filter(|call| !self.leased.holds(*call) && !self.calls.is_open(*call)) {
            return Err(WriterFault::OtherCall { call });
        }
        let ends = self.admit(&entry)?;
        let mut problem = None;
        self.calls.entry(NOT_THE_FIRST, &entry, leaf, &mut |found| {
            problem.get_or_insert(found);
        });
        if let Some(problem) = problem {
            return Err(problem.into());
        }
        if let Entry::BlockedCall(blocked) = entry {
            // Further threads may be stopped, and others finish what they are at, before the process has ended.
            self.blocked.get_or_insert(blocked);
        }
        Ok(ends)
    }

    /// Whether there is room for this entry now; the call that it ends.
    fn admit(&mut self, entry: &Entry<'_>) -> Result<Option<CallId>, WriterFault> {
        match entry {
            Entry::Call(start) => {
                if self.calls.open_count() >= OPEN_CALLS_MAX {
                    return Err(WriterFault::TooManyCalls);
                }
                let call = start.call;
                if self.leased.take(call) { Ok(None) } else { Err(WriterFault::Repeated { call }) }
            }
            Entry::Intent(intent) => {
                let call = intent.call;
                let has_room = self.calls.open_intents(call) < OPEN_INTENTS_MAX;
                if has_room { Ok(None) } else { Err(WriterFault::TooManyIntents { call }) }
            }
            Entry::CallEnd(end) => Ok(Some(end.call)),
            Entry::Policy(_)
            | Entry::Outcome(_)
            | Entry::Violation(_)
            | Entry::Enforcement(_)
            | Entry::BlockedCall(_)
            | Entry::LedgerOpened(_)
            | Entry::Closer(_)
            | Entry::Erasure(_)
            | Entry::KernelRecord(_)
            | Entry::Takeover(_)
            | Entry::Adoption(_)
            | Entry::Reload(_) => Ok(None),
        }
    }
}

/// The calls that a writer may name, the latest [`LEASES_MAX`] leases of them, and which of them it has begun.
#[derive(Debug)]
pub(super) struct Leased(VecDeque<(Lease, CountWindow)>);

impl Leased {
    pub(super) fn of(calls: &[Lease]) -> Self {
        let mut leased = Self(VecDeque::new());
        calls.iter().for_each(|calls| leased.add(*calls));
        leased
    }

    fn add(&mut self, calls: Lease) {
        // Said twice, as after a restart: which of these calls were begun is known already.
        if self.0.iter().any(|(lease, _)| *lease == calls) {
            return;
        }
        if self.0.len() == LEASES_MAX {
            self.0.pop_front();
        }
        self.0.push_back((calls, CountWindow::default()));
    }

    fn holds(&self, call: CallId) -> bool {
        // Usually of the latest.
        self.0.iter().rev().any(|(lease, _)| lease.holds(call))
    }

    /// Whether `call` is one of these and new; it is begun from now on.
    pub(super) fn take(&mut self, call: CallId) -> bool {
        let lease = self.0.iter_mut().rev().find(|(lease, _)| lease.holds(call));
        lease.is_some_and(|(_, counts)| counts.take(call.count()))
    }

    fn is_begun(&self) -> bool {
        self.0.iter().any(|(_, counts)| counts.highest.is_some())
    }
}

/// Which numbers have been used: the highest, and those a little below it (as against replays in RFC 4303 §3.4.3). The
/// threads of a writer get their numbers before they write, so that calls may come a little out of order.
#[derive(Debug, Default)]
struct CountWindow {
    highest: Option<u32>,
    // One bit for each number from `highest` downwards, by the number modulo the window.
    used: Vec<u64>,
}

impl CountWindow {
    /// Whether `count` is new; it is used from now on. Numbers must not go round: a writer that leaps ahead would get an
    /// ended call's number again. 2³² calls are more than a terabyte of ledger.
    fn take(&mut self, count: u32) -> bool {
        let Some(highest) = self.highest else {
            self.used = vec![0; WINDOW.div_ceil(64) as usize];
            self.highest = Some(count);
            return self.mark(count);
        };
        if count <= highest {
            return highest - count < WINDOW && self.mark(count);
        }
        for passed in 1..=(count - highest).min(WINDOW) {
            let (word, bit) = place(highest + passed);
            if let Some(word) = self.used.get_mut(word) {
                *word &= !bit;
            }
        }
        self.highest = Some(count);
        self.mark(count)
    }

    fn mark(&mut self, count: u32) -> bool {
        let (word, bit) = place(count);
        let Some(word) = self.used.get_mut(word) else { return false };
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }
}

fn place(count: u32) -> (usize, u64) {
    let slot = count % WINDOW;
    ((slot / 64) as usize, 1 << (slot % 64))
}

/// As many as there may be calls at once.
const WINDOW: u32 = 1 << 14;

/// Sixteen times the most calls of a tool at the same time: a writer has one thread for each.
const OPEN_CALLS_MAX: usize = 1 << 14;

/// Above what the cap on handles allows (8,192), by what outcomes may wait.
const OPEN_INTENTS_MAX: usize = 1 << 14;

/// A writer's entries stand behind `ledger-opened`.
const NOT_THE_FIRST: LeafIndex = LeafIndex(1);

#[cfg(test)]
mod tests {
    use tollgate_audit::frame::push_frame;

    use super::*;

    fn framed(entry: &Entry<'_>) -> Vec<u8> {
        let mut frame = Vec::new();
        push_frame(&mut frame, &entry.encode());
        frame
    }

    /// The start of a call of this writer, as a frame.
    fn start(writer: WriterId, call: CallId) -> Vec<u8> {
        let text = || "t".into();
        framed(&Entry::Call(tollgate_audit::entry::Call {
            call,
            writer,
            time_ns: 1,
            tool: text(),
            version: text(),
            component: tollgate_audit::ids::Digest([0; 32]),
            operation: text(),
            agent: None,
            session: None,
            claims: tollgate_audit::entry::Claims::default(),
            arguments: tollgate_audit::entry::Recorded::Nothing,
            arguments_bytes: 0,
            capability_set: tollgate_audit::ids::Digest([0; 32]),
        }))
    }

    fn intent(call: CallId) -> Vec<u8> {
        framed(&Entry::Intent(tollgate_audit::entry::Intent {
            call,
            seq: tollgate_audit::ids::Sequence(1),
            at_us: 1,
            function: "f".into(),
            facts: tollgate_audit::pairs::Pairs::default(),
            verdict: tollgate_audit::entry::Verdict::Allow,
            rule: "r".into(),
            durability: tollgate_audit::entry::Durability::Pipe,
        }))
    }

    #[test]
    fn a_call_goes_on_whose_lease_does_not_count_any_more_and_none_begins() {
        let (writer, issuer) = (WriterId([1; 6]), WriterId([2; 6]));
        let lease = |number: u32| Lease { issuer, first: number * 1024, calls: 1024 };
        let mut intake = Intake::new(writer, WriterKind::Worker, &[lease(0)]);
        let call = |number| CallId::new(1, issuer, number);
        let fault =
            |intake: &mut Intake, bytes: &[u8]| intake.take(bytes, |_taken| {}).1.map(|fault| fault.to_string());
        assert_eq!(fault(&mut intake, &start(writer, call(7))), None);
        let early = fault(&mut intake, &start(writer, call(1024)));
        assert!(early.is_some_and(|fault| fault.contains("which was not given to it")), "before it is");
        (1..=32).for_each(|number| intake.lease(lease(number)));
        assert_eq!(fault(&mut intake, &intent(call(7))), None, "it takes long");
        assert_eq!(fault(&mut intake, &start(writer, call(1024))), None);
        let late = fault(&mut intake, &start(writer, call(8)));
        assert!(late.is_some_and(|fault| fault.contains("which was not given to it")), "of a lease before");
        let supervisors = fault(&mut Intake::new(issuer, WriterKind::Supervisor, &[lease(0)]), &intent(call(7)));
        assert!(supervisors.is_some_and(|fault| fault.contains("of kind intent, which is not its to write")));
    }

    #[test]
    fn a_reload_is_a_supervisors_to_write_and_a_worker_is_condemned_for_it() {
        let reload = framed(&Entry::Reload(tollgate_audit::entry::Reload {
            time_ns: 1,
            by: "operator".into(),
            policy: tollgate_audit::ids::Digest([0; 32]),
            refused: None,
        }));
        let take = |kind| {
            let mut taken = 0;
            let (used, fault) = Intake::new(WriterId([1; 6]), kind, &[]).take(&reload, |_taken| taken += 1);
            (taken, used, fault.map(|fault| fault.to_string()))
        };
        assert_eq!(take(WriterKind::Supervisor), (1, reload.len(), None));
        let fault = "an entry of kind reload, which is not its to write".to_owned();
        assert_eq!(take(WriterKind::Worker), (0, 0, Some(fault)));
    }

    #[test]
    fn a_number_is_taken_once() {
        let mut window = CountWindow::default();
        assert!(window.take(3));
        assert!(window.take(0), "out of order");
        assert!(window.take(4));
        for used in [0, 3, 4] {
            assert!(!window.take(used), "{used}");
        }
        assert!(window.take(WINDOW));
        assert!(!window.take(WINDOW));
        assert!(!window.take(0), "out of the window");
        assert!(window.take(1), "at its edge, and free");
        assert!(!window.take(3), "used");
        assert!(window.take(WINDOW * 3), "a leap clears all");
        assert!(window.take(WINDOW * 3 - 1) && window.take(WINDOW * 2 + 1));
        assert!(!window.take(WINDOW * 2));
        for leap in [u32::MAX / 2, u32::MAX - 1, u32::MAX] {
            assert!(window.take(leap));
        }
        assert!(!window.take(0) && !window.take(u32::MAX), "numbers do not go round");
    }
}
