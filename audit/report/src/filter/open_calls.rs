//! The calls that have started and not ended, with who asked for them. Other entries of a call name its id alone.
//!
//! It must never grow beyond its bounds: what a ledger leaves open for long is forgotten first, and counted.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use tollgate_audit::entry::{Call, Claims};
use tollgate_audit::ids::{CallId, LeafIndex, Sequence};
use tollgate_audit::text::Text;

/// Most calls that are followed at a time. Beyond that the one that started first is forgotten: many thousands
/// open at once are calls whose worker died. With the texts of an entry each, at most 48 MiB.
pub const OPEN_CALLS_MAX: usize = 16_384;

/// Most intents, over all calls, whose end is awaited at a time: eight calls at the largest cap on handles. Further
/// ones are not followed. With paths as long as an entry can hold them, at most 192 MiB.
pub const OPEN_INTENTS_MAX: usize = 65_536;

/// Who asked for a call, and for which decision: what the other entries of the call do not repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The call.
    pub call: CallId,
    /// Index of its `call` entry.
    pub first: LeafIndex,
    /// When it started: wall clock, nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// The tool's name.
    pub tool: Text<'static>,
    /// The operation called.
    pub operation: Text<'static>,
    /// Who was proven to ask.
    pub agent: Option<Text<'static>>,
    /// The session that was issued to this agent.
    pub session: Option<Text<'static>>,
    /// What the request says of who asks and why.
    pub claims: Claims<'static>,
}

/// Calls by id; each bears a `T`, and each open intent an `I`.
#[derive(Debug)]
pub(crate) struct OpenCalls<T, I> {
    calls: HashMap<CallId, OpenCall<T, I>>,
    by_start: BTreeMap<LeafIndex, CallId>,
    intents: usize,
    ended: Option<OpenCall<T, I>>,
    forgotten: Forgotten,
}

#[derive(Debug)]
pub(crate) struct OpenCall<T, I> {
    pub(crate) context: Context,
    pub(crate) tag: T,
    intents: BTreeMap<Sequence, I>,
}

/// What had to be forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forgotten {
    pub(crate) calls: u64,
    pub(crate) intents: u64,
}

impl Context {
    /// The wall clock `at_us` microseconds after the start, in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn time_ns_after(&self, at_us: u64) -> u64 {
        self.time_ns.saturating_add(at_us.saturating_mul(1000))
    }

    fn of(first: LeafIndex, call: &Call<'_>) -> Self {
        let option = |text: &Option<Text<'_>>| text.as_ref().map(owned);
        let claims = &call.claims;
        Self {
            call: call.call,
            first,
            time_ns: call.time_ns,
            tool: owned(&call.tool),
            operation: owned(&call.operation),
            agent: option(&call.agent),
            session: option(&call.session),
            claims: Claims {
                agent: option(&claims.agent),
                session: option(&claims.session),
                decision: option(&claims.decision),
                reason: option(&claims.reason),
                trace: option(&claims.trace),
            },
        }
    }
}

impl<T, I> Default for OpenCalls<T, I> {
    fn default() -> Self {
        Self {
            calls: HashMap::new(),
            by_start: BTreeMap::new(),
            intents: 0,
            ended: None,
            forgotten: Forgotten::default(),
        }
    }
}

impl<T, I> OpenCalls<T, I> {
    /// Follows `call` from its entry at `first` on. A call of the same id that is still open is forgotten.
    pub(crate) fn start(&mut self, first: LeafIndex, call: &Call<'_>, tag: T) {
        self.remove(call.call);
        if self.calls.len() >= OPEN_CALLS_MAX
            && let Some((_, oldest)) = self.by_start.first_key_value()
        {
            self.remove(*oldest);
            self.forgotten.calls += 1;
        }
        self.by_start.insert(first, call.call);
        let open = OpenCall { context: Context::of(first, call), tag, intents: BTreeMap::new() };
        self.calls.insert(call.call, open);
    }

    /// The call, if it is open or was ended by the latest entry.
    pub(crate) fn get(&self, call: CallId) -> Option<&OpenCall<T, I>> {
        self.calls.get(&call).or_else(|| self.ended.as_ref().filter(|ended| ended.context.call == call))
    }

    /// Ends the call; it can still be had until [`Self::forget_ended`].
    pub(crate) fn end(&mut self, call: CallId) {
        self.ended = self.remove(call);
    }

    pub(crate) fn forget_ended(&mut self) {
        self.ended = None;
    }

    pub(crate) fn open_intent(&mut self, call: CallId, seq: Sequence, intent: I) {
        let Some(open) = self.calls.get_mut(&call) else { return };
        if self.intents >= OPEN_INTENTS_MAX {
            self.forgotten.intents += 1;
        } else if open.intents.insert(seq, intent).is_none() {
            self.intents += 1;
        }
    }

    pub(crate) fn close_intent(&mut self, call: CallId, of: Sequence) -> Option<I> {
        let closed = self.calls.get_mut(&call)?.intents.remove(&of);
        self.intents -= usize::from(closed.is_some());
        closed
    }

    /// The calls that are open, in the order of their start.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &OpenCall<T, I>> {
        self.by_start.values().filter_map(|call| self.calls.get(call))
    }

    pub(crate) fn forgotten(&self) -> Forgotten {
        self.forgotten
    }

    fn remove(&mut self, call: CallId) -> Option<OpenCall<T, I>> {
        let open = self.calls.remove(&call)?;
        self.by_start.remove(&open.context.first);
        self.intents -= open.intents.len();
        Some(open)
    }
}

impl<T, I> OpenCall<T, I> {
    /// The intents that await their end.
    pub(crate) fn intents(&self) -> impl Iterator<Item = &I> {
        self.intents.values()
    }
}

fn owned(text: &Text<'_>) -> Text<'static> {
    match text.cut() {
        None => Text::from(text.as_str().to_owned()),
        Some(cut) => Text::with_cut(Cow::Owned(text.as_str().to_owned()), *cut),
    }
}
