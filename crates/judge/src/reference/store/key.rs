//! Keys in the form that look-ups use.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::FixedState;

/// Separates the parts of a key.
const DIVIDER: u8 = b'/';

/// A key to look up, in the parts that the caller has. Joining them would write bytes that are read
/// immediately afterwards, and the processor would stall until the writes complete.
#[derive(Debug, Clone, Copy)]
pub struct StoreKey<'a> {
    first: &'a [u8],
    second: Option<&'a [u8]>,
}

impl<'a> StoreKey<'a> {
    /// Creates a key without a divider.
    pub const fn whole(key: &'a [u8]) -> Self {
        StoreKey { first: key, second: None }
    }

    /// Creates a key with a divider. The first part must not contain one.
    pub const fn pair(first: &'a [u8], second: &'a [u8]) -> Self {
        StoreKey { first, second: Some(second) }
    }

    /// Splits the text of a key.
    pub fn of(text: &'a [u8]) -> Self {
        match text.iter().position(|byte| *byte == DIVIDER) {
            Some(at) => StoreKey::pair(&text[..at], &text[at + 1..]),
            None => StoreKey::whole(text),
        }
    }

    /// Returns the alias of an entry, combined with the first part of its key. `None` if the alias
    /// is the key itself, or if the key has one part only.
    pub fn alias(key: &'a [u8], name: &'a str) -> Option<Self> {
        let StoreKey { first, second } = StoreKey::of(key);
        let is_other = second? != name.as_bytes();
        is_other.then(|| StoreKey::pair(first, name.as_bytes()))
    }

    /// Returns the hash, which is the same in every run. An attacker who chose many keys of a table
    /// could slow down its look-ups, but keys are ids that the operator's own systems assign.
    /// Others choose at most which keys are looked up, and a missing key costs a short run of
    /// slots, whichever it is.
    pub fn hash(self) -> u64 {
        let mut hasher = FixedState::with_seed(0).build_hasher();
        hasher.write(self.first);
        if let Some(second) = self.second {
            hasher.write(second);
        }
        hasher.finish()
    }

    pub(super) fn is(self, text: &[u8]) -> bool {
        let Some(second) = self.second else {
            return text == self.first;
        };
        let rest = text.strip_prefix(self.first);
        rest.and_then(|rest| rest.strip_prefix(&[DIVIDER])) == Some(second)
    }
}
