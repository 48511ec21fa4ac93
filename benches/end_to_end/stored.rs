//! How much a run's output takes on the broker's disk.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::fixture::Fixture;

/// The output topics' segments before a run.
pub struct StoredOutput<'a> {
    fixture: &'a Fixture,
    before: BTreeMap<PathBuf, u64>,
}

impl<'a> StoredOutput<'a> {
    /// Measures the segments.
    pub fn before(fixture: &'a Fixture) -> anyhow::Result<Self> {
        Ok(StoredOutput { fixture, before: sizes(fixture)? })
    }

    /// Returns how many bytes were appended since then. Emptying the topics before a run deletes
    /// segments, so these count as nothing.
    pub fn growth(&self) -> anyhow::Result<u64> {
        let grown = sizes(self.fixture)?.into_iter().map(|(segment, size)| {
            size.saturating_sub(self.before.get(&segment).copied().unwrap_or(0))
        });
        Ok(grown.sum())
    }
}

fn sizes(fixture: &Fixture) -> anyhow::Result<BTreeMap<PathBuf, u64>> {
    let mut sizes = BTreeMap::new();
    for topic in fixture.outputs() {
        sizes.extend(fixture.broker().segment_sizes(&topic)?);
    }
    Ok(sizes)
}
