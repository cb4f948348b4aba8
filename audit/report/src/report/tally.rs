//! Adds up entries as they come.
//!
//! It must never keep an entry, and of names only as many as its constants say.

use std::collections::HashMap;
use std::sync::Arc;

use super::activity::Activity;
use super::kernel::KernelLayer;
use super::ranking::Counters;
use super::shares::ShareCounters;
use super::timeline::{Span, Spans};
use super::{
    ActivityReport, CALLS_LISTED_MAX, CallNote, FORMAT, GROUPS_MAX, Group, GroupBy, Integrity, Reading, Reloads,
};
use crate::filter::{Context, Filter, Hit, OpenCalls, paths_asked};
use tollgate_audit::confinement::BlockedCall;
use tollgate_audit::entry::{Call, CallClass, CallEnd, Closer, Entry, Intent, Outcome, Reload, Verdict, Violation};
use tollgate_audit::ids::{CallId, LeafIndex};
use tollgate_audit::moment::{Moment, moment};
use tollgate_audit::text::Text;

pub(super) struct Tally<'f> {
    filter: &'f Filter,
    group_by: GroupBy,
    integrity: Option<Integrity>,
    pub(super) reading: Reading,
    // `None` for a call that does not count.
    calls: OpenCalls<Option<Counted>, OpenIntent>,
    times: Option<(u64, u64)>,
    groups: Vec<(Name, Activity)>,
    // How many of them are claimed.
    claimed: usize,
    places: HashMap<Name, usize>,
    others: Activity,
    denials: Counters,
    caps: Counters,
    paths: Counters,
    paths_denied: Counters,
    shares: ShareCounters,
    spans: Spans,
    closed: Vec<CallNote>,
    kernel: KernelLayer,
    reloads: Reloads,
    // The latest that an entry says itself.
    latest_ns: u64,
}

/// Where the deeds of a call are added.
#[derive(Clone, Debug)]
struct Counted {
    // `None`: among the others.
    group: Option<usize>,
    tool: Arc<str>,
    time_ns: u64,
}

#[derive(Debug)]
struct OpenIntent {
    hit: Hit,
    paths: Vec<String>,
}

impl<'f> Tally<'f> {
    pub(super) fn new(filter: &'f Filter, group_by: GroupBy, integrity: Option<Integrity>) -> Self {
        Self {
            filter,
            group_by,
            integrity,
            reading: Reading::default(),
            calls: OpenCalls::default(),
            times: None,
            groups: Vec::new(),
            claimed: 0,
            places: HashMap::new(),
            others: Activity::default(),
            denials: Counters::default(),
            caps: Counters::default(),
            paths: Counters::default(),
            paths_denied: Counters::default(),
            shares: ShareCounters::default(),
            spans: Spans::default(),
            closed: Vec::new(),
            kernel: KernelLayer::default(),
            reloads: Reloads::default(),
            latest_ns: 0,
        }
    }

    pub(super) fn entry(&mut self, index: LeafIndex, entry: &Entry<'_>) {
        self.reading.entries += 1;
        self.note_time(index, entry);
        if let Moment::At(time_ns) = moment(entry) {
            self.latest_ns = time_ns;
        }
        match entry {
            // What was taken over and adopted, verification says.
            Entry::LedgerOpened(_) | Entry::Policy(_) | Entry::Erasure(_) | Entry::Takeover(_) | Entry::Adoption(_) => {
            }
            Entry::Enforcement(enforcement) => {
                if self.counts_outside(index) {
                    self.kernel.worker(enforcement.level);
                }
            }
            Entry::BlockedCall(blocked) => self.blocked_call(index, blocked),
            Entry::Reload(reload) => self.reload(index, reload),
            Entry::KernelRecord(_) => self.kernel.kernel_records += u64::from(self.counts_outside(index)),

            Entry::Call(call) => self.call(index, call),
            Entry::Intent(intent) => self.intent(intent),
            Entry::Outcome(outcome) => self.outcome(outcome),
            Entry::Violation(violation) => self.violation(violation),
            Entry::CallEnd(end) => self.call_end(end),
            Entry::Closer(closer) => self.closer(closer),
        }
    }

