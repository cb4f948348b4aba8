//! The charts of a page, as inline SVG. Colours come from the page's style sheet, by class.
//!
//! Each has a title and a description, and stands beside a table with the same figures. It must never write a text of a
//! tool unescaped.

use std::fmt::Write as _;

use super::Group;
use super::activity::Results;
use super::escape::{html, html_foreign, visible};
use super::ranking::Ranked;
use super::shares::{Share, UsageShares};
use super::timeline::Timeline;
use super::units::{clock, count, counted, date, percent, span, time};

pub(super) enum Chart<'r> {
    /// Calls over time, by how they ended.
    Timeline(&'r Timeline),
    /// Calls by group (and what a group is), by how they ended.
    Groups(&'r [Group], &'static str),
    /// Names by their counts, under this title.
    Ranked(&'r [Ranked], &'static str),
    /// Shares of caps.
    Shares(&'r UsageShares),
}

impl Chart<'_> {
    /// The chart; `id` makes the ids in it unique in the page.
    pub(super) fn svg(&self, id: &str) -> String {
        let (width, height, body) = match self {
            Self::Timeline(timeline) => columns(timeline),
            Self::Groups(groups, _) => group_bars(groups),
            Self::Ranked(ranked, _) => ranked_bars(ranked),
            Self::Shares(usage) => share_tracks(usage),
        };
        let (title, description) = (html(&self.title()), html_foreign(&self.description()));
        format!(
            "<svg viewBox=\"0 0 {width} {height}\" class=\"w{width}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\n\
             <title id=\"{id}-t\">{title}</title>\n<desc id=\"{id}-d\">{description}</desc>\n{body}</svg>\n"
        )
    }

    /// What the colours mean, as HTML; of the results only those that occur.
    pub(super) fn legend(&self) -> String {
        let mut results = Results::default();
        let mut open = 0;
        match self {
            Self::Timeline(timeline) => timeline.spans.iter().for_each(|span| {
                results.add(&span.results);
                open += span.results.open;
            }),
            Self::Groups(groups, _) => groups.iter().take(GROUP_BARS_MAX).for_each(|group| {
                results.add(&group.activity.results);
                open += group.activity.results.open;
            }),
            Self::Ranked(..) => return String::new(),
            Self::Shares(_) => return legend(&["half of the calls", "9 of 10 calls", "all calls"], "u"),
        }
        let results = Results { open, ..results };
        let parts = results.parts();
        let items = parts.iter().enumerate().filter(|(_, (_, calls))| *calls > 0);
        let items: String = items.map(|(place, (name, _))| legend_item(name, "r", place)).collect();
        format!("<ul class=\"legend\">{items}</ul>\n")
    }

    fn title(&self) -> String {
        match self {
            Self::Timeline(timeline) => format!("Calls over time, {} per column", span(timeline.span_s)),
            Self::Groups(_, by) => format!("Calls by {by} and by how they ended"),
            Self::Ranked(_, title) => (*title).to_owned(),
            Self::Shares(_) => "Share of their caps that calls used".to_owned(),
        }
    }

    fn description(&self) -> String {
        match self {
            Self::Timeline(timeline) => {
                let most = timeline.spans.iter().map(|span| span.calls).max().unwrap_or_default();
                let spans = counted(timeline.spans.len() as u64, "column", "columns");
                format!("{spans}; the highest stands for {}.", counted(most, "call", "calls"))
            }
            Self::Groups(groups, _) => {
                let bars = counted(groups.len().min(GROUP_BARS_MAX) as u64, "bar", "bars");
                format!("{bars}, the longest first; the table below has the numbers.")
            }
            Self::Ranked(ranked, _) => {
                format!("{}; the table has the numbers.", counted(ranked.len() as u64, "bar", "bars"))
            }
            Self::Shares(usage) => {
                let said = [("Fuel", &usage.fuel), ("memory", &usage.memory), ("wall time", &usage.wall)];
                said.map(|(name, share)| format!("{name}: {}", share_words(share))).join("; ")
            }
        }
    }
}

fn legend(names: &[&str], class: &str) -> String {
    let items: String = names.iter().enumerate().map(|(place, name)| legend_item(name, class, place)).collect();
    format!("<ul class=\"legend\">{items}</ul>\n")
}

fn legend_item(name: &str, class: &str, place: usize) -> String {
    format!(
        "<li><svg viewBox=\"0 0 12 12\" aria-hidden=\"true\"><rect x=\"1\" y=\"1\" width=\"10\" height=\"10\" rx=\"2\" class=\"{class}{place}\"/></svg>{name}</li>"
    )
}

/// Width, height and content of a drawing.
type Drawing = (u32, u32, String);

