//! Reports: golden outputs, hostile texts in every field, and sums against a naive count.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests"
)]

mod made_up;

use std::collections::BTreeMap;

use expect_test::expect_file;
use made_up::{START_S, Story, TOOLS, Who, any_story, fits_intent, placed_path};
use proptest::prelude::*;
use tollgate_audit::{
    CallClass, CallId, Entry, KernelRecord, Kind, Layer, LeafIndex, ReadError, Usage, Verdict, VerifyOptions, read,
    verify, verify_with,
};
use tollgate_ledger::Ledger;
use tollgate_report::{ActivityReport, Filter, GROUPS_MAX, Group, GroupBy};
use tollgate_testing::entries::{ORIGIN, usage};
use tollgate_testing::ledgers::{tempdir, write_key};
use tollgate_testing::{calls, entries};

const SECOND: u64 = 1_000_000_000;

/// A morning of three tools: all ways to end, a kernel's refusal, an open call and a closed one.
fn morning() -> Story {
    let mut story = Story::opened(START_S);
    let who = |tool, agent, decision| Who { tool, agent, session: Some("s-1"), decision };
    let classes = [CallClass::Success, CallClass::Success, CallClass::ToolError, CallClass::Success, CallClass::Trap];
    for (number, class) in (0_u8..).zip(classes) {
        let call = CallId([0x10 + number; 16]);
        let time_ns = (START_S + 60 * u64::from(number)) * SECOND;
        story.call(call, time_ns, who("word-count", Some("agent-7"), Some("d-1")));
        let of = story.intent(call, 40, "report.txt", Verdict::Allow, "fs:/docs:read");
        story.outcome(call, of, 900, [40_000, 0]);
        let used = Usage { fuel_used: 100_000_000 * u64::from(number + 1), ..usage() };
        story.end(call, 1_200, class, "", used);
    }
    let time_ns = (START_S + 400) * SECOND;
    let [capped, killed, died, running] = [0xa0, 0xb0, 0xc0, 0xd0].map(|byte| CallId([byte; 16]));
    story.call(capped, time_ns, who("json-query", Some("agent-7"), Some("d-2")));
    let of = story.intent(capped, 10, "out/result.json", Verdict::Allow, "fs:/scratch:write");
    story.outcome(capped, of, 20, [0, 5_000_000]);
    let used = Usage { fuel_used: 500_000_000, ..usage() };
    story.end(capped, 1_900_000, CallClass::Cap, "limits.fuel", used);
    story.call(killed, time_ns + SECOND, who("notes", None, None));
    story.denied(killed, 15, "../../etc/passwd", "fs:/docs:beneath");
    story.denied(killed, 16, "../../etc/shadow", "fs:/docs:beneath");
    let of = story.intent(killed, 30, "link", Verdict::Allow, "fs:/docs:read");
    story.violation(killed, of, 31, Layer::Kernel, "fs:/docs:beneath");
    story.end(killed, 35, CallClass::Violation, "", usage());
    story.push(Entry::Enforcement(entries::enforcement(died.issuer())));
    story.call(died, time_ns + 2 * SECOND, who("notes", Some("agent-8"), Some("d-2")));
    story.intent(died, 5, ".", Verdict::Allow, "fs:/docs:list");
    story.push(Entry::BlockedCall(entries::blocked(died.issuer(), Some(died))));
    let Entry::KernelRecord(record) = entries::writer_samples().swap_remove(2) else { panic!("no record") };
    story.push(Entry::KernelRecord(KernelRecord { writer: died.issuer(), ..record }));
    story.closer(died);
    story.call(running, time_ns + 3 * SECOND, who("word-count", Some("agent-8"), Some("d-3")));
    let withdrawn = CallId([0xe0; 16]);
    let claims = Who { tool: "json-query", agent: Some("agent-7"), session: None, decision: None };
    story.proven_call(withdrawn, time_ns + 4 * SECOND, claims, Some(("agent-8", "s-2")));
    story.end(withdrawn, 80, CallClass::Cancelled, "the call was cancelled", usage());
    story
}

