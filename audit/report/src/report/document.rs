//! What a report says, in words and tables, before it becomes Markdown or HTML.
//!
//! Every number gets its unit here. It must never mix texts of tools with words of its own: they are [`Cell::Foreign`].

use super::activity::Activity;
use super::charts::Chart;
use super::ranking::{Ranked, Ranking};
use super::shares::Share;
use super::units::{bytes, count, counted, duration, percent, span, three_digits, time};
use super::{ActivityReport, BlockedNote, CallNote, Group, Integrity, WorkerLevels};

/// Most groups that a page shows; the JSON has all.
const GROUPS_SHOWN_MAX: usize = 50;

/// Most names of a ranking that a page shows.
const RANKED_SHOWN_MAX: usize = 20;

/// Most tools that a page shows beside a name.
const TOOLS_SHOWN_MAX: usize = 3;

pub(super) struct Document<'r> {
    pub(super) title: String,
    pub(super) facts: Vec<(&'static str, Cell)>,
    pub(super) verdict: Verdict,
    pub(super) figures: Vec<Figure>,
    pub(super) sections: Vec<Section<'r>>,
}

/// Whether the ledger can be relied on.
pub(super) struct Verdict {
    pub(super) state: State,
    pub(super) text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Sound,
    Unsound,
    Unknown,
}

/// One number that matters.
pub(super) struct Figure {
    pub(super) label: &'static str,
    pub(super) value: String,
    pub(super) note: String,
}

pub(super) struct Section<'r> {
    pub(super) heading: String,
    pub(super) text: Vec<String>,
    pub(super) parts: Vec<Part<'r>>,
}

/// A chart with the same figures as a table, or either alone.
#[derive(Default)]
pub(super) struct Part<'r> {
    pub(super) chart: Option<Chart<'r>>,
    pub(super) table: Option<Table>,
    /// The table is long and says what the chart shows.
    pub(super) folded: bool,
    /// Table and chart are narrow enough to stand side by side.
    pub(super) beside: bool,
}

