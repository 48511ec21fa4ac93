//! The names of customers' events that the catalogue lacks, of all workers: a total for Prometheus,
//! the names for people. A name as a label would let senders of records make metrics.

use std::sync::{Mutex, PoisonError};

use compact_str::CompactString;
use prometheus::IntCounter;
use serde::Serialize;

use crate::stream::unlisted::UnlistedNames;

/// What was committed of them since the process began.
#[derive(Debug)]
pub(super) struct Unlisted {
    counter: IntCounter,
    names: Mutex<UnlistedNames>,
}

/// The same, to be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnlistedView {
    /// Records with such a name.
    pub total: u64,
    /// Names that are kept at most.
    pub most_names: usize,
    /// The first distinct names, the most frequent first.
    pub names: Vec<NameCount>,
}

/// A name, and how many records had it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NameCount {
    /// As it was written, cut and on one line.
    pub name: CompactString,
    /// Records.
    pub count: u64,
}

impl Unlisted {
    pub(super) fn new(counter: IntCounter) -> Self {
        Unlisted { counter, names: Mutex::default() }
    }

    /// Takes those of a batch; returns the names that nobody saw before.
    pub(super) fn note(&self, batch: &UnlistedNames) -> Vec<CompactString> {
        if batch.total() == 0 {
            return Vec::new();
        }
        self.counter.inc_by(batch.total());
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.merge(batch)
    }

    pub(super) fn view(&self) -> UnlistedView {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = names.names().iter();
        let mut shown: Vec<_> =
            counted.map(|(name, count)| NameCount { name: name.clone(), count: *count }).collect();
        shown.sort_by_key(|named| std::cmp::Reverse(named.count));
        UnlistedView { total: names.total(), most_names: UnlistedNames::MOST, names: shown }
    }
}