/// The report on a ledger on disk that holds `story`, as verified.
fn on_disk(story: &Story, filter: &Filter, group_by: GroupBy) -> ActivityReport {
    let dir = tempdir().unwrap();
    let key = dir.path().with_extension("elsewhere");
    write_key(&key, [7; 32]);
    let ledger = Ledger::open_with_key(dir.path(), &key, ORIGIN, "tollgate test", START_S * SECOND).unwrap();
    // Opening made the first entry already.
    for (_, entry) in &story.entries[1..] {
        ledger.append(&[entry.encode()]).unwrap();
    }
    ledger.checkpoint().unwrap();
    let verified = verify_with(dir.path(), &VerifyOptions::default()).unwrap();
    assert!(verified.is_clean(), "{:?}", verified.findings);
    ActivityReport::build(read(dir.path()).unwrap(), filter, group_by, Some(&verified))
}

fn of_story(story: &Story, filter: &Filter, group_by: GroupBy) -> ActivityReport {
    ActivityReport::build(story.read(), filter, group_by, None)
}

#[test]
fn golden_outputs() {
    let report = on_disk(&morning(), &Filter::default(), GroupBy::Tool);
    let json = serde_json::to_string_pretty(&report.to_json()).unwrap() + "\n";
    expect_file!["golden/report.json"].assert_eq(&json);
    expect_file!["golden/report.md"].assert_eq(&report.to_markdown());
    expect_file!["golden/report.html"].assert_eq(&report.to_html());
}

#[test]
fn the_kernel_layer_counts_as_its_calls_do() {
    let kernel = |filter| of_story(&morning(), &filter, GroupBy::Tool).kernel;
    let all = kernel(Filter::default());
    assert_eq!((all.workers.partial, all.workers.full, all.blocked_calls, all.kernel_records), (1, 0, 1, 1));
    assert_eq!((all.blocked[0].tool.as_deref(), all.blocked[0].name), (Some("notes"), Some("openat")));
    let of_tool = |tool: &str| kernel(Filter { tool: Some(tool.to_owned()), ..Filter::default() });
    let notes = of_tool("notes");
    assert_eq!((notes.workers.partial, notes.blocked_calls, notes.kernel_records), (0, 1, 0), "a worker is of no tool");
    assert!(of_tool("word-count").is_empty());
    assert!(kernel(Filter { until_ns: Some(START_S * SECOND), ..Filter::default() }).is_empty());
}

#[test]
fn every_sort_of_group() {
    let names = |group_by| {
        let report = of_story(&morning(), &Filter::default(), group_by);
        report.groups.iter().map(|group| (marked(group), group.activity.calls)).collect::<Vec<_>>()
    };
    let wanted =
        |groups: &[(&str, u64)]| groups.iter().map(|(name, calls)| ((*name).to_owned(), *calls)).collect::<Vec<_>>();
    assert_eq!(names(GroupBy::Tool), wanted(&[("word-count", 6), ("json-query", 2), ("notes", 2)]));
    let agents = [("agent-7 (claimed)", 6), ("agent-8 (claimed)", 2), ("-", 1), ("agent-8", 1)];
    assert_eq!(names(GroupBy::Agent), wanted(&agents));
    assert_eq!(names(GroupBy::Session), wanted(&[("s-1 (claimed)", 9), ("s-2", 1)]));
    let decisions = [("d-1 (claimed)", 5), ("-", 2), ("d-2 (claimed)", 2), ("d-3 (claimed)", 1)];
    assert_eq!(names(GroupBy::Decision), wanted(&decisions));
}

fn marked(group: &Group) -> String {
    let mark = if group.claimed { " (claimed)" } else { "" };
    group.name.as_ref().map_or_else(|| "-".to_owned(), |name| format!("{name}{mark}"))
}

