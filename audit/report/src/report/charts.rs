//! The charts of a page, as inline SVG. Colours come from the page's style sheet, by class.
//!
//! Each has a title and a description, and stands beside a table with the same figures. Names from a ledger must come
//! as [`Foreign`].

use std::collections::BTreeSet;
use std::ops::Range;

use maud::{Markup, Render, html};

use super::activity::{Activity, Results};
use super::escape::Foreign;
use super::shares::{Share, UsageShares};
use super::timeline::Timeline;
use super::units::{clock, count, counted, date, percent, span, time};

pub(super) struct Chart {
    size: (usize, usize),
    title: String,
    description: String,
    /// What the colours mean, by class.
    legend: BTreeSet<(&'static str, &'static str)>,
    shapes: Markup,
}

/// The calls of one group.
pub(super) struct Bar<'a> {
    pub(super) name: Foreign,
    /// Words of our own behind the name.
    pub(super) mark: &'static str,
    pub(super) activity: &'a Activity,
}

impl Chart {
    /// Calls over time, by how they ended.
    pub(super) fn over_time(timeline: &Timeline) -> Self {
        const LEFT: f64 = 52.0;
        const PLOT_WIDTH: f64 = 900.0;
        let spans = &timeline.spans;
        let most = spans.iter().map(|span| span.calls).max().unwrap_or_default();
        let denials = spans.iter().map(|span| span.violations).max().unwrap_or_default();
        let (step, top) = ticks(most);
        let y_of = |calls: u64| 14.0 + 190.0 * (1.0 - calls as f64 / top as f64);
        let slot = PLOT_WIDTH / spans.len().max(1) as f64;
        let width = (slot * 0.82).min(56.0);
        let middle = |place: usize| LEFT + slot * (place as f64 + 0.5);
        let across = |class, y| line(class, (LEFT, y), (LEFT + PLOT_WIDTH, y));
        let scale = |y, number| text("tick end", (LEFT - 8.0, y + 4.0), count(number));
        let shapes = html! {
            @for tick in (0..=top).step_by(step) {
                (across(if tick == 0 { "axis" } else { "grid" }, y_of(tick))) (scale(y_of(tick), tick))
            }
            @for (place, span) in spans.iter().enumerate().filter(|(_, span)| span.calls > 0) {
                g {
                    title { (hover(time(span.from_s), span.calls, &span.results)) }
                    @for (class, _, calls) in pieces(&span.results) {
                        @let (bottom, top) = (y_of(calls.start), y_of(calls.end));
                        (rect(class, (middle(place) - width / 2.0, top), (width, bottom - top), 0))
                    }
                } "\n"
            }
            (time_labels(timeline, middle))
            @if denials > 0 {
                (text("name", (LEFT, 264.0), "Denials"))
                (scale(276.0, denials)) (scale(312.0, 0)) (across("axis", 312.0))
            }
            @for (place, span) in spans.iter().enumerate().filter(|(_, span)| span.violations > 0) {
                @let height = span.violations as f64 * 40.0 / denials as f64;
                g {
                    title { (time(span.from_s)) ": " (counted(span.violations, "denial", "denials")) }
                    (rect("bar", (middle(place) - width / 2.0, 312.0 - height), (width, height), 0))
                } "\n"
            }
        };
        let columns = counted(spans.len() as u64, "column", "columns");
        Self {
            size: (960, if denials > 0 { 326 } else { 246 }),
            title: format!("Calls over time, {} per column", span(timeline.span_s)),
            description: format!("{columns}; the highest stands for {}.", counted(most, "call", "calls")),
            legend: legend(spans.iter().map(|span| &span.results)),
            shapes,
        }
    }

