//! The notation of dice, such as `3d6+2`: read, bounded and printed. Must never roll.

use std::fmt;
use std::str::FromStr;

use tollgate_guest::Error;

/// Longest expression: what a person would still write.
const TEXT_BYTES_MAX: usize = 200;
/// Dice in one expression: each costs a random number of the host.
const DICE_MAX: u32 = 1_000;
/// Sides of a die, and the largest number added: totals stay far from overflow.
const NUMBER_MAX: u32 = 1_000_000;

/// What is added up: at least one term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expression {
    pub(crate) terms: Vec<Term>,
}

/// A part of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Term {
    /// Taken away, not added.
    pub(crate) negative: bool,
    pub(crate) amount: Amount,
}

/// What a term is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Amount {
    Dice(Dice),
    Number(u32),
}

/// Dice of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dice {
    pub(crate) count: u32,
    /// At least 1.
    pub(crate) sides: u32,
}

/// Why a text is no expression, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Invalid {
    /// In bytes from the start.
    at: usize,
    reason: String,
}

impl FromStr for Expression {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(Invalid { at: TEXT_BYTES_MAX, reason: format!("at most {TEXT_BYTES_MAX} bytes are taken") });
        }
        let mut unread = Unread { text, rest: text.trim() };
        let mut terms = vec![unread.first_term()?];
        while let Some(term) = unread.next_term()? {
            terms.push(term);
        }
        let expression = Self { terms };
        let dice: u32 = expression.dice().map(|dice| dice.count).sum();
        if dice > DICE_MAX {
            return Err(Invalid { at: 0, reason: format!("{dice} dice are too many: at most {DICE_MAX} are rolled") });
        }
        Ok(expression)
    }
}

impl Expression {
    fn dice(&self) -> impl Iterator<Item = Dice> {
        self.terms.iter().filter_map(|term| match term.amount {
            Amount::Dice(dice) => Some(dice),
            Amount::Number(_) => None,
        })
    }
}

/// The end of a text that is not read yet.
struct Unread<'t> {
    text: &'t str,
    rest: &'t str,
}

impl Unread<'_> {
    fn first_term(&mut self) -> Result<Term, Invalid> {
        let negative = self.take("-");
        Ok(Term { negative, amount: self.amount()? })
    }

    /// A sign and what follows it, or none at the end of the text.
    fn next_term(&mut self) -> Result<Option<Term>, Invalid> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let negative = self.take("-");
        if !negative && !self.take("+") {
            return Err(self.wanted("`+` or `-`"));
        }
        Ok(Some(Term { negative, amount: self.amount()? }))
    }

    fn amount(&mut self) -> Result<Amount, Invalid> {
        let number = self.number()?;
        if self.take("d") || self.take("D") {
            let sides = self.number()?.ok_or_else(|| self.wanted("the number of sides"))?;
            if sides == 0 {
                return Err(Invalid { at: self.at(), reason: "a die has at least one side".to_owned() });
            }
            self.rest = self.rest.trim_start();
            return Ok(Amount::Dice(Dice { count: number.unwrap_or(1), sides }));
        }
        self.rest = self.rest.trim_start();
        number.map(Amount::Number).ok_or_else(|| self.wanted("a number, or dice such as `2d6`"))
    }

    fn number(&mut self) -> Result<Option<u32>, Invalid> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        if digits.is_empty() {
            return Ok(None);
        }
        match digits.parse() {
            Ok(number) if number <= NUMBER_MAX => {
                self.rest = rest;
                Ok(Some(number))
            }
            Ok(_) | Err(_) => Err(Invalid { at: self.at(), reason: format!("no number may be above {NUMBER_MAX}") }),
        }
    }

    /// Reads `sign` with the space after it, if it comes next.
    fn take(&mut self, sign: &str) -> bool {
        let after = self.rest.strip_prefix(sign);
        if let Some(after) = after {
            self.rest = if sign.eq_ignore_ascii_case("d") { after } else { after.trim_start() };
        }
        after.is_some()
    }

    fn at(&self) -> usize {
        self.text.trim_end().len() - self.rest.len()
    }

    fn wanted(&self, what: &str) -> Invalid {
        let found = self.rest.chars().next().map_or_else(|| "the end".to_owned(), |found| format!("`{found}`"));
        Invalid { at: self.at(), reason: format!("{what} should come here, not {found}") }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, term) in self.terms.iter().enumerate() {
            match (term.negative, index) {
                (true, _) => f.write_str("-")?,
                (false, 0) => {}
                (false, _) => f.write_str("+")?,
            }
            match term.amount {
                Amount::Dice(dice) => write!(f, "{dice}")?,
                Amount::Number(number) => write!(f, "{number}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Dice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}d{}", self.count, self.sides)
    }
}

impl From<Invalid> for Error {
    fn from(Invalid { at, reason }: Invalid) -> Self {
        Self::new("invalid-expression", format!("at byte {at} of the expression: {reason}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn understood(text: &str) -> String {
        text.parse::<Expression>().unwrap().to_string()
    }

    fn refused(text: &str) -> (usize, String) {
        let Invalid { at, reason } = text.parse::<Expression>().unwrap_err();
        (at, reason)
    }

    #[test]
    fn what_people_write() {
        assert_eq!(understood("3d6+2"), "3d6+2");
        assert_eq!(understood(" d20 "), "1d20");
        assert_eq!(understood("2D6 - 1d4 + 3"), "2d6-1d4+3");
        assert_eq!(understood("-1"), "-1");
    }

    #[test]
    fn errors_name_the_place() {
        assert_eq!(refused("").0, 0);
        assert_eq!(refused("3d"), (2, "the number of sides should come here, not the end".to_owned()));
        assert_eq!(refused("3d6 2"), (4, "`+` or `-` should come here, not `2`".to_owned()));
        assert_eq!(refused(" 1 +é").0, 4);
        assert!(refused("3 d 6").1.contains("not `d`"));
        assert!(refused("1d0").1.contains("at least one side"));
    }

    #[test]
    fn sizes_are_bounded() {
        assert_eq!(understood("1000d1000000"), "1000d1000000");
        assert!(refused("999d6+2d6").1.contains("1001 dice"));
        assert!(refused("1000001").1.contains("no number"));
        assert!(refused("99999999999999999999").1.contains("no number"));
        assert!(refused(&"1+".repeat(TEXT_BYTES_MAX)).1.contains("bytes"));
    }

    fn terms() -> impl Strategy<Value = Vec<Term>> {
        let dice = (0..=30_u32, 1..=NUMBER_MAX).prop_map(|(count, sides)| Amount::Dice(Dice { count, sides }));
        let amount = prop_oneof![dice, (0..=NUMBER_MAX).prop_map(Amount::Number)];
        prop::collection::vec((any::<bool>(), amount).prop_map(|(negative, amount)| Term { negative, amount }), 1..10)
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(terms in terms()) {
            let expression = Expression { terms };
            prop_assert_eq!(expression.to_string().parse::<Expression>(), Ok(expression));
        }

        #[test]
        fn any_text_is_read_or_refused_at_a_place_in_it(text in r"[0-9dD+\- é]{0,40}|.{0,300}") {
            match text.parse::<Expression>() {
                Ok(expression) => prop_assert_eq!(expression.to_string().parse(), Ok(expression)),
                Err(Invalid { at, .. }) => prop_assert!(at <= text.len()),
            }
        }
    }
}