    pub(super) fn finish(self) -> ActivityReport {
        let mut total = self.others.clone();
        self.groups.iter().for_each(|(_, activity)| total.add(activity));
        let groups = self.groups.into_iter().map(|(Name { name, claimed }, activity)| Group {
            name,
            claimed,
            activity: activity.finish(),
        });
        let mut groups: Vec<_> = groups.collect();
        groups.sort_by(|left, right| {
            let by_name = || (&left.name, left.claimed).cmp(&(&right.name, right.claimed));
            right.activity.calls.cmp(&left.activity.calls).then_with(by_name)
        });
        let open = self.calls.iter().filter(|open| open.tag.is_some()).take(CALLS_LISTED_MAX);
        let open_calls = open.map(|open| CallNote::of(&open.context)).collect();
        let forgotten = self.calls.forgotten();
        ActivityReport {
            format: FORMAT,
            criteria: self.filter.criteria(),
            group_by: self.group_by,
            first_call_ns: self.times.map(|(first, _)| first),
            last_call_ns: self.times.map(|(_, last)| last),
            total: total.finish(),
            groups,
            other_groups: (self.others.calls > 0).then(|| self.others.finish()),
            denials_by_rule: self.denials.finish(),
            caps_hit: self.caps.finish(),
            paths_by_intents: self.paths.finish(),
            paths_by_denials: self.paths_denied.finish(),
            usage: self.shares.finish(),
            timeline: self.spans.finish(),
            closed_calls: self.closed,
            open_calls,
            kernel: self.kernel,
            reloads: self.reloads,
            reading: Reading { calls_forgotten: forgotten.calls, intents_forgotten: forgotten.intents, ..self.reading },
            integrity: self.integrity,
        }
    }

    /// The checkpoint bears no time; the entries that it covers do.
    fn note_time(&mut self, index: LeafIndex, entry: &Entry<'_>) {
        let Some(integrity) = &mut self.integrity else { return };
        let covered = integrity.checkpoint.as_ref().is_some_and(|checkpoint| index.0 < checkpoint.size.0);
        if !covered {
            return;
        }
        let call = entry.call().and_then(|call| self.calls.get(call));
        let time_ns = match moment(entry) {
            Moment::At(time_ns) => Some(time_ns),
            Moment::Since(at_us) => call.map(|open| open.context.time_ns_after(at_us)),
            Moment::Unsaid => None,
        };
        integrity.checkpoint_time_ns = time_ns.or(integrity.checkpoint_time_ns);
    }

    fn call(&mut self, index: LeafIndex, call: &Call<'_>) {
        let counts = self.filter.covers(index, call.time_ns) && self.filter.fits_call(call);
        let counted = counts.then(|| Counted {
            group: self.group(call),
            tool: call.tool.to_string().into(),
            time_ns: call.time_ns,
        });
        if let Some(counted) = &counted {
            self.activity(counted).calls += 1;
            self.span(counted).calls += 1;
            let (first, last) = self.times.unwrap_or((call.time_ns, call.time_ns));
            self.times = Some((first.min(call.time_ns), last.max(call.time_ns)));
        }
        self.calls.start(index, call, counted);
    }

    fn intent(&mut self, intent: &Intent<'_>) {
        let Some(counted) = self.counted(intent.call) else { return };
        let hit = self.filter.hit(intent);
        let paths: Vec<_> = paths_asked(intent).map(|path| path.text).collect();
        if hit.all() {
            let activity = self.activity(&counted);
            activity.intents += 1;
            activity.intents_denied += u64::from(intent.verdict == Verdict::Deny);
            paths.iter().for_each(|path| self.paths.add(path, &counted.tool));
        }
        self.calls.open_intent(intent.call, intent.seq, OpenIntent { hit, paths });
    }

    fn outcome(&mut self, outcome: &Outcome<'_>) {
        let Some(counted) = self.counted(outcome.call) else { return };
        let intent = self.calls.close_intent(outcome.call, outcome.of);
        if intent.map_or_else(|| !self.filter.asks_for_intents(), |intent| intent.hit.all()) {
            let activity = self.activity(&counted);
            activity.bytes_read = activity.bytes_read.saturating_add(outcome.bytes_read);
            activity.bytes_written = activity.bytes_written.saturating_add(outcome.bytes_written);
        }
    }

    fn violation(&mut self, violation: &Violation<'_>) {
        let Some(counted) = self.counted(violation.call) else { return };
        let intent = self.calls.close_intent(violation.call, violation.of);
        let hit = intent.as_ref().map(|intent| self.filter.refused(intent.hit, violation));
        if !hit.map_or_else(|| !self.filter.asks_for_intents(), Hit::all) {
            return;
        }
        let activity = self.activity(&counted);
        activity.violations += 1;
        activity.violations_by_kernel += u64::from(violation.layer == tollgate_audit::entry::Layer::Kernel);
        self.span(&counted).violations += 1;
        self.denials.add(&violation.rule.to_string(), &counted.tool);
        let paths = intent.map(|intent| intent.paths).unwrap_or_default();
        paths.iter().for_each(|path| self.paths_denied.add(path, &counted.tool));
    }

