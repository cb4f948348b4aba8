//! Entries of a made-up ledger, in an order and numbering as a real one has them.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests"
)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use tollgate_audit::{
    Action, Call, CallClass, CallEnd, CallId, Claims, Closer, Entry, Fact, Intent, Layer, LeafHash, LeafIndex,
    LedgerOpened, Outcome, Pairs, Policy, ReadError, Sequence, Usage, Verdict, Violation, call_root,
};
use tollgate_report::Filter;

use tollgate_testing::entries::{self, OPEN_AT};

pub(crate) type Placed = (LeafIndex, Entry<'static>);

/// 2023-11-14 22:13:20 UTC.
pub(crate) const START_S: u64 = 1_700_000_000;

/// A ledger as it grows.
#[derive(Debug, Default)]
pub(crate) struct Story {
    pub(crate) entries: Vec<Placed>,
    open: BTreeMap<CallId, (u32, Vec<Sequence>)>,
    leaves: BTreeMap<CallId, Vec<LeafHash>>,
}

/// Who calls what, as the request claims.
#[derive(Clone, Copy)]
pub(crate) struct Who<'a> {
    pub(crate) tool: &'a str,
    pub(crate) agent: Option<&'a str>,
    pub(crate) session: Option<&'a str>,
    pub(crate) decision: Option<&'a str>,
}

impl Story {
    pub(crate) fn opened(time_s: u64) -> Self {
        let mut story = Self::default();
        let Entry::LedgerOpened(sample) = entries::samples().swap_remove(0) else { panic!("not an opening") };
        story.push(Entry::LedgerOpened(LedgerOpened { time_ns: time_s * 1_000_000_000, ..sample }));
        story
    }

    pub(crate) fn push(&mut self, entry: Entry<'static>) {
        if let (Some(call), Some(_)) = (entry.call(), entry.sequence()) {
            self.leaves.entry(call).or_default().push(entry.encode().leaf());
        }
        self.entries.push((LeafIndex(self.entries.len() as u64), entry));
    }

    pub(crate) fn policy(&mut self, tool: &str) {
        self.push(Entry::Policy(Policy { tool: tool.to_owned().into(), ..entries::policy_entry() }));
    }

    pub(crate) fn call(&mut self, call: CallId, time_ns: u64, who: Who<'_>) {
        self.proven_call(call, time_ns, who, None);
    }

    /// A call of an agent that was proven to ask, in the session that was issued to it.
    pub(crate) fn proven_call(&mut self, call: CallId, time_ns: u64, who: Who<'_>, proven: Option<(&str, &str)>) {
        let sample = entries::call(call);
        let option = |text: Option<&str>| text.map(|text| text.to_owned().into());
        self.open.insert(call, (0, Vec::new()));
        self.push(Entry::Call(Call {
            time_ns,
            tool: who.tool.to_owned().into(),
            agent: option(proven.map(|(agent, _)| agent)),
            session: option(proven.map(|(_, session)| session)),
            claims: Claims {
                agent: option(who.agent),
                session: option(who.session),
                decision: option(who.decision),
                ..sample.claims
            },
            ..sample
        }));
    }

    pub(crate) fn intent(&mut self, call: CallId, at_us: u64, path: &str, verdict: Verdict, rule: &str) -> Sequence {
        let mut intent = entries::intent();
        let seq = self.next(call);
        self.open.get_mut(&call).unwrap().1.push(seq);
        (intent.call, intent.seq, intent.at_us, intent.verdict) = (call, seq, at_us, verdict);
        intent.facts = Pairs::new([("path", Fact::Text(path.to_owned().into())), ("grant", Fact::Uint(0))]);
        intent.rule = rule.to_owned().into();
        self.push(Entry::Intent(intent));
        seq
    }

    pub(crate) fn outcome(&mut self, call: CallId, of: Sequence, at_us: u64, [bytes_read, bytes_written]: [u64; 2]) {
        let seq = self.closing(call, of);
        let result = "ok".into();
        self.push(Entry::Outcome(Outcome { call, seq, of, at_us, result, bytes_read, bytes_written, calls: 1 }));
    }

