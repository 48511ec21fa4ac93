//! The index of a store: maps a key's hash to the place of its entry. Open addressing in one
//! allocation. Each slot is a word: the place, and enough of the hash that a wrong entry is hardly
//! ever read and that growing reads no keys. It depends on neither keys nor entries.

use super::log::{PLACE_BITS, Place};

/// Bits of a slot that hold the upper bits of the hash. The others hold the place.
const HASH_BITS: u32 = u64::BITS - PLACE_BITS;
/// Slots that are compared at once, a processor cache line. One by one, each comparison would
/// predict where the search ends, and a misprediction discards the look-ups started after it.
const GROUP: usize = 8;
/// Groups of the smallest index that is not empty.
const GROUPS_MIN: usize = 2;
/// With more groups, the stored bits of the hash could not address all of them.
const GROUPS_MAX: usize = 1 << HASH_BITS;
/// No place is zero.
const EMPTY: u64 = 0;

#[derive(Debug, Clone, Default)]
#[repr(align(64))]
struct Group([u64; GROUP]);

impl Group {
    /// Returns a bit for each slot that matches.
    fn those(&self, is_one: impl Fn(u64) -> bool) -> u32 {
        let bits = self.0.iter().zip(0..);
        bits.fold(0, |set, (word, bit)| set | u32::from(is_one(*word)) << bit)
    }
}

/// The index.
#[derive(Debug, Clone, Default)]
pub(super) struct Slots {
    groups: Vec<Group>,
    used: usize,
}

impl Slots {
    /// Returns the number of keys.
    pub(super) const fn len(&self) -> usize {
        self.used
    }

    /// Returns the number of slots.
    pub(super) const fn count(&self) -> usize {
        self.groups.len() * GROUP
    }

    /// Returns the size of the index in bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.count() * size_of::<u64>()
    }

    /// Returns the slot of the key with this hash, and what `look` returns for its place. `look`
    /// returns `None` for a wrong place.
    pub(super) fn find<T>(
        &self,
        hash: u64,
        mut look: impl FnMut(Place) -> Option<T>,
    ) -> Option<(usize, T)> {
        let mut first = self.home(hash);
        loop {
            let group = self.groups.get(first / GROUP)?;
            let mut alike = group.those(|word| (word ^ hash) >> PLACE_BITS == 0);
            while alike != 0 {
                let slot = alike.trailing_zeros() as usize % GROUP;
                if let Some(found) = look(place(group.0[slot])) {
                    return Some((first + slot, found));
                }
                alike &= alike - 1;
            }
            if group.those(|word| word == EMPTY) != 0 {
                return None;
            }
            first = self.after(first + GROUP - 1);
        }
    }

    /// Iterates over all places, in no order.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        self.words().map(place)
    }

    fn words(&self) -> impl Iterator<Item = u64> {
        let words = self.groups.iter().flat_map(|group| group.0);
        words.filter(|word| *word != EMPTY)
    }

    /// Returns whether there is room for this many more keys. Up to three quarters full, few keys
    /// overflow their group.
    pub(super) const fn has_room(&self, keys: usize) -> bool {
        self.used + keys <= self.count() / 4 * 3
    }

    /// Returns the same index, half as large again; `None` if it cannot grow.
    pub(super) fn grown(&self) -> Option<Slots> {
        let groups = (self.groups.len() + self.groups.len() / 2).max(GROUPS_MIN);
        if groups > GROUPS_MAX {
            return None;
        }
        let mut grown = Slots { groups: vec![Group::default(); groups], used: 0 };
        for word in self.words() {
            grown.write(grown.free(word), word);
        }
        Some(grown)
    }

    /// Returns the slot for a new key with this hash.
    pub(super) fn free(&self, hash: u64) -> usize {
        let mut slot = self.home(hash);
        while self.count() > 0 && self.word(slot) != EMPTY {
            slot = self.after(slot);
        }
        slot
    }

    /// Returns the place in a slot, if it holds a key.
    pub(super) fn place(&self, slot: usize) -> Option<Place> {
        Some(self.word(slot)).filter(|word| *word != EMPTY).map(place)
    }

    /// Returns the word of a slot.
    pub(super) fn word(&self, slot: usize) -> u64 {
        let group = self.groups.get(slot / GROUP);
        group.map_or(EMPTY, |group| group.0[slot % GROUP])
    }

    /// Writes a slot.
    pub(super) fn write(&mut self, slot: usize, word: u64) {
        let Some(group) = self.groups.get_mut(slot / GROUP) else {
            return;
        };
        let old = std::mem::replace(&mut group.0[slot % GROUP], word);
        self.used += usize::from(word != EMPTY);
        self.used -= usize::from(old != EMPTY);
    }

    /// Returns the writes, by slot, that empty a slot: entries displaced from it move back.
    pub(super) fn emptied(&self, slot: usize) -> Vec<(usize, u64)> {
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

    /// Returns the slot where the search for a hash begins, the first of a group. Groups are in the
    /// order of the hashes. A key is in the first slot from there on that was free when it was
    /// inserted.
    const fn home(&self, hash: u64) -> usize {
        (((hash >> PLACE_BITS) * self.groups.len() as u64) >> HASH_BITS) as usize * GROUP
    }

    const fn after(&self, slot: usize) -> usize {
        if slot + 1 < self.count() { slot + 1 } else { 0 }
    }

    const fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from { to - from } else { to + self.count() - from }
    }
}

const fn place(word: u64) -> Place {
    Place::of(word & ((1 << PLACE_BITS) - 1))
}

/// Returns the word for a key: the upper bits of its hash, and its place.
pub(super) const fn word(hash: u64, place: Place) -> u64 {
    (hash >> PLACE_BITS << PLACE_BITS) | place.bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_three_quarters_full_at_most_and_grows_by_half() {
        let (empty, mut index) = (Slots::default(), Slots::default());
        assert_eq!((empty.bytes(), empty.has_room(0), empty.has_room(1)), (0, true, false));
        for (slots, most) in [(16, 12), (24, 18), (32, 24), (48, 36)] {
            index = index.grown().expect("it can grow");
            assert_eq!((index.count(), index.bytes()), (slots, slots * 8));
            assert_eq!((index.has_room(most), index.has_room(most + 1)), (true, false));
        }
        // Keys begin in the group that their hash chooses.
        assert_eq!((index.free(0), index.free(u64::MAX), index.free(1 << 63)), (0, 40, 24));
        index.write(0, 1);
        assert_eq!((index.len(), index.has_room(35), index.has_room(36)), (1, true, false));
    }
}
