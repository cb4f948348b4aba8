//! What the notary takes from a host: only whole frames with entries that this host may write, in an order that makes
//! sense. The host's bytes are not trusted.
//!
//! It works in memory alone, and its memory is bounded whatever a host writes.

use std::collections::HashMap;

use tollgate_audit::codec::DecodeError;
use tollgate_audit::confinement::BlockedCall;
use tollgate_audit::entry::{Closer, Entry, Kind};
use tollgate_audit::frame::{Head, head};
use tollgate_audit::ids::{CallId, HostId, LeafHash, LeafIndex};
use tollgate_audit::structure::{OpenCall, Problem, Structure};

/// What one host has written so far.
#[derive(Debug)]
pub struct Intake {
    host: HostId,
    calls: Structure,
    counts: CountWindow,
    // The first that its filter stopped.
    blocked: Option<BlockedCall>,
}

/// What the journal holds of a host that an earlier notary served.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// The numbers of its calls.
    pub(super) counts: CountWindow,
    /// Whether it said what confines it.
    pub(super) is_confined: bool,
    /// What its filter stopped.
    pub(super) blocked: Option<BlockedCall>,
}

/// A host wrote what it may not. It is either broken or broken into.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostFault {
    /// The bytes are no frame.
    #[error("bytes that are no frame")]
    BadFrame,
    /// The frame holds no entry.
    #[error("a frame that holds no entry: {0}")]
    NotAnEntry(#[from] DecodeError),
    /// An entry that only the notary writes.
    #[error("an entry of kind {kind}, which is not a host's to write")]
    NotItsKind {
        /// The kind.
        kind: Kind,
    },
    /// An entry of another host, or of its call.
    #[error("an entry of host {host}, which is another one")]
    OtherHost {
        /// The other host.
        host: HostId,
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
    /// More calls open at once than a host can have.
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
    /// For the host with this id, which has not written anything.
    #[must_use]
    pub fn new(host: HostId) -> Self {
        Self { host, calls: Structure::of_host(), counts: CountWindow::default(), blocked: None }
    }

    /// For a host that has written something before this notary came: these of its calls are open.
    pub(super) fn resumed(host: HostId, open: HashMap<CallId, OpenCall>, past: Past) -> Self {
        let Past { counts, is_confined, blocked } = past;
        let mut intake = Self { counts, blocked, ..Self::new(host) };
        if is_confined || intake.counts.highest.is_some() {
            intake.calls.has_begun(host, is_confined);
        }
        intake.calls.adopt(open);
        intake
    }

    /// Takes the whole frames that `bytes` begins with; `taken` gets each entry. Returns how many bytes they have.
    ///
    /// # Errors
    ///
    /// [`HostFault`] of the frame after those that `taken` got.
    pub fn take<'b>(&mut self, bytes: &'b [u8], mut taken: impl FnMut(Taken<'b>)) -> (usize, Option<HostFault>) {
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
                Head::Bad => return (used, Some(HostFault::BadFrame)),
            }
        }
    }

    /// The system call that the host's filter stopped, the first if there were several.
    #[must_use]
    pub fn blocked(&self) -> Option<&BlockedCall> {
        self.blocked.as_ref()
    }

    /// Whether the host has begun this call and not ended it.
    pub(crate) fn is_open(&self, call: CallId) -> bool {
        self.calls.is_open(call)
    }

    /// The closers of all calls that are open, each with this reason.
    pub(crate) fn closers(&self, reason: &str) -> Vec<Closer<'static>> {
        let calls = self.calls.open_calls();
        calls.into_iter().map(|call| self.calls.closer(call, reason.to_owned())).collect()
    }

    fn accept(&mut self, bytes: &[u8], leaf: LeafHash) -> Result<Option<CallId>, HostFault> {
        let entry = Entry::decode(bytes)?;
        // A blocked call names a host and may name a call; both must be its own.
        let named = [entry.host(), entry.call().map(CallId::host)];
        if let Some(host) = named.into_iter().flatten().find(|host| *host != self.host) {
            return Err(HostFault::OtherHost { host });
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

    /// Whether this kind of entry may come now; the call that it ends.
    fn admit(&mut self, entry: &Entry<'_>) -> Result<Option<CallId>, HostFault> {
        match entry {
            Entry::Policy(_)
            | Entry::Outcome(_)
            | Entry::Violation(_)
            | Entry::Enforcement(_)
            | Entry::BlockedCall(_) => Ok(None),
            Entry::Call(start) => {
                if self.calls.open_count() >= OPEN_CALLS_MAX {
                    return Err(HostFault::TooManyCalls);
                }
                let call = start.call;
                if self.counts.take(call.count()) { Ok(None) } else { Err(HostFault::Repeated { call }) }
            }
            Entry::Intent(intent) => {
                let call = intent.call;
                let has_room = self.calls.open_intents(call) < OPEN_INTENTS_MAX;
                if has_room { Ok(None) } else { Err(HostFault::TooManyIntents { call }) }
            }
            Entry::CallEnd(end) => Ok(Some(end.call)),
            Entry::LedgerOpened(_)
            | Entry::Closer(_)
            | Entry::Erasure(_)
            | Entry::KernelRecord(_)
            | Entry::Takeover(_)
            | Entry::Adoption(_) => Err(HostFault::NotItsKind { kind: entry.kind() }),
        }
    }
}

/// Which numbers have been used: the highest, and those a little below it (as against replays in RFC 4303 §3.4.3). The
/// threads of a host get their numbers before they write, so that calls may come a little out of order.
#[derive(Debug, Default)]
pub(super) struct CountWindow {
    highest: Option<u32>,
    // One bit for each number from `highest` downwards, by the number modulo the window.
    used: Vec<u64>,
}

impl CountWindow {
    /// Whether `count` is new; it is used from now on. Numbers must not go round: a host that leaps ahead would get an
    /// ended call's number again. 2³² calls are more than a terabyte of ledger.
    pub(super) fn take(&mut self, count: u32) -> bool {
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

/// Sixteen times the most calls of a tool at the same time: a host has one thread for each.
const OPEN_CALLS_MAX: usize = 1 << 14;

/// Above what the cap on handles allows (8,192), by what outcomes may wait.
const OPEN_INTENTS_MAX: usize = 1 << 14;

/// A host's entries stand behind `ledger-opened`.
const NOT_THE_FIRST: LeafIndex = LeafIndex(1);

#[cfg(test)]
mod tests {
    use super::*;

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
