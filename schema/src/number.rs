//! Numbers, compared as what they say: 1 and 1.0 are one number, and no integer loses a digit.

use std::cmp::Ordering;

use serde_json::Number;

/// A number without loss: an integer if it is one, and short of 2^126.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Exact {
    Integer(i128),
    Float(f64),
}

/// Integers from here on are floats, which have no place between any two of them.
const INTEGERS_BELOW: f64 = 85_070_591_730_234_615_865_843_651_857_942_052_864.0;

pub(crate) fn exact(number: &Number) -> Exact {
    if let Some(integer) = number.as_u64() {
        return Exact::Integer(integer.into());
    }
    if let Some(integer) = number.as_i64() {
        return Exact::Integer(integer.into());
    }
    let float = number.as_f64().unwrap_or(f64::NAN);
    if float.fract() == 0.0 && float.abs() < INTEGERS_BELOW {
        Exact::Integer(integer(float))
    } else {
        Exact::Float(float)
    }
}

pub(crate) fn is_integer(number: &Number) -> bool {
    match exact(number) {
        Exact::Integer(_) => true,
        Exact::Float(float) => float.fract() == 0.0,
    }
}

pub(crate) fn compare(left: &Number, right: &Number) -> Ordering {
    match (exact(left), exact(right)) {
        (Exact::Integer(left), Exact::Integer(right)) => left.cmp(&right),
        (Exact::Float(left), Exact::Float(right)) => left.total_cmp(&right),
        (Exact::Integer(left), Exact::Float(right)) => beside(left, right),
        (Exact::Float(left), Exact::Integer(right)) => beside(right, left).reverse(),
    }
}

/// An integer beside a float that is none, or is larger than any.
fn beside(left: i128, right: f64) -> Ordering {
    if right.abs() >= INTEGERS_BELOW {
        return if right > 0.0 { Ordering::Less } else { Ordering::Greater };
    }
    // The float lies above its floor.
    left.cmp(&integer(right.floor())).then(Ordering::Less)
}

/// Whether `number` is a multiple of `of`, which is above 0. Floats are as their decimal digits say: 0.3 is one of 0.1.
pub(crate) fn is_multiple(number: &Number, of: &Number) -> bool {
    if let (Exact::Integer(number), Exact::Integer(of)) = (exact(number), exact(of)) {
        return number.checked_rem(of) == Some(0);
    }
    let (Some(number), Some(of)) = (number.as_f64(), of.as_f64()) else { return false };
    let quotient = number / of;
    quotient.is_finite() && (quotient - quotient.round()).abs() <= quotient.abs().max(1.0) * f64::EPSILON * 4.0
}

#[allow(clippy::cast_possible_truncation, reason = "whole, and below 2^126")]
fn integer(float: f64) -> i128 {
    float as i128
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        text.parse().unwrap()
    }

    #[test]
    fn the_order_is_that_of_the_numbers() {
        let rising = [
            "-1e300",
            "-9223372036854775808",
            "-1.5",
            "-1",
            "0",
            "0.5",
            "1",
            "9007199254740993",
            "18446744073709551615",
            "1e20",
            "1e38",
            "1e300",
        ];
        for (at, left) in rising.iter().enumerate() {
            for (other, right) in rising.iter().enumerate() {
                assert_eq!(compare(&number(left), &number(right)), at.cmp(&other), "{left} {right}");
            }
        }
        assert_eq!(compare(&number("1"), &number("1.0")), Ordering::Equal);
        assert_eq!(compare(&number("0"), &number("-0.0")), Ordering::Equal);
        assert_eq!(compare(&number("9007199254740993"), &number("9007199254740992.0")), Ordering::Greater);
    }

    #[test]
    fn multiples_and_integers() {
        for (of, yes, no) in
            [("0.1", "0.3", "0.35"), ("3", "9", "10"), ("0.01", "19.99", "19.995"), ("2", "4.0", "4.5")]
        {
            assert!(is_multiple(&number(yes), &number(of)), "{yes} {of}");
            assert!(!is_multiple(&number(no), &number(of)), "{no} {of}");
        }
        assert!(!is_multiple(&number("1e308"), &number("1e-308")), "the quotient is no number");
        assert!(is_integer(&number("1.0")) && is_integer(&number("1e300")) && !is_integer(&number("1.5")));
    }
}
