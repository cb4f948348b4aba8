//! Choosing entries: every criterion, and all of them against a reference that looks at the whole ledger each time.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests"
)]

mod made_up;

use made_up::{Placed, RULES, START_S, Story, TOOLS, Who, any_story, fits_intent};
use proptest::prelude::*;
use tollgate_audit::{CallClass, CallId, Entry, Kind, Layer, LeafIndex, Text, Usage, Verdict};
use tollgate_report::{Filter, OPEN_CALLS_MAX, OPEN_INTENTS_MAX};

const A: CallId = CallId([0xaa; 16]);
const B: CallId = CallId([0xbb; 16]);

/// Two calls at a time, of two tools and two agents.
fn two_calls() -> Story {
    let mut story = Story::opened(START_S);
    story.policy("notes");
    let who = Who { tool: "notes", agent: Some("agent-1"), session: Some("s-1"), decision: Some("d-1") };
    story.call(A, (START_S + 10) * 1_000_000_000, who);
    let who = Who { tool: "search", agent: Some("agent-2"), session: None, decision: Some("d-2") };
    story.call(B, (START_S + 11) * 1_000_000_000, who);
    let read = story.intent(A, 100, "a.txt", Verdict::Allow, "fs:/docs:read");
    story.denied(B, 200, "../key", "fs:/docs:read");
    story.outcome(A, read, 2_000_000, [10, 0]);
    let escape = story.intent(B, 3_000_000, "link", Verdict::Allow, "fs:/data:read");
    story.violation(B, escape, 3_000_001, Layer::Kernel, "fs:/data:beneath");
    story.end(A, 5_000_000, CallClass::Success, "", Usage::default());
    story.closer(B);
    story
}

fn chosen(story: &Story, filter: &Filter) -> Vec<u64> {
    let mut selector = filter.clone().selector();
    let chosen = story.entries.iter().filter(|(index, entry)| selector.selects(*index, entry));
    chosen.map(|(index, _)| index.0).collect()
}

#[test]
fn each_criterion() {
    let story = two_calls();
    let text = |text: &str| Some(text.to_owned());
    let none = Filter::default;
    let second = |second: u64| Some((START_S + second) * 1_000_000_000);
    let cases = [
        (none(), (0..12).collect()),
        (Filter { tool: text("notes"), ..none() }, vec![1, 2, 4, 7, 10]),
        (Filter { agent: text("agent-2"), ..none() }, vec![3, 5, 6, 8, 9, 11]),
        (Filter { session: text("s-1"), ..none() }, vec![2, 4, 7, 10]),
        (Filter { decision: text("d-2"), ..none() }, vec![3, 5, 6, 8, 9, 11]),
        (Filter { operation: text("write"), ..none() }, vec![]),
        (Filter { call: "aa…a".parse().ok(), ..none() }, vec![2, 4, 7, 10]),
        (Filter { path: "/docs".parse().ok(), ..none() }, vec![4, 5, 6, 7]),
        (Filter { path: "/docs/a.txt".parse().ok(), ..none() }, vec![4, 7]),
        (Filter { verdict: Some(Verdict::Allow), ..none() }, vec![4, 7, 8, 9]),
        (Filter { verdict: Some(Verdict::Deny), ..none() }, vec![5, 6, 9]),
        (Filter { rule: text("fs:/data:beneath"), ..none() }, vec![9]),
        (Filter { rule: text("fs:/docs:read"), agent: text("agent-1"), ..none() }, vec![4, 7]),
        (Filter { kinds: vec![Kind::Call, Kind::CallEnd], ..none() }, vec![2, 3, 10]),
        (Filter { from_index: Some(LeafIndex(3)), until_index: Some(LeafIndex(5)), ..none() }, vec![3, 4]),
        (Filter { from_ns: second(12), until_ns: second(14), ..none() }, vec![7]),
        (Filter { until_ns: second(10), ..none() }, vec![0, 1]),
    ];
    for (filter, wanted) in cases {
        assert_eq!(chosen(&story, &filter), wanted, "{filter:?}");
    }
}

