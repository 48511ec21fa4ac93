//! Changes a store: writes values, removes keys that are not needed, and compacts the log.

use std::sync::Arc;

use super::aliases::{AliasChange, AliasIndex};
use super::index::IndexWriter;
use super::key::StoreKey;
use super::log::{Entry, LogWriter, Place};
use super::reading::Reading;
use super::slots::word;
use super::snapshot::Store;

/// Bytes of the log that are compacted for each byte that is no longer needed: more than are needed
/// to keep three quarters of the log in use.
const COMPACTION_RATIO: usize = 8;

/// There is no place left for another entry: the log is limited to 64 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the table is full")]
pub struct TableFull;

/// The writer of a store.
#[derive(Debug, Default)]
pub(crate) struct StoreWriter {
    pub(super) index: IndexWriter,
    pub(super) aliases: AliasIndex,
    log: LogWriter,
    /// The segment being compacted, and the offset reached in it.
    compaction: Option<(usize, usize)>,
    /// The slot at which the next sweep begins.
    swept: usize,
    value: Vec<u8>,
}

impl StoreWriter {
    /// Returns a snapshot of the current state.
    pub(crate) fn snapshot(&self) -> Store {
        Store {
            slots: Arc::clone(self.index.slots()),
            aliases: Arc::clone(self.aliases.slots()),
            log: self.log.log().clone(),
        }
    }

    /// Returns the number of keys.
    pub(crate) fn len(&self) -> usize {
        self.index.slots().len()
    }

    /// Gives a key another value: `write` receives the current one and appends the new one.
    ///
    /// # Errors
    /// If there is no room left; the store is then unchanged.
    pub(crate) fn change(
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
    pub(crate) fn sweep(
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
