//! One reference table: the versions of every key. Where its changes come from is the caller's business.

use std::collections::HashMap;
use std::hash::Hash;

use jiff::{SignedDuration, Timestamp};

use super::super::versions::{VersionChange, Versions};

/// The versions of every key of one table.
#[derive(Debug, Clone)]
pub struct Table<K, V> {
    entries: HashMap<K, Versions<V>>,
    history: Option<SignedDuration>,
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
            entries: HashMap::new(),
            history: None,
        }
    }
}

impl<K: Eq + Hash, V> Table<K, V> {
    /// An empty table that forgets versions once they are older than `history`, measured against the newest
    /// validity in the table. [`Table::default`] forgets nothing.
    pub fn with_history(history: SignedDuration) -> Self {
        Table {
            history: Some(history),
            ..Table::default()
        }
    }

    /// The version of a key that was valid at a moment.
    pub fn as_of(&self, key: &K, moment: Timestamp) -> Option<&V> {
        self.entries.get(key)?.as_of(moment)
    }

    /// All versions of a key, for people who ask why.
    pub fn versions(&self, key: &K) -> Option<&Versions<V>> {
        self.entries.get(key)
    }

    /// Adds a version of a key. One with the same start replaces the one that is there.
    pub fn apply(&mut self, key: K, change: VersionChange<V>) {
        self.entries.entry(key).or_default().insert(change);
    }

    /// How many keys there are, those that were removed among them as long as they are remembered.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