    /// Calls by group, by how they ended.
    pub(super) fn of_groups(bars: &[Bar<'_>], by: &str) -> Self {
        const LEFT: f64 = 230.0;
        let most = bars.iter().map(|bar| bar.activity.calls).max().unwrap_or_default().max(1);
        let x_of = |calls: u64| LEFT + 650.0 * calls as f64 / most as f64;
        let shapes = html! {
            @for (Bar { name, mark, activity }, y) in bars.iter().zip(rows(6, 30)) {
                g {
                    title { (hover(html! { (name) (mark) }, activity.calls, &activity.results)) }
                    // The mark is never what is cut.
                    @let label = html! { (name.shortened(26 - mark.len())) (mark) };
                    (text("label end", (LEFT - 10.0, y + 15.0), label))
                    @for (class, _, calls) in pieces(&activity.results) {
                        (rect(class, (x_of(calls.start), y), (x_of(calls.end) - x_of(calls.start), 20.0), 0))
                    }
                    (text("value", (x_of(activity.calls) + 8.0, y + 15.0), count(activity.calls)))
                } "\n"
            }
        };
        Self {
            size: (960, 6 + 30 * bars.len()),
            title: format!("Calls by {by} and by how they ended"),
            description: format!("{}, the longest first; the table below has the numbers.", bars_in_words(bars.len())),
            legend: legend(bars.iter().map(|bar| &bar.activity.results)),
            shapes,
        }
    }

    /// Names by their counts.
    pub(super) fn of_ranking(bars: &[(Foreign, u64)], title: &str) -> Self {
        let most = bars.iter().map(|(_, number)| *number).max().unwrap_or_default().max(1);
        let shapes = html! {
            @for ((name, number), y) in bars.iter().zip(rows(4, 46)) {
                @let width = (400.0 * *number as f64 / most as f64).max(2.0);
                (text("label", (0.0, y + 12.0), name.shortened(54)))
                (rect("bar", (0.0, y + 19.0), (width, 14.0), 2))
                (text("value", (width + 8.0, y + 31.0), count(*number)))
            }
        };
        let description = format!("{}; the table has the numbers.", bars_in_words(bars.len()));
        Self { size: (480, 4 + 46 * bars.len()), title: title.to_owned(), description, legend: BTreeSet::new(), shapes }
    }

    /// Shares of caps.
    pub(super) fn of_shares(usage: &UsageShares) -> Self {
        const LEFT: f64 = 8.0;
        const PLOT_WIDTH: f64 = 456.0;
        let width_of = |percent: f64| PLOT_WIDTH * percent.clamp(0.0, 100.0) / 100.0;
        let tracks = [("Fuel", &usage.fuel), ("Memory", &usage.memory), ("Wall time", &usage.wall)];
        let scale = [("tick", 0.0), ("tick mid", 25.0), ("tick mid", 50.0), ("tick mid", 75.0), ("tick end", 100.0)];
        let shapes = html! {
            @for ((name, share), y) in tracks.into_iter().zip(rows(4, 56)) {
                (text("name", (LEFT, y + 13.0), name))
                (text("tick end", (LEFT + PLOT_WIDTH, y + 13.0), in_words(share)))
                (rect("track", (LEFT, y + 21.0), (PLOT_WIDTH, 18.0), 3))
                @let shares = [("u2", share.max_percent), ("u1", share.p90_percent), ("u0", share.median_percent)];
                @for (class, upto) in shares {
                    @if let Some(upto) = upto.filter(|upto| *upto > 0.0) {
                        (rect(class, (LEFT, y + 21.0), (width_of(upto).max(1.5), 18.0), 3))
                    }
                }
            }
            @for (class, share) in scale {
                @let x = LEFT + width_of(share);
                (line("grid", (x, 164.0), (x, 170.0))) (text(class, (x, 184.0), percent(share)))
            }
        };
        let [fuel, memory, wall] = tracks.map(|(_, share)| in_words(share));
        Self {
            size: (480, 192),
            title: "Share of their caps that calls used".to_owned(),
            description: format!("Fuel: {fuel}; memory: {memory}; wall time: {wall}"),
            legend: [("u0", "half of the calls"), ("u1", "9 of 10 calls"), ("u2", "all calls")].into(),
            shapes,
        }
    }

    /// The chart with its legend; `id` makes the ids in it unique in the page.
    pub(super) fn figure(&self, id: &str) -> Markup {
        let (width, height) = self.size;
        html! {
            figure {
                @if !self.legend.is_empty() {
                    ul.legend { @for (class, name) in &self.legend { li { (swatch(class)) (name) } } } "\n"
                }
                svg.{ "w" (width) } viewBox={ "0 0 " (width) " " (height) } role="img"
                    aria-labelledby={ (id) "-t " (id) "-d" } {
                    title id={ (id) "-t" } { (self.title) }
                    desc id={ (id) "-d" } { (self.description) } "\n"
                    (self.shapes)
                }
            }
        }
    }
}

/// Labels below the columns: about seven, with the day where it changes.
fn time_labels(timeline: &Timeline, middle: impl Fn(usize) -> f64) -> Markup {
    let every = timeline.spans.len().div_ceil(7).max(1);
    let mut day = String::new();
    html! {
        @for (place, span) in timeline.spans.iter().enumerate().step_by(every) {
            @let x = middle(place).clamp(40.0, 920.0);
            @let (today, clock) = (date(span.from_s), clock(span.from_s));
            @if timeline.span_s >= 86_400 {
                (text("tick mid", (x, 222.0), today))
            } @else {
                @let minutes = clock.get(..5).filter(|_| timeline.span_s >= 60);
                (text("tick mid", (x, 222.0), minutes.unwrap_or(&clock)))
                @if std::mem::replace(&mut day, today.clone()) != today { (text("tick mid", (x, 238.0), today)) }
            }
        }
    }
}

fn in_words(share: &Share) -> String {
    match (share.median_percent, share.p90_percent, share.max_percent) {
        (Some(median), Some(p90), Some(max)) => {
            format!("median {} · 9 of 10 ≤ {} · most {}", percent(median), percent(p90), percent(max))
        }
        _none => "no call with this cap ended".to_owned(),
    }
}

fn bars_in_words(number: usize) -> String {
    counted(number as u64, "bar", "bars")
}

/// What a pointer that rests on a bar is told.
fn hover(name: impl Render, calls: u64, results: &Results) -> Markup {
    html! {
        (name) ": " (counted(calls, "call", "calls"))
        @for (_, name, calls) in pieces(results) { ", " (count(calls.end - calls.start)) " " (name) }
    }
}

/// The results that occur, with their class, as pieces of a bar that follow each other.
fn pieces(results: &Results) -> impl Iterator<Item = (&'static str, &'static str, Range<u64>)> {
    let classes = ["r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9"];
    let mut end = 0;
    let pieces = classes.into_iter().zip(results.parts()).map(move |(class, (name, calls))| {
        end += calls;
        (class, name, end - calls..end)
    });
    pieces.filter(|(_, _, calls)| !calls.is_empty())
}

fn legend<'r>(results: impl Iterator<Item = &'r Results>) -> BTreeSet<(&'static str, &'static str)> {
    results.flat_map(pieces).map(|(class, name, _)| (class, name)).collect()
}

