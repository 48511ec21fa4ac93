//! A map from keys to packed values for one who writes and many who read: they read snapshots, which later changes do
//! not touch. It knows bytes only.
//!
//! Values are appended to a log, and an index says where each key's newest one lies (`log`, `slots`). A snapshot
//! shares both. What a snapshot shares the writer does not change: it goes on in the index, and in the last
//! segment of the log, that the snapshot before shared, when nobody reads that one any more, and catches up
//! with the few words that changed since. So a change copies no more than itself, as a rule, and a look-up
//! waits for memory twice: for the slot and for the entry.

mod index;
mod log;
mod slots;
#[cfg(test)]
mod tests;

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::quality::FixedState;

use index::IndexWriter;
use log::{Entry, Log, LogWriter, Place};
use slots::{Slots, word};

/// For each byte that is not needed any more, so many bytes of the log are looked through for some that are: more than are
/// needed to keep three quarters of the log in use.
const CLEANING: usize = 8;

/// A snapshot.
#[derive(Clone, Default)]
pub struct Store {
    slots: Arc<Slots>,
    log: Log,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store of {} keys", self.len())
    }
}

impl Store {
    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Bytes of all entries and of the index.
    pub fn bytes(&self) -> usize {
        self.log.bytes() + self.slots.bytes()
    }

    /// The value of a key.
    pub fn get(&self, key: StoreKey<'_>) -> Option<&[u8]> {
        let look = |place| self.log.entry(place).filter(|entry| key.is(entry.key));
        let (_, entry) = self.slots.find(key.hash(), look)?;
        Some(entry.value)
    }

    /// All keys and values, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let entries = self
            .slots
            .places()
            .filter_map(|place| self.log.entry(place));
        entries.map(|entry| (entry.key, entry.value))
    }
}

/// What stands between the parts of a key.
const DIVIDER: u8 = b'/';

/// A key that is looked up, in the parts in which it is at hand: to put them together would take writing what is read
/// at once, for which the processor waits until all it does has come so far.
#[derive(Debug, Clone, Copy)]
pub struct StoreKey<'a> {
    first: &'a [u8],
    second: Option<&'a [u8]>,
}

impl<'a> StoreKey<'a> {
    /// A key without a divider.
    pub const fn whole(key: &'a [u8]) -> Self {
        StoreKey {
            first: key,
            second: None,
        }
    }

    /// A key with a divider; none is in the first part.
    pub const fn pair(first: &'a [u8], second: &'a [u8]) -> Self {
        StoreKey {
            first,
            second: Some(second),
        }
    }

    /// The key of a text.
    pub fn of(text: &'a [u8]) -> Self {
        match text.iter().position(|byte| *byte == DIVIDER) {
            Some(at) => StoreKey::pair(&text[..at], &text[at + 1..]),
            None => StoreKey::whole(text),
        }
    }

    /// Hashes are the same in every run. Whoever could choose many keys of a table could make its look-ups slow, but
    /// keys are ids that the operator's own systems give out; others choose at most what is looked up, and a
    /// key that is not there costs a short run of slots, whichever it is.
    pub(super) fn hash(self) -> u64 {
        let mut hasher = FixedState::with_seed(0).build_hasher();
        hasher.write(self.first);
        if let Some(second) = self.second {
            hasher.write(second);
        }
        hasher.finish()
    }

    fn is(self, text: &[u8]) -> bool {
        let Some(second) = self.second else {
            return text == self.first;
        };
        let rest = text.strip_prefix(self.first);
        rest.and_then(|rest| rest.strip_prefix(&[DIVIDER])) == Some(second)
    }
}

/// There is no place left for another entry: the log has 64 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the table is full")]
pub struct TableFull;

/// How many bytes of a value are to be kept when its entry is moved; with none, the key goes.
pub trait Keep: Fn(&[u8]) -> usize {}

impl<F: Fn(&[u8]) -> usize> Keep for F {}

/// The one who writes.
#[derive(Debug, Default)]
pub struct StoreWriter {
    index: IndexWriter,
    log: LogWriter,
    /// The segment that is looked through for what is still needed, and how far that is.
    cleaning: Option<(usize, usize)>,
    /// The slot at which the next sweep begins.
    swept: usize,
    value: Vec<u8>,
}

