//! The recorder of one call, as the gate uses it.
//!
//! An intent must be in the ledger before its effect: [`CallTrail::intent`] returns only then. Everything else
//! may wait in memory and goes out with the next write.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate_audit::append_error::{AppendError, RoomFor};
use tollgate_audit::codec::EncodedEntry;
use tollgate_audit::entry::{
    Action, Call, CallClass, CallEnd, Claims, Durability, Entry, Fact, Intent, Layer, Outcome, Recorded, Usage,
    Verdict, Violation,
};
use tollgate_audit::frame::{FRAME_BYTES_MAX, frame_bytes};
use tollgate_audit::ids::{CallId, Digest, LeafHash, RootHash, Sequence, WriterId};
use tollgate_audit::pairs::Pairs;
use tollgate_audit::record::{Kept, Record};
use tollgate_audit::tree::Frontier;

/// Most entries that a call can have room for: their sequences stay far below 2³².
pub const CALL_ENTRIES_MAX: u32 = 1 << 24;

/// Records one call: its start, each intent and what came of it, its end.
///
/// Dropped without [`end`](Self::end), it writes what it has, and the call stays open until its writer has ended.
#[derive(Debug)]
pub struct CallTrail {
    record: Arc<dyn Record>,
    call: CallId,
    started: Instant,
    deadline: Instant,
    // Of all entries, those that wait included; the latest leaves are not in the tree yet.
    tree: Frontier,
    leaves: Vec<LeafHash>,
    waiting: Vec<EncodedEntry>,
    open: Vec<IntentId>,
    room: Room,
}

/// How much a call may add to the ledger, so that no call fills a disk by asking. Its `call` and `call-end` entries are not
/// counted: they are always the call's to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Entries, at most [`CALL_ENTRIES_MAX`].
    pub entries: u32,
    /// Bytes of these entries with their frames.
    pub bytes: u64,
}

/// How a call starts: the fields of [`Call`], and the moment from which its entries count their time.
#[derive(Clone, Debug)]
pub struct CallStart {
    /// The call that starts.
    pub call: CallId,
    /// The moment of the start.
    pub started: Instant,
    /// Until when to wait for a ledger that has no room.
    pub deadline: Instant,
    /// How much it may add to the ledger.
    pub room: Room,
    /// The same moment by the wall clock, nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// The tool's name.
    pub tool: String,
    /// The tool's version.
    pub version: String,
    /// The component that runs.
    pub component: Digest,
    /// The operation called.
    pub operation: String,
    /// Who was proven to ask; `None` where nobody was.
    pub agent: Option<String>,
    /// The session that was issued to this agent.
    pub session: Option<String>,
    /// What the request says of who asks and why.
    pub claims: Claims<'static>,
    /// What is recorded of the arguments beside their length.
    pub arguments: Recorded,
    /// Length of the arguments in bytes.
    pub arguments_bytes: u64,
    /// The capability set in force.
    pub capability_set: Digest,
}

/// An allowed intent that is in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IntentId(Sequence);

/// A [`Fact`] that borrows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactRef<'a> {
    /// A path, an address, a set of flags.
    Text(&'a str),
    /// A size, a quota, an inode.
    Uint(u64),
    /// A switch.
    Bool(bool),
}

/// Why something is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DenialRef<'a> {
    /// The rule that is missing.
    pub rule: &'a str,
    /// Which layer refuses.
    pub layer: Layer,
    /// What happens to the guest.
    pub action: Action,
    /// What the caller is told.
    pub message: &'a str,
}

/// What came of an intent, with the totals of what was done with what it acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutcomeTotals<'a> {
    /// `ok` or a WASI error code such as `no-entry`.
    pub result: &'a str,
    /// Bytes read.
    pub bytes_read: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Calls made.
    pub calls: u64,
}

