//! The one source of chance: SplitMix64, from the seed. The same seed makes the same run on every
//! machine, so nothing else in the simulation may be random, not even the order of a map.

use std::cell::Cell;

/// A stream of numbers that follows from its seed. Shared by reference.
#[derive(Debug)]
pub struct Random(Cell<u64>);

impl Random {
    pub fn new(seed: u64) -> Self {
        let random = Random(Cell::new(seed));
        // Neighbouring seeds begin far apart.
        random.0.set(random.next());
        random
    }

    fn next(&self) -> u64 {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mut z = self.0.get();
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// A number from `lowest` to `highest`, both included.
    pub fn within(&self, lowest: usize, highest: usize) -> usize {
        lowest + self.below(highest - lowest + 1)
    }

    /// True so many times in a thousand.
    pub fn happens(&self, per_mille: u32) -> bool {
        per_mille > 0 && self.below(1_000) < per_mille as usize
    }

    /// One of these, if there are any.
    pub fn pick<T: Copy>(&self, choices: &[T]) -> Option<T> {
        (!choices.is_empty()).then(|| choices[self.below(choices.len())])
    }
}
