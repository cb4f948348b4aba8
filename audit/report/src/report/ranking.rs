//! The names that occur most, in bounded memory: the Space-Saving method (Metwally, Agrawal, El Abbadi, "Efficient
//! computation of frequent and top-k elements in data streams", 2005).
//!
//! It must never give a count that is too low, nor an estimated one as exact.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde::Serialize;

/// Most names that are counted at a time. Up to so many different ones every count is exact; of more, each that
/// makes up over a thousandth of all is listed, with the most by which its count is too high.
pub const RANKED_NAMES_MAX: usize = 1000;

/// Most names that a report lists.
pub const RANKED_LISTED_MAX: usize = 50;

/// Most tools listed beside a name.
pub const RANKED_TOOLS_MAX: usize = 8;

/// The names that occur most often.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Ranking {
    /// How often names occurred, all together.
    pub total: u64,
    /// The most frequent first, at most [`RANKED_LISTED_MAX`].
    pub listed: Vec<Ranked>,
    /// How often names occurred that are not listed.
    pub others: u64,
    /// Whether the counts are exact.
    pub exact: bool,
}

/// A name and how often it occurred.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Ranked {
    /// The name: a rule, a cap, a path.
    pub name: String,
    /// How often; never too low.
    pub count: u64,
    /// The most by which `count` is too high.
    pub count_error: u64,
    /// The tools it occurred with, at most [`RANKED_TOOLS_MAX`].
    pub tools: Vec<String>,
    /// Whether there are further tools.
    pub more_tools: bool,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    places: HashMap<Arc<str>, usize>,
    counters: Vec<Counter>,
    // Every counter by its count, so that the least is at hand.
    by_count: BTreeSet<(u64, usize)>,
    total: u64,
}

#[derive(Debug)]
struct Counter {
    name: Arc<str>,
    count: u64,
    count_error: u64,
    tools: Vec<Arc<str>>,
    more_tools: bool,
}

impl Counters {
    pub(super) fn add(&mut self, name: &str, tool: &Arc<str>) {
        self.total += 1;
        let place = self.place(name);
        let Some(counter) = self.counters.get_mut(place) else { return };
        self.by_count.remove(&(counter.count, place));
        counter.count += 1;
        self.by_count.insert((counter.count, place));
        if counter.tools.contains(tool) {
            return;
        }
        if counter.tools.len() < RANKED_TOOLS_MAX {
            counter.tools.push(Arc::clone(tool));
        } else {
            counter.more_tools = true;
        }
    }

    pub(super) fn finish(self) -> Ranking {
        let exact = self.counters.iter().all(|counter| counter.count_error == 0);
        let mut listed: Vec<Ranked> = self.counters.into_iter().map(Ranked::from).collect();
        listed.sort_unstable_by(|left, right| right.count.cmp(&left.count).then_with(|| left.name.cmp(&right.name)));
        listed.truncate(RANKED_LISTED_MAX);
        let others = self.total - listed.iter().map(|ranked| ranked.count).sum::<u64>();
        Ranking { total: self.total, listed, others, exact }
    }

    /// The counter of `name`: its own, a new one, or the least one, which it takes over with its count.
    fn place(&mut self, name: &str) -> usize {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let name: Arc<str> = name.into();
        let fresh = |count| Counter {
            name: Arc::clone(&name),
            count,
            count_error: count,
            tools: Vec::new(),
            more_tools: false,
        };
        let least = self.by_count.first().copied().filter(|_| self.counters.len() >= RANKED_NAMES_MAX);
        let place = match least {
            Some((count, place)) => {
                if let Some(counter) = self.counters.get_mut(place) {
                    self.places.remove(&counter.name);
                    *counter = fresh(count);
                }
                place
            }
            None => {
                self.counters.push(fresh(0));
                self.counters.len() - 1
            }
        };
        self.places.insert(name, place);
        place
    }
}

impl From<Counter> for Ranked {
    fn from(counter: Counter) -> Self {
        let mut tools: Vec<_> = counter.tools.iter().map(|tool| tool.to_string()).collect();
        tools.sort_unstable();
        Self {
            name: counter.name.to_string(),
            count: counter.count,
            count_error: counter.count_error,
            tools,
            more_tools: counter.more_tools,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counted(names: impl IntoIterator<Item = usize>) -> Ranking {
        let tool: Arc<str> = "t".into();
        let mut counters = Counters::default();
        names.into_iter().for_each(|name| counters.add(&name.to_string(), &tool));
        counters.finish()
    }

    #[test]
    fn a_frequent_name_survives_a_flood_of_others() {
        let flood = (0..20_000).flat_map(|name| if name % 50 == 0 { vec![name, 7_777_777] } else { vec![name] });
        let ranking = counted(flood);
        let first = &ranking.listed[0];
        assert_eq!(first.name, "7777777");
        assert!(first.count >= 400 && first.count - first.count_error <= 400);
        assert!(!ranking.exact);
        assert_eq!(ranking.total, 20_400);
    }

    #[test]
    fn further_tools_are_not_listed() {
        let mut counters = Counters::default();
        (0..=RANKED_TOOLS_MAX).for_each(|tool| counters.add("rule", &tool.to_string().into()));
        let ranking = counters.finish();
        assert_eq!(ranking.listed[0].tools.len(), RANKED_TOOLS_MAX);
        assert!(ranking.listed[0].more_tools);
    }

    proptest! {
        #[test]
        fn exact_while_names_are_few(names in prop::collection::vec(0_usize..200, 0..600)) {
            let ranking = counted(names.iter().copied());
            prop_assert!(ranking.exact);
            for ranked in &ranking.listed {
                let count = names.iter().filter(|name| name.to_string() == ranked.name).count() as u64;
                prop_assert_eq!(ranked.count, count);
            }
            let listed: u64 = ranking.listed.iter().map(|ranked| ranked.count).sum();
            prop_assert_eq!(listed + ranking.others, names.len() as u64);
        }
    }
}
