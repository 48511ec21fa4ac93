//! Keys as they are looked up.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::FixedState;

/// What stands between the parts of a key.
const DIVIDER: u8 = b'/';

/// A key that is looked up, in the parts in which it is at hand: to put them together would take
/// writing what is read at once, for which the processor waits until all it does has come so far.
#[derive(Debug, Clone, Copy)]
pub struct StoreKey<'a> {
    first: &'a [u8],
    second: Option<&'a [u8]>,
}

impl<'a> StoreKey<'a> {
    /// A key without a divider.
    pub const fn whole(key: &'a [u8]) -> Self {
        StoreKey { first: key, second: None }
    }

    /// A key with a divider; none is in the first part.
    pub const fn pair(first: &'a [u8], second: &'a [u8]) -> Self {
        StoreKey { first, second: Some(second) }
    }

    /// The key of a text.
    pub fn of(text: &'a [u8]) -> Self {
        match text.iter().position(|byte| *byte == DIVIDER) {
            Some(at) => StoreKey::pair(&text[..at], &text[at + 1..]),
            None => StoreKey::whole(text),
        }
    }

    /// The other name of an entry: it stands beside the same first part. None if it is the entry's
    /// key already, or if the key has one part only.
    pub fn alias(key: &'a [u8], name: &'a str) -> Option<Self> {
        let StoreKey { first, second } = StoreKey::of(key);
        let is_other = second? != name.as_bytes();
        is_other.then(|| StoreKey::pair(first, name.as_bytes()))
    }

    /// Hashes are the same in every run. Whoever could choose many keys of a table could make its
    /// look-ups slow, but keys are ids that the operator's own systems give out; others choose
    /// at most what is looked up, and a key that is not there costs a short run of slots,
    /// whichever it is.
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
