//! How often a grant may be used, by the generic cell rate algorithm (ITU-T I.371) in whole nanoseconds. The time comes from whoever
//! asks. Must never let a clock that goes back, or stands at its end, allow more.

use std::fmt;

use thiserror::Error;

use crate::shown::Shown;

/// Most uses in one period: each is at least some microseconds of work.
pub const RATE_COUNT_MAX: u32 = 1_000_000;

/// So many uses in each period, such as `60/min`.
///
/// A whole period's uses may come at once; after that there is one more each time a share of the period has passed. In any time `t`
/// there are so no more than `count` and those that `t` has shares for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    count: u32,
    period: Period,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Period {
    Second,
    Minute,
    Hour,
}

impl Rate {
    /// Reads a number and a period: `10/s`, `60/min`, `1000/h`.
    ///
    /// # Errors
    ///
    /// [`RateError`] for any other text, and for more than [`RATE_COUNT_MAX`].
    pub fn parse(text: &str) -> Result<Self, RateError> {
        let error = || RateError { rate: Shown::of(text) };
        let (count, period) = text.split_once('/').ok_or_else(error)?;
        let period = Period::ALL.into_iter().find(|known| known.as_str() == period).ok_or_else(error)?;
        let plain = !count.starts_with('0') && count.bytes().all(|digit| digit.is_ascii_digit());
        let count = count.parse().ok().filter(|count| plain && *count <= RATE_COUNT_MAX).ok_or_else(error)?;
        Ok(Self { count, period })
    }

    /// Time between two uses, in nanoseconds, rounded up.
    const fn share_ns(self) -> u64 {
        self.period.ns().div_ceil(self.count as u64)
    }

    /// How far ahead of its time a use may come.
    const fn tolerance_ns(self) -> u64 {
        self.share_ns().saturating_mul(self.count as u64 - 1)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.period.as_str())
    }
}

impl Period {
    const ALL: [Self; 3] = [Self::Second, Self::Minute, Self::Hour];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "min",
            Self::Hour => "h",
        }
    }

    const fn ns(self) -> u64 {
        match self {
            Self::Second => 1_000_000_000,
            Self::Minute => 60_000_000_000,
            Self::Hour => 3_600_000_000_000,
        }
    }
}

/// When the next use is due. One for each grant that has a rate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateMeter {
    due_ns: u64,
}

impl RateMeter {
    /// Takes one use at `now_ns`, nanoseconds of a clock that goes on from any start.
    ///
    /// # Errors
    ///
    /// [`TooSoon`], with how long to wait; then nothing is taken.
    pub fn take(&mut self, rate: Rate, now_ns: u64) -> Result<(), TooSoon> {
        let earliest_ns = self.due_ns.saturating_sub(rate.tolerance_ns());
        if let Some(wait_ns) = earliest_ns.checked_sub(now_ns).filter(|wait_ns| *wait_ns > 0) {
            return Err(TooSoon { wait_ns });
        }
        let due_ns = self.due_ns.max(now_ns).checked_add(rate.share_ns());
        self.due_ns = due_ns.ok_or_else(|| TooSoon { wait_ns: rate.share_ns() })?;
        Ok(())
    }
}

/// The rate is used up for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the next one is due in {} ms", wait_ns.div_ceil(1_000_000))]
pub struct TooSoon {
    /// How long to wait, in nanoseconds.
    pub wait_ns: u64,
}

/// A text that is no rate.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{rate}` is no rate such as `10/s`, `60/min` or `1000/h`, of at most {RATE_COUNT_MAX}")]
pub struct RateError {
    /// What was given.
    pub rate: Shown,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> Rate {
        Rate::parse(text).unwrap()
    }

    #[test]
    fn a_rate_is_written_as_it_is_read() {
        for text in ["1/s", "60/min", "1000/h", "1000000/s"] {
            assert_eq!(rate(text).to_string(), text);
        }
        for text in
            ["", "60", "/min", "0/s", "06/s", "+6/s", "6/m", "6/min ", "1000001/s", "99999999999/s", "6/day", "1.5/s"]
        {
            assert!(Rate::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_period_at_once_then_one_each_share() {
        let (rate, mut meter) = (rate("60/min"), RateMeter::default());
        let start = 5_000_000_000;
        for _use in 0..60 {
            assert_eq!(meter.take(rate, start), Ok(()));
        }
        assert_eq!(meter.take(rate, start), Err(TooSoon { wait_ns: 1_000_000_000 }));
        assert_eq!(meter.take(rate, start + 999_999_999), Err(TooSoon { wait_ns: 1 }));
        assert_eq!(meter.take(rate, start + 1_000_000_000), Ok(()));
        assert_eq!(meter.take(rate, start + 1_000_000_000), Err(TooSoon { wait_ns: 1_000_000_000 }));
        for _use in 0..60 {
            assert_eq!(meter.take(rate, start + 1_000_000_000_000), Ok(()));
        }
    }

    #[test]
    fn clocks_that_go_back_or_end_allow_nothing_more() {
        let (rate, mut meter) = (rate("1/h"), RateMeter::default());
        assert_eq!(meter.take(rate, 7_200_000_000_000), Ok(()));
        assert!(meter.take(rate, 0).is_err());
        let mut last = RateMeter { due_ns: u64::MAX };
        assert!(last.take(rate, u64::MAX).is_err() && last.take(rate, 0).is_err());
    }
}
