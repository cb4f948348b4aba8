//! Sizes, durations and counts as people write them in manifests, grants and on the command line. A value that leaves
//! this module is a whole number of bytes, milliseconds, fuel units or things; it must never be a guess at what
//! somebody meant, so that `16M` is refused rather than read as one of two sizes.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use miette::Diagnostic;
use thiserror::Error;

/// A number of bytes, written `16MiB`, `512B`, `2MB` or as a plain number.
///
/// Binary units: `KiB`, `MiB`, `GiB`, `TiB` (powers of 1024). Decimal units: `KB`, `MB`, `GB`, `TB` (powers of 1000).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl ByteSize {
    /// That many bytes.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        scaled(text, BYTE_UNITS).map(Self).ok_or_else(|| UnitError::NotASize { given: text.to_owned() })
    }
}

/// The shortest exact form: `16MiB`, `1500B`.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = [("TiB", 1_u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        let exact = binary.into_iter().find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor));
        match exact {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}B", self.0),
        }
    }
}

/// A span of time, written `500ms`, `2s`, `1m` or `1h`. A plain number is refused: it has no unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeSpan(u64);

impl TimeSpan {
    /// That many milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// The number of milliseconds.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0
    }
}

impl FromStr for TimeSpan {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        scaled(text, TIME_UNITS).map(Self).ok_or_else(|| UnitError::NotADuration { given: text.to_owned() })
    }
}

/// The shortest exact form: `2s`, `1500ms`.
impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
        match units.into_iter().find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor)) {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}ms", self.0),
        }
    }
}

/// Why a number with or without a unit cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error, Diagnostic)]
#[non_exhaustive]
pub enum UnitError {
    /// It is no size.
    #[error("{given:?} is not a size")]
    #[diagnostic(help(
        "write a number and a unit, such as \"16MiB\", \"4KiB\", \"512B\" or \"2MB\", or a number of bytes"
    ))]
    NotASize {
        /// The text.
        given: String,
    },
    /// It is no duration.
    #[error("{given:?} is not a duration")]
    #[diagnostic(help("write a whole number and a unit, such as \"2s\", \"500ms\", \"1m\" or \"1h\""))]
    NotADuration {
        /// The text.
        given: String,
    },
    /// It is no whole number.
    #[error("{given:?} is not a whole number")]
    #[diagnostic(help("write a whole number, such as 64 or 500_000_000"))]
    NotACount {
        /// The text.
        given: String,
    },
    /// It is below what makes sense.
    #[error("`{key}` is {given}, and the least that makes sense is {min}")]
    #[diagnostic(help("raise it to {min} or more, or leave the line out to get the default"))]
    TooSmall {
        /// The key it was given for.
        key: &'static str,
        /// What was given, with its unit.
        given: String,
        /// The least, with its unit.
        min: String,
    },
    /// It is above the named maximum.
    #[error("`{key}` is {given}, and the most there is is {max}")]
    #[diagnostic(help("lower it to {max} or less"))]
    TooLarge {
        /// The key it was given for.
        key: &'static str,
        /// What was given, with its unit.
        given: String,
        /// The most, with its unit.
        max: String,
    },
}

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Bytes.
    Bytes,
    /// Milliseconds.
    Time,
    /// Fuel units, handles, calls.
    Count,
}

impl Unit {
    /// The number in this unit, as the text or the plain integer says it.
    pub(crate) fn read(self, quantity: &Quantity) -> Result<u64, UnitError> {
        match (self, quantity) {
            (Self::Bytes, Quantity::Text(text)) => text.parse().map(ByteSize::bytes),
            (Self::Time, Quantity::Text(text)) => text.parse().map(TimeSpan::millis),
            (Self::Count, Quantity::Text(text)) => digits(text).ok_or_else(|| self.refuse(text)),
            (Self::Time, Quantity::Integer(number)) => Err(self.refuse(number)),
            (Self::Bytes | Self::Count, Quantity::Integer(number)) => {
                u64::try_from(*number).map_err(|_negative| self.refuse(number))
            }
        }
    }