pub(super) struct Table {
    pub(super) caption: String,
    /// Columns; those whose cells are numbers are `true`.
    pub(super) head: Vec<(&'static str, bool)>,
    pub(super) rows: Vec<Vec<Cell>>,
}

#[derive(Clone)]
pub(super) enum Cell {
    /// Words and numbers made here.
    Own(String),
    /// A text from the ledger or from whoever asked for the report.
    Foreign(String),
    /// Such texts, and how many more there are.
    List(Vec<String>, String),
}

impl<'r> Document<'r> {
    pub(super) fn of(report: &'r ActivityReport) -> Self {
        let mut sections = Vec::new();
        if report.total.calls == 0 {
            sections.push(nothing(report));
        } else {
            sections.extend([over_time(report), by_group(report), denials(report), caps(report), paths(report)]);
            sections.push(trails(report));
        }
        if !report.kernel.is_empty() {
            sections.push(kernel_layer(report));
        }
        sections.extend([integrity(report), about(report)]);
        let figures = if report.total.calls == 0 { Vec::new() } else { figures(&report.total) };
        Self {
            title: "Activity of tools and agents".to_owned(),
            facts: facts(report),
            verdict: verdict(report),
            figures,
            sections,
        }
    }
}

fn facts(report: &ActivityReport) -> Vec<(&'static str, Cell)> {
    let mut facts = Vec::new();
    if let Some(origin) = report.integrity.as_ref().and_then(|integrity| integrity.origin.clone()) {
        facts.push(("Ledger", Cell::Foreign(origin)));
    }
    facts.push(("Period", Cell::Own(period(report))));
    if let (Some(first), Some(last)) = (report.first_call_ns, report.last_call_ns) {
        facts.push(("First call", Cell::Own(time_ns(first))));
        facts.push(("Last call", Cell::Own(time_ns(last))));
    }
    let asked = ["tool", "agent", "session", "decision", "operation", "call", "path", "verdict", "rule"];
    for (name, label) in asked.into_iter().zip(ONLY) {
        if let Some(value) = report.criteria.get(name) {
            facts.push((label, Cell::Foreign(value.clone())));
        }
    }
    facts
}

/// The criteria as a page names them.
const ONLY: [&str; 9] = [
    "Only tool",
    "Only agent",
    "Only session",
    "Only decision",
    "Only operation",
    "Only call",
    "Only paths at or below",
    "Only verdict",
    "Only rule",
];

fn period(report: &ActivityReport) -> String {
    let given = |name: &str| report.criteria.get(name);
    let point = |name: &str| given(name).and_then(|text| text.parse().ok()).map(time_ns);
    let times = match (point("from_ns"), point("until_ns")) {
        (None, None) => None,
        (Some(from), None) => Some(format!("from {from}")),
        (None, Some(until)) => Some(format!("until {until}")),
        (Some(from), Some(until)) => Some(format!("from {from} until {until}")),
    };
    let from = given("from_index").map(|index| format!("from entry {index}"));
    let until = given("until_index").map(|index| format!("before entry {index}"));
    let parts: Vec<_> = [times, from, until].into_iter().flatten().collect();
    if parts.is_empty() { "the whole ledger".to_owned() } else { parts.join(", ") }
}

fn verdict(report: &ActivityReport) -> Verdict {
    let Some(integrity) = &report.integrity else {
        let text = "Not verified: nothing says that this ledger is whole and unchanged.".to_owned();
        return Verdict { state: State::Unknown, text };
    };
    let findings = integrity.findings.len() as u64 + integrity.findings_left_out;
    if integrity.clean {
        let signed = if integrity.signed_by.is_some() { "signed by the key that it names" } else { "not signed" };
        let entries = counted(integrity.size.0, "entry is", "entries are");
        let text = format!("The ledger verifies: {entries} whole and unchanged, the checkpoint is {signed}.");
        let checkpoint = "The ledger verifies, and has no checkpoint: nothing signed says how far it must reach.";
        let mut text = if integrity.checkpoint.is_some() { text } else { checkpoint.to_owned() };
        if integrity.checkpoint.is_some() && integrity.beyond_checkpoint > 0 {
            let newer = counted(integrity.beyond_checkpoint, "entry that is newer is", "entries that are newer are");
            text.push_str(&format!(" The {newer} not proven."));
        }
        Verdict { state: State::Sound, text }
    } else {
        let found = counted(findings, "finding", "findings");
        Verdict { state: State::Unsound, text: format!("The ledger does not verify: {found}. Rely on nothing below.") }
    }
}

fn figures(total: &Activity) -> Vec<Figure> {
    let results = &total.results;
    let whole = total.calls as f64;
    let success = percent(results.success as f64 * 100.0 / whole);
    let figure = |label, value, note| Figure { label, value, note };
    vec![
        figure("Calls", count(total.calls), format!("{success} ended with success")),
        figure("Denials", count(total.violations), format!("{} per 1,000 calls", per_1000(total))),
        figure(
            "Ended by a cap",
            ratio(total.resource_exhaustion_ratio),
            format!("{} of {}", count(results.cap), counted(results.ended(), "call that ended", "calls that ended")),
        ),
        figure(
            "Complete trails",
            ratio(total.coverage_ratio),
            format!("{} of {}", count(results.ended()), counted(total.calls, "call", "calls")),
        ),
        figure("Read", bytes(total.bytes_read), "through what was opened".to_owned()),
        figure("Written", bytes(total.bytes_written), "through what was opened".to_owned()),
    ]
}

fn nothing(report: &ActivityReport) -> Section<'_> {
    let read = counted(report.reading.entries, "entry was", "entries were");
    let text = format!("No call that fits started in this period, so there is nothing to count. {read} read.");
    Section { heading: "No activity".to_owned(), text: vec![text], parts: Vec::new() }
}

fn over_time(report: &ActivityReport) -> Section<'_> {
    let timeline = &report.timeline;
    let rows = timeline.spans.iter().filter(|span| span.calls > 0).map(|span| {
        let mut row = vec![own(time(span.from_s)), number(span.calls)];
        row.extend(span.results.parts().map(|(_, calls)| number(calls)));
        row.push(number(span.violations));
        row
    });
    let mut head = vec![("From", false), ("Calls", true)];
    head.extend(RESULT_COLUMNS);
    head.push(("Denials", true));
    let each = span(timeline.span_s);
    let caption = format!("Calls by their start, in spans of {each}");
    let table = Table { caption, head, rows: rows.collect() };
    let part = Part { chart: Some(Chart::Timeline(timeline)), table: Some(table), folded: true, beside: false };
    Section { heading: "Calls over time".to_owned(), text: Vec::new(), parts: vec![part] }
}

