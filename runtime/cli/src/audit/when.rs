//! Points in time as people give them: RFC 3339, a day, or so long ago. UTC and given offsets only: it must never ask for a
//! time zone.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

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
    let bytes = text.as_bytes();
    if bytes.get(4) != Some(&b'-') || bytes.get(7) != Some(&b'-') {
        return None;
    }
    let time: Timestamp = match bytes.get(19) {
        None => {
            let day: Date = text.parse().ok().filter(|_| bytes.len() == 10)?;
            // The last day that the crate knows ends beyond its last point in time.
            day.to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |midnight| midnight.timestamp())
        }
        // The crate takes times without seconds too.
        Some(_) => text.parse().ok().filter(|_| bytes.get(16) == Some(&b':'))?,
    };
    // What no clock of a ledger reaches is later than all of it.
    u128::try_from(time.as_nanosecond()).ok().map(|ns| u64::try_from(ns).unwrap_or(u64::MAX))
}

const NS: u64 = 1_000_000_000;
const UNITS: [(char, u64); 5] = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400), ('w', 604_800)];

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