    pub(crate) fn violation(&mut self, call: CallId, of: Sequence, at_us: u64, layer: Layer, rule: &str) {
        let seq = self.closing(call, of);
        let rule = rule.to_owned().into();
        let (function, action, message) = (OPEN_AT.into(), Action::Deny, "not granted".into());
        self.push(Entry::Violation(Violation { call, seq, of, at_us, function, rule, layer, action, message }));
    }

    pub(crate) fn denied(&mut self, call: CallId, at_us: u64, path: &str, rule: &str) {
        let of = self.intent(call, at_us, path, Verdict::Deny, rule);
        self.violation(call, of, at_us, Layer::Gate, rule);
    }

    pub(crate) fn end(&mut self, call: CallId, at_us: u64, class: CallClass, detail: &str, usage: Usage) {
        let seq = self.next(call);
        self.open.remove(&call);
        let entries = seq.0;
        let root = call_root(&self.leaves[&call]);
        let cap = detail.strip_prefix("limits.").map(|cap| cap.to_owned().into());
        let detail = if cap.is_some() { "".into() } else { detail.to_owned().into() };
        self.push(Entry::CallEnd(CallEnd {
            call,
            seq,
            at_us,
            class,
            detail,
            cap,
            usage,
            entries,
            root,
            ..entries::call_ended()
        }));
    }

    pub(crate) fn closer(&mut self, call: CallId) {
        let (_, of) = self.open.remove(&call).unwrap();
        self.push(Entry::Closer(Closer { call, of, left_out: 0, reason: "the worker ended".into() }));
    }

    pub(crate) fn open_intent(&self, call: CallId) -> Option<Sequence> {
        self.open[&call].1.first().copied()
    }

    pub(crate) fn read(&self) -> impl Iterator<Item = Result<Placed, ReadError>> {
        self.entries.iter().cloned().map(Ok)
    }

    fn next(&mut self, call: CallId) -> Sequence {
        let (seq, _) = self.open.get_mut(&call).unwrap();
        *seq += 1;
        Sequence(*seq)
    }

    fn closing(&mut self, call: CallId, of: Sequence) -> Sequence {
        self.open.get_mut(&call).unwrap().1.retain(|open| *open != of);
        self.next(call)
    }
}

pub(crate) const TOOLS: [&str; 3] = ["word-count", "json-query", "notes"];
pub(crate) const AGENTS: [Option<&str>; 3] = [Some("agent-1"), Some("agent-2"), None];
pub(crate) const DECISIONS: [Option<&str>; 4] = [Some("d-1"), Some("d-2"), Some("d-3"), None];
pub(crate) const PATHS: [&str; 6] = ["a.txt", "sub/b.txt", ".", "../etc/passwd", "/etc/passwd", "/docs/c"];
pub(crate) const RULES: [&str; 4] = ["fs:/docs:read", "fs:/docs/sub:write", "fs:/data:read", "limits.handles"];
pub(crate) const CLASSES: [CallClass; 8] = [
    CallClass::Success,
    CallClass::ToolError,
    CallClass::Violation,
    CallClass::Cap,
    CallClass::Trap,
    CallClass::Internal,
    CallClass::Rejected,
    CallClass::Cancelled,
];

/// Any ledger of a few calls, several of them at a time.
pub(crate) fn any_story() -> impl Strategy<Value = Story> {
    prop::collection::vec((0..4_u8, 0..9_u8, any::<[u8; 4]>()), 0..120).prop_map(|steps| {
        let mut story = Story::opened(START_S);
        let mut slots = [None::<CallId>; 4];
        let mut calls = 0;
        for (number, (slot, action, dice)) in (0_u64..).zip(steps) {
            let slot = &mut slots[usize::from(slot)];
            *slot = step(&mut story, *slot, action, dice, number, &mut calls);
        }
        story
    })
}

