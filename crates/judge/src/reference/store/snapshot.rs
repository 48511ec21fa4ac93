//! What readers use: a snapshot of the store, which later changes do not affect.

use std::fmt;
use std::sync::Arc;

use super::aliases::marked_key;
use super::key::StoreKey;
use super::log::Log;
use super::slots::Slots;

/// A snapshot.
#[derive(Clone, Default)]
pub(crate) struct Store {
    pub(super) slots: Arc<Slots>,
    pub(super) aliases: Arc<Slots>,
    pub(super) log: Log,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store of {} keys", self.len())
    }
}

impl Store {
    /// Returns the number of keys.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns the bytes of all entries and of both indexes.
    pub(crate) fn bytes(&self) -> usize {
        self.log.bytes() + self.slots.bytes() + self.aliases.bytes()
    }

    /// Returns the value of a key.
    pub(crate) fn get(&self, key: StoreKey<'_>) -> Option<&[u8]> {
        let look = |place| self.log.entry(place).filter(|entry| key.is(entry.key));
        let (_, entry) = self.slots.find(key.hash(), look)?;
        Some(entry.value)
    }

    /// Calls `each` with the key and the value of every entry that has this alias, in no order.
    /// Aliases are matched by their hashes alone, so a wrong entry may be among them, or the same
    /// one twice.
    pub(crate) fn aliased<'s>(
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
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let entries = self.slots.places().filter_map(|place| self.log.entry(place));
        entries.map(|entry| (entry.key, entry.value))
    }
}
