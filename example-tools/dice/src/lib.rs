//! Rolls dice. The numbers come from `wasi:random`, so that what the operator grants decides whether they can be guessed
//! (`random = "secure"`) or repeated (`random = { seed = 42 }`).

mod expression;
mod roll;

use schemars::JsonSchema;
use serde::Serialize;
use tollgate_guest::{Error, tool};

use crate::expression::{Amount, Expression};

/// What was rolled.
#[derive(Debug, Serialize, JsonSchema, PartialEq, Eq)]
struct Rolled {
    /// The expression as it was understood.
    expression: String,
    /// All terms added up.
    total: i64,
    /// The dice, in the order of the expression.
    dice: Vec<RolledDice>,
}

/// Dice of one kind.
#[derive(Debug, Serialize, JsonSchema, PartialEq, Eq)]
struct RolledDice {
    /// Such as `3d6`.
    dice: String,
    /// What each of them shows.
    results: Vec<u32>,
}

/// Rolls dice such as 3d6+2 and adds them up.
#[tool]
fn roll(
    /// Dice and numbers, added or taken away: 3d6+2, d20, 2d6-1d4. At most 1000 dice.
    expression: String,
) -> Result<Rolled, Error> {
    roll_with(&expression.parse()?, &mut getrandom::u32)
}

fn roll_with<E>(expression: &Expression, random: &mut impl FnMut() -> Result<u32, E>) -> Result<Rolled, Error>
where
    E: std::fmt::Display,
{
    let mut total = 0;
    let mut rolled = Vec::new();
    for term in &expression.terms {
        let amount = match term.amount {
            Amount::Number(number) => i64::from(number),
            Amount::Dice(dice) => {
                let results = roll::roll(dice, random).map_err(|error| Error::new("no-random", error.to_string()))?;
                let sum = results.iter().copied().map(i64::from).sum();
                rolled.push(RolledDice { dice: dice.to_string(), results });
                sum
            }
        };
        total += if term.negative { -amount } else { amount };
    }
    Ok(Rolled { expression: expression.to_string(), total, dice: rolled })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_added_and_taken_away() {
        let mut number = 0;
        let mut counting = || {
            number += 1;
            Ok::<_, String>(number)
        };
        let rolled = roll_with(&"2d6-1d4+10".parse().unwrap(), &mut counting).unwrap();
        let dice = |dice: &str, results: &[u32]| RolledDice { dice: dice.into(), results: results.into() };
        assert_eq!(rolled.dice, [dice("2d6", &[2, 3]), dice("1d4", &[4])]);
        assert_eq!((rolled.total, rolled.expression.as_str()), (2 + 3 - 4 + 10, "2d6-1d4+10"));
    }

    #[test]
    fn dice_of_this_machine_show_their_sides() {
        let rolled = roll("100d6".into()).unwrap();
        assert!(rolled.dice[0].results.iter().all(|side| (1..=6).contains(side)));
        assert_eq!(rolled.total, rolled.dice[0].results.iter().copied().map(i64::from).sum::<i64>());
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        assert_eq!(roll("3x6".into()).unwrap_err().code, "invalid-expression");
    }
}
