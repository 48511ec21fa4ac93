//! The trust file: which keys an auditor believes, for which seals. It is written by a person, so
//! all its problems are reported at once.
//!
//! Each line is empty, a comment that begins with `#`, or
//!
//! ```text
//! <vkey> [from] [until] [set]
//! ```
//!
//! with spaces or tabs between. `from` and `until` are the first and the last seal that the key may
//! sign, both inclusive; `set` limits the line to one set. `-` or nothing means no limit. A key may
//! sign what any of its lines allows.
//!
//! The name of the first key is the origin of the trail that the file is for. A key with another
//! name is a cosigner's: it is verified, and is never sufficient.

mod parse;

use std::fmt;

use crate::Number;
use crate::key::PublicKey;
use crate::name::{Origin, Set};

/// A trust file with at least one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    entries: Vec<Entry>,
    /// The keys, each once, in the order of the file.
    keys: Vec<PublicKey>,
    origin: Origin,
}

/// A line of a trust file that names a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The line, counted from 1.
    pub line: usize,
    /// The key.
    pub key: PublicKey,
    /// The first seal that it may sign; `None` for any.
    pub from: Option<Number>,
    /// The last seal that it may sign; `None` for any.
    pub until: Option<Number>,
    /// The set that the line is for; `None` for all.
    pub set: Option<Set>,
}

/// One problem of a trust file, and how to fix it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, counted from 1; `None` for the whole file.
    pub line: Option<usize>,
    /// What is wrong and how to fix it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Problem {}

impl Entry {
    fn allows(&self, set: &Set, seal: Number) -> bool {
        let is_for = self.set.as_ref().is_none_or(|own| own == set);
        let is_begun = self.from.is_none_or(|from| from <= seal);
        is_for && is_begun && self.until.is_none_or(|until| seal <= until)
    }
}

impl Trust {
    /// Returns the origin: the name of the keys that sign the trail.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Returns the lines that name keys, in their order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns all keys, cosigners' too, each once: those to verify notes against.
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// Returns whether a key has the name of the origin. A cosigner's has another.
    pub fn is_signer(&self, key: &PublicKey) -> bool {
        *key.name() == self.origin
    }

    /// Iterates over the keys of which one must have signed this seal of this set: no cosigners,
    /// each once.
    pub fn signers(&self, set: &Set, seal: Number) -> impl Iterator<Item = &PublicKey> {
        self.keys.iter().filter(move |key| self.is_signer(key) && self.allows(key, set, seal))
    }

    /// Returns whether a line of this key covers this seal of this set.
    pub fn allows(&self, key: &PublicKey, set: &Set, seal: Number) -> bool {
        self.entries.iter().any(|entry| entry.key == *key && entry.allows(set, seal))
    }
}

#[cfg(test)]
mod tests;
