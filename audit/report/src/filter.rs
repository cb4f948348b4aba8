//! Chooses entries of a ledger: by time, by who asked and for which decision, by what was asked and answered.
//!
//! One pass in the ledger's order. It must never hold more than [`OPEN_CALLS_MAX`] calls and
//! [`OPEN_INTENTS_MAX`] intents, whatever the ledger holds.

use std::collections::BTreeMap;

use tollgate_audit::entry::{Call, Entry, Intent, Kind, Policy, Verdict, Violation};
use tollgate_audit::ids::{CallId, LeafIndex};
use tollgate_audit::moment::{Moment, moment};
use tollgate_audit::text::Text;

mod call_pattern;
mod guest_path;
mod open_calls;

pub use call_pattern::{CallPattern, ParseCallPatternError};
pub(crate) use guest_path::paths_asked;
pub use guest_path::{GuestPath, ParseGuestPathError};
pub(crate) use open_calls::OpenCalls;
pub use open_calls::{Context, OPEN_CALLS_MAX, OPEN_INTENTS_MAX};

/// What an entry must be to be chosen. The default chooses everything; each further criterion chooses less.
///
/// Three sorts of criteria, and an entry must meet all that are given:
///
/// - *where it stands*: times, indices, kinds;
/// - *whose call it is of*: tool, agent, session, decision, operation, call. Of a call that fits, all entries fit;
///   of the entries outside calls, those of kind `policy` fit if `tool` alone is asked for and is theirs. Of a call that
///   has ended, an `erasure` names the id and nothing else, so that only `call` finds it;
/// - *what was asked*: path, verdict, rule. Then only the fitting intents are chosen, with the entries that close
///   them (outcome, violation, closer), and neither the `call` nor the `call-end` around them.
///
/// A text that an entry carries cut still fits its whole, by length and digest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// At this time or later; wall clock, nanoseconds since the Unix epoch. The time of an entry is that of its call's
    /// start and what had passed since; an entry that bears no time has that of the entry before it.
    pub from_ns: Option<u64>,
    /// Before this time.
    pub until_ns: Option<u64>,
    /// At this index or behind it.
    pub from_index: Option<LeafIndex>,
    /// Before this index.
    pub until_index: Option<LeafIndex>,
    /// Of one of these kinds; of any if empty.
    pub kinds: Vec<Kind>,
    /// The tool's name.
    pub tool: Option<String>,
    /// The agent that was proven to ask, or that the request claims.
    pub agent: Option<String>,
    /// The session that was issued, or that the request claims.
    pub session: Option<String>,
    /// The decision of the language model that led to the call, as the request claims.
    pub decision: Option<String>,
    /// The operation called.
    pub operation: Option<String>,
    /// The call.
    pub call: Option<CallPattern>,
    /// An intent on this path or below it. One on a handle, whose path is not recorded again, stands for its granted
    /// folder.
    pub path: Option<GuestPath>,
    /// What was decided. A violation of an intent that the gate had allowed is a denial.
    pub verdict: Option<Verdict>,
    /// The whole rule that allowed an intent, or that was missing.
    pub rule: Option<String>,
}

/// A [`Filter`] at work on one ledger.
#[derive(Debug)]
pub struct Selector {
    filter: Filter,
    calls: OpenCalls<bool, Hit>,
    latest_ns: u64,
    latest: Option<CallId>,
}

/// Which criteria on what was asked an intent meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    path: bool,
    verdict: bool,
    rule: bool,
}

impl Filter {
    /// Starts to choose, from the first entry of a ledger on.
    #[must_use]
    pub fn selector(self) -> Selector {
        Selector { filter: self, calls: OpenCalls::default(), latest_ns: 0, latest: None }
    }