    /// The same, inside `bounds`; `key` is what it is given for.
    pub(crate) fn read_within(
        self,
        quantity: &Quantity,
        key: &'static str,
        bounds: &RangeInclusive<u64>,
    ) -> Result<u64, UnitError> {
        let value = self.read(quantity)?;
        if value < *bounds.start() {
            return Err(UnitError::TooSmall { key, given: self.show(value), min: self.show(*bounds.start()) });
        }
        if value > *bounds.end() {
            return Err(UnitError::TooLarge { key, given: self.show(value), max: self.show(*bounds.end()) });
        }
        Ok(value)
    }

    /// The number with its unit, as it would be written.
    pub(crate) fn show(self, value: u64) -> String {
        match self {
            Self::Bytes => ByteSize(value).to_string(),
            Self::Time => TimeSpan(value).to_string(),
            Self::Count => value.to_string(),
        }
    }

    fn refuse(self, given: &impl ToString) -> UnitError {
        let given = given.to_string();
        match self {
            Self::Bytes => UnitError::NotASize { given },
            Self::Time => UnitError::NotADuration { given },
            Self::Count => UnitError::NotACount { given },
        }
    }
}

/// A number as it stands in a file: an integer, or a text with a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Quantity {
    Integer(i64),
    Text(String),
}

impl<'de> serde::Deserialize<'de> for Quantity {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = Quantity;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, or a text with a unit")
            }

            fn visit_i64<E>(self, number: i64) -> Result<Quantity, E> {
                Ok(Quantity::Integer(number))
            }

            fn visit_str<E>(self, text: &str) -> Result<Quantity, E> {
                Ok(Quantity::Text(text.to_owned()))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// Digits and one of `units`; `None` for anything else, and for what does not fit.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// Digits, with underscores between them as in TOML.
fn digits(text: &str) -> Option<u64> {
    let well_placed = !text.starts_with('_') && !text.ends_with('_') && !text.contains("__");
    let plain = text.replace('_', "");
    let only_digits = plain.bytes().all(|byte| byte.is_ascii_digit());
    if well_placed && only_digits { plain.parse().ok() } else { None }
}

const BYTE_UNITS: &[(&str, u64)] = &[
    ("", 1),
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

const TIME_UNITS: &[(&str, u64)] = &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_read_as_written() {
        let sizes = [("16MiB", 16 << 20), ("4KiB", 4096), ("512B", 512), ("2MB", 2_000_000), ("7", 7), ("0", 0)];
        for (text, bytes) in sizes {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for (text, millis) in [("2s", 2_000), ("500ms", 500), ("1m", 60_000), ("1h", 3_600_000)] {
            assert_eq!(text.parse(), Ok(TimeSpan(millis)), "{text}");
        }
        assert_eq!(Unit::Count.read(&Quantity::Text("500_000".to_owned())), Ok(500_000));
    }

    #[test]
    fn what_is_not_plain_is_refused() {
        for text in ["", "16M", "16 MiB", "1.5MiB", "-1", "+1", "MiB", "16mib", "99999999999TiB", "0x10", "1_000"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
        for text in ["", "2", "2 s", "1.5s", "s", "2sec", "-2s"] {
            assert!(text.parse::<TimeSpan>().is_err(), "{text}");
        }
        for text in ["", "_1", "1_", "1__0", "500M", "-1"] {
            assert!(Unit::Count.read(&Quantity::Text(text.to_owned())).is_err(), "{text}");
        }
        assert!(Unit::Time.read(&Quantity::Integer(2)).is_err());
        assert!(Unit::Bytes.read(&Quantity::Integer(-1)).is_err());
    }

    #[test]
    fn what_is_shown_reads_back() {
        for bytes in [0, 1, 1023, 1024, 1500, 16 << 20, (16 << 20) + 1, 5 << 40, u64::MAX] {
            assert_eq!(ByteSize(bytes).to_string().parse(), Ok(ByteSize(bytes)));
        }
        for millis in [0, 1, 999, 1_000, 1_500, 60_000, 3_600_000, 3_600_001] {
            assert_eq!(TimeSpan(millis).to_string().parse(), Ok(TimeSpan(millis)));
        }
    }
}
