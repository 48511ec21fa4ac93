//! Records what is odd in the entries of a table without making them unusable: unknown fields and
//! permissions without a name. They are tolerated, but a misspelt field in the table that decides
//! access must be reported.

use std::collections::BTreeMap;
use std::fmt;

/// Most names that are counted separately; further ones are counted together.
const NAMES_MAX: usize = 100;
/// Longest name that is kept, in characters; the rest is cut.
const CHARACTERS_MAX: usize = 64;

/// The oddities in the entries read so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Oddities {
    /// Unknown fields.
    pub fields: Tally,
    /// Blank permissions.
    pub blank_permissions: u64,
}

/// How often each name occurs, for a limited number of names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    counts: BTreeMap<String, u64>,
    others: u64,
}

impl Tally {
    /// Counts a name, and keeps its beginning.
    pub fn count(&mut self, name: &str) {
        let end = name.char_indices().nth(CHARACTERS_MAX);
        let name = end.map_or(name, |(end, _)| name.get(..end).unwrap_or(name));
        if let Some(count) = self.counts.get_mut(name) {
            *count += 1;
        } else if self.counts.len() < NAMES_MAX {
            self.counts.insert(name.to_string(), 1);
        } else {
            self.others += 1;
        }
    }

    /// Iterates over the names and their counts, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.counts.iter().map(|(name, count)| (name.as_str(), *count))
    }

    /// Returns how often other names occurred.
    pub fn others(&self) -> u64 {
        self.others
    }

    /// Returns whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

/// Prints the names for operators, escaped: the writer of the table chooses them.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (name, count)) in self.iter().enumerate() {
            let separator = if number == 0 { "" } else { ", " };
            write!(f, "{separator}{name:?} ({count})")?;
        }
        match self.others {
            0 => Ok(()),
            others => write!(f, ", and others ({others})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_counted_cut_and_bounded() {
        let mut tally = Tally::default();
        assert!(tally.is_empty());
        for name in ["b", "a\n", "b"] {
            tally.count(name);
        }
        assert_eq!(tally.to_string(), r#""a\n" (1), "b" (2)"#);
        assert!(!tally.is_empty());
        tally.count(&"ä".repeat(1_000));
        let longest = tally.iter().map(|(name, _)| name.chars().count()).max();
        assert_eq!(longest, Some(CHARACTERS_MAX));
        for number in 0..2 * NAMES_MAX {
            tally.count(&number.to_string());
        }
        assert_eq!(tally.iter().count(), NAMES_MAX);
        assert_eq!(tally.others(), 2 * NAMES_MAX as u64 + 3 - NAMES_MAX as u64);
        assert!(tally.to_string().ends_with(", and others (103)"));
    }
}
