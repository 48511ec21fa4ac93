//! One reference table: the versions of every key, as snapshots for readers and a writer that
//! changes them. The caller supplies the changes.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::oddities::Oddities;
use super::packing::Packed;
use super::store::{Store, StoreKey, StoreWriter, TableFull};
use super::upkeep::Upkeep;
use crate::parse::field::{IAM_ID_BYTES_MAX, ID_BYTES_MAX};
use crate::reference::versions::{History, Horizon, VersionChange, Versions, writing};

/// Slots of the index that each change examines for keys that were removed long ago.
const SWEEP_SLOTS: usize = 4;
/// Most that a producer's clock may be ahead. A record that is further ahead counts as written when
/// it was read. All other records have the same time for every reader, whenever it reads.
const AHEAD_MAX: SignedDuration = SignedDuration::from_mins(1);

/// Longest text of a key: an account, a divider and an IAM identity.
pub(super) const KEY_BYTES_MAX: usize = ID_BYTES_MAX + 1 + IAM_ID_BYTES_MAX;
/// Buffer for the text of a key.
pub(super) type KeyRoom = [u8; KEY_BYTES_MAX];

/// Joins the text of a key from two parts. The result for a text longer than any key matches no
/// key.
pub(super) fn join<'a>(first: &str, second: &str, room: &'a mut KeyRoom) -> &'a [u8] {
    let Some(text) = room.get_mut(..first.len() + 1 + second.len()) else {
        return &[];
    };
    let (before, after) = text.split_at_mut(first.len());
    before.copy_from_slice(first.as_bytes());
    after[0] = b'/';
    after[1..].copy_from_slice(second.as_bytes());
    text
}

/// A key of a table. It is identified by its text, which is also the key of its records.
pub trait TableKey: Sized + PartialEq + fmt::Display {
    /// Returns the text, built in `room` if it does not exist as one string.
    fn text<'a>(&'a self, room: &'a mut KeyRoom) -> &'a [u8];

    /// Returns the key in the form that look-ups use.
    fn parts(&self) -> StoreKey<'_>;

    /// Parses the text of a key.
    fn of(text: &str) -> Option<Self>;
}

/// The versions of every key of one table at one time. Clones share them.
#[derive(Debug)]
pub struct Table<K, V> {
    store: Store,
    oddities: Arc<Oddities>,
    entries: PhantomData<fn() -> (K, V)>,
}

/// A change to one key of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableChange<K, V> {
    /// The key.
    pub key: K,
    /// Its new version.
    pub change: VersionChange<V>,
    /// When that was written, if known. This alone tells a table how late it is. A version may
    /// begin at any time, and one with a wrong year must not make the table forget what it still
    /// needs.
    pub written: Option<Timestamp>,
}

impl<K, V> TableChange<K, V> {
    /// Limits the time of writing by the time of reading: a record was not written much later than
    /// it was read, whatever its producer's clock says. Otherwise the table would immediately
    /// forget versions that are still looked up, and a removal would take effect only at that later
    /// time.
    #[must_use]
    pub fn read_at(mut self, now: Timestamp) -> Self {
        let latest = now.saturating_add(AHEAD_MAX).unwrap_or(Timestamp::MAX);
        if self.written.is_some_and(|written| written > latest) {
            if !self.change.explicit {
                self.change.valid_from = self.change.valid_from.min(now);
            }
            self.written = Some(now);
        }
        self
    }
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Table { store: Store::default(), oddities: Arc::default(), entries: PhantomData }
    }
}

impl<K, V> Clone for Table<K, V> {
    fn clone(&self) -> Self {
        Table {
            store: self.store.clone(),
            oddities: Arc::clone(&self.oddities),
            entries: PhantomData,
        }
    }
}

impl<K: TableKey, V: Packed> Table<K, V> {
    /// Returns the value of a key that was valid at a moment.
    pub fn as_of(&self, key: &K, moment: Timestamp) -> Option<V::View<'_>> {
        self.versions(key)?.as_of(moment)?.value
    }

    /// Returns all versions of a key.
    pub fn versions(&self, key: &K) -> Option<Versions<'_, V>> {
        self.versions_of(key.parts())
    }

    /// Returns all versions of a key, given its parts.
    pub(super) fn versions_of(&self, key: StoreKey<'_>) -> Option<Versions<'_, V>> {
        self.store.get(key).map(Versions::read)
    }

    /// Calls `each` with the key and the versions of every entry that has this alias in some
    /// version (see [`Packed::alias`]), in no order. It may call it for other entries too. The
    /// caller has to examine the versions in any case, since aliases of other times do not count.
    pub(super) fn aliased<'s>(
        &'s self,
        name: StoreKey<'_>,
        mut each: impl FnMut(&'s str, Versions<'s, V>),
    ) {
        self.store.aliased(name, |key, packed| {
            if let Ok(key) = std::str::from_utf8(key) {
                each(key, Versions::read(packed));
            }
        });
    }

    /// Iterates over all keys and their versions, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (K, Versions<'_, V>)> {
        self.store.iter().filter_map(|(key, packed)| {
            let key = std::str::from_utf8(key).ok()?;
            Some((K::of(key)?, Versions::read(packed)))
        })
    }
}