/// One was proven, the others say so of themselves; one is somebody else who says it.
#[test]
fn a_claimed_name_is_never_one_with_the_same_name_proven() {
    let mut story = Story::opened(START_S);
    let claims = |agent| Who { tool: "t", agent, session: agent, decision: None };
    let proven = |name| Some((name, name));
    let id = |number: u8| CallId([number; 16]);
    story.proven_call(id(1), 0, claims(None), proven("builder"));
    (2..4).for_each(|number| story.call(id(number), 0, claims(Some("builder"))));
    story.proven_call(id(4), 0, claims(Some("builder")), proven("intern"));
    for group_by in [GroupBy::Agent, GroupBy::Session] {
        let report = of_story(&story, &Filter::default(), group_by);
        let groups: Vec<_> = report.groups.iter().map(|group| (marked(group), group.activity.calls)).collect();
        let wanted = [("builder (claimed)", 2), ("builder", 1), ("intern", 1)];
        assert_eq!(groups, wanted.map(|(name, calls)| (name.to_owned(), calls)));
        let json = report.to_json();
        let said = |place: usize| (json["groups"][place]["name"].clone(), json["groups"][place]["claimed"].clone());
        assert_eq!([said(0), said(1)], [("builder".into(), true.into()), ("builder".into(), false.into())]);
        let markdown = report.to_markdown();
        assert!(
            markdown.contains("| `builder` (claimed) | 2 |") && markdown.contains("| `builder` | 1 |"),
            "{markdown}"
        );
        assert!(report.to_html().contains("<code>builder</code> (claimed)"));
    }
    let open = of_story(&story, &Filter::default(), GroupBy::Tool).open_calls;
    let agents = open.iter().map(|note| (note.agent.as_deref(), note.claimed_agent.as_deref()));
    let wanted =
        [(Some("builder"), None), (None, Some("builder")), (None, Some("builder")), (Some("intern"), Some("builder"))];
    assert_eq!(agents.collect::<Vec<_>>(), wanted);
}

/// A chart has no room for a long name; what is cut is the name.
#[test]
fn a_long_name_does_not_push_its_mark_out_of_a_chart() {
    let mut story = Story::opened(START_S);
    let name = "n".repeat(200);
    story.call(CallId([1; 16]), 0, Who { tool: "t", agent: Some(&name), session: None, decision: None });
    let page = of_story(&story, &Filter::default(), GroupBy::Agent).to_html();
    assert!(page.contains(&format!(">{}… (claimed)</text>", "n".repeat(15))), "{page}");
}

#[test]
fn a_policy_that_was_read_again_is_told() {
    let mut story = morning();
    let [_, _, reload, refused] = entries::daemon_samples().try_into().unwrap();
    [&reload, &reload, &refused].into_iter().for_each(|entry| story.push(entry.clone()));
    let report = of_story(&story, &Filter::default(), GroupBy::Tool);
    assert_eq!((report.reloads.taken, report.reloads.refused), (2, 1));
    let said = "read its policy again 3 times: 2 times the new one held from then on, 1 time it was refused";
    assert!(report.to_markdown().contains(said) && report.to_html().contains(said));
    let of_tool = Filter { tool: Some("notes".into()), ..Filter::default() };
    assert_eq!(of_story(&story, &of_tool, GroupBy::Tool).reloads, Default::default(), "of no tool");
}

#[test]
fn a_path_narrows_intents_and_not_calls() {
    let filter = Filter { path: "/docs".parse().ok(), ..Filter::default() };
    let total = of_story(&morning(), &filter, GroupBy::Tool).total;
    assert_eq!((total.calls, total.intents, total.violations, total.bytes_written), (10, 9, 3, 0));
}

#[test]
fn an_empty_period_says_so() {
    let filter = Filter { until_ns: Some(1), ..Filter::default() };
    let report = on_disk(&morning(), &filter, GroupBy::Agent);
    assert_eq!(report.total.calls, 0);
    assert_eq!((report.total.coverage_ratio, report.first_call_ns), (None, None));
    for page in [report.to_markdown(), report.to_html()] {
        assert!(page.contains("No call that fits started in this period"), "{page}");
        assert!(page.contains("The ledger verifies") && !page.contains("NaN"));
    }
    let nothing = ActivityReport::build(Vec::new(), &Filter::default(), GroupBy::Tool, None);
    assert!(nothing.to_html().contains("Not verified"));
}

