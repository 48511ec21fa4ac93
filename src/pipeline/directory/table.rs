//! One reference table: the versions of every key, for those who read a snapshot, and for the one who writes.
//! Where the changes come from is the caller's business.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::marker::PhantomData;

use jiff::{SignedDuration, Timestamp};

use super::super::versions::{self, VersionChange, Versions};
use super::packing::Packed;
use super::store::{Store, StoreKey, StoreWriter, TableFull};

/// So many keys that were removed long ago are forgotten at most with each change: more than a change can add.
const FORGOTTEN_AT_ONCE: usize = 2;

/// Room for the text of a key: an account, a divider and an IAM identity.
pub type KeyRoom = [u8; 255];

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
    entries: PhantomData<fn() -> (K, V)>,
}

/// A change to one key of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableChange<K, V> {
    /// The key.
    pub key: K,
    /// Its new version.
    pub change: VersionChange<V>,
    /// When that was written, as far as is known: by this alone a table knows how late it is. A version may begin at any
    /// time, and one with a wrong year is not to make the table forget what it still needs.
    pub written: Option<Timestamp>,
}

impl<K, V> TableChange<K, V> {
    /// The same, as read at this time: nothing was written later than that, whatever the clock of its producer said. A
    /// table would else forget at once what it is still asked for.
    #[must_use]
    pub fn read_at(self, now: Timestamp) -> Self {
        TableChange {
            written: self.written.map(|written| written.min(now)),
            ..self
        }
    }
}

impl<K, V> From<Store> for Table<K, V> {
    fn from(store: Store) -> Self {
        Table {
            store,
            entries: PhantomData,
        }
    }
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Table::from(Store::default())
    }
}

impl<K, V> Clone for Table<K, V> {
    fn clone(&self) -> Self {
        Table::from(self.store.clone())
    }
}

impl<K: TableKey, V: Packed> Table<K, V> {
    /// The value of a key that was valid at a moment.
    pub fn as_of(&self, key: &K, moment: Timestamp) -> Option<V::View<'_>> {
        self.versions(key)?.as_of(moment)?.value
    }

    /// All versions of a key.
    pub fn versions(&self, key: &K) -> Option<Versions<'_, V>> {
        self.store.get(key.parts()).map(Versions::read)
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

    /// Bytes in which the keys and their versions are held; resident memory is somewhat more.
    pub fn bytes(&self) -> usize {
        self.store.bytes()
    }
}

/// A table that is written to.
#[derive(Debug)]
pub struct TableWriter<K, V> {
    store: StoreWriter,
    history: Option<SignedDuration>,
    last_written: Timestamp,
    /// When keys were removed, the first of them first, and the hashes of the keys.
    removals: BinaryHeap<Reverse<(Timestamp, u64)>>,
    entries: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Default for TableWriter<K, V> {
    fn default() -> Self {
        TableWriter {
            store: StoreWriter::default(),
            history: None,
            last_written: Timestamp::MIN,
            removals: BinaryHeap::new(),
            entries: PhantomData,
        }
    }
}

impl<K: TableKey, V: Packed> TableWriter<K, V> {
    /// An empty table that forgets versions once they are older than `history`, measured against the time of the last
    /// writing; of each key at least the newest older one stays, unless the key is removed.
    /// [`TableWriter::default`] forgets nothing.
    pub fn with_history(history: SignedDuration) -> Self {
        TableWriter {
            history: Some(history),
            ..TableWriter::default()
        }
    }

    /// The table as it is now, which later changes do not touch.
    pub fn snapshot(&self) -> Table<K, V> {
        Table::from(self.store.snapshot())
    }

    /// Adds a version of a key. One with the same start replaces the one that is there.
    ///
    /// # Errors
    /// If the table can grow no more; it then is as it was.
    pub fn apply(
        &mut self,
        TableChange {
            key,
            change,
            written,
        }: TableChange<K, V>,
    ) -> Result<(), TableFull> {
        self.last_written = self.last_written.max(written.unwrap_or(Timestamp::MIN));
        let horizon = self
            .history
            .and_then(|history| self.last_written.saturating_sub(history).ok());
        let room = &mut [0; _];
        let text = key.text(room);
        let write = |known: Option<&[u8]>, out: &mut Vec<u8>| {
            versions::append_changed(known, &change, horizon, out);
        };
        let keep = |packed: &[u8]| versions::kept(packed, horizon);
        self.store.change(text, write, keep)?;
        if change.value.is_none() && self.history.is_some() {
            let removal = (change.valid_from, StoreKey::of(text).hash());
            self.removals.push(Reverse(removal));
        }
        self.forget(horizon);
        Ok(())
    }

    /// Keys that were removed before the history are as good as unknown.
    fn forget(&mut self, horizon: Option<Timestamp>) {
        for _ in 0..FORGOTTEN_AT_ONCE {
            let oldest = self.removals.peek().map(|Reverse((from, _))| *from);
            if oldest.is_none_or(|from| horizon.is_none_or(|horizon| from > horizon)) {
                return;
            }
            if let Some(Reverse((_, hash))) = self.removals.pop() {
                let keep = |packed: &[u8]| versions::kept(packed, horizon);
                self.store.forget(hash, keep);
            }
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
