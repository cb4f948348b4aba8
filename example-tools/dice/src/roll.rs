//! Rolling fairly. Must never take a random number for two dice, or favour a side.

use crate::expression::Dice;

/// Rolls each of `dice` with numbers from `random`, all of which must be equally likely.
pub(crate) fn roll<E>(dice: Dice, random: &mut impl FnMut() -> Result<u32, E>) -> Result<Vec<u32>, E> {
    (0..dice.count).map(|_| side(dice.sides, random)).collect()
}

/// A side from 1 to `sides`.
///
/// The remainder alone would favour low sides wherever `sides` does not divide 2³², so numbers from the last, incomplete
/// round are thrown away: fewer than half, and for usual dice next to none.
fn side<E>(sides: u32, random: &mut impl FnMut() -> Result<u32, E>) -> Result<u32, E> {
    let numbers = u64::from(u32::MAX) + 1;
    let fair = numbers - numbers % u64::from(sides);
    loop {
        let number = random()?;
        if u64::from(number) < fair {
            return Ok(number % sides + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    fn rolled(dice: Dice, numbers: &[u32]) -> Vec<u32> {
        let mut numbers = numbers.iter().copied();
        roll(dice, &mut || numbers.next().ok_or(())).unwrap()
    }

    #[test]
    fn every_side_comes_from_equally_many_numbers() {
        assert_eq!(rolled(Dice { count: 4, sides: 6 }, &[0, 5, 6, 4_294_967_291]), [1, 6, 1, 6]);
        assert_eq!(rolled(Dice { count: 1, sides: 1 }, &[u32::MAX]), [1]);
        assert_eq!(rolled(Dice { count: 0, sides: 6 }, &[]), [0; 0]);
    }

    #[test]
    fn numbers_of_the_incomplete_round_are_thrown_away() {
        // 2³² = 6 · 715 827 882 + 4.
        assert_eq!(rolled(Dice { count: 1, sides: 6 }, &[4_294_967_292, u32::MAX, 2]), [3]);
    }

    #[test]
    fn a_source_that_fails_fails_the_roll() {
        assert_eq!(roll(Dice { count: 2, sides: 6 }, &mut || Err("dry")), Err("dry"));
    }

    proptest! {
        #[test]
        fn sides_are_from_one_to_the_last(count in 0..50_u32, sides in 1..=1_000_000_u32, start: u32) {
            let mut number = start;
            let mut next = || {
                number = number.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
                Ok::<_, Infallible>(number)
            };
            let Ok(rolled) = roll(Dice { count, sides }, &mut next);
            prop_assert_eq!(rolled.len(), count as usize);
            prop_assert!(rolled.iter().all(|side| (1..=sides).contains(side)));
        }
    }
}