impl<K, V> Table<K, V> {
    /// Returns the number of keys, including recently removed ones.
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// Returns whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many of the keys another table lacks.
    pub fn lost_in(&self, other: &Self) -> usize {
        let is_lost = |key: &[u8]| other.store.get(StoreKey::of(key)).is_none();
        self.store.iter().filter(|(key, _)| is_lost(key)).count()
    }

    /// Returns the bytes that hold the keys and their versions. Resident memory is slightly more.
    pub fn bytes(&self) -> usize {
        self.store.bytes()
    }

    /// Returns the oddities in the entries read so far.
    pub fn oddities(&self) -> &Oddities {
        &self.oddities
    }
}

/// The writer of a table.
#[derive(Debug)]
pub struct TableWriter<K, V> {
    store: StoreWriter,
    oddities: Arc<Oddities>,
    /// `None` for the lines of a file, which have no order of writing and are never forgotten.
    history: Option<History>,
    last_written: Timestamp,
    removals: Removals,
    entries: PhantomData<fn() -> (K, V)>,
}

/// Tracks whether any key was removed long enough ago to be forgotten, so that a sweep is
/// worthwhile.
#[derive(Debug)]
struct Removals {
    /// No key was removed before this time, as of the last complete sweep.
    oldest: Timestamp,
    /// The same bound for the keys swept or removed since.
    next_oldest: Timestamp,
    /// Whether a key was forgotten since: another key may then have moved past the sweep.
    any_forgotten: bool,
}

impl Default for Removals {
    fn default() -> Self {
        Removals { oldest: Timestamp::MAX, next_oldest: Timestamp::MAX, any_forgotten: false }
    }
}

impl Removals {
    fn note(&mut self, removed: Timestamp) {
        self.oldest = self.oldest.min(removed);
        self.next_oldest = self.next_oldest.min(removed);
    }

    /// Ends a complete sweep.
    fn finish_sweep(&mut self) {
        if !self.any_forgotten {
            self.oldest = self.next_oldest;
        }
        self.next_oldest = Timestamp::MAX;
        self.any_forgotten = false;
    }
}

impl<K, V> Default for TableWriter<K, V> {
    fn default() -> Self {
        TableWriter {
            store: StoreWriter::default(),
            oddities: Arc::default(),
            history: None,
            last_written: Timestamp::MIN,
            removals: Removals::default(),
            entries: PhantomData,
        }
    }
}

impl<K: TableKey, V: Packed> TableWriter<K, V> {
    /// Creates an empty table for the records of a topic, applied in the order of writing: a later
    /// record of a key replaces everything that earlier ones state about the time from its
    /// beginning on. Versions older than `history`, measured against the last time of writing, are
    /// forgotten. At least the newest of them stays for each key, unless the key is removed. For
    /// the lines of a file use [`TableWriter::default`]: the order of validity counts, and nothing
    /// is forgotten.
    pub fn with_history(history: SignedDuration) -> Self {
        TableWriter { history: Some(History(history)), ..TableWriter::default() }
    }

    /// Returns the current table, which later changes do not affect.
    pub fn snapshot(&self) -> Table<K, V> {
        Table {
            store: self.store.snapshot(),
            oddities: Arc::clone(&self.oddities),
            entries: PhantomData,
        }
    }

    /// Returns the oddities so far, to add to them.
    pub fn oddities_mut(&mut self) -> &mut Oddities {
        Arc::make_mut(&mut self.oddities)
    }

    /// Adds a version of a key. Returns how many of its oldest versions were dropped because there
    /// are too many of them, although they are within the history.
    ///
    /// # Errors
    /// If the table cannot grow further; it is then unchanged.
    pub fn apply(
        &mut self,
        TableChange { key, change, written }: TableChange<K, V>,
    ) -> Result<usize, TableFull> {
        self.last_written = self.last_written.max(written.unwrap_or(Timestamp::MIN));
        let history = self.history;
        let horizon = history.map_or(Horizon::NONE, |it| it.horizon(self.last_written));
        let mut dropped = 0;
        let write = |known: Option<&[u8]>, out: &mut Vec<u8>| {
            let known = known.unwrap_or_default();
            dropped = match history {
                Some(history) => {
                    writing::append_written(known, &change, written, history, horizon, out)
                }
                None => writing::append_sorted(known, &change, out),
            };
        };
        let room = &mut [0; _];
        self.store.change(key.text(room), write, Upkeep::<V>::until(horizon))?;
        if change.is_removal() && history.is_some() {
            self.removals.note(change.valid_from);
        }
        self.forget(horizon);
        Ok(dropped)
    }

    /// Sweeps some keys, and forgets those removed so long ago that they are equivalent to unknown
    /// ones. There is no list of removed keys: it would grow with each removal.
    fn forget(&mut self, horizon: Horizon) {
        let removals = &mut self.removals;
        if removals.oldest > horizon.removals {
            return;
        }
        let is_needed = |packed: &[u8]| match writing::newest_removal(packed) {
            Some(removed) if removed <= horizon.removals => {
                removals.any_forgotten = true;
                false
            }
            Some(removed) => {
                removals.next_oldest = removals.next_oldest.min(removed);
                true
            }
            None => true,
        };
        if self.store.sweep(SWEEP_SLOTS, is_needed, Upkeep::<V>::until(horizon)) {
            self.removals.finish_sweep();
        }
    }
}

impl<K, V> TableWriter<K, V> {
    /// Returns the number of keys.
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// Returns whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
