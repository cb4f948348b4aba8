//! Choices that can be made again: SplitMix64 (Steele, Lea, Flood 2014).

#[derive(Debug)]
pub struct Chance(u64);

impl Chance {
    /// The choices of round `round` of a run with this seed.
    pub fn of(seed: u64, round: u64) -> Self {
        let mut chance = Self(seed ^ round.wrapping_mul(STEP));
        chance.next();
        chance
    }

    /// A number below `end`, which is small.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        let place = self.below(of.len() as u64);
        of[usize::try_from(place).expect("a small number")]
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