const RESULT_COLUMNS: [(&str, bool); 9] = [
    ("Success", true),
    ("Tool error", true),
    ("Cap", true),
    ("Violation", true),
    ("Trap", true),
    ("Internal", true),
    ("Rejected", true),
    ("Closed", true),
    ("Open", true),
];

fn by_group(report: &ActivityReport) -> Section<'_> {
    let by = report.group_by.as_str();
    let shown = report.groups.get(..GROUPS_SHOWN_MAX).unwrap_or(&report.groups);
    let mut rest = Activity::default();
    report.groups.iter().skip(shown.len()).for_each(|group| rest.add(&group.activity));
    report.other_groups.iter().for_each(|others| rest.add(others));
    let rest = (rest.calls > 0).then(|| rest.finish());
    let mut lines: Vec<_> = shown.iter().map(|group| (group_name(group, by), &group.activity)).collect();
    lines.extend(rest.as_ref().map(|rest| (own("others".to_owned()), rest)));
    if lines.len() > 1 {
        lines.push((own("all".to_owned()), &report.total));
    }
    let mut head = vec![(column(by), false), ("Calls", true)];
    head.extend(RESULT_COLUMNS);
    let endings = Table {
        caption: format!("How calls ended, by {by}"),
        head,
        rows: lines.iter().map(|(name, activity)| endings_row(name, activity)).collect(),
    };
    let deeds = Table {
        caption: format!("What calls did, by {by}"),
        head: [(column(by), false)].into_iter().chain(DEED_COLUMNS).collect(),
        rows: lines.iter().map(|(name, activity)| deeds_row(name, activity)).collect(),
    };
    let chart = Part { chart: Some(Chart::Groups(shown, by)), table: Some(endings), ..Part::default() };
    let parts = vec![chart, Part { table: Some(deeds), ..Part::default() }];
    Section { heading: format!("By {by}"), text: Vec::new(), parts }
}

const DEED_COLUMNS: [(&str, bool); 8] = [
    ("Intents", true),
    ("Denials", true),
    ("by the kernel", true),
    ("Denials per 1,000 calls", true),
    ("Ended by a cap", true),
    ("Complete trails", true),
    ("Read", true),
    ("Written", true),
];

fn endings_row(name: &Cell, activity: &Activity) -> Vec<Cell> {
    let results = activity.results.parts().map(|(_, calls)| number(calls));
    [name.clone(), number(activity.calls)].into_iter().chain(results).collect()
}

fn deeds_row(name: &Cell, activity: &Activity) -> Vec<Cell> {
    vec![
        name.clone(),
        number(activity.intents),
        number(activity.violations),
        number(activity.violations_by_kernel),
        own(per_1000(activity)),
        own(ratio(activity.resource_exhaustion_ratio)),
        own(ratio(activity.coverage_ratio)),
        own(bytes(activity.bytes_read)),
        own(bytes(activity.bytes_written)),
    ]
}

fn denials(report: &ActivityReport) -> Section<'_> {
    let ranking = &report.denials_by_rule;
    let heading = "Denials by rule".to_owned();
    if ranking.total == 0 {
        return Section { heading, text: vec!["Nothing was refused.".to_owned()], parts: Vec::new() };
    }
    let chart = Some(Chart::Ranked(ranking.listed.get(..BARS_MAX).unwrap_or(&ranking.listed), "Denials by rule"));
    let table = Some(ranking_table(ranking, "Denials by the rule that is missing", "Rule", "Denials"));
    Section { heading, text: Vec::new(), parts: vec![Part { chart, table, folded: false, beside: true }] }
}

/// Most bars of a chart.
const BARS_MAX: usize = 10;

