//! Dates of the Gregorian calendar, and instants in UTC as RFC 3339 writes them. Must never ask what time it is.

use std::fmt;
use std::str::FromStr;

use tollgate_guest::Error;

/// Seconds of a day. UTC as computers count it knows no leap seconds.
const DAY_SECONDS: u64 = 86_400;
/// Years of RFC 3339, which writes them with four digits.
const YEAR_MAX: i64 = 9999;

/// A day, from 0000-01-01 to 9999-12-31.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Date {
    /// Days since 1970-01-01.
    days: i64,
}

/// What is no date.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoDate {
    text: String,
}

impl Date {
    /// The day of this year, month (from 1) and day (from 1), if there is such a day.
    fn from_civil(year: i64, month: i64, day: i64) -> Option<Self> {
        let date = Self { days: days_from_civil(year, month, day) };
        // What is no day, such as 30 February, is counted as one of the next month.
        ((0..=YEAR_MAX).contains(&year) && date.civil() == (year, month, day)).then_some(date)
    }

    /// Year, month and day.
    fn civil(self) -> (i64, i64, i64) {
        civil_from_days(self.days)
    }

    /// The English name of the day of the week.
    pub(crate) fn weekday(self) -> &'static str {
        // 1970-01-01 was a Thursday.
        match (self.days + 4).rem_euclid(7) {
            0 => "Sunday",
            1 => "Monday",
            2 => "Tuesday",
            3 => "Wednesday",
            4 => "Thursday",
            5 => "Friday",
            _ => "Saturday",
        }
    }

    /// Days from this date to `later`; negative if that is earlier.
    pub(crate) fn days_until(self, later: Self) -> i64 {
        later.days - self.days
    }
}

impl FromStr for Date {
    type Err = NoDate;

    fn from_str(text: &str) -> Result<Self, NoDate> {
        date(text).ok_or_else(|| NoDate { text: text.to_owned() })
    }
}

fn date(text: &str) -> Option<Date> {
    let (year, rest) = text.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    Date::from_civil(digits(year, 4)?, digits(month, 2)?, digits(day, 2)?)
}

/// The number that exactly `count` digits write.
fn digits(text: &str, count: usize) -> Option<i64> {
    let written = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if written { text.parse().ok() } else { None }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl From<NoDate> for Error {
    fn from(NoDate { text }: NoDate) -> Self {
        Self::new("invalid-date", format!("{text:?} is no date; write a day of the calendar as 2024-02-29"))
    }
}

/// An instant in UTC, such as `2024-02-29T12:00:00.000000000Z`; none after the year 9999.
pub(crate) fn rfc3339(unix_seconds: u64, nanoseconds: u32) -> Option<String> {
    let date = Date { days: i64::try_from(unix_seconds / DAY_SECONDS).ok()? };
    let (year, _, _) = date.civil();
    let second = unix_seconds % DAY_SECONDS;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    (year <= YEAR_MAX).then(|| format!("{date}T{hour:02}:{minute:02}:{second:02}.{nanoseconds:09}Z"))
}

/// Days of an era of 400 years, after which the calendar repeats.
const ERA_DAYS: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;

/// Days since 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"): years begin in March there, so
/// that the leap day is a year's last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * ERA_DAYS + day_of_era - EPOCH_DAYS
}

/// Year, month and day: the other way round.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(EPOCH_DAYS);
    let (era, day_of_era) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn known_days() {
        assert_eq!(day("1970-01-01").days, 0);
        assert_eq!(day("2000-03-01").days, 11_017);
        assert_eq!(day("0000-01-01").days, -719_528);
        assert_eq!(day("9999-12-31").days, 2_932_896);
        assert_eq!(day("1969-07-20").weekday(), "Sunday");
        assert_eq!(day("2024-02-29").weekday(), "Thursday");
        assert_eq!(day("2024-02-28").days_until(day("2024-03-01")), 2);
        assert_eq!(day("2024-03-01").days_until(day("2023-03-01")), -366);
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in ["2023-02-29", "1900-02-29", "2024-00-01", "2024-13-01", "2024-04-31", "2024-01-00"] {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
        for text in ["", "2024", "2024-1-1", "24-01-01", "2024-01-01 ", "2024-+1-01", "２０２４-01-01", "10000-01-01"]
        {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
        assert!("2000-02-29".parse::<Date>().is_ok());
    }

    #[test]
    fn known_instants() {
        assert_eq!(rfc3339(0, 0).unwrap(), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(rfc3339(1_000_000_000, 5).unwrap(), "2001-09-09T01:46:40.000000005Z");
        assert_eq!(rfc3339(253_402_300_799, 999_999_999).unwrap(), "9999-12-31T23:59:59.999999999Z");
        assert_eq!(rfc3339(253_402_300_800, 0), None);
        assert_eq!(rfc3339(u64::MAX, 0), None);
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let (mut year, mut month, mut date) = (0, 1, 1);
        for days in -719_528..=2_932_896 {
            assert_eq!(civil_from_days(days), (year, month, date));
            assert_eq!(days_from_civil(year, month, date), days);
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
                [usize::try_from(month - 1).unwrap()];
            date += 1;
            if date > length {
                (month, date) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
        assert_eq!((year, month, date), (10_000, 1, 1));
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_printed_again(text in r"[0-9]{4}-[01][0-9]-[0-3][0-9]|.{0,20}") {
            if let Ok(date) = text.parse::<Date>() {
                prop_assert_eq!(date.to_string(), text);
            }
        }
    }
}