    /// The criteria given, by name, as texts for people.
    #[must_use]
    pub fn criteria(&self) -> BTreeMap<&'static str, String> {
        let kinds: Vec<_> = self.kinds.iter().map(|kind| kind.as_str()).collect();
        let given = [
            ("from_ns", self.from_ns.map(|time| time.to_string())),
            ("until_ns", self.until_ns.map(|time| time.to_string())),
            ("from_index", self.from_index.map(|index| index.to_string())),
            ("until_index", self.until_index.map(|index| index.to_string())),
            ("kinds", (!kinds.is_empty()).then(|| kinds.join(", "))),
            ("tool", self.tool.clone()),
            ("agent", self.agent.clone()),
            ("session", self.session.clone()),
            ("decision", self.decision.clone()),
            ("operation", self.operation.clone()),
            ("call", self.call.as_ref().map(ToString::to_string)),
            ("path", self.path.as_ref().map(ToString::to_string)),
            ("verdict", self.verdict.map(|verdict| verdict.to_string())),
            ("rule", self.rule.clone()),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// Whether it asks for what was asked and answered, not only for whose calls.
    #[must_use]
    pub fn asks_for_intents(&self) -> bool {
        self.path.is_some() || self.verdict.is_some() || self.rule.is_some()
    }

    pub(crate) fn covers(&self, index: LeafIndex, time_ns: u64) -> bool {
        self.from_ns.is_none_or(|from| from <= time_ns)
            && self.until_ns.is_none_or(|until| time_ns < until)
            && self.from_index.is_none_or(|from| from <= index)
            && self.until_index.is_none_or(|until| index < until)
    }

    pub(crate) fn fits_call(&self, call: &Call<'_>) -> bool {
        let all = |wanted: &Option<String>, text: &Text<'_>| wanted.as_deref().is_none_or(|wanted| text.is(wanted));
        let any = |wanted: &Option<String>, texts: &[&Option<Text<'_>>]| {
            wanted
                .as_deref()
                .is_none_or(|wanted| texts.iter().filter_map(|text| text.as_ref()).any(|text| text.is(wanted)))
        };
        let claims = &call.claims;
        all(&self.tool, &call.tool)
            && all(&self.operation, &call.operation)
            && any(&self.agent, &[&call.agent, &claims.agent])
            && any(&self.session, &[&call.session, &claims.session])
            && any(&self.decision, &[&claims.decision])
            && self.call.as_ref().is_none_or(|pattern| pattern.matches(call.call))
    }

    /// Whether an entry fits of whose call nothing is known but the id.
    fn fits_stray(&self, call: CallId) -> bool {
        let named = [&self.tool, &self.agent, &self.session, &self.decision, &self.operation];
        named.iter().all(|wanted| wanted.is_none()) && self.call.as_ref().is_none_or(|pattern| pattern.matches(call))
    }

    /// Whether an entry outside calls fits.
    pub(crate) fn fits_outside(&self, policy: Option<&Policy<'_>>) -> bool {
        let others = [&self.agent, &self.session, &self.decision, &self.operation];
        let tool = self.tool.as_deref();
        others.iter().all(|wanted| wanted.is_none())
            && self.call.is_none()
            && tool.is_none_or(|tool| policy.is_some_and(|policy| policy.tool.is(tool)))
    }

    pub(crate) fn hit(&self, intent: &Intent<'_>) -> Hit {
        Hit {
            path: self.path.as_ref().is_none_or(|path| path.covers_intent(intent)),
            verdict: self.verdict.is_none_or(|verdict| verdict == intent.verdict),
            rule: self.rule.as_deref().is_none_or(|rule| intent.rule.is(rule)),
        }
    }

    /// What `hit` becomes once its intent is refused, by another layer perhaps and under another rule.
    pub(crate) fn refused(&self, hit: Hit, violation: &Violation<'_>) -> Hit {
        Hit {
            path: hit.path,
            verdict: hit.verdict || self.verdict == Some(Verdict::Deny),
            rule: hit.rule || self.rule.as_deref().is_some_and(|rule| violation.rule.is(rule)),
        }
    }
}

impl Hit {
    pub(crate) fn all(self) -> bool {
        self.path && self.verdict && self.rule
    }
}

impl Selector {
    /// Takes the next entry of the ledger, every one of them in their order, and says whether it is chosen.
    pub fn selects(&mut self, index: LeafIndex, entry: &Entry<'_>) -> bool {
        self.calls.forget_ended();
        if let Entry::Call(call) = entry {
            self.calls.start(index, call, self.filter.fits_call(call));
        }
        self.latest = entry.call();
        let time_ns = self.time_ns(entry);
        let asked = self.asked(entry);
        if let Entry::CallEnd(_) | Entry::Closer(_) = entry
            && let Some(call) = self.latest
        {
            self.calls.end(call);
        }
        asked
            && self.filter.covers(index, time_ns)
            && (self.filter.kinds.is_empty() || self.filter.kinds.contains(&entry.kind()))
            && self.fits_call(entry)
    }