fn caps(report: &ActivityReport) -> Section<'_> {
    let usage = &report.usage;
    let shares = [
        ("Fuel", &usage.fuel, (|used| counted(used, "unit", "units")) as fn(u64) -> String),
        ("Memory", &usage.memory, bytes),
        ("Wall time", &usage.wall, duration),
    ];
    let table = Table {
        caption: "How much of their caps the calls used that ended".to_owned(),
        head: ["Cap", "Median", "9 of 10 calls", "Most", "Most, in its unit", "Calls"].map(|c| (c, c != "Cap")).into(),
        rows: shares.map(|(name, share, unit)| share_row(name, share, unit)).into(),
    };
    let chart = Some(Chart::Shares(usage));
    let mut parts = vec![Part { chart, table: Some(table), folded: false, beside: true }];
    let mut text = Vec::new();
    if report.caps_hit.total == 0 {
        text.push("No call was ended by a cap.".to_owned());
    } else {
        let table = Some(ranking_table(&report.caps_hit, "Calls that a cap ended", "Cap", "Calls"));
        parts.push(Part { table, ..Part::default() });
    }
    Section { heading: "Caps".to_owned(), text, parts }
}

fn share_row(name: &str, share: &Share, unit: fn(u64) -> String) -> Vec<Cell> {
    let shown = |value: Option<f64>| own(value.map_or_else(none, percent));
    let most = if share.calls == 0 { none() } else { unit(share.max_used) };
    vec![
        own(name.to_owned()),
        shown(share.median_percent),
        shown(share.p90_percent),
        shown(share.max_percent),
        own(most),
        number(share.calls),
    ]
}

fn paths(report: &ActivityReport) -> Section<'_> {
    let heading = "Paths".to_owned();
    let (asked, denied) = (&report.paths_by_intents, &report.paths_by_denials);
    let mut text = Vec::new();
    let mut parts = Vec::new();
    if asked.total == 0 {
        text.push("No intent names a path.".to_owned());
    } else {
        let table = Some(ranking_table(asked, "Guest paths that most intents name", "Path", "Intents"));
        parts.push(Part { table, ..Part::default() });
    }
    if denied.total > 0 {
        let table = Some(ranking_table(denied, "Guest paths with most denials", "Path", "Denials"));
        parts.push(Part { table, ..Part::default() });
    }
    Section { heading, text, parts }
}

fn trails(report: &ActivityReport) -> Section<'_> {
    let results = &report.total.results;
    let started = counted(report.total.calls, "call that started has", "calls that started have");
    let mut text = vec![format!("{} of {started} an end in the ledger.", count(results.ended()))];
    let mut parts = Vec::new();
    let sorts = [
        (
            &report.closed_calls,
            results.closed,
            "Calls without an end of their own: their worker died, a closer stands for it",
        ),
        (&report.open_calls, results.open, "Calls still open where the ledger ends"),
    ];
    for (calls, number, caption) in sorts {
        if number == 0 {
            continue;
        }
        let left_out = number - calls.len() as u64;
        if left_out > 0 {
            text.push(format!("{} of {} are listed.", calls.len(), counted(number, "such call", "such calls")));
        }
        parts.push(Part { table: Some(calls_table(calls, caption)), ..Part::default() });
    }
    Section { heading: "Trails".to_owned(), text, parts }
}

fn calls_table(calls: &[CallNote], caption: &str) -> Table {
    let row = |note: &CallNote| {
        let agent = note.agent.clone().map_or_else(|| own(none()), Cell::Foreign);
        let call = Cell::Foreign(note.call.to_string());
        vec![own(time_ns(note.time_ns)), call, Cell::Foreign(note.tool.clone()), agent, number(note.index.0)]
    };
    let head = vec![("Started", false), ("Call", false), ("Tool", false), ("Agent", false), ("Entry", true)];
    Table { caption: caption.to_owned(), head, rows: calls.iter().map(row).collect() }
}