    fn call_end(&mut self, end: &CallEnd<'_>) {
        if let Some(counted) = self.counted(end.call) {
            *self.activity(&counted).results.of(end.class) += 1;
            *self.span(&counted).results.of(end.class) += 1;
            if let Some(cap) = cap_hit(end) {
                self.caps.add(cap, &counted.tool);
            }
            self.shares.add(&end.usage);
        }
        self.calls.end(end.call);
    }

    fn closer(&mut self, closer: &Closer<'_>) {
        if let Some(counted) = self.counted(closer.call) {
            self.activity(&counted).results.closed += 1;
            self.span(&counted).results.closed += 1;
            let open = self.calls.get(closer.call).filter(|_| self.closed.len() < CALLS_LISTED_MAX);
            self.closed.extend(open.map(|open| CallNote::of(&open.context)));
        }
        self.calls.end(closer.call);
    }

    fn blocked_call(&mut self, index: LeafIndex, blocked: &BlockedCall) {
        match blocked.call {
            None if self.counts_outside(index) => self.kernel.blocked(index, blocked, None),
            None => {}
            Some(call) => {
                if let Some(counted) = self.counted(call) {
                    self.kernel.blocked(index, blocked, Some(&counted.tool));
                }
            }
        }
    }

    fn reload(&mut self, index: LeafIndex, reload: &Reload<'_>) {
        if !self.counts_outside(index) {
            return;
        }
        match reload.refused {
            None => self.reloads.taken += 1,
            Some(_) => self.reloads.refused += 1,
        }
    }

    /// Whether the latest entry counts, which stands outside of calls.
    fn counts_outside(&self, index: LeafIndex) -> bool {
        self.filter.covers(index, self.latest_ns) && self.filter.fits_outside(None)
    }

    fn counted(&mut self, call: CallId) -> Option<Counted> {
        // What ended is over: an entry that still names it is a finding of verification.
        self.calls.forget_ended();
        self.calls.get(call)?.tag.clone()
    }

    fn group(&mut self, call: &Call<'_>) -> Option<usize> {
        let claims = &call.claims;
        let name = match self.group_by {
            GroupBy::Tool => Name::of(Some(&call.tool), None),
            GroupBy::Agent => Name::of(call.agent.as_ref(), claims.agent.as_ref()),
            GroupBy::Session => Name::of(call.session.as_ref(), claims.session.as_ref()),
            GroupBy::Decision => Name::of(None, claims.decision.as_ref()),
        };
        let known = self.places.get(&name).copied();
        // Counted apart: whoever claims many names must not push those out that were proven.
        let alike = if name.claimed { self.claimed } else { self.groups.len() - self.claimed };
        if known.is_some() || alike >= GROUPS_MAX {
            return known;
        }
        self.claimed += usize::from(name.claimed);
        self.places.insert(name.clone(), self.groups.len());
        self.groups.push((name, Activity::default()));
        Some(self.groups.len() - 1)
    }

    fn activity(&mut self, counted: &Counted) -> &mut Activity {
        let group = counted.group.and_then(|place| self.groups.get_mut(place));
        group.map_or(&mut self.others, |(_, activity)| activity)
    }

    fn span(&mut self, counted: &Counted) -> &mut Span {
        self.spans.at(counted.time_ns)
    }
}

/// What a group is known by. What a request claims is never the same as what was proven, whatever the text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Name {
    name: Option<String>,
    claimed: bool,
}

impl Name {
    /// The proven name, or else the claimed one.
    fn of(proven: Option<&Text<'_>>, claimed: Option<&Text<'_>>) -> Self {
        Self { name: proven.or(claimed).map(ToString::to_string), claimed: proven.is_none() && claimed.is_some() }
    }
}

impl CallNote {
    fn of(context: &Context) -> Self {
        Self {
            call: context.call,
            index: context.first,
            time_ns: context.time_ns,
            tool: context.tool.to_string(),
            agent: context.agent.as_ref().map(ToString::to_string),
            claimed_agent: context.claims.agent.as_ref().map(ToString::to_string),
        }
    }
}

/// The cap that ended the call.
fn cap_hit<'a>(end: &'a CallEnd<'_>) -> Option<&'a str> {
    if end.class != CallClass::Cap {
        return None;
    }
    let named = end.cap.as_ref().map(Text::as_str);
    Some(named.filter(|name| !name.is_empty()).unwrap_or("unknown"))
}
