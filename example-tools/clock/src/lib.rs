//! Tells the time of day, and computes with dates. Shows the three clocks that an operator can grant: `real`, `coarse`
//! (steps of 100 ms) and `frozen` (one instant for a call).

mod civil;

use std::time::{SystemTime, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::Serialize;
use tollgate_guest::{Error, tool};

use crate::civil::Date;

/// An instant.
#[derive(Debug, Serialize, JsonSchema, PartialEq, Eq)]
struct Instant {
    /// As RFC 3339 writes it, in UTC.
    utc: String,
    /// Whole seconds since 1970.
    unix_seconds: u64,
    /// What is left of the second.
    nanoseconds: u32,
}

/// Instants that were read one after the other.
#[derive(Debug, Serialize, JsonSchema, PartialEq, Eq)]
struct Watched {
    first: Instant,
    last: Instant,
    /// How often an instant was different from the one before it.
    ticks: u32,
}

/// A weekday.
#[derive(Debug, Serialize, JsonSchema, PartialEq, Eq)]
struct Weekday {
    weekday: &'static str,
}

/// A span of days.
#[derive(Debug, Serialize, JsonSchema, PartialEq, Eq)]
struct Span {
    /// Negative if the second date is the earlier one.
    days: i64,
}

/// Returns the time of day in UTC, as exactly as it is granted.
#[tool]
fn now() -> Result<Instant, Error> {
    read_clock()
}

/// Reads the clock many times in a row and tells whether it moved: a real clock does, a frozen one does not.
#[tool]
fn watch(
    /// How often the clock is read.
    #[schemars(range(min = 2, max = 1000))]
    readings: u32,
) -> Result<Watched, Error> {
    let first = read_clock()?;
    let mut last = (first.unix_seconds, first.nanoseconds);
    let mut ticks = 0;
    for _ in 1..readings {
        let next = since_1970()?;
        ticks += u32::from(next != last);
        last = next;
    }
    Ok(Watched { first, last: Instant::new(last)?, ticks })
}

/// Returns the day of the week of a date.
#[tool]
fn weekday(
    /// A date such as 2024-02-29.
    date: String,
) -> Result<Weekday, Error> {
    Ok(Weekday { weekday: date.parse::<Date>()?.weekday() })
}

/// Counts the days from one date to another.
#[tool]
fn days_between(
    /// The date to start from, such as 2024-02-29.
    from: String,
    /// The date to end at; not counted.
    to: String,
) -> Result<Span, Error> {
    Ok(Span { days: from.parse::<Date>()?.days_until(to.parse()?) })
}

fn read_clock() -> Result<Instant, Error> {
    Instant::new(since_1970()?)
}

impl Instant {
    fn new((unix_seconds, nanoseconds): (u64, u32)) -> Result<Self, Error> {
        let utc = civil::rfc3339(unix_seconds, nanoseconds);
        let utc = utc.ok_or_else(|| Error::new("no-time", "the clock is after the year 9999"))?;
        Ok(Self { utc, unix_seconds, nanoseconds })
    }
}

/// Seconds and nanoseconds. The one place that asks: a call of `wasi:clocks/wall-clock.now`.
#[allow(clippy::disallowed_methods, reason = "this function owns the tool's clock")]
fn since_1970() -> Result<(u64, u32), Error> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let since = since.map_err(|_before| Error::new("no-time", "the clock is before the year 1970"))?;
    Ok((since.as_secs(), since.subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_of_this_machine_moves_forward() {
        let watched = watch(1000).unwrap();
        assert!(watched.first.utc <= watched.last.utc);
        assert!(watched.last.utc <= now().unwrap().utc);
    }

    #[test]
    fn computes_with_dates() {
        assert_eq!(weekday("2024-02-29".into()).unwrap().weekday, "Thursday");
        assert_eq!(days_between("2024-02-28".into(), "2024-03-01".into()).unwrap().days, 2);
        assert_eq!(weekday("2023-02-29".into()).unwrap_err().code, "invalid-date");
        assert_eq!(days_between("2024-01-01".into(), "soon".into()).unwrap_err().code, "invalid-date");
    }
}
