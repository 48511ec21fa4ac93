//! A map from keys to packed values, with one writer and many readers. Readers use snapshots, which
//! later changes do not affect. It treats values as plain bytes.
//!
//! Values are appended to a log, and an index holds the place of each key's newest value (`log`,
//! `slots`). A snapshot shares both, and the writer never changes what a snapshot shares. It
//! continues in the index and the last log segment that the snapshot before shared, once no reader
//! holds that snapshot, and first applies the few words that changed since. A change therefore
//! usually copies no more than itself, and a look-up waits for memory twice: for the slot and for
//! the entry.
//!
//! An entry may have aliases besides its key, and several entries can share one. A second index
//! leads from aliases to keys (`aliases`); it holds only the aliases of the current values.

mod aliases;
mod index;
mod key;
mod log;
mod slots;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use aliases::{AliasChange, AliasIndex, marked_key};
use index::IndexWriter;
pub use key::StoreKey;
use log::{Entry, Log, LogWriter, Place};
use slots::{Slots, word};

/// Bytes of the log that are compacted for each byte that is no longer needed: more than are needed
/// to keep three quarters of the log in use.
const COMPACTION_RATIO: usize = 8;

/// A snapshot.
#[derive(Clone, Default)]
pub(super) struct Store {
    slots: Arc<Slots>,
    aliases: Arc<Slots>,
    log: Log,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store of {} keys", self.len())
    }
}

impl Store {
    /// Returns the number of keys.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns the bytes of all entries and of both indexes.
    pub(super) fn bytes(&self) -> usize {
        self.log.bytes() + self.slots.bytes() + self.aliases.bytes()
    }

    /// Returns the value of a key.
    pub(super) fn get(&self, key: StoreKey<'_>) -> Option<&[u8]> {
        let look = |place| self.log.entry(place).filter(|entry| key.is(entry.key));
        let (_, entry) = self.slots.find(key.hash(), look)?;
        Some(entry.value)
    }

    /// Calls `each` with the key and the value of every entry that has this alias, in no order.
    /// Aliases are matched by their hashes alone, so a wrong entry may be among them, or the same
    /// one twice.
    pub(super) fn aliased<'s>(
        &'s self,
        name: StoreKey<'_>,
        mut each: impl FnMut(&'s [u8], &'s [u8]),
    ) {
        let mut look = |place| {
            let entry = self.log.entry(place)?;
            each(entry.key, entry.value);
            None::<()>
        };
        self.aliases
            .find(name.hash(), |mark| self.slots.find(marked_key(mark), &mut look).map(|_| ()));
    }

    /// Iterates over all keys and values, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let entries = self.slots.places().filter_map(|place| self.log.entry(place));
        entries.map(|entry| (entry.key, entry.value))
    }
}

/// There is no place left for another entry: the log is limited to 64 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the table is full")]
pub struct TableFull;

/// What the owner of a store knows about its values.
pub(super) trait Reading {
    /// Returns how many bytes of a value to keep when its entry moves. Zero removes the key.
    fn kept(&self, value: &[u8]) -> usize;

    /// Adds the hashes of the aliases of an entry.
    fn aliases(&self, key: &[u8], value: &[u8], hashes: &mut Vec<u64>);
}

impl<R: Reading> Reading for &R {
    fn kept(&self, value: &[u8]) -> usize {
        (*self).kept(value)
    }

    fn aliases(&self, key: &[u8], value: &[u8], hashes: &mut Vec<u64>) {
        (*self).aliases(key, value, hashes);
    }
}

/// The writer of a store.
#[derive(Debug, Default)]
pub(super) struct StoreWriter {
    index: IndexWriter,
    aliases: AliasIndex,
    log: LogWriter,
    /// The segment being compacted, and the offset reached in it.
    compaction: Option<(usize, usize)>,
    /// The slot at which the next sweep begins.
    swept: usize,
    value: Vec<u8>,
}

impl StoreWriter {
    /// Returns a snapshot of the current state.
    pub(super) fn snapshot(&self) -> Store {
        Store {
            slots: Arc::clone(self.index.slots()),
            aliases: Arc::clone(self.aliases.slots()),
            log: self.log.log().clone(),
        }
    }

    /// Returns the number of keys.
    pub(super) fn len(&self) -> usize {
        self.index.slots().len()
    }