/// How a call ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallEnding {
    /// The class of its result.
    pub class: CallClass,
    /// More on how it ended, for humans.
    pub detail: String,
    /// What it used.
    pub usage: Usage,
    /// Host calls without authority, by function.
    pub counters: Vec<(String, u64)>,
    /// Digest of the result with the call's [`Salt`](tollgate_audit::Salt), if it is recorded.
    pub result: Option<Digest>,
    /// The cap that ended the call, such as `fuel`.
    pub cap: Option<String>,
}

/// What the `call-end` entry of a call says of its trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallSummary {
    /// The call.
    pub call: CallId,
    /// Number of its entries before `call-end`.
    pub entries: u32,
    /// Root of the call's own tree over these entries.
    pub root: RootHash,
}

impl CallTrail {
    /// Starts the record of a call. Its `call` entry goes out with the first write.
    #[must_use = "a dropped trail leaves a call without an end"]
    pub fn begin(record: Arc<dyn Record>, start: CallStart) -> Self {
        let mut trail = Self {
            record,
            call: start.call,
            started: start.started,
            deadline: start.deadline,
            tree: Frontier::new(),
            leaves: Vec::new(),
            waiting: Vec::new(),
            open: Vec::new(),
            room: Room { entries: start.room.entries.min(CALL_ENTRIES_MAX), bytes: start.room.bytes },
        };
        let writer = trail.record.writer();
        trail.push(Entry::Call(start.into_entry(writer)).encode());
        trail
    }

    /// The call that this records.
    #[must_use]
    pub fn call(&self) -> CallId {
        self.call
    }

    /// The intents that have neither an outcome nor a violation, in their order.
    #[must_use]
    pub fn open_intents(&self) -> &[IntentId] {
        &self.open
    }

