//! What a report says, in words and tables, before it becomes Markdown or HTML.
//!
//! Every number gets its unit here. It must never mix texts of tools with words of its own: they are [`Foreign`].

use std::fmt::Display;

use super::activity::Activity;
use super::charts::{Bar, Chart};
use super::escape::Foreign;
use super::ranking::{Ranked, Ranking};
use super::shares::Share;
use super::units::{bytes, count, counted, duration, percent, span, three_digits, time};
use super::{ActivityReport, CallNote, Group, Integrity};

mod outside;

/// Most groups that a page shows; the JSON has all.
const GROUPS_SHOWN_MAX: usize = 50;

/// Most names of a ranking that a page shows.
const RANKED_SHOWN_MAX: usize = 20;

/// Most tools that a page shows beside a name.
const TOOLS_SHOWN_MAX: usize = 3;

/// Most bars of the chart of groups.
const GROUP_BARS_MAX: usize = 12;

/// Most bars of the chart of a ranking.
const RANKED_BARS_MAX: usize = 10;

pub(super) struct Document {
    pub(super) title: String,
    pub(super) facts: Vec<(&'static str, Cell)>,
    pub(super) verdict: Verdict,
    pub(super) figures: Vec<Figure>,
    pub(super) sections: Vec<Section>,
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

pub(super) struct Section {
    pub(super) heading: String,
    pub(super) text: Vec<String>,
    pub(super) parts: Vec<Part>,
}

/// A chart with the same figures as a table, or either alone.
#[derive(Default)]
pub(super) struct Part {
    pub(super) chart: Option<Chart>,
    pub(super) table: Option<Table>,
    /// The table is long and says what the chart shows.
    pub(super) folded: bool,
    /// Table and chart are narrow enough to stand side by side.
    pub(super) beside: bool,
}

pub(super) struct Table {
    pub(super) caption: String,
    pub(super) head: Vec<Column>,
    pub(super) rows: Vec<Vec<Cell>>,
}

/// A name, and whether the cells are numbers.
pub(super) type Column = (&'static str, bool);

/// Behind a name that a request gave to itself, so that it is not taken for a proven one.
pub(super) const CLAIMED: &str = " (claimed)";

#[derive(Clone)]
pub(super) enum Cell {
    /// Words and numbers made here.
    Own(String),
    /// A text from the ledger or from whoever asked for the report.
    Foreign(Foreign),
    /// Such a text, which is what a request says of who asks.
    Claimed(Foreign),
    /// Such texts, and how many more there are.
    List(Vec<Foreign>, String),
}

impl Section {
    fn new(heading: impl Into<String>) -> Self {
        Self { heading: heading.into(), text: Vec::new(), parts: Vec::new() }
    }

    fn say(&mut self, text: impl Into<String>) {
        self.text.push(text.into());
    }

    fn show(&mut self, part: impl Into<Part>) {
        self.parts.push(part.into());
    }
}

impl From<Table> for Part {
    fn from(table: Table) -> Self {
        Self { table: Some(table), ..Self::default() }
    }
}

impl Table {
    fn new(caption: impl Into<String>, head: Vec<Column>, rows: impl IntoIterator<Item = Vec<Cell>>) -> Self {
        Self { caption: caption.into(), head, rows: rows.into_iter().collect() }
    }
}

impl Document {
    pub(super) fn of(report: &ActivityReport) -> Self {
        let mut sections = Vec::new();
        if report.total.calls == 0 {
            sections.push(nothing(report));
        } else {
            sections.extend([over_time(report), by_group(report), denials(report), caps(report), paths(report)]);
            sections.push(trails(report));
        }
        sections.extend(outside::sections(report));
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
    if let Some(origin) = report.integrity.as_ref().and_then(|integrity| integrity.origin.as_ref()) {
        facts.push(("Ledger", foreign(origin)));
    }
    facts.push(("Period", Cell::Own(period(report))));
    if let (Some(first), Some(last)) = (report.first_call_ns, report.last_call_ns) {
        facts.push(("First call", Cell::Own(time_ns(first))));
        facts.push(("Last call", Cell::Own(time_ns(last))));
    }
    for (name, label) in ASKED {
        if let Some(value) = report.criteria.get(name) {
            facts.push((label, foreign(value)));
        }
    }
    facts
}

/// Criteria by their names, and as a page names them.
const ASKED: [(&str, &str); 9] = [
    ("tool", "Only tool"),
    ("agent", "Only agent, proven or claimed"),
    ("session", "Only session, issued or claimed"),
    ("decision", "Only decision"),
    ("operation", "Only operation"),
    ("call", "Only call"),
    ("path", "Only paths at or below"),
    ("verdict", "Only verdict"),
    ("rule", "Only rule"),
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

fn nothing(report: &ActivityReport) -> Section {
    let read = counted(report.reading.entries, "entry was", "entries were");
    let mut section = Section::new("No activity");
    section.say(format!("No call that fits started in this period, so there is nothing to count. {read} read."));
    section
}

fn over_time(report: &ActivityReport) -> Section {
    let timeline = &report.timeline;
    let rows = timeline.spans.iter().filter(|span| span.calls > 0).map(|span| {
        let mut row = vec![own(time(span.from_s)), number(span.calls)];
        row.extend(span.results.parts().map(|(_, calls)| number(calls)));
        row.push(number(span.violations));
        row
    });
    let mut head = columns(&["From"], &ENDING_COLUMNS);
    head.push(("Denials", true));
    let table = Table::new(format!("Calls by their start, in spans of {}", span(timeline.span_s)), head, rows);
    let mut section = Section::new("Calls over time");
    section.show(Part { chart: Some(Chart::over_time(timeline)), folded: true, ..table.into() });
    section
}

const ENDING_COLUMNS: [&str; 11] = [
    "Calls",
    "Success",
    "Tool error",
    "Cap",
    "Violation",
    "Trap",
    "Internal",
    "Rejected",
    "Cancelled",
    "Closed",
    "Open",
];

fn by_group(report: &ActivityReport) -> Section {
    let by = report.group_by.as_str();
    let shown = report.groups.get(..GROUPS_SHOWN_MAX).unwrap_or(&report.groups);
    let mut rest = Activity::default();
    report.groups.iter().skip(shown.len()).for_each(|group| rest.add(&group.activity));
    report.other_groups.iter().for_each(|others| rest.add(others));
    let rest = (rest.calls > 0).then(|| rest.finish());
    let mut lines: Vec<_> = shown.iter().map(|group| (group_name(group, by), &group.activity)).collect();
    lines.extend(rest.as_ref().map(|rest| (own("others"), rest)));
    if lines.len() > 1 {
        lines.push((own("all"), &report.total));
    }
    let endings = lines.iter().map(|(name, activity)| endings_row(name, activity));
    let endings = Table::new(format!("How calls ended, by {by}"), columns(&[column(by)], &ENDING_COLUMNS), endings);
    let head = columns(&[column(by)], &deeds(&report.total).map(|(name, _)| name));
    let rows = lines
        .iter()
        .map(|(name, activity)| [name.clone()].into_iter().chain(deeds(activity).map(|(_, cell)| cell)).collect());
    let deeds = Table::new(format!("What calls did, by {by}"), head, rows);
    let bars = shown.iter().take(GROUP_BARS_MAX);
    let bars = bars.map(|group| Bar {
        name: Foreign::new(group.name.as_deref().unwrap_or("(none named)")),
        mark: if group.claimed { CLAIMED } else { "" },
        activity: &group.activity,
    });
    let chart = Some(Chart::of_groups(&bars.collect::<Vec<_>>(), by));
    let mut section = Section::new(format!("By {by}"));
    section.show(Part { chart, ..endings.into() });
    section.show(deeds);
    section
}

fn endings_row(name: &Cell, activity: &Activity) -> Vec<Cell> {
    let results = activity.results.parts().map(|(_, calls)| number(calls));
    [name.clone(), number(activity.calls)].into_iter().chain(results).collect()
}

/// Columns, and the cell in each.
fn deeds(activity: &Activity) -> [(&'static str, Cell); 8] {
    [
        ("Intents", number(activity.intents)),
        ("Denials", number(activity.violations)),
        ("by the kernel", number(activity.violations_by_kernel)),
        ("Denials per 1,000 calls", own(per_1000(activity))),
        ("Ended by a cap", own(ratio(activity.resource_exhaustion_ratio))),
        ("Complete trails", own(ratio(activity.coverage_ratio))),
        ("Read", own(bytes(activity.bytes_read))),
        ("Written", own(bytes(activity.bytes_written))),
    ]
}

fn denials(report: &ActivityReport) -> Section {
    let ranking = &report.denials_by_rule;
    let mut section = Section::new("Denials by rule");
    if ranking.total == 0 {
        section.say("Nothing was refused.");
        return section;
    }
    let bars = ranking.listed.iter().take(RANKED_BARS_MAX);
    let bars = bars.map(|ranked| (Foreign::new(&ranked.name), ranked.count));
    let chart = Some(Chart::of_ranking(&bars.collect::<Vec<_>>(), &section.heading));
    let table = ranking_table(ranking, "Denials by the rule that is missing", "Rule", "Denials");
    section.show(Part { chart, beside: true, ..table.into() });
    section
}

fn caps(report: &ActivityReport) -> Section {
    let usage = &report.usage;
    let shares = [
        ("Fuel", &usage.fuel, (|used| counted(used, "unit", "units")) as fn(u64) -> String),
        ("Memory", &usage.memory, bytes),
        ("Wall time", &usage.wall, duration),
    ];
    let head = columns(&["Cap"], &["Median", "9 of 10 calls", "Most", "Most, in its unit", "Calls"]);
    let rows = shares.map(|(name, share, unit)| share_row(name, share, unit));
    let table = Table::new("How much of their caps the calls used that ended", head, rows);
    let mut section = Section::new("Caps");
    section.show(Part { chart: Some(Chart::of_shares(usage)), beside: true, ..table.into() });
    if report.caps_hit.total == 0 {
        section.say("No call was ended by a cap.");
    } else {
        section.show(ranking_table(&report.caps_hit, "Calls that a cap ended", "Cap", "Calls"));
    }
    section
}

fn share_row(name: &str, share: &Share, unit: fn(u64) -> String) -> Vec<Cell> {
    let shown = |value: Option<f64>| own(value.map_or_else(none, percent));
    let most = if share.calls == 0 { none() } else { unit(share.max_used) };
    vec![
        own(name),
        shown(share.median_percent),
        shown(share.p90_percent),
        shown(share.max_percent),
        own(most),
        number(share.calls),
    ]
}

fn paths(report: &ActivityReport) -> Section {
    let mut section = Section::new("Paths");
    let (asked, denied) = (&report.paths_by_intents, &report.paths_by_denials);
    if asked.total == 0 {
        section.say("No intent names a path.");
    } else {
        section.show(ranking_table(asked, "Guest paths that most intents name", "Path", "Intents"));
    }
    if denied.total > 0 {
        section.show(ranking_table(denied, "Guest paths with most denials", "Path", "Denials"));
    }
    section
}

fn trails(report: &ActivityReport) -> Section {
    let results = &report.total.results;
    let started = counted(report.total.calls, "call that started has", "calls that started have");
    let mut section = Section::new("Trails");
    section.say(format!("{} of {started} an end in the ledger.", count(results.ended())));
    let closed = "Calls without an end of their own: their worker died, a closer stands for it";
    let open = "Calls still open where the ledger ends";
    let sorts = [(&report.closed_calls, results.closed, closed), (&report.open_calls, results.open, open)];
    for (calls, number, caption) in sorts {
        if number == 0 {
            continue;
        }
        let left_out = number - calls.len() as u64;
        if left_out > 0 {
            section.say(format!("{} of {} are listed.", calls.len(), counted(number, "such call", "such calls")));
        }
        section.show(calls_table(calls, caption));
    }
    section
}

fn calls_table(calls: &[CallNote], caption: &str) -> Table {
    let row = |note: &CallNote| {
        let claimed = note.claimed_agent.as_ref().map(|claimed| Cell::Claimed(Foreign::new(claimed)));
        let agent = note.agent.as_ref().map(foreign).or(claimed).unwrap_or_else(|| own(none()));
        vec![own(time_ns(note.time_ns)), foreign(note.call), foreign(&note.tool), agent, number(note.index.0)]
    };
    let head = columns(&["Started", "Call", "Tool", "Agent"], &["Entry"]);
    Table::new(caption, head, calls.iter().map(row))
}

fn integrity(report: &ActivityReport) -> Section {
    let mut section = Section::new("Integrity");
    section.say(verdict(report).text);
    let Some(integrity) = &report.integrity else { return section };
    if integrity.signed_by.is_some() {
        section.say("Compare the key with one that you know from elsewhere: a forger would name a key too.");
    }
    let read = report.reading.entries + report.reading.not_entries;
    if read > integrity.size.0 {
        let newer = counted(read - integrity.size.0, "entry", "entries");
        let text = format!("The ledger grew in the meantime: the last {newer} of this report came after verification.");
        section.say(text);
    }
    section.show(Table::new("What was verified", columns(&["What", "Value"], &[]), integrity_rows(integrity)));
    if !integrity.findings.is_empty() {
        let rows = integrity.findings.iter().map(|finding| vec![foreign(finding)]);
        section.show(Table::new("What is wrong", columns(&["Finding"], &[]), rows));
    }
    if integrity.findings_left_out > 0 {
        section.say(format!("{} not listed.", counted(integrity.findings_left_out, "finding is", "findings are")));
    }
    section
}

fn integrity_rows(integrity: &Integrity) -> Vec<Vec<Cell>> {
    let mut rows = vec![("Entries", number(integrity.size.0)), ("Root", foreign(integrity.root))];
    match &integrity.checkpoint {
        None => rows.push(("Checkpoint", own("none"))),
        Some(checkpoint) => {
            let beyond = counted(integrity.beyond_checkpoint, "entry is", "entries are");
            let size = counted(checkpoint.size.0, "entry", "entries");
            rows.push(("Checkpoint", own(format!("covers {size}; {beyond} newer"))));
            let signed = integrity.checkpoint_time_ns.map(|time| format!("not before {}", time_ns(time)));
            rows.push(("Signed", own(signed.unwrap_or_else(none))));
        }
    }
    if integrity.taken_over > 0 {
        let entries = counted(integrity.taken_over, "entry", "entries");
        rows.push(("Not proven", own(format!("{entries} that nobody had signed when they were found"))));
    }
    if integrity.adoptions > 0 {
        let times = counted(integrity.adoptions, "time", "times");
        rows.push(("Adopted", own(format!("{times}, from a copy or without its memory"))));
    }
    rows.push(("Key", integrity.signed_by.as_ref().map_or_else(|| own("no signature by the ledger’s key"), foreign)));
    rows.into_iter().map(|(what, value)| vec![own(what), value]).collect()
}

fn about(report: &ActivityReport) -> Section {
    let reading = &report.reading;
    let mut section = Section::new("About this report");
    section.say(
        "A call counts with all that it did if it started in the period. A denial is a violation: an intent that the \
         gate refused, or that it allowed and the kernel refused. Medians and ninth deciles are up to a sixteenth \
         too high. Times are of the wall clock of the host.",
    );
    section.say(
        "A name marked as claimed is what a request said of itself; nobody has proven it. It is never counted together with the \
         same name that was proven.",
    );
    let rankings = [&report.denials_by_rule, &report.caps_hit, &report.paths_by_intents, &report.paths_by_denials];
    if rankings.iter().any(|ranking| !ranking.exact) {
        section.say(
            "There are more different rules or paths than are counted one by one: counts with ≤ are upper bounds.",
        );
    }
    if let Some(cause) = &reading.stopped {
        section.say("READING STOPPED before the end of the ledger: what stands behind is not in this report.");
        section.show(Table::new("Why reading stopped", columns(&["Cause"], &[]), [vec![foreign(cause)]]));
    }
    if reading.not_entries > 0 {
        section.say(format!("{} no entry and left out.", counted(reading.not_entries, "frame is", "frames are")));
    }
    if reading.calls_forgotten + reading.intents_forgotten > 0 {
        let calls = counted(reading.calls_forgotten, "call", "calls");
        let intents = counted(reading.intents_forgotten, "intent", "intents");
        section.say(format!("Too much was open at once: {calls} and {intents} were not followed to their end."));
    }
    if !report.criteria.contains_key("path") && report.criteria.contains_key("kinds") {
        section.say("Kinds of entries make no difference to a report.");
    }
    section
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
        let tools = Cell::List(tools.iter().map(Foreign::new).collect(), further);
        vec![foreign(&ranked.name), own(format!("{bound}{}", count(ranked.count))), tools]
    };
    let mut rows: Vec<_> = shown.iter().map(row).collect();
    let others = ranking.total - shown.iter().map(|ranked| ranked.count).sum::<u64>();
    if others > 0 {
        rows.push(vec![own("others"), number(others), own("")]);
    }
    Table::new(caption, vec![(name, false), (unit, true), ("Tools", false)], rows)
}

fn group_name(group: &Group, by: &str) -> Cell {
    match &group.name {
        None => own(format!("no {by} named")),
        Some(name) if group.claimed => Cell::Claimed(Foreign::new(name)),
        Some(name) => foreign(name),
    }
}

fn column(by: &str) -> &'static str {
    match by {
        "agent" => "Agent",
        "session" => "Session",
        "decision" => "Decision",
        _tool => "Tool",
    }
}

/// Columns of words, and then columns of numbers.
fn columns(words: &[&'static str], numbers: &[&'static str]) -> Vec<Column> {
    let words = words.iter().map(|name| (*name, false));
    words.chain(numbers.iter().map(|name| (*name, true))).collect()
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

fn own(text: impl Into<String>) -> Cell {
    Cell::Own(text.into())
}

fn foreign(text: impl Display) -> Cell {
    Cell::Foreign(Foreign::new(text))
}

fn foreign_or_none(text: Option<&impl Display>) -> Cell {
    text.map_or_else(|| own(none()), foreign)
}

fn none() -> String {
    "–".to_owned()
}
