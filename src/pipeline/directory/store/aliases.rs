//! The index of the other names of entries. A slot for each name of each entry leads to the entry's place, so that it has to
//! follow whenever an entry moves; in return it takes a word for each, and no look-up ever meets what is gone.

use std::sync::Arc;

use super::Reading;
use super::index::IndexWriter;
use super::log::Place;
use super::slots::{Slots, word};

/// The other names that an entry had, and those that it has from now on, by their hashes: sorted, and none twice.
#[derive(Debug, Default)]
pub(super) struct AliasMove {
    old: Vec<u64>,
    new: Vec<u64>,
}

impl AliasMove {
    /// Reads them off the value before, if there was one, and the one after, if there is one.
    pub fn of(
        reading: &impl Reading,
        key: &[u8],
        before: Option<&[u8]>,
        after: Option<&[u8]>,
    ) -> Self {
        let names = |value: Option<&[u8]>| {
            let mut hashes = Vec::new();
            if let Some(value) = value {
                reading.aliases(key, value, &mut hashes);
            }
            hashes.sort_unstable();
            hashes.dedup();
            hashes
        };
        AliasMove {
            old: names(before),
            new: names(after),
        }
    }
}

/// The index for the one who writes.
#[derive(Debug, Default)]
pub(super) struct AliasIndex(IndexWriter);

impl AliasIndex {
    /// What others may read now.
    pub const fn slots(&self) -> &Arc<Slots> {
        self.0.slots()
    }

    /// Makes room for what is to be added; nothing if that cannot be.
    pub fn make_room(&mut self, names: &AliasMove) -> Option<()> {
        if names.new.is_empty() {
            return Some(());
        }
        self.0.make_room(names.new.len())
    }

    /// Lets the names lead to where the entry is now, and no longer to where it was.
    pub fn apply(&mut self, names: &AliasMove, old: Option<Place>, new: Option<Place>) {
        if let Some(old) = old {
            for hash in &names.old {
                let stays = new.filter(|_| names.new.binary_search(hash).is_ok());
                self.redirect(*hash, old, stays);
            }
        }
        let added = |hash: &&u64| old.is_none() || names.old.binary_search(hash).is_err();
        if let Some(new) = new {
            for hash in names.new.iter().filter(added) {
                self.0.insert(*hash, new);
            }
        }
    }

    fn redirect(&mut self, hash: u64, old: Place, new: Option<Place>) {
        let slots = self.0.slots();
        let Some((slot, ())) = slots.find(hash, |known| (known == old).then_some(())) else {
            return;
        };
        match new {
            Some(new) => self.0.write(slot, word(hash, new)),
            None => self.0.remove(slot),
        }
    }
}
