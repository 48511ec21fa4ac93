//! The index of the other names of entries. A slot for each name of each entry holds the upper bits
//! of the hash of the entry's key, by which the other index finds it: so the slots stay as they are
//! while entries move, and change only with the names.

use std::sync::Arc;

use super::Reading;
use super::index::IndexWriter;
use super::log::{PLACE_BITS, Place};
use super::slots::Slots;

/// The names that an entry loses and those that it gains, by their hashes.
#[derive(Debug, Default)]
pub(super) struct AliasChange {
    lost: Vec<u64>,
    gained: Vec<u64>,
}

impl AliasChange {
    /// Reads them off the value before, if there was one, and the one after, if there is one.
    pub(super) fn of(
        reading: &impl Reading,
        key: &[u8],
        before: Option<&[u8]>,
        after: Option<&[u8]>,
    ) -> Self {
        let names = |value: Option<&[u8]>| {
            let mut hashes = Vec::new();
            if let Some(value) = value {
                reading.aliases(key, value, &mut hashes);
            }
            hashes.sort_unstable();
            hashes.dedup();
            hashes
        };
        let (mut lost, mut gained) = (names(before), names(after));
        let stays = |others: &[u64], name: &u64| others.binary_search(name).is_ok();
        let kept: Vec<u64> = lost.iter().copied().filter(|it| stays(&gained, it)).collect();
        lost.retain(|name| !stays(&kept, name));
        gained.retain(|name| !stays(&kept, name));
        AliasChange { lost, gained }
    }
}

/// The index for the one who writes.
#[derive(Debug, Default)]
pub(super) struct AliasIndex(IndexWriter);

impl AliasIndex {
    /// What others may read now.
    pub(super) const fn slots(&self) -> &Arc<Slots> {
        self.0.slots()
    }

    /// Makes room for what is to be added; nothing if that cannot be.
    pub(super) fn make_room(&mut self, change: &AliasChange) -> Option<()> {
        match change.gained.len() {
            0 => Some(()),
            names => self.0.make_room(names),
        }
    }

    /// Changes the names of the key with this hash.
    pub(super) fn apply(&mut self, change: &AliasChange, key: u64) {
        let key = key_mark(key);
        for name in &change.lost {
            let found = self.0.slots().find(*name, |known| (known == key).then_some(()));
            if let Some((slot, ())) = found {
                self.0.remove(slot);
            }
        }
        for name in &change.gained {
            self.0.insert(*name, key);
        }
    }
}

/// In place of a place: as much of a key's hash as the index of keys looks at. It is never zero,
/// which no place is either.
const fn key_mark(hash: u64) -> Place {
    Place::of(hash >> (u64::BITS - PLACE_BITS) | 1)
}

/// The hash of a key, as far as it is marked.
pub(super) const fn marked_key(mark: Place) -> u64 {
    mark.bits() << (u64::BITS - PLACE_BITS)
}