#[test]
fn a_damaged_ledger_is_reported_as_such() {
    let dir = tempdir().unwrap();
    let ledger = calls::open(dir.path());
    calls::record_call(&ledger, 1);
    calls::record_call(&ledger, 2);
    drop(ledger);
    let journal = dir.path().join("journal");
    let mut bytes = std::fs::read(&journal).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&journal, bytes).unwrap();
    let verified = verify(dir.path(), None).unwrap();
    let report = ActivityReport::build(read(dir.path()).unwrap(), &Filter::default(), GroupBy::Tool, Some(&verified));
    assert!(report.reading.stopped.is_some());
    for page in [report.to_markdown(), report.to_html()] {
        assert!(page.contains("does not verify") && page.contains("READING STOPPED") && page.contains("What is wrong"));
    }
}

#[test]
fn groups_are_bounded() {
    let mut story = Story::default();
    for number in 0..GROUPS_MAX + 5 {
        let tool = format!("tool-{number}");
        let who = Who { tool: &tool, agent: None, session: None, decision: None };
        story.call(CallId((number as u128).to_be_bytes()), START_S * SECOND, who);
    }
    let report = of_story(&story, &Filter::default(), GroupBy::Tool);
    assert_eq!((report.groups.len(), report.other_groups.as_ref().unwrap().calls), (GROUPS_MAX, 5));
    assert_eq!(report.total.calls, GROUPS_MAX as u64 + 5);
    let page = report.to_html();
    assert!(page.contains("<td>others</td>") && page.len() < 100_000, "{} bytes", page.len());
}

/// However many names others make up.
#[test]
fn claimed_names_do_not_push_a_proven_one_out() {
    let mut story = Story::default();
    let id = |number: usize| CallId((number as u128).to_be_bytes());
    for number in 0..GROUPS_MAX + 5 {
        let agent = format!("agent-{number}");
        story.call(id(number), 0, Who { tool: "t", agent: Some(&agent), session: None, decision: None });
    }
    let who = Who { tool: "t", agent: None, session: None, decision: None };
    story.proven_call(id(GROUPS_MAX + 5), 0, who, Some(("builder", "s")));
    let report = of_story(&story, &Filter::default(), GroupBy::Agent);
    assert_eq!(report.groups.len(), GROUPS_MAX + 1);
    assert!(report.groups.iter().any(|group| group.name.as_deref() == Some("builder") && !group.claimed));
    assert_eq!(report.other_groups.unwrap().calls, 5);
}

/// Texts that would like to be more than text.
const HOSTILE: [&str; 8] = [
    "<script src=http://evil.example/x.js>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)> </td></table></style></title>",
    "a|b\n| c | d |\n# heading `code` ``` [link](http://evil.example) <http://evil.example>",
    "\u{202e}gpj.exe\u{2066}\u{200f}\u{200b}\u{feff}\u{1b}[2J\u{0}\r\u{85}\u{2028}",
    "`|`|\\|` http://evil.example www.evil.example a@evil.example",
    "]]> --> &lt; &#60;b&#62; \\",
    "",
    "**bold** _it_ ~~no~~ ![x](http://evil.example/x.png) $math$ :emoji: @user #1",
];

/// A ledger with `text` wherever somebody else's text can stand.
fn hostile_story(text: &str) -> Story {
    let mut story = Story::opened(START_S);
    let who = Who { tool: text, agent: Some(text), session: Some(text), decision: Some(text) };
    let [ended, died, open] = [1, 2, 3].map(|byte| CallId([byte; 16]));
    story.call(ended, START_S * SECOND, who);
    story.denied(ended, 1, text, text);
    story.denied(ended, 2, text, &format!("fs:{text}:read"));
    story.end(ended, 3, CallClass::Cap, &format!("limits.{text} limits.<b>"), usage());
    story.call(died, START_S * SECOND, who);
    story.closer(died);
    story.call(open, START_S * SECOND, who);
    story
}

fn hostile_reports() -> Vec<ActivityReport> {
    let mut reports = Vec::new();
    for text in HOSTILE {
        for group_by in [GroupBy::Tool, GroupBy::Agent, GroupBy::Session, GroupBy::Decision] {
            let own = Some(text.to_owned());
            let filter = Filter { tool: own.clone(), agent: own.clone(), session: own.clone(), ..Filter::default() };
            let report = of_story(&hostile_story(text), &filter, group_by);
            assert_eq!(report.total.calls, 3);
            reports.push(report);
        }
    }
    reports
}

