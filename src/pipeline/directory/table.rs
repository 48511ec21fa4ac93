//! One reference table: the versions of every key. A clone is a snapshot, made in O(1), which later changes do
//! not touch. Where the changes come from is the caller's business.

use std::fmt;
use std::marker::PhantomData;

use jiff::{SignedDuration, Timestamp};

use super::super::versions::{self, VersionChange, Versions};
use super::packing::Packed;
use super::pages::Pages;

/// Room for the text of a key: an account, a divider and an IAM identity.
pub type KeyRoom = [u8; 255];

/// A key of a table: it is its text, which is also the key of its records.
pub trait TableKey: Sized + PartialEq + fmt::Display {
    /// The text, made in `room` if it does not stand anywhere yet.
    fn text<'a>(&'a self, room: &'a mut KeyRoom) -> &'a [u8];

    /// The key of a text, if it is one.
    fn of(text: &str) -> Option<Self>;
}

/// The versions of every key of one table.
#[derive(Debug)]
pub struct Table<K, V> {
    pages: Pages,
    history: Option<SignedDuration>,
    newest: Timestamp,
    entries: PhantomData<fn() -> (K, V)>,
}

/// A change to one key of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableChange<K, V> {
    /// The key.
    pub key: K,
    /// Its new version.
    pub change: VersionChange<V>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Table {
            pages: Pages::default(),
            history: None,
            newest: Timestamp::MIN,
            entries: PhantomData,
        }
    }
}

impl<K, V> Clone for Table<K, V> {
    fn clone(&self) -> Self {
        Table {
            pages: self.pages.clone(),
            ..*self
        }
    }
}

impl<K: TableKey, V: Packed> Table<K, V> {
    /// An empty table that forgets versions once they are older than `history`, measured against the newest
    /// validity in the table; of each key at least the newest older one stays. [`Table::default`] forgets
    /// nothing.
    pub fn with_history(history: SignedDuration) -> Self {
        Table {
            history: Some(history),
            ..Table::default()
        }
    }

    /// The value of a key that was valid at a moment.
    pub fn as_of(&self, key: &K, moment: Timestamp) -> Option<V::View<'_>> {
        self.versions(key)?.as_of(moment)?.value
    }

    /// All versions of a key.
    pub fn versions(&self, key: &K) -> Option<Versions<'_, V>> {
        self.pages
            .get(key.text(&mut [0; _]))
            .map(|packed| Versions::read(packed))
    }

    /// Adds a version of a key. One with the same start replaces the one that is there.
    pub fn apply(&mut self, key: K, change: VersionChange<V>) {
        self.newest = self.newest.max(change.valid_from);
        let horizon = self
            .history
            .and_then(|history| self.newest.saturating_sub(history).ok());
        self.pages.change(key.text(&mut [0; _]), |known, out| {
            versions::append_changed(known, &change, horizon, out);
        });
    }

    /// All keys and their versions, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (K, Versions<'_, V>)> {
        self.pages.iter().filter_map(|(key, packed)| {
            let key = std::str::from_utf8(key).ok()?;
            Some((K::of(key)?, Versions::read(packed)))
        })
    }
}

impl<K, V> Table<K, V> {
    /// How many keys there are, those that were removed among them.
    pub fn len(&self) -> usize {
        self.pages.len()
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes in which the keys and their versions are held; resident memory is some per cent more.
    pub fn bytes(&self) -> usize {
        self.pages.bytes()
    }
}
