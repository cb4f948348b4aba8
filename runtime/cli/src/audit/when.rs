//! Points in time as people give them: RFC 3339, a day, or so long ago. UTC and given offsets only: it must never ask for a
//! time zone.

/// Nanoseconds since the Unix epoch; `None` if it is no time, or one before that.
pub(super) fn parse_time(text: &str, now_ns: u64) -> Option<u64> {
    ago_ns(text).map(|ago| now_ns.saturating_sub(ago)).or_else(|| at_ns(text))
}

/// `90s`, `2h`, `1d12h`.
fn ago_ns(text: &str) -> Option<u64> {
    let (mut rest, mut seconds) = (text, 0_u64);
    loop {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let unit = after.chars().next()?;
        let (_, scale) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
        seconds = seconds.checked_add(number.parse::<u64>().ok()?.checked_mul(scale)?)?;
        rest = after.strip_prefix(unit)?;
        if rest.is_empty() {
            return seconds.checked_mul(NS);
        }
    }
}

/// RFC 3339 §5.6 `date-time`, a space being as good as the `T`; or a `full-date`, which is its midnight in UTC.
fn at_ns(text: &str) -> Option<u64> {
    let (date, rest) = text.split_at_checked(10)?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = *DAYS.get(usize::try_from(month).ok()?.checked_sub(1)?)? + i64::from(month == 2 && leap);
    if !(1..=days).contains(&day) {
        return None;
    }
    let midnight = days_since_epoch(year, month, day) * 86_400;
    let (seconds, nanos) = if rest.is_empty() { (0, 0) } else { time_of_day(rest.strip_prefix(['T', 't', ' '])?)? };
    // What no clock of a ledger reaches is later than all of it.
    Some(u64::try_from(midnight + seconds).ok()?.saturating_mul(NS).saturating_add(nanos))
}

/// Seconds from midnight in UTC, and nanoseconds.
fn time_of_day(text: &str) -> Option<(i64, u64)> {
    let (clock, rest) = text.split_at_checked(8)?;
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let (nanos, zone) = match rest.strip_prefix('.') {
        None => (0, rest),
        Some(rest) => {
            let (digits, zone) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
            (format!("{digits:0<9}").get(..9)?.parse().ok().filter(|_| !digits.is_empty())?, zone)
        }
    };
    let offset = match zone.strip_prefix(['+', '-']) {
        None if matches!(zone, "Z" | "z") => 0,
        None => return None,
        Some(offset) => {
            let [hours, minutes] = numbers(offset, ':', [2, 2])?;
            let size = (hours < 24 && minutes < 60).then_some((hours * 60 + minutes) * 60)?;
            if zone.starts_with('-') { -size } else { size }
        }
    };
    // 60 is a leap second.
    let in_range = hour < 24 && minute < 60 && second <= 60;
    in_range.then_some((hour * 3600 + minute * 60 + second - offset, nanos))
}

/// Numbers of so many digits each, with `mark` between them.
fn numbers<const N: usize>(text: &str, mark: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(mark);
    let mut found = [0; N];
    for (number, digits) in found.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == digits && part.bytes().all(|b| b.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

/// Howard Hinnant, "chrono-compatible low-level date algorithms", `days_from_civil`, for years from 0 on.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

const NS: u64 = 1_000_000_000;
const UNITS: [(char, u64); 5] = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400), ('w', 604_800)];
const DAYS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<u64> {
        parse_time(text, 1_700_000_000 * NS).map(|ns| ns / NS)
    }

    /// By `date -ud TEXT +%s`.
    #[test]
    fn points_in_time() {
        for (text, wanted) in [
            ("2023-11-14T22:13:20Z", 1_700_000_000),
            ("2023-11-14 22:13:20.999z", 1_700_000_000),
            ("2023-11-15T00:13:20+02:00", 1_700_000_000),
            ("2023-11-14T17:43:20-04:30", 1_700_000_000),
            ("2000-02-29", 951_782_400),
            ("1970-01-01", 0),
            ("2h", 1_699_992_800),
            ("1d12h", 1_699_870_400),
            ("9999999999s", 0),
        ] {
            assert_eq!(seconds(text), Some(wanted), "{text}");
        }
        assert_eq!(parse_time("1970-01-01T00:00:00.25Z", 0), Some(250_000_000));
        assert_eq!(parse_time("9999-12-31", 0), Some(u64::MAX));
    }

    #[test]
    fn what_is_no_time() {
        for text in [
            "",
            "2",
            "h",
            "2 h",
            "-2h",
            "2h3",
            "99999999999999999999s",
            "2023-02-29",
            "2023-13-01",
            "2023-00-01",
            "1969-12-31",
            "2023-11-14T22:13:20",
            "2023-11-14T24:00:00Z",
            "2023-11-14T22:13:20.Z",
            "2023-11-14T22:13:20+2:00",
            "2023-11-14T22:13Z",
            "2023-11-1ü",
            "yesterday",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
