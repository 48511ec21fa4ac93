//! The index of aliases. A slot for each alias of each entry holds the upper bits of the hash of
//! the entry's key, which locate it in the key index. The slots stay unchanged while entries move,
//! and change only with the aliases.

use std::sync::Arc;

use super::index::IndexWriter;
use super::log::{PLACE_BITS, Place};
use super::reading::Reading;
use super::slots::Slots;

/// The aliases that an entry loses and those that it gains, by their hashes.
#[derive(Debug, Default)]
pub(super) struct AliasChange {
    lost: Vec<u64>,
    gained: Vec<u64>,
}

impl AliasChange {
    /// Compares the aliases of the value before, if any, and the value after, if any.
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

/// The writer of the index.
#[derive(Debug, Default)]
pub(super) struct AliasIndex(IndexWriter);

impl AliasIndex {
    /// Returns the slots that a new snapshot shares.
    pub(super) const fn slots(&self) -> &Arc<Slots> {
        self.0.slots()
    }

    /// Makes room for the gained aliases; `None` if the index cannot grow.
    pub(super) fn make_room(&mut self, change: &AliasChange) -> Option<()> {
        match change.gained.len() {
            0 => Some(()),
            names => self.0.make_room(names),
        }
    }

    /// Changes the aliases of the key with this hash.
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

/// Returns a mark that is stored in place of a place: the bits of a key's hash that the key index
/// uses. Like a place, it is never zero.
const fn key_mark(hash: u64) -> Place {
    Place::of(hash >> (u64::BITS - PLACE_BITS) | 1)
}

/// Returns the part of a key's hash that the mark holds.
pub(super) const fn marked_key(mark: Place) -> u64 {
    mark.bits() << (u64::BITS - PLACE_BITS)
}