    /// Gives a key another value: `write` receives the current one and appends the new one.
    ///
    /// # Errors
    /// If there is no room left; the store is then unchanged.
    pub(super) fn change(
        &mut self,
        key: &[u8],
        write: impl FnOnce(Option<&[u8]>, &mut Vec<u8>),
        reading: impl Reading,
    ) -> Result<(), TableFull> {
        let hash = StoreKey::of(key).hash();
        let mut value = std::mem::take(&mut self.value);
        value.clear();
        let known = self.find(hash, |entry| entry.key == key);
        let old_value = known.map(|known| known.entry.value);
        write(old_value, &mut value);
        if old_value == Some(value.as_slice()) {
            self.value = value;
            return Ok(());
        }
        let names = AliasChange::of(&reading, key, old_value, Some(&value));
        let known = known.map(|known| (known.slot, known.place, known.entry.bytes));
        self.value = value;
        self.aliases.make_room(&names).ok_or(TableFull)?;
        if known.is_none() {
            self.index.make_room(1).ok_or(TableFull)?;
        }
        let place = self.log.append(key, &self.value).ok_or(TableFull)?;
        self.aliases.apply(&names, hash);
        let Some((slot, old, bytes)) = known else {
            self.index.insert(hash, place);
            return Ok(());
        };
        self.index.write(slot, word(hash, place));
        self.mark_dead(old, bytes, reading);
        Ok(())
    }

    /// Examines the keys in the next slots, and removes those whose values are not needed. Returns
    /// `true` at the end of the index, and the next sweep then starts over.
    pub(super) fn sweep(
        &mut self,
        slots: usize,
        mut is_needed: impl FnMut(&[u8]) -> bool,
        reading: impl Reading,
    ) -> bool {
        for _ in 0..slots {
            if self.swept >= self.index.slots().count() {
                self.swept = 0;
                return true;
            }
            let place = self.index.slots().place(self.swept);
            let found = place.and_then(|place| Some((place, self.log.log().entry(place)?)));
            match found.filter(|(_, entry)| !is_needed(entry.value)) {
                Some((place, Entry { key, value, bytes })) => {
                    let names = AliasChange::of(&reading, key, Some(value), None);
                    // Another key may move into this slot, so it is examined again.
                    self.index.remove(self.swept);
                    self.aliases.apply(&names, StoreKey::of(key).hash());
                    self.mark_dead(place, bytes, &reading);
                }
                None => self.swept += 1,
            }
        }
        false
    }

    fn find(&self, hash: u64, is_it: impl Fn(&Entry<'_>) -> bool) -> Option<Known<'_>> {
        let look = |place| {
            let entry = self.log.log().entry(place).filter(&is_it)?;
            Some((place, entry))
        };
        let (slot, (place, entry)) = self.index.slots().find(hash, look)?;
        Some(Known { slot, place, entry })
    }

    fn mark_dead(&mut self, place: Place, bytes: usize, reading: impl Reading) {
        self.log.mark_dead(place, bytes);
        self.compact(COMPACTION_RATIO * bytes, reading);
    }

    /// Compacts some bytes of the log, a segment at a time: moves entries that are still needed to
    /// its head.
    fn compact(&mut self, mut bytes: usize, reading: impl Reading) {
        let next = |log: &LogWriter| log.most_garbage().map(|segment| (segment, 0));
        while let Some((number, mut offset)) = self.compaction.or_else(|| next(&self.log)) {
            let segment = self.log.segment(number);
            while let Some(entry) = segment.get(offset..).and_then(Entry::read) {
                self.compaction = Some((number, offset));
                let place = Place::at(number, offset);
                if bytes == 0 || self.relocate(place, entry, &reading).is_none() {
                    return;
                }
                bytes = bytes.saturating_sub(entry.bytes);
                offset += entry.bytes;
            }
            self.log.release(number);
            self.compaction = None;
        }
    }

    /// Moves an entry, if it is still needed; `None` if there is no room.
    fn relocate(&mut self, place: Place, entry: Entry<'_>, reading: &impl Reading) -> Option<()> {
        let hash = StoreKey::of(entry.key).hash();
        let found = self.index.slots().find(hash, |known| (known == place).then_some(()));
        let Some((slot, _)) = found else {
            return Some(());
        };
        let kept = reading.kept(entry.value);
        let kept = entry.value.get(..kept).unwrap_or(entry.value);
        let kept = Some(kept).filter(|kept| !kept.is_empty());
        let names = AliasChange::of(reading, entry.key, Some(entry.value), kept);
        match kept {
            None => self.index.remove(slot),
            Some(kept) => {
                let new = self.log.append(entry.key, kept)?;
                self.index.write(slot, word(hash, new));
            }
        }
        self.aliases.apply(&names, hash);
        self.log.mark_dead(place, entry.bytes);
        Some(())
    }
}

/// A key that exists.
#[derive(Clone, Copy)]
struct Known<'a> {
    slot: usize,
    place: Place,
    entry: Entry<'a>,
}
