//! How much of its limits a batch may use. A batch that cannot be published is tried again in
//! halves, since a smaller one may fit what a quota or slow replication lets through in the time of
//! a transaction. After some commits it is doubled, and not at once: where a quota lasts, every
//! second transaction would fail. So one record that can never be written ends up alone.

use super::batch::{Batch, BatchLimits};

/// So many commits in a row double the next batch.
const COMMITS_TO_GROW: u32 = 8;

/// The limits of the next batch, as far as they are below the configured ones.
#[derive(Debug, Default)]
pub(super) struct Portion {
    limits: Option<Limits>,
    /// Commits since the limits changed.
    commits: u32,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    records: usize,
    bytes: usize,
}

impl Portion {
    /// The configured limits, made smaller.
    pub(super) fn of(&self, configured: BatchLimits) -> BatchLimits {
        match self.limits {
            None => configured,
            Some(limits) => BatchLimits {
                max_records: configured.max_records.min(limits.records),
                max_bytes: configured.max_bytes.min(limits.bytes),
                ..configured
            },
        }
    }

    /// This batch could not be published: the next is to have half of it.
    pub(super) fn failed(&mut self, batch: &Batch) {
        self.set(Limits {
            records: (batch.records() / 2).max(1),
            bytes: (batch.bytes() / 2).max(1),
        });
    }

    fn set(&mut self, limits: Limits) {
        self.limits = Some(limits);
        self.commits = 0;
    }

    /// A batch was committed. After some of them the next may be twice as large, up to the
    /// configured limits.
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

    /// The next batch has one record.
    pub(super) fn restart(&mut self) {
        self.set(Limits { records: 1, bytes: usize::MAX });
    }

    /// Whether a batch has one record because larger ones failed.
    pub(super) fn is_least(&self) -> bool {
        self.limits.is_some_and(|limits| limits.records == 1)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const CONFIGURED: BatchLimits =
        BatchLimits { max_records: 8, max_bytes: 1_000, max_age: Duration::from_millis(100) };

    fn commits(portion: &mut Portion, count: u32) -> usize {
        (0..count).for_each(|_| portion.committed(&CONFIGURED));
        portion.of(CONFIGURED).max_records
    }

    #[test]
    fn it_shrinks_at_once_and_grows_after_some_commits() {
        let mut portion = Portion::default();
        assert_eq!(commits(&mut portion, 3), 8, "nothing has failed");
        portion.restart();
        assert!(portion.is_least());
        assert_eq!(commits(&mut portion, COMMITS_TO_GROW - 1), 1);
        assert_eq!(commits(&mut portion, 1), 2);
        assert_eq!(commits(&mut portion, COMMITS_TO_GROW), 4);
        portion.failed(&Batch::default());
        assert!(portion.is_least(), "half of nothing is one record");
        assert_eq!(commits(&mut portion, 3 * COMMITS_TO_GROW), 8);
        assert!(portion.limits.is_none_or(|limits| limits.bytes < 1_000));
    }
}