    /// Records an allowed intent. When this returns, it is kept as `durability` says and may take effect. It takes the room
    /// for its outcome or violation too, so that what was allowed can always be closed.
    ///
    /// # Errors
    ///
    /// [`AppendError`]: it is not in the ledger, or not on disk though it had to be, and must not take effect.
    /// [`AppendError::CallFull`]: the call has no room for it; nothing is recorded.
    pub fn intent(
        &mut self,
        function: &str,
        facts: &[(&str, FactRef<'_>)],
        rule: &str,
        durability: Durability,
    ) -> Result<IntentId, AppendError> {
        let (seq, entry) = self.new_intent(function, facts, Verdict::Allow, rule, durability);
        self.take_room(2, framed(&entry) + END_BYTES)?;
        self.push(entry);
        let intent = IntentId(seq);
        self.open.push(intent);
        self.keep(durability.into())?;
        Ok(intent)
    }

    /// Records a denied intent and its violation in one write.
    ///
    /// # Errors
    ///
    /// [`AppendError`]: they are not in the ledger. The intent stays denied. [`AppendError::CallFull`]: the call has no room
    /// for them; nothing is recorded.
    pub fn denied(
        &mut self,
        function: &str,
        facts: &[(&str, FactRef<'_>)],
        denial: DenialRef<'_>,
    ) -> Result<(), AppendError> {
        let (of, intent) = self.new_intent(function, facts, Verdict::Deny, denial.rule, Durability::Pipe);
        let violation = self.new_violation(Sequence(of.0.saturating_add(1)), of, function, denial);
        self.take_room(2, framed(&intent) + framed(&violation))?;
        self.push(intent);
        self.push(violation);
        self.grow_tree();
        self.keep(Kept::Pipe)
    }

    /// Records that an allowed intent was refused after all, by the kernel. That closes it.
    ///
    /// # Errors
    ///
    /// [`AppendError::NotOpen`] when the intent is closed already; otherwise the violation is not in the ledger.
    pub fn violated(&mut self, intent: IntentId, function: &str, denial: DenialRef<'_>) -> Result<(), AppendError> {
        if !self.take_open(intent) {
            return Err(AppendError::NotOpen { intent: intent.0 });
        }
        let violation = self.new_violation(self.next(), intent.0, function, denial);
        self.push_end(violation);
        self.keep(Kept::Pipe)
    }

    /// Records what came of `intent`, with the next write. Of an intent that is closed already the first
    /// terminal entry stands.
    pub fn outcome(&mut self, intent: IntentId, outcome: OutcomeTotals<'_>) {
        if !self.take_open(intent) {
            return;
        }
        self.push_outcome(intent, outcome);
        self.grow_tree();
        if self.waiting.len() >= WAITING_MAX {
            // What fails here waits: the next intent and the end report it.
            self.write(Kept::Pipe, self.deadline).ok();
        }
    }

    /// Writes all that waits, in one write if it is not much.
    ///
    /// # Errors
    ///
    /// [`AppendError`]: what is not in the ledger waits for the next write.
    pub fn flush(&mut self) -> Result<(), AppendError> {
        self.record.ready()?;
        self.write(Kept::Pipe, self.deadline)
    }

    /// Ends the record: closes each open intent by an outcome `abandoned`, and the call by its end. Returns once the end
    /// is kept as `kept` says.
    ///
    /// # Errors
    ///
    /// [`AppendError`]: the end is not in the ledger, or not kept as it should be.
    pub fn end(mut self, end: CallEnding, kept: Kept) -> Result<CallSummary, AppendError> {
        for intent in std::mem::take(&mut self.open) {
            let abandoned = OutcomeTotals { result: ABANDONED, bytes_read: 0, bytes_written: 0, calls: 0 };
            self.push_outcome(intent, abandoned);
        }
        self.grow_tree();
        let (call, entries, root) = (self.call, self.next().0, self.tree.root());
        let end = Entry::CallEnd(CallEnd {
            call,
            seq: self.next(),
            at_us: self.at_us(),
            class: end.class,
            detail: end.detail.into(),
            usage: end.usage,
            counters: Pairs::new(end.counters),
            entries,
            root,
            result: end.result,
            cap: end.cap.map(Into::into),
        });
        self.push(end.encode());
        // What has ended is worth waiting for, also where the call had no time left.
        let deadline = self.deadline.max(Instant::now() + END_WAIT);
        self.write(kept, deadline)?;
        self.record.ready()?;
        Ok(CallSummary { call, entries, root })
    }

    /// Writes all that waits before something new may happen.
    fn keep(&mut self, kept: Kept) -> Result<(), AppendError> {
        self.record.ready()?;
        self.write(kept, self.deadline)
    }

    fn write(&mut self, kept: Kept, deadline: Instant) -> Result<(), AppendError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        match self.record.record(&self.waiting, kept, deadline) {
            Ok(()) => {
                self.waiting.clear();
                Ok(())
            }
            Err(error) => {
                self.waiting.drain(..error.taken.min(self.waiting.len()));
                Err(error.source)
            }
        }
    }

    /// Takes the latest leaves into the tree: not before an effect, which need not wait for that.
    fn grow_tree(&mut self) {
        for leaf in self.leaves.drain(..) {
            self.tree.append(leaf);
        }
    }

    /// Takes room for so many entries with so many bytes, or none.
    fn take_room(&mut self, entries: u32, bytes: u64) -> Result<(), AppendError> {
        let full = |of, asked, left| AppendError::CallFull { of, asked, left };
        let Room { entries: entries_left, bytes: bytes_left } = self.room;
        let Some(entries_after) = entries_left.checked_sub(entries) else {
            return Err(full(RoomFor::Entries, entries.into(), entries_left.into()));
        };
        let Some(bytes_after) = bytes_left.checked_sub(bytes) else {
            return Err(full(RoomFor::Bytes, bytes, bytes_left));
        };
        self.room = Room { entries: entries_after, bytes: bytes_after };
        Ok(())
    }

    /// Adds the entry that closes an intent, and gives back what it leaves of the room that the intent took for it.
    fn push_end(&mut self, entry: EncodedEntry) {
        self.room.bytes = self.room.bytes.saturating_add(END_BYTES.saturating_sub(framed(&entry)));
        self.push(entry);
    }

    /// Whether `intent` was open; it no longer is.
    fn take_open(&mut self, intent: IntentId) -> bool {
        let place = self.open.binary_search(&intent);
        place.map(|place| self.open.remove(place)).is_ok()
    }

    fn new_intent(
        &self,
        function: &str,
        facts: &[(&str, FactRef<'_>)],
        verdict: Verdict,
        rule: &str,
        durability: Durability,
    ) -> (Sequence, EncodedEntry) {
        let seq = self.next();
        let intent = Entry::Intent(Intent {
            call: self.call,
            seq,
            at_us: self.at_us(),
            function: function.into(),
            facts: Pairs::new(facts.iter().map(|(key, fact)| (*key, Fact::from(*fact)))),
            verdict,
            rule: rule.into(),
            durability,
        });
        (seq, intent.encode())
    }

    fn new_violation(&self, seq: Sequence, of: Sequence, function: &str, denial: DenialRef<'_>) -> EncodedEntry {
        let violation = Entry::Violation(Violation {
            call: self.call,
            seq,
            of,
            at_us: self.at_us(),
            function: function.into(),
            rule: denial.rule.into(),
            layer: denial.layer,
            action: denial.action,
            message: denial.message.into(),
        });
        violation.encode()
    }

    fn push_outcome(&mut self, intent: IntentId, outcome: OutcomeTotals<'_>) {
        let outcome = Entry::Outcome(Outcome {
            call: self.call,
            seq: self.next(),
            of: intent.0,
            at_us: self.at_us(),
            result: outcome.result.into(),
            bytes_read: outcome.bytes_read,
            bytes_written: outcome.bytes_written,
            calls: outcome.calls,
        });
        self.push_end(outcome.encode());
    }

    fn push(&mut self, entry: EncodedEntry) {
        self.leaves.push(entry.leaf());
        self.waiting.push(entry);
    }

    /// The sequence of the entry that comes next. The room that a call can have keeps it far below 2³².
    fn next(&self) -> Sequence {
        Sequence(u32::try_from(self.tree.size().0 + self.leaves.len() as u64).unwrap_or(u32::MAX))
    }

    fn at_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl Drop for CallTrail {
    fn drop(&mut self) {
        // Best effort, so that the ledger shows as much of an unfinished call as there was.
        self.write(Kept::Pipe, self.deadline).ok();
    }
}

impl CallStart {
    fn into_entry(self, writer: WriterId) -> Call<'static> {
        Call {
            call: self.call,
            writer,
            time_ns: self.time_ns,
            tool: self.tool.into(),
            version: self.version.into(),
            component: self.component,
            operation: self.operation.into(),
            agent: self.agent.map(Into::into),
            session: self.session.map(Into::into),
            claims: self.claims,
            arguments: self.arguments,
            arguments_bytes: self.arguments_bytes,
            capability_set: self.capability_set,
        }
    }
}

impl<'a> From<FactRef<'a>> for Fact<'a> {
    fn from(fact: FactRef<'a>) -> Self {
        match fact {
            FactRef::Text(text) => Self::Text(text.into()),
            FactRef::Uint(number) => Self::Uint(number),
            FactRef::Bool(switch) => Self::Bool(switch),
        }
    }
}

/// What the entry that closes an intent may have at most, with its frame: the room that is kept for it.
const END_BYTES: u64 = FRAME_BYTES_MAX as u64;

/// Bytes of an entry with its frame.
fn framed(entry: &EncodedEntry) -> u64 {
    frame_bytes(entry.as_bytes())
}

/// Entries that may wait for the next write: what a guest closes without asking for anything new stays bounded.
const WAITING_MAX: usize = 64;

const ABANDONED: &str = "abandoned";

/// How long the end of a call waits for room at least.
const END_WAIT: Duration = Duration::from_secs(2);
