//! The figures of one column, gathered field by field. Must never keep a field, so that what a column takes in memory does
//! not depend on the file.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hasher as _};

use schemars::JsonSchema;
use serde::Serialize;

/// Different texts that are told apart in a column; with more, the answer says that there are more.
pub(crate) const DISTINCT_MAX: usize = 1000;

/// What a column holds.
#[derive(Debug, Serialize, JsonSchema, PartialEq)]
pub(crate) struct Column {
    /// Its name in the first line, or its number from 1.
    name: String,
    /// Rows in which it is empty, or only spaces.
    empty: u64,
    /// Fields that are numbers; absent if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    numbers: Option<Numbers>,
    /// All other fields; absent if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    texts: Option<Texts>,
}

/// Fields that are numbers.
#[derive(Debug, Serialize, JsonSchema, PartialEq)]
struct Numbers {
    count: u64,
    min: f64,
    max: f64,
    mean: f64,
    /// Of a sample (divided by the count less one); absent for a single number.
    #[serde(skip_serializing_if = "Option::is_none")]
    standard_deviation: Option<f64>,
}

/// Fields that are no numbers.
#[derive(Debug, Serialize, JsonSchema, PartialEq, Eq)]
struct Texts {
    count: u64,
    /// Different texts; 1000 stands for any number from there on.
    distinct: usize,
    /// Length of the shortest, in bytes.
    shortest: usize,
    /// Length of the longest, in bytes.
    longest: usize,
}

/// A column of which not all fields are seen yet.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    empty: u64,
    numbers: Moments,
    texts: Lengths,
}

impl Gathering {
    /// Takes the next field in.
    pub(crate) fn add(&mut self, field: &[u8]) {
        let field = field.trim_ascii();
        if field.is_empty() {
            self.empty += 1;
        } else if let Some(number) = number(field) {
            self.numbers.add(number);
        } else {
            self.texts.add(field);
        }
    }

    /// The figures of all fields.
    pub(crate) fn finish(self, name: String) -> Column {
        Column { name, empty: self.empty, numbers: self.numbers.finish(), texts: self.texts.finish() }
    }
}

/// A field as a finite number. `inf` and `nan`, which Rust reads too, are texts.
fn number(field: &[u8]) -> Option<f64> {
    let first = field.first()?;
    if !first.is_ascii_digit() && !b"+-.".contains(first) {
        return None;
    }
    str::from_utf8(field).ok()?.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Mean and variance by B. P. Welford's method (Technometrics 4, 1962): one pass, and no difference of large sums.
#[derive(Debug, Default)]
struct Moments {
    count: u64,
    min: f64,
    max: f64,
    mean: f64,
    /// Squares of the distances from the mean, added up.
    squares: f64,
}

impl Moments {
    fn add(&mut self, number: f64) {
        if self.count == 0 {
            (self.min, self.max) = (number, number);
        }
        self.count += 1;
        self.min = self.min.min(number);
        self.max = self.max.max(number);
        let distance = number - self.mean;
        self.mean += distance / float(self.count);
        self.squares += distance * (number - self.mean);
    }

    fn finish(self) -> Option<Numbers> {
        let Self { count, min, max, mean, squares } = self;
        let standard_deviation = (count > 1).then(|| (squares / float(count - 1)).sqrt());
        (count > 0).then_some(Numbers { count, min, max, mean, standard_deviation })
    }
}

/// Exact up to 2⁵³ rows, which no file has.
#[allow(clippy::cast_precision_loss, reason = "rows are fewer than 2⁵³")]
fn float(count: u64) -> f64 {
    count as f64
}

#[derive(Debug, Default)]
struct Lengths {
    count: u64,
    /// Hashes of different texts: of a thousand, two are alike once in 10¹³ files.
    hashes: BTreeSet<u64>,
    shortest: usize,
    longest: usize,
}

impl Lengths {
    fn add(&mut self, text: &[u8]) {
        self.shortest = if self.count == 0 { text.len() } else { self.shortest.min(text.len()) };
        self.longest = self.longest.max(text.len());
        self.count += 1;
        if self.hashes.len() < DISTINCT_MAX {
            // Not the hasher of a hash map, whose keys are random: that is asking the host for random numbers.
            let mut hasher = DefaultHasher::new();
            hasher.write(text);
            self.hashes.insert(hasher.finish());
        }
    }

    fn finish(self) -> Option<Texts> {
        let Self { count, hashes, shortest, longest } = self;
        (count > 0).then_some(Texts { count, distinct: hashes.len(), shortest, longest })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn gathered<T: AsRef<[u8]>>(fields: &[T]) -> Column {
        let mut column = Gathering::default();
        fields.iter().for_each(|field| column.add(field.as_ref()));
        column.finish("column".into())
    }

    #[test]
    fn numbers_texts_and_nothing_are_told_apart() {
        let column = gathered(&["1", " -2.5e1 ", "+.5", "", "  ", "inf", "NaN", "1,5", "twelve", "-", "1e999", "0x10"]);
        assert_eq!(column.empty, 2);
        assert_eq!(column.numbers.unwrap().count, 3);
        assert_eq!(column.texts.unwrap(), Texts { count: 7, distinct: 7, shortest: 1, longest: 6 });
    }

    #[test]
    fn known_moments() {
        let numbers = gathered(&["2", "4", "4", "4", "5", "5", "7", "9"]).numbers.unwrap();
        assert_eq!((numbers.min, numbers.max, numbers.mean), (2.0, 9.0, 5.0));
        assert!((numbers.standard_deviation.unwrap() - (32.0_f64 / 7.0).sqrt()).abs() < 1e-12);
        assert_eq!(gathered(&["3"]).numbers.unwrap().standard_deviation, None);
        assert_eq!(gathered::<&str>(&[]), Column { name: "column".into(), empty: 0, numbers: None, texts: None });
    }

    #[test]
    fn large_numbers_that_differ_little_keep_their_deviation() {
        let numbers = gathered(&["1000000000004", "1000000000007", "1000000000013", "1000000000016"]).numbers.unwrap();
        assert!((numbers.standard_deviation.unwrap() - 30.0_f64.sqrt()).abs() < 1e-3);
    }

    #[test]
    fn different_texts_are_counted_up_to_a_bound() {
        let texts: Vec<String> = (0..DISTINCT_MAX + 500).map(|index| format!("text {}", index / 2)).collect();
        assert_eq!(gathered(&texts[..100]).texts.unwrap().distinct, 50);
        let all: Vec<String> = (0..2 * DISTINCT_MAX).map(|index| format!("text {index}")).collect();
        assert_eq!(gathered(&all).texts.unwrap().distinct, DISTINCT_MAX);
    }

    proptest! {
        #[test]
        fn moments_are_those_of_two_passes(numbers in prop::collection::vec(-1e6..1e6_f64, 2..200)) {
            let fields: Vec<String> = numbers.iter().map(f64::to_string).collect();
            let found = gathered(&fields).numbers.unwrap();
            let count = numbers.len() as f64;
            let mean = numbers.iter().sum::<f64>() / count;
            let variance = numbers.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / (count - 1.0);
            prop_assert!((found.mean - mean).abs() < 1e-6);
            prop_assert!((found.standard_deviation.unwrap() - variance.sqrt()).abs() < 1e-5);
            prop_assert_eq!(found.min, numbers.iter().copied().fold(f64::INFINITY, f64::min));
        }
    }
}
