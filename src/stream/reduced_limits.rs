//! Batch limits that shrink after a failure. A batch that cannot be published is tried again in
//! halves, since a smaller one may fit what a quota or slow replication lets through before the
//! transaction times out. The limits double after several commits, not after each: under a lasting
//! quota every second transaction would fail. A record that can never be written ends up alone.

use super::batch::{Batch, BatchLimits};

/// Commits in a row after which the limits double.
const COMMITS_TO_GROW: u32 = 8;

/// The limits of the next batch, where they are below the configured ones.
#[derive(Debug, Default)]
pub(super) struct ReducedLimits {
    limits: Option<Limits>,
    /// Commits since the limits changed.
    commits: u32,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    records: usize,
    bytes: usize,
}

impl ReducedLimits {
    /// Returns the configured limits, reduced.
    pub(super) fn apply(&self, configured: BatchLimits) -> BatchLimits {
        match self.limits {
            None => configured,
            Some(limits) => BatchLimits {
                max_records: configured.max_records.min(limits.records),
                max_bytes: configured.max_bytes.min(limits.bytes),
                ..configured
            },
        }
    }

    /// Limits the next batch to half of this one, which could not be published.
    pub(super) fn halve(&mut self, batch: &Batch) {
        self.set(Limits {
            records: (batch.records() / 2).max(1),
            bytes: (batch.bytes() / 2).max(1),
        });
    }

    fn set(&mut self, limits: Limits) {
        self.limits = Some(limits);
        self.commits = 0;
    }

    /// Counts a committed batch; after several the limits double, up to the configured ones.
    pub(super) fn committed(&mut self, configured: &BatchLimits) {
        self.commits += 1;
        if self.limits.is_none() || self.commits < COMMITS_TO_GROW {
            return;
        }
        self.commits = 0;
        self.limits = self.limits.and_then(|limits| {
            let doubled = Limits {
                records: limits.records.saturating_mul(2),
                bytes: limits.bytes.saturating_mul(2),
            };
            let is_whole =
                doubled.records >= configured.max_records && doubled.bytes >= configured.max_bytes;
            (!is_whole).then_some(doubled)
        });
    }

    /// Limits the next batch to one record.
    pub(super) fn single_record(&mut self) {
        self.set(Limits { records: 1, bytes: usize::MAX });
    }

    /// Returns whether batches have one record, because larger ones failed.
    pub(super) fn is_single_record(&self) -> bool {
        self.limits.is_some_and(|limits| limits.records == 1)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use audit_judge::fate::{Fate, Quarantine};

    use super::*;
    use crate::stream::scripts::record;
    use crate::stream::{Partition, SourceRecord};

    const CONFIGURED: BatchLimits =
        BatchLimits { max_records: 8, max_bytes: 1_000, max_age: Duration::from_millis(100) };

    fn commits(reduced: &mut ReducedLimits, count: u32) -> usize {
        (0..count).for_each(|_| reduced.committed(&CONFIGURED));
        reduced.apply(CONFIGURED).max_records
    }

    #[test]
    fn half_of_a_batch_is_half_of_its_records_and_bytes() {
        let mut batch = Batch::default();
        for offset in 0..6 {
            let record = SourceRecord { key: Some(&[b'k'; 100]), ..record(Partition(0), offset) };
            batch.add(&record, Fate::Quarantined(Quarantine::malformed("x")));
        }
        let mut reduced = ReducedLimits::default();
        reduced.halve(&batch);
        let applied = reduced.apply(BatchLimits { max_bytes: 100_000, ..CONFIGURED });
        assert_eq!((applied.max_records, applied.max_bytes), (3, batch.bytes() / 2));
        assert!(!reduced.is_single_record());
        // Whole again only if both limits are.
        assert_eq!(commits(&mut reduced, COMMITS_TO_GROW), 6);
        assert_eq!(commits(&mut reduced, COMMITS_TO_GROW), 8);
        assert!(reduced.limits.is_none());
    }

    #[test]
    fn it_shrinks_at_once_and_grows_after_some_commits() {
        let mut reduced = ReducedLimits::default();
        assert_eq!(commits(&mut reduced, 3), 8, "nothing has failed");
        reduced.single_record();
        assert!(reduced.is_single_record());
        assert_eq!(commits(&mut reduced, COMMITS_TO_GROW - 1), 1);
        assert_eq!(commits(&mut reduced, 1), 2);
        assert_eq!(commits(&mut reduced, COMMITS_TO_GROW), 4);
        reduced.halve(&Batch::default());
        assert!(reduced.is_single_record(), "half of nothing is one record");
        assert_eq!(commits(&mut reduced, 3 * COMMITS_TO_GROW), 8);
        assert!(reduced.limits.is_none_or(|limits| limits.bytes < 1_000));
    }
}