impl StoreWriter {
    /// What was written so far.
    pub fn snapshot(&self) -> Store {
        Store {
            slots: Arc::clone(self.index.slots()),
            log: self.log.log().clone(),
        }
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.index.slots().len()
    }

    /// Gives a key another value: `write` is told the present one and appends the new one.
    ///
    /// # Errors
    /// If there is no room left; the store then is as it was.
    pub fn change(
        &mut self,
        key: &[u8],
        write: impl FnOnce(Option<&[u8]>, &mut Vec<u8>),
        keep: impl Keep,
    ) -> Result<(), TableFull> {
        let hash = StoreKey::of(key).hash();
        let mut value = std::mem::take(&mut self.value);
        value.clear();
        let known = self.find(hash, |entry| entry.key == key);
        let old_value = known.map(|known| known.entry.value);
        write(old_value, &mut value);
        let is_changed = old_value != Some(value.as_slice());
        let known = known.map(|known| (known.slot, known.place, known.entry.bytes));
        self.value = value;
        if !is_changed {
            return Ok(());
        }
        if known.is_none() {
            self.index.make_room().ok_or(TableFull)?;
        }
        let place = self.log.append(key, &self.value).ok_or(TableFull)?;
        let Some((slot, old, bytes)) = known else {
            self.index.insert(hash, place);
            return Ok(());
        };
        self.index.write(slot, word(hash, place));
        self.bury(old, bytes, keep);
        Ok(())
    }

    /// Looks at the keys in the next slots, and removes those whose values are not needed. Says whether it has come
    /// round; the next sweep then begins anew.
    pub fn sweep(
        &mut self,
        slots: usize,
        mut is_needed: impl FnMut(&[u8]) -> bool,
        keep: impl Keep,
    ) -> bool {
        for _ in 0..slots {
            if self.swept >= self.index.slots().count() {
                self.swept = 0;
                return true;
            }
            let place = self.index.slots().place(self.swept);
            let found = place.and_then(|place| Some((place, self.log.log().entry(place)?)));
            match found.filter(|(_, entry)| !is_needed(entry.value)) {
                Some((place, Entry { bytes, .. })) => {
                    // Another key may move here, which is the next to be looked at.
                    self.index.remove(self.swept);
                    self.bury(place, bytes, &keep);
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

    fn bury(&mut self, place: Place, bytes: usize, keep: impl Keep) {
        self.log.bury(place, bytes);
        self.clean(CLEANING * bytes, keep);
    }

    /// Looks through some bytes of the log, a segment at a time, and moves what is still needed to its head.
    fn clean(&mut self, mut bytes: usize, keep: impl Keep) {
        let next = |log: &LogWriter| log.deadest().map(|segment| (segment, 0));
        while let Some((number, mut offset)) = self.cleaning.or_else(|| next(&self.log)) {
            let segment = self.log.segment(number);
            while let Some(entry) = segment.get(offset..).and_then(Entry::read) {
                self.cleaning = Some((number, offset));
                let place = Place::at(number, offset);
                if bytes == 0 || self.relocate(place, entry, &keep).is_none() {
                    return;
                }
                bytes = bytes.saturating_sub(entry.bytes);
                offset += entry.bytes;
            }
            self.log.release(number);
            self.cleaning = None;
        }
    }

    /// Moves an entry, if it is still needed; nothing if there is no room.
    fn relocate(&mut self, place: Place, entry: Entry<'_>, keep: &impl Keep) -> Option<()> {
        let hash = StoreKey::of(entry.key).hash();
        let found = self
            .index
            .slots()
            .find(hash, |known| (known == place).then_some(()));
        let Some((slot, _)) = found else {
            return Some(());
        };
        match entry.value.get(..keep(entry.value)).unwrap_or(entry.value) {
            [] => self.index.remove(slot),
            kept => {
                let new = self.log.append(entry.key, kept)?;
                self.index.write(slot, word(hash, new));
            }
        }
        self.log.bury(place, entry.bytes);
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
