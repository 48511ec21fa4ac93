//! Event names from customers that match no row of the catalogue, over all workers: a total for
//! Prometheus, the names for `/status`. A name is never a label: senders of records could create
//! any number of series.

use std::sync::Mutex;

use compact_str::CompactString;
use prometheus::IntCounter;
use serde::{Deserialize, Serialize};

use crate::lock::lock;
use crate::stream::unlisted::UnlistedNames;

/// The names and counts that were committed since the start.
#[derive(Debug)]
pub(super) struct Unlisted {
    counter: IntCounter,
    names: Mutex<UnlistedNames>,
}

/// The names and counts as `/status` shows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnlistedView {
    /// Records with such a name.
    pub total: u64,
    /// The most names that are kept.
    pub most_names: usize,
    /// The first distinct names, the most frequent first.
    pub names: Vec<NameCount>,
}

/// A name, and how many records had it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameCount {
    /// The name as it was sent, shortened and on one line.
    pub name: CompactString,
    /// The number of records.
    pub count: u64,
}

impl Unlisted {
    pub(super) fn new(counter: IntCounter) -> Self {
        Unlisted { counter, names: Mutex::default() }
    }

    /// Adds the names of a batch, and returns those that are new.
    pub(super) fn note(&self, batch: &UnlistedNames) -> Vec<CompactString> {
        if batch.total() == 0 {
            return Vec::new();
        }
        self.counter.inc_by(batch.total());
        lock(&self.names).merge(batch)
    }

    pub(super) fn view(&self) -> UnlistedView {
        let names = lock(&self.names);
        let counted = names.names().iter();
        let mut shown: Vec<_> =
            counted.map(|(name, count)| NameCount { name: name.clone(), count: *count }).collect();
        shown.sort_by_key(|named| std::cmp::Reverse(named.count));
        UnlistedView { total: names.total(), most_names: UnlistedNames::NAMES_MAX, names: shown }
    }
}
