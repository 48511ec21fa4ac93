//! The only source of randomness: SplitMix64 from a seed. The same seed gives the same run on every
//! machine.

use std::cell::Cell;

/// A stream of numbers determined by its seed. Shared by reference.
#[derive(Clone, Debug)]
pub struct Random(Cell<u64>);

impl Random {
    /// Scrambles the seed, so that neighbouring seeds start far apart.
    pub fn new(seed: u64) -> Random {
        let random = Random::from_state(seed);
        random.0.set(random.next());
        random
    }

    /// The generator as published, without the first step of [`Random::new`].
    pub fn from_state(state: u64) -> Random {
        Random(Cell::new(state))
    }

    /// Returns any number.
    pub fn next(&self) -> u64 {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mut z = self.0.get();
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below `limit`, which must not be 0.
    pub fn below(&self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Returns a number from `lowest` to `highest`, both included.
    pub fn within(&self, lowest: u64, highest: u64) -> u64 {
        lowest + self.below(highest - lowest + 1)
    }

    /// Returns an index below `length`, which must not be 0.
    pub fn index(&self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// Returns a count from `least` to `most`, both included.
    pub fn count(&self, least: usize, most: usize) -> usize {
        self.within(least as u64, most as u64) as usize
    }

    /// Returns true with this probability in percent.
    pub fn percent(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Returns true with this probability per thousand; draws no number for 0.
    pub fn per_mille(&self, per_mille: u32) -> bool {
        per_mille > 0 && self.below(1_000) < u64::from(per_mille)
    }

    /// Returns one of the choices, or none if there are none.
    pub fn pick<T: Copy>(&self, choices: &[T]) -> Option<T> {
        (!choices.is_empty()).then(|| choices[self.index(choices.len())])
    }

    /// Returns one of the choices, which must not be empty.
    pub fn one_of<'a, T>(&self, choices: &'a [T]) -> &'a T {
        &choices[self.index(choices.len())]
    }

    /// Shuffles the items in place.
    pub fn shuffle<T>(&self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded seeds of failed runs must always reproduce the same run.
    #[test]
    fn a_seed_always_gives_the_same_numbers() {
        // As published for SplitMix64.
        let published = Random::from_state(1_234_567);
        let numbers = [published.next(), published.next(), published.next()];
        assert_eq!(
            numbers,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
        let random = Random::new(1);
        assert_eq!([random.below(1_000), random.within(7, 7)], [158, 7]);
    }
}
