//! A value that changes over time: the versions of one key, and which was valid when. It knows no
//! clock; the caller names the moment.

use jiff::Timestamp;

/// What was true of a key from one moment on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version<T> {
    /// First moment at which this version is valid.
    pub valid_from: Timestamp,
    /// Whether the entry itself named that moment. Otherwise it is the time at which the entry was written, and
    /// what it says may have been true before.
    pub explicit: bool,
    /// The value; `None` where the key was removed.
    pub value: Option<T>,
}

/// A version that is to be added.
pub type VersionChange<T> = Version<T>;

impl<T> Version<T> {
    /// The removal of a key.
    pub const fn removed(valid_from: Timestamp) -> Self {
        Version {
            valid_from,
            explicit: false,
            value: None,
        }
    }
}

/// All known versions of one key, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions<T> {
    versions: Vec<Version<T>>,
}

impl<T> Default for Versions<T> {
    fn default() -> Self {
        Versions {
            versions: Vec::new(),
        }
    }
}

impl<T> Versions<T> {
    /// Adds a version. One with the same start replaces the one that is there.
    pub fn insert(&mut self, version: Version<T>) {
        match self
            .versions
            .binary_search_by_key(&version.valid_from, |known| known.valid_from)
        {
            Ok(position) => self.versions[position] = version,
            Err(position) => self.versions.insert(position, version),
        }
    }

    /// The version valid at a moment, if the key existed then.
    pub fn as_of(&self, moment: Timestamp) -> Option<&T> {
        let after = self
            .versions
            .partition_point(|version| version.valid_from <= moment);
        self.versions.get(after.checked_sub(1)?)?.value.as_ref()
    }

    /// All versions, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Version<T>> {
        self.versions.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_that_had_begun_counts() {
        let second = |s| Timestamp::from_second(s).expect("in range");
        let mut versions = Versions::default();
        for (from, value) in [(30, None), (10, Some("first")), (20, Some("second"))] {
            versions.insert(Version {
                valid_from: second(from),
                explicit: true,
                value,
            });
        }
        let cases = [
            (9, None),
            (10, Some("first")),
            (19, Some("first")),
            (20, Some("second")),
            (30, None),
            (99, None),
        ];
        for (at, expected) in cases {
            assert_eq!(versions.as_of(second(at)).copied(), expected, "at {at}");
        }
        versions.insert(Version {
            valid_from: second(20),
            explicit: true,
            value: Some("corrected"),
        });
        assert_eq!(versions.as_of(second(25)), Some(&"corrected"));
        assert_eq!(versions.iter().count(), 3);
    }
}
