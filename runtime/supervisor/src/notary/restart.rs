//! Decides when a notary that is gone is started again, and when no more.
//!
//! It has no clock and starts nothing: its caller says what happened, and when.

use std::time::{Duration, Instant};

/// What became of the notaries until now. A death points to a fault of the notary or its disk, or to somebody who kills it. A
/// process that could not be started (`EAGAIN`, no memory, a program that is just being replaced) says nothing of the notary.
#[derive(Debug, Default)]
pub(super) struct Restarts {
    deaths: Vec<Instant>,
    /// Since when no process can be started, and how often that was tried.
    failing: Option<(Instant, u32)>,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// Start a notary after this time.
    After(Duration),
    /// Start no other, for this reason.
    Never(String),
}

impl Restarts {
    /// A notary died at `now`; `how` says of what.
    pub(super) fn died(&mut self, now: Instant, how: &str) -> Next {
        self.failing = None;
        self.deaths.retain(|death| now.saturating_duration_since(*death) < DEATHS_WITHIN);
        self.deaths.push(now);
        let deaths = self.deaths.len();
        if deaths > DEATHS_MAX {
            let within = DEATHS_WITHIN.as_secs();
            return Next::Never(format!("it died {deaths} times within {within} s, at last by {how}"));
        }
        // The next notary follows the first death at once: no call may begin meanwhile.
        Next::After(deaths.checked_sub(2).map_or(Duration::ZERO, pause))
    }

    /// No process could be started at `now`, because of `error`. Starting is tried again for `patience`.
    pub(super) fn not_started(&mut self, now: Instant, error: &str, patience: Duration) -> Next {
        let (since, tries) = self.failing.get_or_insert((now, 0));
        *tries = tries.saturating_add(1);
        if now.saturating_duration_since(*since) >= patience {
            let seconds = patience.as_secs();
            return Next::Never(format!("another one could not be started for {seconds} s: {error}"));
        }
        Next::After(pause(usize::try_from(*tries - 1).unwrap_or(usize::MAX)))
    }

    /// A process has been started.
    pub(super) fn started(&mut self) {
        self.failing = None;
    }
}

/// The pause after this many others: each is twice the one before, up to a limit.
fn pause(before: usize) -> Duration {
    let doubled = u32::try_from(before).ok().and_then(|before| 1_u32.checked_shl(before));
    doubled.and_then(|times| PAUSE_FIRST.checked_mul(times)).map_or(PAUSE_MAX, |pause| pause.min(PAUSE_MAX))
}

/// Most deaths within `DEATHS_WITHIN`. More are no accident: the operator must look.
const DEATHS_MAX: usize = 20;
const DEATHS_WITHIN: Duration = Duration::from_secs(10);

const PAUSE_FIRST: Duration = Duration::from_millis(10);

/// Longest pause. More than `DEATHS_MAX` deaths must fit into `DEATHS_WITHIN`, or a notary that always dies would be started for
/// ever.
const PAUSE_MAX: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Goes on as a supervisor would; how often it was tried, how long that took, and why it ended, if it did.
    fn tries(mut next: impl FnMut(Instant) -> Next, most: usize) -> (usize, Duration, Option<String>) {
        let start = Instant::now();
        let mut now = start;
        for tried in 1..=most {
            match next(now) {
                Next::After(pause) => now += pause,
                Next::Never(reason) => return (tried, now - start, Some(reason)),
            }
        }
        (most, now - start, None)
    }

    #[test]
    fn failed_starts_are_no_deaths() {
        let mut restarts = Restarts::default();
        let (tried, took, ended) = tries(|now| restarts.not_started(now, "EAGAIN", MINUTE), 100);
        assert_eq!((tried, ended), (100, None), "five times as many as deaths are borne");
        assert!(took > Duration::from_secs(15), "{took:?}: they are no busy loop");
        restarts.started();
        let now = Instant::now();
        assert_eq!(restarts.died(now, "signal 9"), Next::After(Duration::ZERO), "the first death");
        assert_eq!(restarts.not_started(now, "EAGAIN", MINUTE), Next::After(PAUSE_FIRST), "counted anew");
    }

    #[test]
    fn starts_that_fail_for_too_long_are_given_up_with_the_error() {
        let mut restarts = Restarts::default();
        let (tried, took, ended) = tries(|now| restarts.not_started(now, "No such file", MINUTE), 10_000);
        assert_eq!(ended.unwrap(), "another one could not be started for 60 s: No such file");
        assert!((MINUTE..MINUTE + PAUSE_MAX).contains(&took), "{took:?}");
        assert!((300..400).contains(&tried), "{tried}");
    }

    #[test]
    fn a_notary_that_always_dies_is_given_up_and_not_in_a_busy_loop() {
        let mut restarts = Restarts::default();
        let (tried, took, ended) = tries(|now| restarts.died(now, "signal 6"), 10_000);
        assert_eq!(ended.unwrap(), "it died 21 times within 10 s, at last by signal 6");
        assert_eq!(tried, DEATHS_MAX + 1);
        assert!((Duration::from_secs(2)..DEATHS_WITHIN).contains(&took), "{took:?}");
    }

    #[test]
    fn a_notary_that_dies_now_and_then_is_started_for_ever_and_at_once() {
        let mut restarts = Restarts::default();
        let start = Instant::now();
        for day in 0..1000 {
            let now = start + DEATHS_WITHIN * day;
            assert_eq!(restarts.died(now, "signal 9"), Next::After(Duration::ZERO), "{day}");
        }
    }

    #[test]
    fn pauses_grow_to_a_limit() {
        let millis: Vec<_> =
            [0, 1, 2, 3, 4, 5, 31, 32, 1000, usize::MAX].map(|before| pause(before).as_millis()).into();
        assert_eq!(millis, [10, 20, 40, 80, 160, 200, 200, 200, 200, 200]);
    }
}
