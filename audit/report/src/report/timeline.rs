//! Calls over time, in a bounded number of equal spans, whose length is found while reading.

use std::collections::BTreeMap;

use serde::Serialize;

use super::activity::Results;

/// Most spans: as many columns as a chart can show side by side.
pub const SPANS_MAX: u64 = 120;

/// Calls by the time of their start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Timeline {
    /// Length of a span in seconds.
    pub span_s: u64,
    /// From the first span in which a call started to the last, without gaps; at most [`SPANS_MAX`].
    pub spans: Vec<Span>,
}

/// The calls that started in one span.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Span {
    /// Its start: seconds since the Unix epoch.
    pub from_s: u64,
    /// Calls that started.
    pub calls: u64,
    /// How they ended.
    pub results: Results,
    /// What was refused to them.
    pub violations: u64,
}

/// The spans in use, by their number since the Unix epoch.
#[derive(Debug)]
pub(super) struct Spans {
    span_s: u64,
    spans: BTreeMap<u64, Span>,
}

impl Default for Spans {
    fn default() -> Self {
        Self { span_s: SECONDS, spans: BTreeMap::new() }
    }
}

impl Spans {
    /// The span in which a call started.
    pub(super) fn at(&mut self, time_ns: u64) -> &mut Span {
        let time_s = time_ns / 1_000_000_000;
        while self.number_with(time_s) > SPANS_MAX {
            self.widen();
        }
        self.spans.entry(time_s / self.span_s).or_default()
    }

    pub(super) fn finish(mut self) -> Timeline {
        let (Some((first, _)), Some((last, _))) = (self.spans.first_key_value(), self.spans.last_key_value()) else {
            return Timeline::default();
        };
        let all = *first..=*last;
        let span_s = self.span_s;
        let spans = all.map(|number| {
            let span = self.spans.remove(&number).unwrap_or_default();
            Span { from_s: number * span_s, results: span.results.with_open(span.calls), ..span }
        });
        Timeline { span_s, spans: spans.collect() }
    }

    /// How many spans there would be with one at `time_s`.
    fn number_with(&self, time_s: u64) -> u64 {
        let number = time_s / self.span_s;
        let first = self.spans.first_key_value().map_or(number, |(first, _)| number.min(*first));
        let last = self.spans.last_key_value().map_or(number, |(last, _)| number.max(*last));
        last - first + 1
    }

    fn widen(&mut self) {
        let wider = LENGTHS_S.iter().copied().find(|length| *length > self.span_s);
        let times = wider.unwrap_or(self.span_s * 2) / self.span_s;
        for (number, span) in std::mem::take(&mut self.spans) {
            self.spans.entry(number / times).or_default().add(&span);
        }
        self.span_s *= times;
    }
}

impl Span {
    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.violations += other.violations;
        self.results.add(&other.results);
    }
}

const SECONDS: u64 = 1;
/// Lengths that people know, each a multiple of the one before, so that spans can be joined.
const LENGTHS_S: [u64; 12] = [SECONDS, 5, 15, 60, 300, 900, 3600, 3 * 3600, 6 * 3600, 86_400, 7 * 86_400, 28 * 86_400];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_divide_each_other() {
        assert!(LENGTHS_S.is_sorted_by(|shorter, longer| shorter < longer && longer % shorter == 0));
    }

    proptest! {
        #[test]
        fn spans_are_few_and_hold_all(times in prop::collection::vec(any::<u64>(), 1..40), shift in 0_u32..64) {
            let mut spans = Spans::default();
            times.iter().for_each(|time| spans.at(time >> shift).calls += 1);
            let timeline = spans.finish();
            prop_assert!(timeline.spans.len() as u64 <= SPANS_MAX);
            for span in &timeline.spans {
                let within = |time: &&u64| {
                    let time_s = (**time >> shift) / 1_000_000_000;
                    span.from_s <= time_s && time_s - span.from_s < timeline.span_s
                };
                prop_assert_eq!(span.calls, times.iter().filter(within).count() as u64);
            }
        }
    }
}