fn step(
    story: &mut Story,
    slot: Option<CallId>,
    action: u8,
    dice: [u8; 4],
    number: u64,
    calls: &mut u8,
) -> Option<CallId> {
    let pick = |place: usize, of: usize| usize::from(dice[place]) % of;
    let at_us = number * 250_000;
    let Some(call) = slot else {
        if action == 0 {
            story.policy(TOOLS[pick(0, 3)]);
            return None;
        }
        *calls += 1;
        let mut id = [7; 16];
        (id[0], id[15]) = (*calls, dice[3] % 4);
        let time_ns = (START_S + number * 40) * 1_000_000_000;
        let (session, decision) = (AGENTS[pick(1, 3)].map(|_| "s-1"), DECISIONS[pick(2, 4)]);
        // The names that are claimed are proven too, of other calls and of the same.
        let proven = [Some(("agent-1", "s-1")), Some(("agent-2", "s-2")), None, None][usize::from(dice[0] / 3) % 4];
        let who = Who { tool: TOOLS[pick(0, 3)], agent: AGENTS[pick(1, 3)], session, decision };
        story.proven_call(CallId(id), time_ns, who, proven);
        return Some(CallId(id));
    };
    match (action, story.open_intent(call)) {
        (0..=2, _) => {
            story.intent(call, at_us, PATHS[pick(0, 6)], Verdict::Allow, RULES[pick(1, 4)]);
        }
        (3, _) => story.denied(call, at_us, PATHS[pick(0, 6)], RULES[pick(1, 4)]),
        (4 | 5, Some(of)) => story.outcome(call, of, at_us, [dice[0].into(), dice[1].into()]),
        (6, Some(of)) => story.violation(call, of, at_us, Layer::Kernel, RULES[pick(1, 4)]),
        (7, _) if dice[0].is_multiple_of(3) => {
            story.closer(call);
            return None;
        }
        (7, _) => {
            let usage = Usage { fuel_used: dice[1].into(), fuel_cap: 200, ..Usage::default() };
            let details =
                ["limits.fuel", "the cap `limits.fuel` was hit: 7 allowed", "limits.worker-memory", "nothing known"];
            let detail = details[pick(2, 4)];
            story.end(call, at_us, CLASSES[pick(3, CLASSES.len())], detail, usage);
            return None;
        }
        _nothing => {}
    }
    Some(call)
}

/// Whether an entry meets the criteria on what was asked. A reference: it looks up everything in the whole ledger.
pub(crate) fn fits_intent(entries: &[Placed], entry: &Entry<'static>, filter: &Filter) -> bool {
    let intent = |call, of| {
        entries.iter().find_map(|(_, other)| match other {
            Entry::Intent(intent) if intent.call == call && intent.seq == of => Some(intent.clone()),
            _other => None,
        })
    };
    let fits = |call, of, denied_under: Option<&str>| {
        let Some(intent) = intent(call, of) else { return false };
        let path = placed_path(&intent);
        let below = |wanted: String| path == wanted || path.starts_with(&format!("{}/", wanted.trim_end_matches('/')));
        let denied = denied_under.is_some() || intent.verdict == Verdict::Deny;
        let allowed = intent.verdict == Verdict::Allow;
        filter.path.as_ref().is_none_or(|wanted| below(wanted.to_string()))
            && filter.verdict.is_none_or(|wanted| if wanted == Verdict::Deny { denied } else { allowed })
            && filter.rule.as_deref().is_none_or(|rule| intent.rule == *rule || denied_under == Some(rule))
    };
    match entry {
        Entry::Intent(entry) => fits(entry.call, entry.seq, None),
        Entry::Outcome(entry) => fits(entry.call, entry.of, None),
        Entry::Violation(entry) => fits(entry.call, entry.of, Some(entry.rule.as_str())),
        Entry::Closer(entry) => entry.of.iter().any(|of| fits(entry.call, *of, None)),
        _other => false,
    }
}

/// The path of an intent, as a report names it: the few of made-up ledgers, written out.
pub(crate) fn placed_path(intent: &Intent<'_>) -> String {
    let Some(Fact::Text(path)) = intent.facts.get("path") else { panic!("no path") };
    let folder = match intent.rule.as_str() {
        "fs:/docs:read" => "/docs",
        "fs:/docs/sub:write" => "/docs/sub",
        "fs:/data:read" => "/data",
        _no_folder => "",
    };
    match path.as_str() {
        "." if !folder.is_empty() => folder.to_owned(),
        relative if !folder.is_empty() && !relative.starts_with('/') => format!("{folder}/{relative}"),
        path => path.to_owned(),
    }
}