fn kernel_layer(report: &ActivityReport) -> Section<'_> {
    let kernel = &report.kernel;
    let WorkerLevels { full, partial, none, .. } = kernel.workers;
    let mut text = vec![format!(
        "Workers that said what confines them: {} by the whole kernel layer, {} by a part of it, {} by nothing of it.",
        count(full),
        count(partial),
        count(none),
    )];
    let mut parts = Vec::new();
    if kernel.blocked_calls == 0 {
        text.push("No system call was blocked.".to_owned());
    } else {
        let listed = kernel.blocked.len() as u64;
        if listed < kernel.blocked_calls {
            text.push(format!("{} of {} blocked system calls are listed.", listed, count(kernel.blocked_calls)));
        }
        let head = vec![
            ("Call", false),
            ("Tool", false),
            ("Thread", false),
            ("System call", false),
            ("Number", true),
            ("Entry", true),
        ];
        let rows = kernel.blocked.iter().map(blocked_row).collect();
        let caption = "System calls that a filter stopped, and the worker with them".to_owned();
        parts.push(Part { table: Some(Table { caption, head, rows }), ..Part::default() });
    }
    if kernel.kernel_records > 0 {
        let records = counted(kernel.kernel_records, "record", "records");
        text.push(format!("The kernel’s own audit adds {records}."));
    }
    Section { heading: "Kernel layer".to_owned(), text, parts }
}

fn blocked_row(note: &BlockedNote) -> Vec<Cell> {
    let call = note.call.map_or_else(|| own(none()), |call| Cell::Foreign(call.to_string()));
    let tool = note.tool.clone().map_or_else(|| own(none()), Cell::Foreign);
    let name = own(note.name.map_or_else(none, str::to_owned));
    // A number, not a quantity.
    let number_of = own(note.number.to_string());
    vec![call, tool, Cell::Foreign(note.thread.clone()), name, number_of, number(note.index.0)]
}

fn integrity(report: &ActivityReport) -> Section<'_> {
    let heading = "Integrity".to_owned();
    let mut text = vec![verdict(report).text];
    let Some(integrity) = &report.integrity else {
        return Section { heading, text, parts: Vec::new() };
    };
    if integrity.signed_by.is_some() {
        text.push("Compare the key with one that you know from elsewhere: a forger would name a key too.".to_owned());
    }
    let read = report.reading.entries + report.reading.not_entries;
    if read > integrity.size.0 {
        let newer = counted(read - integrity.size.0, "entry", "entries");
        text.push(format!("The ledger grew in the meantime: the last {newer} of this report came after verification."));
    }
    let head = vec![("What", false), ("Value", false)];
    let table = Table { caption: "What was verified".to_owned(), head, rows: integrity_rows(integrity) };
    let mut parts = vec![Part { table: Some(table), ..Part::default() }];
    if !integrity.findings.is_empty() {
        let rows = integrity.findings.iter().map(|finding| vec![Cell::Foreign(finding.clone())]).collect();
        let caption = "What is wrong".to_owned();
        parts.push(Part { table: Some(Table { caption, head: vec![("Finding", false)], rows }), ..Part::default() });
    }
    if integrity.findings_left_out > 0 {
        text.push(format!("{} not listed.", counted(integrity.findings_left_out, "finding is", "findings are")));
    }
    Section { heading, text, parts }
}

fn integrity_rows(integrity: &Integrity) -> Vec<Vec<Cell>> {
    let mut rows = vec![
        vec![own("Entries".to_owned()), own(count(integrity.size.0))],
        vec![own("Root".to_owned()), Cell::Foreign(integrity.root.to_string())],
    ];
    match &integrity.checkpoint {
        None => rows.push(vec![own("Checkpoint".to_owned()), own("none".to_owned())]),
        Some(checkpoint) => {
            let beyond = counted(integrity.beyond_checkpoint, "entry is", "entries are");
            let size = counted(checkpoint.size.0, "entry", "entries");
            rows.push(vec![own("Checkpoint".to_owned()), own(format!("covers {size}; {beyond} newer"))]);
            let signed = integrity.checkpoint_time_ns.map(|time| format!("not before {}", time_ns(time)));
            rows.push(vec![own("Signed".to_owned()), own(signed.unwrap_or_else(none))]);
        }
    }
    if integrity.taken_over > 0 {
        let entries = counted(integrity.taken_over, "entry", "entries");
        rows.push(vec![
            own("Not proven".to_owned()),
            own(format!("{entries} that nobody had signed when they were found")),
        ]);
    }
    if integrity.adoptions > 0 {
        let times = counted(integrity.adoptions, "time", "times");
        rows.push(vec![own("Adopted".to_owned()), own(format!("{times}, from a copy or without its memory"))]);
    }
    let key = integrity.signed_by.as_ref().map(|key| Cell::Foreign(key.to_string()));
    rows.push(vec![own("Key".to_owned()), key.unwrap_or_else(|| own("no signature by the ledger’s key".to_owned()))]);
    rows
}