#[test]
fn no_text_becomes_html() {
    let known = [
        "!doctype", "html", "head", "meta", "title", "style", "body", "header", "main", "section", "h1", "h2", "p",
        "dl", "div", "dt", "dd", "span", "strong", "figure", "ul", "li", "svg", "desc", "g", "rect", "line", "text",
        "details", "summary", "table", "caption", "thead", "tbody", "tr", "th", "td", "code",
    ];
    for page in hostile_reports().iter().map(ActivityReport::to_html) {
        for tag in page.split('<').skip(1) {
            let (tag, _text) = tag.split_once('>').unwrap_or_else(|| panic!("no tag: <{tag}"));
            let mut words = tag.trim_start_matches('/').split([' ', '\n', '/']);
            let name = words.next().unwrap_or_default();
            assert!(known.contains(&name), "<{tag}>");
            let handlers = ["src=", "href", "on", "style=", "action", "url("];
            assert!(words.all(|word| !handlers.iter().any(|handler| word.starts_with(handler))), "<{tag}>");
            assert_eq!(tag.matches('"').count() % 2, 0, "<{tag}>");
        }
        let style = page.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
        assert!(!style.contains("url(") && !style.contains("@import"));
        assert!(page.chars().all(|character| character == '\n' || is_plain(character)));
    }
}

#[test]
fn no_text_becomes_markdown() {
    for page in hostile_reports().iter().map(ActivityReport::to_markdown) {
        assert!(page.chars().all(|character| character == '\n' || is_plain(character)));
        let mut columns = 0;
        for line in page.lines() {
            assert_eq!(line.matches('`').count() % 2, 0, "{line}");
            // Outside of code spans only words of our own.
            let outside: String = line.split('`').step_by(2).collect();
            for foreign in ["evil", "<script", "<img", "<b>", "](", "heading", "**bold", "\\"] {
                assert!(!outside.contains(foreign), "{line}");
            }
            let pipes = line.matches('|').count();
            assert!(pipes == 0 || line.starts_with('|') && (columns == 0 || columns == pipes), "{line}");
            columns = pipes;
        }
    }
}

fn is_plain(character: char) -> bool {
    let steering =
        matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    !character.is_control() && !steering
}

#[test]
fn json_keeps_texts_whole() {
    for text in HOSTILE {
        let report = of_story(&hostile_story(text), &Filter::default(), GroupBy::Tool);
        assert_eq!(report.to_json()["groups"][0]["name"], *text);
    }
}

/// What the naive count finds: sums by name.
type Sums = BTreeMap<String, u64>;

fn naive(story: &Story, filter: &Filter) -> Sums {
    let mut sums = Sums::new();
    let mut add = |name: String, number: u64| *sums.entry(name).or_default() += number;
    let calls = story.entries.iter().filter_map(|(index, entry)| match entry {
        Entry::Call(call) => Some((index, call)),
        _other => None,
    });
    let counted = calls.filter(|(index, call)| {
        filter.tool.as_deref().is_none_or(|tool| call.tool == *tool)
            && filter.from_ns.is_none_or(|from| call.time_ns >= from)
            && filter.until_ns.is_none_or(|until| call.time_ns < until)
            && filter.from_index.is_none_or(|from| **index >= from)
    });
    for (_, call) in counted {
        let claimed = call.claims.agent.as_ref().map(|agent| format!("{agent} (claimed)"));
        let group = call.agent.as_ref().map(ToString::to_string).or(claimed).unwrap_or_else(|| "-".to_owned());
        add(format!("calls of {group}"), 1);
        let own = story.entries.iter().map(|(_, entry)| entry).filter(|entry| entry.call() == Some(call.call));
        let mut open = 1;
        for entry in own {
            open -= u64::from(matches!(entry.kind(), Kind::CallEnd | Kind::Closer));
            let asked = !filter.asks_for_intents() || fits_intent(&story.entries, entry, filter);
            match entry {
                Entry::Intent(intent) if asked => {
                    add(format!("intents of {group}"), 1);
                    add(format!("path {}", placed_path(intent)), 1);
                }
                Entry::Outcome(outcome) if asked => {
                    add(format!("read of {group}"), outcome.bytes_read);
                    add(format!("written of {group}"), outcome.bytes_written);
                }
                Entry::Violation(violation) if asked => {
                    add(format!("violations of {group}"), 1);
                    add(format!("kernel of {group}"), u64::from(violation.layer == Layer::Kernel));
                    add(format!("rule {}", violation.rule), 1);
                }
                Entry::CallEnd(end) => {
                    add(format!("{} of {group}", end.class), 1);
                    let caps = ["fuel", "worker-memory"];
                    let said = end.cap.as_ref().map_or("unknown", |cap| cap.as_str());
                    let cap = caps.iter().find(|cap| said.contains(*cap)).unwrap_or(&"unknown");
                    add(format!("cap {cap}"), u64::from(end.class == CallClass::Cap));
                    add("shares".to_owned(), 1);
                }
                Entry::Closer(_) => add(format!("closed of {group}"), 1),
                _other => {}
            }
        }
        add(format!("open of {group}"), open);
    }
    sums.retain(|_, number| *number > 0);
    sums
}