#[test]
fn an_agent_and_a_session_are_found_by_what_was_proven_and_by_what_is_claimed() {
    let mut story = Story::opened(START_S);
    let claims = |agent, session| Who { tool: "t", agent, session, decision: None };
    let [proven, claimed, spoofed] = [1, 2, 3].map(|byte| CallId([byte; 16]));
    story.proven_call(proven, 0, claims(None, None), Some(("builder", "issued-1")));
    story.call(claimed, 0, claims(Some("builder"), Some("issued-1")));
    story.proven_call(spoofed, 0, claims(Some("builder"), Some("s-7")), Some(("intern", "issued-2")));
    let of = |agent: Option<&str>, session: Option<&str>| {
        let [agent, session] = [agent, session].map(|text| text.map(str::to_owned));
        chosen(&story, &Filter { agent, session, ..Filter::default() })
    };
    assert_eq!(of(Some("builder"), None), [1, 2, 3]);
    assert_eq!(of(Some("intern"), None), [3]);
    assert_eq!(of(None, Some("issued-1")), [1, 2]);
    assert_eq!(of(None, Some("issued-2")), [3]);
    assert_eq!(of(None, Some("s-7")), [3]);
    assert_eq!(of(Some("builder"), Some("s-7")), [3]);
    assert!(of(Some("nobody"), None).is_empty() && of(Some("intern"), Some("issued-1")).is_empty());
    // Which of them it was, the context of each entry says.
    let mut selector = Filter::default().selector();
    let contexts = story.entries.iter().filter_map(|(index, entry)| {
        selector.selects(*index, entry);
        let context = selector.context()?;
        let text = |text: &Option<Text<'_>>| text.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        Some([&context.agent, &context.session, &context.claims.agent, &context.claims.session].map(text).join(" "))
    });
    assert_eq!(
        contexts.collect::<Vec<_>>(),
        ["builder issued-1 - -", "- - builder issued-1", "intern issued-2 builder s-7",]
    );
}

#[test]
fn a_closer_closes_what_was_chosen() {
    let mut story = Story::opened(START_S);
    story.call(A, 0, Who { tool: "t", agent: None, session: None, decision: None });
    story.intent(A, 1, "a", Verdict::Allow, "fs:/docs:read");
    story.closer(A);
    assert_eq!(chosen(&story, &Filter { path: "/docs/a".parse().ok(), ..Filter::default() }), [2, 3]);
    assert!(chosen(&story, &Filter { path: "/data".parse().ok(), ..Filter::default() }).is_empty());
}

#[test]
fn every_entry_of_a_call_tells_its_decision() {
    let mut selector = Filter::default().selector();
    for (index, entry) in &two_calls().entries {
        selector.selects(*index, entry);
        let context = selector.context();
        let decision =
            context.and_then(|context| context.claims.decision.as_ref()).map(|decision| decision.to_string());
        let wanted = entry.call().map(|call| if call == A { "d-1".to_owned() } else { "d-2".to_owned() });
        assert_eq!(decision, wanted, "entry {index}");
        assert_eq!(context.map(|context| context.call), entry.call());
    }
}

#[test]
fn a_cut_name_fits_its_whole() {
    let name = "n".repeat(5000);
    let mut story = Story::opened(START_S);
    story.call(A, 0, Who { tool: &name, agent: None, session: None, decision: None });
    let (index, entry) = &story.entries[1];
    let encoded = entry.encode();
    let read = Entry::decode(encoded.as_bytes()).unwrap();
    let selects = |tool: &str| {
        let filter = Filter { tool: Some(tool.to_owned()), ..Filter::default() };
        filter.selector().selects(*index, &read)
    };
    assert!(selects(&name));
    assert!(!selects(&name[1..]) && !selects(&"n".repeat(896)));
}

#[test]
fn what_a_ledger_leaves_open_is_bounded_and_counted() {
    let mut selector = Filter { path: "/docs".parse().ok(), ..Filter::default() }.selector();
    let mut story = Story::default();
    let id = |number: usize| CallId((number as u128).to_be_bytes());
    let who = Who { tool: "t", agent: None, session: None, decision: None };
    (0..OPEN_CALLS_MAX + 2).for_each(|number| story.call(id(number), 0, who));
    let last = id(OPEN_CALLS_MAX + 1);
    for _ in 0..=OPEN_INTENTS_MAX {
        story.intent(last, 0, "a", Verdict::Allow, "fs:/docs:read");
    }
    for (index, entry) in &story.entries {
        selector.selects(*index, entry);
    }
    assert_eq!((selector.calls_forgotten(), selector.intents_forgotten()), (2, 1));
}