fn columns(timeline: &Timeline) -> Drawing {
    const LEFT: f64 = 52.0;
    const TOP: f64 = 14.0;
    const PLOT_WIDTH: f64 = 900.0;
    const PLOT_HEIGHT: f64 = 190.0;
    let most = timeline.spans.iter().map(|span| span.calls).max().unwrap_or_default().max(1);
    let (step, top) = ticks(most);
    let y_of = |calls: u64| TOP + PLOT_HEIGHT * (1.0 - calls as f64 / top as f64);
    let mut body = String::new();
    for tick in (0..=top).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
        let y = y_of(tick);
        let class = if tick == 0 { "axis" } else { "grid" };
        line(&mut body, class, (LEFT, y), (LEFT + PLOT_WIDTH, y));
        text(&mut body, "tick end", (LEFT - 8.0, y + 4.0), &count(tick));
    }
    let slot = PLOT_WIDTH / timeline.spans.len().max(1) as f64;
    let width = (slot * 0.82).min(56.0);
    for (place, span) in timeline.spans.iter().enumerate().filter(|(_, span)| span.calls > 0) {
        let x = LEFT + slot * place as f64 + (slot - width) / 2.0;
        body.push_str(&format!("<g><title>{}</title>", html(&hover(&time(span.from_s), span.calls, &span.results))));
        let mut below = 0;
        for (class, (_, calls)) in span.results.parts().into_iter().enumerate().filter(|(_, (_, calls))| *calls > 0) {
            let (bottom, top) = (y_of(below), y_of(below + calls));
            rect(&mut body, &format!("r{class}"), (x, top), (width, bottom - top), 0.0);
            below += calls;
        }
        body.push_str("</g>\n");
    }
    time_labels(&mut body, timeline, LEFT + (slot / 2.0), slot, TOP + PLOT_HEIGHT + 18.0);
    let denials = timeline.spans.iter().map(|span| span.violations).max().unwrap_or_default();
    if denials == 0 {
        return (960, 246, body);
    }
    let (base, scale) = (TOP + PLOT_HEIGHT + 108.0, 40.0 / denials as f64);
    text(&mut body, "name", (LEFT, base - 48.0), "Denials");
    text(&mut body, "tick end", (LEFT - 8.0, base - 32.0), &count(denials));
    text(&mut body, "tick end", (LEFT - 8.0, base + 4.0), "0");
    line(&mut body, "axis", (LEFT, base), (LEFT + PLOT_WIDTH, base));
    for (place, span) in timeline.spans.iter().enumerate().filter(|(_, span)| span.violations > 0) {
        let x = LEFT + slot * place as f64 + (slot - width) / 2.0;
        let height = span.violations as f64 * scale;
        let said = format!("{}: {}", time(span.from_s), counted(span.violations, "denial", "denials"));
        body.push_str(&format!("<g><title>{}</title>", html(&said)));
        rect(&mut body, "bar", (x, base - height), (width, height), 0.0);
        body.push_str("</g>\n");
    }
    (960, 326, body)
}

/// Labels below the columns: about seven, with the day where it changes.
fn time_labels(body: &mut String, timeline: &Timeline, left: f64, slot: f64, y: f64) {
    let every = timeline.spans.len().div_ceil(7).max(1);
    let mut day = String::new();
    for (place, span) in timeline.spans.iter().enumerate().step_by(every) {
        let x = (left + slot * place as f64).clamp(40.0, 920.0);
        let today = date(span.from_s);
        if timeline.span_s >= 86_400 {
            text(body, "tick mid", (x, y), &today);
            continue;
        }
        let clock = clock(span.from_s);
        let shown = if timeline.span_s >= 60 { clock.get(..5).unwrap_or(&clock) } else { &clock };
        text(body, "tick mid", (x, y), shown);
        if today != day {
            text(body, "tick mid", (x, y + 16.0), &today);
        }
        day = today;
    }
}

fn group_bars(groups: &[Group]) -> Drawing {
    const LEFT: f64 = 230.0;
    const PLOT_WIDTH: f64 = 650.0;
    let shown = groups.get(..GROUP_BARS_MAX).unwrap_or(groups);
    let most = shown.iter().map(|group| group.activity.calls).max().unwrap_or_default().max(1);
    let mut body = String::new();
    let mut y = 6.0;
    for Group { name, activity } in shown {
        let name = name.as_deref().unwrap_or("(none named)");
        let said = hover(&visible(name), activity.calls, &activity.results);
        body.push_str(&format!("<g><title>{}</title>", html(&said)));
        text(&mut body, "label end", (LEFT - 10.0, y + 15.0), &shortened(name, 26));
        let mut x = LEFT;
        for (class, (_, calls)) in activity.results.parts().into_iter().enumerate() {
            let width = PLOT_WIDTH * calls as f64 / most as f64;
            if calls > 0 {
                rect(&mut body, &format!("r{class}"), (x, y), (width, 20.0), 0.0);
            }
            x += width;
        }
        text(&mut body, "value", (x + 8.0, y + 15.0), &count(activity.calls));
        body.push_str("</g>\n");
        y += 30.0;
    }
    (960, height(y), body)
}