fn reported(report: &ActivityReport) -> Sums {
    let mut sums = Sums::new();
    for group in &report.groups {
        let name = marked(group);
        let activity = &group.activity;
        let results = activity.results.parts().map(|(result, calls)| (result.replace(' ', "-"), calls));
        let others = [
            ("calls", activity.calls),
            ("intents", activity.intents),
            ("violations", activity.violations),
            ("kernel", activity.violations_by_kernel),
            ("read", activity.bytes_read),
            ("written", activity.bytes_written),
        ];
        let others = others.map(|(what, number)| (what.to_owned(), number));
        sums.extend(results.into_iter().chain(others).map(|(what, number)| (format!("{what} of {name}"), number)));
    }
    let rankings = [("path", &report.paths_by_intents), ("rule", &report.denials_by_rule), ("cap", &report.caps_hit)];
    for (what, ranking) in rankings {
        sums.extend(ranking.listed.iter().map(|ranked| (format!("{what} {}", ranked.name), ranked.count)));
    }
    sums.insert("shares".to_owned(), report.usage.fuel.calls);
    sums.retain(|_, number| *number > 0);
    sums
}

proptest! {
    #[test]
    fn sums_as_counted_naively(
        story in any_story(),
        tool in prop::option::weighted(0.3, prop::sample::select(&TOOLS[..])),
        from in prop::option::weighted(0.3, 0_u64..3000),
        until in prop::option::weighted(0.3, 0_u64..5000),
        from_index in prop::option::weighted(0.2, 0_u64..50),
        path in prop::option::weighted(0.2, prop::sample::select(&["/docs", "/data", "/"][..])),
        verdict in prop::option::weighted(0.3, prop::sample::select(&[Verdict::Allow, Verdict::Deny][..])),
    ) {
        let time = |second: u64| (START_S + second) * SECOND;
        let filter = Filter {
            tool: tool.map(str::to_owned),
            from_ns: from.map(time),
            until_ns: until.map(time),
            from_index: from_index.map(LeafIndex),
            path: path.map(|path| path.parse().unwrap()),
            verdict,
            ..Filter::default()
        };
        let report = of_story(&story, &filter, GroupBy::Agent);
        prop_assert_eq!(reported(&report), naive(&story, &filter));
        let spans = report.timeline.spans.iter();
        prop_assert_eq!(spans.clone().map(|span| span.calls).sum::<u64>(), report.total.calls);
        prop_assert_eq!(spans.map(|span| span.violations).sum::<u64>(), report.total.violations);
        let ends: u64 = report.total.results.parts().iter().map(|(_, calls)| calls).sum();
        prop_assert_eq!(ends, report.total.calls);
    }
}

#[test]
fn what_is_no_entry_is_skipped_and_counted() {
    let bad = Entry::decode(&[0xff]).unwrap_err();
    let bad = Err(ReadError::NotAnEntry { index: LeafIndex(0), source: bad });
    let read = std::iter::once(bad).chain(morning().read().collect::<Vec<_>>());
    let report = ActivityReport::build(read, &Filter::default(), GroupBy::Tool, None);
    assert_eq!((report.reading.not_entries, report.total.calls), (1, 10));
}
