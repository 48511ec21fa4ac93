//! One version of a value, and the change that adds one to a key.

use jiff::Timestamp;

use crate::reference::packing::PackedValue;

/// The value of a key from one moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version<T> {
    /// First moment at which this version is valid.
    pub valid_from: Timestamp,
    /// Whether the entry itself stated that moment, or the version is a return after a removal.
    /// Otherwise the moment is when the entry was written, and its value may have been true
    /// earlier.
    pub explicit: bool,
    /// The value; `None` if the key was removed or the record cannot be read.
    pub value: Option<T>,
    /// Whether the record cannot be read. It may have been a grant, another value or a removal, so
    /// no decision may rest on it or on the version before it.
    pub is_unreadable: bool,
}

/// A version to add to those of a key.
pub type VersionChange<V> = Version<PackedValue<V>>;

impl<T> Version<T> {
    /// Creates the removal of a key.
    pub const fn removed(valid_from: Timestamp) -> Self {
        Version { valid_from, explicit: false, value: None, is_unreadable: false }
    }

    /// Creates a version that cannot be read.
    pub const fn unreadable(valid_from: Timestamp) -> Self {
        Version { valid_from, explicit: false, value: None, is_unreadable: true }
    }

    /// Returns the version without its value.
    pub(crate) fn bare(&self) -> Version<()> {
        let value = self.value.as_ref().map(|_| ());
        let Version { valid_from, explicit, is_unreadable, .. } = *self;
        Version { valid_from, explicit, value, is_unreadable }
    }

    /// Returns whether this is the removal of a key.
    pub const fn is_removal(&self) -> bool {
        self.value.is_none() && !self.is_unreadable
    }
}