fn ranked_bars(ranked: &[Ranked]) -> Drawing {
    const PLOT_WIDTH: f64 = 400.0;
    let most = ranked.iter().map(|ranked| ranked.count).max().unwrap_or_default().max(1);
    let mut body = String::new();
    let mut y = 4.0;
    for Ranked { name, count: number, .. } in ranked {
        let width = (PLOT_WIDTH * *number as f64 / most as f64).max(2.0);
        text(&mut body, "label", (0.0, y + 12.0), &shortened(name, 54));
        rect(&mut body, "bar", (0.0, y + 19.0), (width, 14.0), 2.0);
        text(&mut body, "value", (width + 8.0, y + 31.0), &count(*number));
        y += 46.0;
    }
    (480, height(y), body)
}

fn share_tracks(usage: &UsageShares) -> Drawing {
    const LEFT: f64 = 8.0;
    const PLOT_WIDTH: f64 = 456.0;
    let x_of = |percent: f64| LEFT + PLOT_WIDTH * percent.clamp(0.0, 100.0) / 100.0;
    let mut body = String::new();
    let mut y = 4.0;
    for (name, share) in [("Fuel", &usage.fuel), ("Memory", &usage.memory), ("Wall time", &usage.wall)] {
        text(&mut body, "name", (LEFT, y + 13.0), name);
        text(&mut body, "tick end", (LEFT + PLOT_WIDTH, y + 13.0), &share_words(share));
        rect(&mut body, "track", (LEFT, y + 21.0), (PLOT_WIDTH, 18.0), 3.0);
        for (class, upto) in [("u2", share.max_percent), ("u1", share.p90_percent), ("u0", share.median_percent)] {
            if let Some(upto) = upto.filter(|upto| *upto > 0.0) {
                let width = (x_of(upto) - LEFT).max(1.5);
                rect(&mut body, class, (LEFT, y + 21.0), (width, 18.0), 3.0);
            }
        }
        y += 56.0;
    }
    for quarter in 0..=4_u8 {
        let share = f64::from(quarter) * 25.0;
        let class = match quarter {
            0 => "tick",
            4 => "tick end",
            _ => "tick mid",
        };
        line(&mut body, "grid", (x_of(share), y - 8.0), (x_of(share), y - 2.0));
        text(&mut body, class, (x_of(share), y + 12.0), &percent(share));
    }
    (480, height(y + 20.0), body)
}

fn share_words(share: &Share) -> String {
    match (share.median_percent, share.p90_percent, share.max_percent) {
        (Some(median), Some(p90), Some(max)) => {
            format!("median {} · 9 of 10 ≤ {} · most {}", percent(median), percent(p90), percent(max))
        }
        _none => "no call with this cap ended".to_owned(),
    }
}

/// What a pointer that rests on a bar is told.
fn hover(name: &str, calls: u64, results: &Results) -> String {
    let mut said = format!("{name}: {}", counted(calls, "call", "calls"));
    for (name, calls) in results.parts().into_iter().filter(|(_, calls)| *calls > 0) {
        // Writing to a String cannot fail.
        write!(said, ", {} {name}", count(calls)).unwrap_or_default();
    }
    said
}

/// The step between lines of a scale and its end: one to five lines at round numbers above 0.
fn ticks(most: u64) -> (u64, u64) {
    let magnitude = 10_u64.pow(most.max(1).ilog10());
    let steps = [magnitude / 5, magnitude / 2, magnitude, magnitude * 2];
    let step = steps.into_iter().find(|step| *step > 0 && most.div_ceil(*step) <= 5).unwrap_or(magnitude);
    (step, most.div_ceil(step) * step)
}

fn shortened(text: &str, chars: usize) -> String {
    let text = visible(text);
    if text.chars().count() <= chars {
        return text;
    }
    let mut short: String = text.chars().take(chars - 1).collect();
    short.push('…');
    short
}

fn text(body: &mut String, class: &str, (x, y): (f64, f64), words: &str) {
    let words = html(words);
    // Writing to a String cannot fail.
    writeln!(body, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>").unwrap_or_default();
}

fn rect(body: &mut String, class: &str, (x, y): (f64, f64), (width, height): (f64, f64), round: f64) {
    let place = format!("x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"");
    let round = if round > 0.0 { format!(" rx=\"{round}\"") } else { String::new() };
    body.push_str(&format!("<rect class=\"{class}\" {place}{round}/>"));
}

fn line(body: &mut String, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    body.push_str(&format!("<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"));
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few rows of a few dozen units each")]
fn height(y: f64) -> u32 {
    y.ceil() as u32
}

/// Most bars by group.
const GROUP_BARS_MAX: usize = 12;

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
