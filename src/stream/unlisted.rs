//! Event names from customers that match no row of the catalogue: the first distinct ones, and how
//! often each occurred. Their number is limited, so a sender that invents names cannot fill memory.

use std::collections::BTreeMap;

use compact_str::CompactString;

/// Counts by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnlistedNames {
    total: u64,
    names: BTreeMap<CompactString, u64>,
}

impl UnlistedNames {
    /// Most distinct names that are kept. Records with other names count in the total only.
    pub const NAMES_MAX: usize = 100;

    /// Adds the name of one record.
    pub fn note(&mut self, name: CompactString) {
        self.count(name, 1);
        self.total += 1;
    }

    /// Adds all counts of `other`, and returns the names that are new here.
    pub fn merge(&mut self, other: &UnlistedNames) -> Vec<CompactString> {
        self.total += other.total;
        let named = other.names.iter();
        named
            .filter(|(name, count)| self.count((*name).clone(), **count))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Returns the number of records with such a name.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Returns the names, each with its number of records.
    pub fn names(&self) -> &BTreeMap<CompactString, u64> {
        &self.names
    }

    /// Counts a name if there is room for it. Returns whether it is new.
    fn count(&mut self, name: CompactString, count: u64) -> bool {
        if let Some(known) = self.names.get_mut(&name) {
            *known += count;
            return false;
        }
        let has_room = self.names.len() < Self::NAMES_MAX;
        if has_room {
            self.names.insert(name, count);
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_names_are_kept_and_all_are_counted() {
        let mut batch = UnlistedNames::default();
        for number in 0..150 {
            batch.note(CompactString::from(format!("name {number:03}")));
        }
        batch.note("name 007".into());
        assert_eq!(batch.total(), 151);
        assert_eq!(batch.names().len(), UnlistedNames::NAMES_MAX);
        assert_eq!(batch.names()["name 007"], 2);

        let mut all = UnlistedNames::default();
        all.note("name 007".into());
        let new = all.merge(&batch);
        assert_eq!(new.len(), UnlistedNames::NAMES_MAX - 1);
        assert_eq!(all.names()["name 007"], 3);
        assert_eq!(all.total(), 152);
        assert!(all.merge(&batch).is_empty());
    }
}