fn about(report: &ActivityReport) -> Section<'static> {
    let reading = &report.reading;
    let mut text = vec![
        "A call counts with all that it did if it started in the period. A denial is a violation: an intent that the \
         gate refused, or that it allowed and the kernel refused. Medians and ninth deciles are up to a sixteenth \
         too high. Times are of the wall clock of the host."
            .to_owned(),
    ];
    let rankings = [&report.denials_by_rule, &report.caps_hit, &report.paths_by_intents, &report.paths_by_denials];
    if rankings.iter().any(|ranking| !ranking.exact) {
        text.push(
            "There are more different rules or paths than are counted one by one: counts with ≤ are upper bounds."
                .to_owned(),
        );
    }
    if reading.stopped.is_some() {
        text.push("READING STOPPED before the end of the ledger: what stands behind is not in this report.".to_owned());
    }
    if reading.not_entries > 0 {
        text.push(format!("{} no entry and left out.", counted(reading.not_entries, "frame is", "frames are")));
    }
    if reading.calls_forgotten + reading.intents_forgotten > 0 {
        let calls = counted(reading.calls_forgotten, "call", "calls");
        let intents = counted(reading.intents_forgotten, "intent", "intents");
        text.push(format!("Too much was open at once: {calls} and {intents} were not followed to their end."));
    }
    if !report.criteria.contains_key("path") && report.criteria.contains_key("kinds") {
        text.push("Kinds of entries make no difference to a report.".to_owned());
    }
    let stopped = reading.stopped.as_ref().map(|cause| Table {
        caption: "Why reading stopped".to_owned(),
        head: vec![("Cause", false)],
        rows: vec![vec![Cell::Foreign(cause.clone())]],
    });
    let parts = stopped.map(|table| Part { table: Some(table), ..Part::default() }).into_iter().collect();
    Section { heading: "About this report".to_owned(), text, parts }
}

fn ranking_table(ranking: &Ranking, caption: &str, name: &'static str, unit: &'static str) -> Table {
    let shown = ranking.listed.get(..RANKED_SHOWN_MAX).unwrap_or(&ranking.listed);
    let row = |ranked: &Ranked| {
        let bound = if ranked.count_error > 0 { "≤ " } else { "" };
        let tools = ranked.tools.get(..TOOLS_SHOWN_MAX).unwrap_or(&ranked.tools);
        let further = (ranked.tools.len() - tools.len()) as u64;
        let further = match (further, ranked.more_tools) {
            (0, false) => String::new(),
            (further, false) => format!("and {} more", count(further)),
            (further, true) => format!("and over {} more", count(further)),
        };
        let tools = Cell::List(tools.to_vec(), further);
        vec![Cell::Foreign(ranked.name.clone()), own(format!("{bound}{}", count(ranked.count))), tools]
    };
    let mut rows: Vec<_> = shown.iter().map(row).collect();
    let others = ranking.total - shown.iter().map(|ranked| ranked.count).sum::<u64>();
    if others > 0 {
        rows.push(vec![own("others".to_owned()), number(others), own(String::new())]);
    }
    Table { caption: caption.to_owned(), head: vec![(name, false), (unit, true), ("Tools", false)], rows }
}

fn group_name(group: &Group, by: &str) -> Cell {
    group.name.clone().map_or_else(|| own(format!("no {by} named")), Cell::Foreign)
}

fn column(by: &str) -> &'static str {
    match by {
        "agent" => "Agent",
        "session" => "Session",
        "decision" => "Decision",
        _tool => "Tool",
    }
}

fn per_1000(activity: &Activity) -> String {
    activity.violations_per_1000_calls.map_or_else(none, three_digits)
}

fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or_else(none, |ratio| percent(ratio * 100.0))
}

fn time_ns(time_ns: u64) -> String {
    time(time_ns / 1_000_000_000)
}

fn number(number: u64) -> Cell {
    own(count(number))
}

fn own(text: String) -> Cell {
    Cell::Own(text)
}

fn none() -> String {
    "–".to_owned()
}