/// Where rows start, from the top.
fn rows(first: u32, height: u32) -> impl Iterator<Item = f64> {
    (0..).map(move |row| f64::from(first + height * row))
}

/// The step between lines of a scale and its end: one to five lines at round numbers above 0.
fn ticks(most: u64) -> (usize, u64) {
    let magnitude = 10_u64.pow(most.max(1).ilog10());
    let steps = [magnitude / 5, magnitude / 2, magnitude, magnitude * 2];
    let step = steps.into_iter().find(|step| *step > 0 && most.div_ceil(*step) <= 5).unwrap_or(magnitude);
    (usize::try_from(step).unwrap_or(usize::MAX), most.max(1).div_ceil(step) * step)
}

fn swatch(class: &str) -> Markup {
    let mark = html! { rect class=(class) x="1" y="1" width="10" height="10" rx="2" {} };
    html! { svg viewBox="0 0 12 12" aria-hidden="true" { (mark) } }
}

fn text(class: &str, (x, y): (f64, f64), words: impl Render) -> Markup {
    html! { text class=(class) x=(tenths(x)) y=(tenths(y)) { (words) } "\n" }
}

fn rect(class: &str, (x, y): (f64, f64), (width, height): (f64, f64), round: u32) -> Markup {
    let round = (round > 0).then_some(round);
    html! { rect class=(class) x=(tenths(x)) y=(tenths(y)) width=(tenths(width)) height=(tenths(height)) rx=[round] {} }
}

fn line(class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) -> Markup {
    html! { line class=(class) x1=(tenths(x1)) y1=(tenths(y1)) x2=(tenths(x2)) y2=(tenths(y2)) {} }
}

fn tenths(number: f64) -> String {
    format!("{number:.1}")
}

#[cfg(test)]
mod tests {
    use super::ticks;

    #[test]
    fn scales_end_at_round_numbers() {
        let cases =
            [(1, (1, 1)), (3, (1, 3)), (7, (2, 8)), (10, (2, 10)), (23, (5, 25)), (101, (50, 150)), (960, (200, 1000))];
        for (most, wanted) in cases {
            assert_eq!(ticks(most), wanted, "{most}");
        }
    }
}
