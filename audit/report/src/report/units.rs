//! Numbers with their units, for people.

use jiff::Timestamp;

/// `1234567` as `1,234,567`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and its noun in the right number, such as `1 call`.
pub(super) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A size such as `1.5 MiB`.
pub(super) fn bytes(number: u64) -> String {
    let step = number.max(1).ilog2() / 10;
    match ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"].get(step as usize) {
        Some(unit) if step > 0 => format!("{} {unit}", three_digits(number as f64 / (1_u64 << (10 * step)) as f64)),
        _ => format!("{number} B"),
    }
}

/// A time span such as `70 ms`.
pub(super) fn duration(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{} ms", three_digits(us as f64 / 1e3)),
        1_000_000..600_000_000 => format!("{} s", three_digits(us as f64 / 1e6)),
        _ => format!("{} min", three_digits(us as f64 / 6e7)),
    }
}

/// A span of whole seconds such as `15 minutes`.
pub(super) fn span(seconds: u64) -> String {
    let units = [(86_400, "day", "days"), (3600, "hour", "hours"), (60, "minute", "minutes")];
    let fitting = units.into_iter().find(|(length, ..)| seconds >= *length && seconds.is_multiple_of(*length));
    let (length, one, many) = fitting.unwrap_or((1, "second", "seconds"));
    counted(seconds / length, one, many)
}

/// A share such as `12.5 %`.
pub(super) fn percent(percent: f64) -> String {
    if percent > 0.0 && percent < 0.01 { "< 0.01 %".to_owned() } else { format!("{} %", three_digits(percent)) }
}

/// A number with up to three digits that matter, and all before the point.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast from float to integer saturates")]
pub(super) fn three_digits(number: f64) -> String {
    if number >= 100.0 {
        return count(number.round() as u64);
    }
    let decimals = if number >= 10.0 { 1 } else { 2 };
    let text = format!("{number:.decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A point in time, in seconds since 1970, such as `2026-11-03 14:05:09 UTC`.
#[must_use]
pub fn time(seconds: u64) -> String {
    format!("{} {} UTC", date(seconds), clock(seconds))
}

/// The day of a point in time, such as `2026-11-03`.
pub(super) fn date(seconds: u64) -> String {
    at(seconds).strftime("%Y-%m-%d").to_string()
}

/// The time of day, such as `14:05:09`.
pub(super) fn clock(seconds: u64) -> String {
    at(seconds).strftime("%H:%M:%S").to_string()
}

/// No clock of a ledger, which counts nanoseconds in 64 bits, is beyond the year 2554.
fn at(seconds: u64) -> Timestamp {
    i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_units() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 1023, 1536, 100 << 20].map(bytes), ["0 B", "1023 B", "1.5 KiB", "100 MiB"]);
        assert_eq!(bytes(u64::MAX), "16 EiB");
        assert_eq!([7, 1_500, 70_001, 2_000_000].map(duration), ["7 µs", "1.5 ms", "70 ms", "2 s"]);
        assert_eq!([1, 90, 900, 86_400].map(span), ["1 second", "90 seconds", "15 minutes", "1 day"]);
        assert_eq!([0.0, 0.001, 0.25, 12.34, 1500.0].map(percent), ["0 %", "< 0.01 %", "0.25 %", "12.3 %", "1,500 %"]);
    }

    #[test]
    fn days_of_the_calendar() {
        let dates = [(0, "1970-01-01"), (951_782_400, "2000-02-29"), (1_700_000_000, "2023-11-14")];
        for (seconds, wanted) in dates {
            assert_eq!(date(seconds), wanted);
        }
        assert_eq!(time(1_700_000_000), "2023-11-14 22:13:20 UTC");
        assert_eq!(date(u64::MAX / 1_000_000_000), "2554-07-21");
    }
}
