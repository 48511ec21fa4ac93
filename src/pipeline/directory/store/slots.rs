//! The index of a store: where the entry of a key lies, by the key's hash. Open addressing in one allocation, each slot a
//! word: a part of the hash, so that hardly ever a wrong entry is looked at and that growing reads no key, and
//! the place. It knows neither keys nor entries.

use super::log::Place;

/// Bits of a slot that hold the place; the others hold the upper bits of the hash.
const PLACE_BITS: u32 = 34;
const HASH_BITS: u32 = u64::BITS - PLACE_BITS;
/// The slots of the smallest index that is not empty.
const FEWEST: usize = 16;
/// More would not be told apart by the bits of the hash.
const MOST: usize = 1 << HASH_BITS;
/// No place is zero.
const EMPTY: u64 = 0;

/// The index.
#[derive(Debug, Clone, Default)]
pub(super) struct Slots {
    words: Vec<u64>,
    used: usize,
}

impl Slots {
    /// How many keys there are.
    pub const fn len(&self) -> usize {
        self.used
    }

    /// How many slots there are.
    pub const fn count(&self) -> usize {
        self.words.len()
    }

    /// The bytes that the index takes.
    pub const fn bytes(&self) -> usize {
        self.words.len() * size_of::<u64>()
    }

    /// The slot and the place of the key with this hash that `is_it` knows by its place.
    pub fn find(&self, hash: u64, is_it: impl Fn(Place) -> bool) -> Option<(usize, Place)> {
        let mut slot = self.home(hash);
        loop {
            let word = *self.words.get(slot)?;
            if word == EMPTY {
                return None;
            }
            if (word ^ hash) >> PLACE_BITS == 0 && is_it(place(word)) {
                return Some((slot, place(word)));
            }
            slot = self.after(slot);
        }
    }

    /// All places, in no order.
    pub fn places(&self) -> impl Iterator<Item = Place> {
        let used = self.words.iter().filter(|word| **word != EMPTY);
        used.map(|word| place(*word))
    }

    /// Whether one more key needs a larger index: a run of used slots is on average short up to three quarters.
    pub const fn is_full(&self) -> bool {
        self.used >= self.words.len() / 4 * 3
    }

    /// The same index, half as large again; nothing if it cannot grow.
    pub fn grown(&self) -> Option<Slots> {
        let slots = (self.words.len() + self.words.len() / 2).max(FEWEST);
        if slots > MOST {
            return None;
        }
        let mut grown = Slots {
            words: vec![EMPTY; slots],
            used: self.used,
        };
        for word in self.words.iter().filter(|word| **word != EMPTY) {
            let free = grown.free(*word);
            grown.words[free] = *word;
        }
        Some(grown)
    }

    /// The slot that a new key with this hash takes.
    pub fn free(&self, hash: u64) -> usize {
        let mut slot = self.home(hash);
        while self.words.get(slot).is_some_and(|word| *word != EMPTY) {
            slot = self.after(slot);
        }
        slot
    }

    /// The word of a slot.
    pub fn word(&self, slot: usize) -> u64 {
        self.words.get(slot).copied().unwrap_or(EMPTY)
    }

    /// Writes a slot.
    pub fn write(&mut self, slot: usize, word: u64) {
        let Some(old) = self.words.get_mut(slot) else {
            return;
        };
        self.used += usize::from(word != EMPTY);
        self.used -= usize::from(*old != EMPTY);
        *old = word;
    }

    /// What must be written, and where, to empty a slot: whatever was pushed away from it moves back.
    pub fn emptied(&self, slot: usize) -> Vec<(usize, u64)> {
        let mut writes = Vec::new();
        let (mut hole, mut next) = (slot, self.after(slot));
        while self.word(next) != EMPTY {
            let word = self.word(next);
            let pushed = self.distance(self.home(word), next);
            if pushed >= self.distance(hole, next) {
                writes.push((hole, word));
                hole = next;
            }
            next = self.after(next);
        }
        writes.push((hole, EMPTY));
        writes
    }

    /// Where the search for a hash begins: the order of the slots is that of the hashes.
    const fn home(&self, hash: u64) -> usize {
        (((hash >> PLACE_BITS) * self.words.len() as u64) >> HASH_BITS) as usize
    }

    const fn after(&self, slot: usize) -> usize {
        if slot + 1 < self.words.len() {
            slot + 1
        } else {
            0
        }
    }

    const fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from {
            to - from
        } else {
            to + self.words.len() - from
        }
    }
}

const fn place(word: u64) -> Place {
    Place::of(word & ((1 << PLACE_BITS) - 1))
}

/// The word for a key: the upper bits of its hash, and its place.
pub(super) const fn word(hash: u64, place: Place) -> u64 {
    (hash >> PLACE_BITS << PLACE_BITS) | place.bits()
}

/// Places are numbers of so many bits.
pub(super) const MOST_PLACES: u64 = 1 << PLACE_BITS;