/// The reference: it looks up everything in the whole ledger.
fn is_chosen(entries: &[Placed], place: usize, filter: &Filter) -> bool {
    let (index, entry) = &entries[place];
    let start = |entry: &Entry<'static>| {
        let call = entry.call()?;
        entries.iter().find_map(|(_, other)| match other {
            Entry::Call(start) if start.call == call => Some(start.clone()),
            _other => None,
        })
    };
    let own_time = |entry: &Entry<'static>| match entry {
        Entry::LedgerOpened(entry) => Some(entry.time_ns),
        _of_a_call => {
            let at_us = entry.to_json().get("at_us").and_then(serde_json::Value::as_u64);
            let at_us = at_us.or_else(|| (entry.kind() == Kind::Call).then_some(0))?;
            Some(start(entry)?.time_ns + at_us * 1000)
        }
    };
    let time = entries[..=place].iter().rev().find_map(|(_, entry)| own_time(entry)).unwrap_or(0);
    let fits_call = match start(entry) {
        Some(call) => {
            let said = |text: &'_ Option<Text<'static>>| text.as_ref().map(|text| text.as_str().to_owned());
            let is = |wanted: &Option<String>, text: Option<String>| wanted.is_none() || *wanted == text;
            is(&filter.tool, Some(call.tool.to_string()))
                && (is(&filter.agent, said(&call.agent)) || is(&filter.agent, said(&call.claims.agent)))
                && (is(&filter.session, said(&call.session)) || is(&filter.session, said(&call.claims.session)))
                && is(&filter.decision, said(&call.claims.decision))
                && filter.call.as_ref().is_none_or(|pattern| pattern.matches(call.call))
        }
        None => {
            let of_tool =
                matches!((entry, &filter.tool), (Entry::Policy(policy), Some(tool)) if policy.tool == tool.as_str());
            filter.agent.is_none()
                && filter.session.is_none()
                && filter.decision.is_none()
                && filter.call.is_none()
                && (filter.tool.is_none() || of_tool)
        }
    };
    let intents = filter.path.is_some() || filter.verdict.is_some() || filter.rule.is_some();
    filter.from_ns.is_none_or(|from| time >= from)
        && filter.until_ns.is_none_or(|until| time < until)
        && filter.from_index.is_none_or(|from| *index >= from)
        && filter.until_index.is_none_or(|until| *index < until)
        && (filter.kinds.is_empty() || filter.kinds.contains(&entry.kind()))
        && fits_call
        && (!intents || fits_intent(entries, entry, filter))
}

fn any_filter() -> impl Strategy<Value = Filter> {
    let some = |names: &'static [&'static str]| prop::option::weighted(0.2, prop::sample::select(names));
    let time = || prop::option::weighted(0.2, (0_u64..5000).prop_map(|second| (START_S + second) * 1_000_000_000));
    let index = || prop::option::weighted(0.15, (0_u64..130).prop_map(LeafIndex));
    let kind = prop::sample::select(&[Kind::Policy, Kind::Call, Kind::Intent, Kind::Outcome, Kind::Closer][..]);
    let whose = (
        some(&TOOLS),
        some(&["agent-1", "agent-2"]),
        some(&["s-1", "s-2"]),
        some(&["d-1", "d-2", "d-3"]),
        some(&["01", "0", "02…1", "03…"]),
    );
    let paths = &["/docs", "/docs/sub", "/docs/a.txt", "/", "/etc", "/docs/sub/sub/b.txt"];
    let verdict = prop::option::weighted(0.2, prop::sample::select(&[Verdict::Allow, Verdict::Deny][..]));
    let asked = (some(paths), verdict, some(&RULES));
    let place = (time(), time(), index(), index(), prop::collection::vec(kind, 0..3));
    (whose, asked, place).prop_map(|((tool, agent, session, decision, call), (path, verdict, rule), place)| {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let (from_ns, until_ns, from_index, until_index, kinds) = place;
        Filter {
            from_ns,
            until_ns,
            from_index,
            until_index,
            kinds,
            tool: own(tool),
            agent: own(agent),
            session: own(session),
            decision: own(decision),
            call: call.map(|text| text.parse().unwrap()),
            path: path.map(|text| text.parse().unwrap()),
            verdict,
            rule: own(rule),
            operation: None,
        }
    })
}

proptest! {
    #[test]
    fn as_the_reference_chooses(story in any_story(), filter in any_filter()) {
        let wanted = (0..story.entries.len()).filter(|place| is_chosen(&story.entries, *place, &filter));
        prop_assert_eq!(chosen(&story, &filter), wanted.map(|place| place as u64).collect::<Vec<_>>());
    }
}
