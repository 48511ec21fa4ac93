//! A map from keys to packed values for one who writes and many who read: they read snapshots,
//! which later changes do not touch. It knows bytes only.
//!
//! Values are appended to a log, and an index says where each key's newest one lies (`log`,
//! `slots`). A snapshot shares both. What a snapshot shares the writer does not change: it goes on
//! in the index, and in the last segment of the log, that the snapshot before shared, when nobody
//! reads that one any more, and catches up with the few words that changed since. So a change
//! copies no more than itself, as a rule, and a look-up waits for memory twice: for the slot and
//! for the entry.
//!
//! An entry may have other names beside its key, which several entries can share. A second index
//! leads from them to the keys (`aliases`); it holds just the names that the present values have.

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

/// For each byte that is not needed any more, so many bytes of the log are looked through for some
/// that are: more than are needed to keep three quarters of the log in use.
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
    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Bytes of all entries and of both indexes.
    pub(super) fn bytes(&self) -> usize {
        self.log.bytes() + self.slots.bytes() + self.aliases.bytes()
    }

    /// The value of a key.
    pub(super) fn get(&self, key: StoreKey<'_>) -> Option<&[u8]> {
        let look = |place| self.log.entry(place).filter(|entry| key.is(entry.key));
        let (_, entry) = self.slots.find(key.hash(), look)?;
        Some(entry.value)
    }

    /// Calls `each` with the key and the value of every entry that has this other name, in no
    /// order. Names are known by their hashes alone, so there may be a wrong entry among them,
    /// or the same one twice.
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

    /// All keys and values, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let entries = self.slots.places().filter_map(|place| self.log.entry(place));
        entries.map(|entry| (entry.key, entry.value))
    }
}

/// There is no place left for another entry: the log has 64 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the table is full")]
pub struct TableFull;

/// What the owner of a store knows of its values.
pub(super) trait Reading {
    /// How many bytes of a value are to be kept when its entry is moved; with none, the key goes.
    fn kept(&self, value: &[u8]) -> usize;

    /// Adds the hashes of the other names of an entry.
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

/// The one who writes.
#[derive(Debug, Default)]
pub(super) struct StoreWriter {
    index: IndexWriter,
    aliases: AliasIndex,
    log: LogWriter,
    /// The segment that is looked through for what is still needed, and how far that is.
    compaction: Option<(usize, usize)>,
    /// The slot at which the next sweep begins.
    swept: usize,
    value: Vec<u8>,
}

impl StoreWriter {
    /// What was written so far.
    pub(super) fn snapshot(&self) -> Store {
        Store {
            slots: Arc::clone(self.index.slots()),
            aliases: Arc::clone(self.aliases.slots()),
            log: self.log.log().clone(),
        }
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.index.slots().len()
    }

    /// Gives a key another value: `write` is told the present one and appends the new one.
    ///
    /// # Errors
    /// If there is no room left; the store then is as it was.
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

    /// Looks at the keys in the next slots, and removes those whose values are not needed. Says
    /// whether it has come round; the next sweep then begins anew.
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
                    // Another key may move here, which is the next to be looked at.
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

    /// Looks through some bytes of the log, a segment at a time, and moves what is still needed to
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

    /// Moves an entry, if it is still needed; nothing if there is no room.
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

/// A key that is there.
#[derive(Clone, Copy)]
struct Known<'a> {
    slot: usize,
    place: Place,
    entry: Entry<'a>,
}
