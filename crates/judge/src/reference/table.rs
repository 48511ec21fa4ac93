//! One reference table: the versions of every key, for those who read a snapshot, and for the one
//! who writes. Where the changes come from is the caller's business.

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

/// So many slots of the index are looked at with each change, for keys that were removed long ago.
const SWEPT_AT_ONCE: usize = 4;
/// A producer's clock may be so far ahead; a record that is ahead by more was written when it was
/// read. The time of the others is the same for all who read them, whenever that is.
const AHEAD_MAX: SignedDuration = SignedDuration::from_mins(1);

/// Longest text of a key: an account, a divider and an IAM identity.
pub(super) const KEY_BYTES_MAX: usize = ID_BYTES_MAX + 1 + IAM_ID_BYTES_MAX;
/// Room for the text of a key.
pub(super) type KeyRoom = [u8; KEY_BYTES_MAX];

/// The text of a key of two parts. One that is longer than any key is that of none.
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

/// A key of a table: it is its text, which is also the key of its records.
pub trait TableKey: Sized + PartialEq + fmt::Display {
    /// The text, made in `room` if it does not stand anywhere yet.
    fn text<'a>(&'a self, room: &'a mut KeyRoom) -> &'a [u8];

    /// The same, to be looked up.
    fn parts(&self) -> StoreKey<'_>;

    /// The key of a text, if it is one.
    fn of(text: &str) -> Option<Self>;
}

/// The versions of every key of one table, as they were at some time. Clones share them.
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
    /// When that was written, as far as is known: by this alone a table knows how late it is. A
    /// version may begin at any time, and one with a wrong year is not to make the table
    /// forget what it still needs.
    pub written: Option<Timestamp>,
}

impl<K, V> TableChange<K, V> {
    /// The same, as read at this time: nothing was written much later than that, whatever the clock
    /// of its producer said. A table would else forget at once what it is still asked for, and
    /// a removal would not count until then.
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
    /// The value of a key that was valid at a moment.
    pub fn as_of(&self, key: &K, moment: Timestamp) -> Option<V::View<'_>> {
        self.versions(key)?.as_of(moment)?.value
    }

    /// All versions of a key.
    pub fn versions(&self, key: &K) -> Option<Versions<'_, V>> {
        self.versions_of(key.parts())
    }

    /// The same, by the parts of the key.
    pub(super) fn versions_of(&self, key: StoreKey<'_>) -> Option<Versions<'_, V>> {
        self.store.get(key).map(Versions::read)
    }

    /// Calls `each` with the key and the versions of every entry some version of which has this
    /// other name (see [`Packed::alias`]), in no order. There may be others among them: the
    /// caller looks at the versions anyway, since what a key was called at other times does not
    /// matter.
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

    /// All keys and their versions, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (K, Versions<'_, V>)> {
        self.store.iter().filter_map(|(key, packed)| {
            let key = std::str::from_utf8(key).ok()?;
            Some((K::of(key)?, Versions::read(packed)))
        })
    }
}

impl<K, V> Table<K, V> {
    /// How many keys there are, those that were removed lately among them.
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of the keys another table lacks.
    pub fn lost_in(&self, other: &Self) -> usize {
        let is_lost = |key: &[u8]| other.store.get(StoreKey::of(key)).is_none();
        self.store.iter().filter(|(key, _)| is_lost(key)).count()
    }

    /// Bytes in which the keys and their versions are held; resident memory is somewhat more.
    pub fn bytes(&self) -> usize {
        self.store.bytes()
    }

    /// What was odd in the entries that were read.
    pub fn oddities(&self) -> &Oddities {
        &self.oddities
    }
}

/// A table that is written to.
#[derive(Debug)]
pub struct TableWriter<K, V> {
    store: StoreWriter,
    oddities: Arc<Oddities>,
    /// None: the lines of a file, which have no order of writing and of which nothing is
    /// forgotten.
    history: Option<History>,
    last_written: Timestamp,
    removals: Removals,
    entries: PhantomData<fn() -> (K, V)>,
}

/// Whether there may be keys that were removed long enough ago to be forgotten, so that it is worth
/// looking for them.
#[derive(Debug)]
struct Removals {
    /// No key was removed before that, as the last look at all of them showed.
    oldest: Timestamp,
    /// The same, of the keys that were looked at since or removed since.
    next_oldest: Timestamp,
    /// Whether one was forgotten since: others may have moved past the look then.
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

    /// All keys were looked at.
    fn come_round(&mut self) {
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
    /// An empty table for the records of a topic, applied in the order of writing: what a later
    /// record of a key says replaces what was said before of the time from its beginning on.
    /// Versions are forgotten once they are older than `history`, measured against the time of
    /// the last writing; of each key at least the newest older one stays, unless the key is
    /// removed. [`TableWriter::default`] is for the lines of a file: the order of validity counts,
    /// and nothing is forgotten.
    pub fn with_history(history: SignedDuration) -> Self {
        TableWriter { history: Some(History(history)), ..TableWriter::default() }
    }

    /// The table as it is now, which later changes do not touch.
    pub fn snapshot(&self) -> Table<K, V> {
        Table {
            store: self.store.snapshot(),
            oddities: Arc::clone(&self.oddities),
            entries: PhantomData,
        }
    }

    /// What was odd so far, to be added to.
    pub fn oddities_mut(&mut self) -> &mut Oddities {
        Arc::make_mut(&mut self.oddities)
    }

    /// Adds a version of a key, and returns how many of its versions had to be dropped because it
    /// has too many: the oldest, though the history is not over for them.
    ///
    /// # Errors
    /// If the table can grow no more; it then is as it was.
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

    /// Looks at some keys, and forgets those that were removed so long ago that they are as good as
    /// unknown. There is no list of them: it would grow with each removal.
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
        if self.store.sweep(SWEPT_AT_ONCE, is_needed, Upkeep::<V>::until(horizon)) {
            self.removals.come_round();
        }
    }
}

impl<K, V> TableWriter<K, V> {
    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