    /// Whose call the latest entry is of, and for which decision; `None` if it is of none, or of one whose start was
    /// not seen or had to be forgotten.
    #[must_use]
    pub fn context(&self) -> Option<&Context> {
        self.calls.get(self.latest?).map(|open| &open.context)
    }

    /// Whether all was seen that the choice of the latest entry hangs on, where the first entries were not taken: the start of
    /// its call, and the time. An entry outside calls needs no call.
    #[must_use]
    pub fn is_informed(&self) -> bool {
        self.latest_ns > 0 && self.latest.is_none_or(|call| self.calls.get(call).is_some())
    }

    /// Number of calls that were forgotten before their end, since more than [`OPEN_CALLS_MAX`] were open. A criterion
    /// on whose call it is does not choose their further entries.
    #[must_use]
    pub fn calls_forgotten(&self) -> u64 {
        self.calls.forgotten().calls
    }

    /// Number of intents that were forgotten before they were closed, since more than [`OPEN_INTENTS_MAX`] were open.
    /// A criterion on what was asked does not choose the entries that close them.
    #[must_use]
    pub fn intents_forgotten(&self) -> u64 {
        self.calls.forgotten().intents
    }

    fn time_ns(&mut self, entry: &Entry<'_>) -> u64 {
        let time_ns = match moment(entry) {
            Moment::At(time_ns) => Some(time_ns),
            Moment::Since(at_us) => self.context().map(|context| context.time_ns_after(at_us)),
            Moment::Unsaid => None,
        };
        self.latest_ns = time_ns.unwrap_or(self.latest_ns);
        self.latest_ns
    }

    fn fits_call(&self, entry: &Entry<'_>) -> bool {
        let Some(call) = self.latest else {
            let policy = if let Entry::Policy(policy) = entry { Some(policy) } else { None };
            return self.filter.fits_outside(policy);
        };
        self.calls.get(call).map_or_else(|| self.filter.fits_stray(call), |open| open.tag)
    }

    fn asked(&mut self, entry: &Entry<'_>) -> bool {
        let Self { filter, calls, .. } = self;
        if !filter.asks_for_intents() {
            return true;
        }
        if let Entry::Intent(intent) = entry {
            let hit = filter.hit(intent);
            // A refusal by the kernel may still meet the other two.
            if hit.path {
                calls.open_intent(intent.call, intent.seq, hit);
            }
            hit.all()
        } else if let Entry::Outcome(outcome) = entry {
            calls.close_intent(outcome.call, outcome.of).is_some_and(Hit::all)
        } else if let Entry::Violation(violation) = entry {
            let hit = calls.close_intent(violation.call, violation.of);
            hit.is_some_and(|hit| filter.refused(hit, violation).all())
        } else if let Entry::Closer(closer) = entry {
            calls.get(closer.call).is_some_and(|open| open.intents().any(|hit| hit.all()))
        } else {
            false
        }
    }
}
