//! The writer of an index. Once there are snapshots, it holds two copies: the one that the newest
//! snapshot reads stays unchanged, and the one that the snapshot before it read is updated and
//! written to.

use std::sync::Arc;

use super::log::Place;
use super::slots::{Slots, word};

/// Above one changed slot in this many, catching up costs as much as a full copy.
const WORTH_CATCHING_UP: usize = 16;

#[derive(Debug, Default)]
pub(super) struct IndexWriter {
    slots: Arc<Slots>,
    /// The index as it was before the last snapshot.
    spare: Option<Arc<Slots>>,
    /// The slots written since then.
    missed: Vec<usize>,
}

impl IndexWriter {
    /// Returns the slots that a new snapshot shares.
    pub(super) const fn slots(&self) -> &Arc<Slots> {
        &self.slots
    }

    /// Makes room for this many more keys; `None` if the index cannot grow.
    pub(super) fn make_room(&mut self, keys: usize) -> Option<()> {
        while !self.slots.has_room(keys) {
            self.slots = Arc::new(self.slots.grown()?);
            self.drop_spare();
        }
        Some(())
    }

    /// Inserts a new key, for which there is room.
    pub(super) fn insert(&mut self, hash: u64, place: Place) {
        let slot = self.slots.free(hash);
        self.write(slot, word(hash, place));
    }

    /// Removes the key in a slot.
    pub(super) fn remove(&mut self, slot: usize) {
        for (slot, word) in self.slots.emptied(slot) {
            self.write(slot, word);
        }
    }

    /// Writes a slot.
    pub(super) fn write(&mut self, slot: usize, word: u64) {
        self.writable().write(slot, word);
        if self.spare.is_some() {
            self.missed.push(slot);
            if self.missed.len() > self.slots.count() / WORTH_CATCHING_UP {
                self.drop_spare();
            }
        }
    }

    fn writable(&mut self) -> &mut Slots {
        if Arc::get_mut(&mut self.slots).is_none() {
            let mut own = self.spare.take().unwrap_or_default();
            match Arc::get_mut(&mut own) {
                Some(slots) if slots.count() == self.slots.count() => {
                    for slot in self.missed.drain(..) {
                        slots.write(slot, self.slots.word(slot));
                    }
                }
                // There is no spare, or a snapshot still reads it.
                _ => own = Arc::new(Slots::clone(&self.slots)),
            }
            self.missed.clear();
            self.spare = Some(std::mem::replace(&mut self.slots, own));
        }
        // Not shared at this point, so nothing is copied.
        Arc::make_mut(&mut self.slots)
    }

    fn drop_spare(&mut self) {
        self.spare = None;
        self.missed = Vec::new();
    }
}
