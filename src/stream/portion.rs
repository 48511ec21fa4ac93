//! How much of its limits a batch may use. A batch that cannot be published is tried again in halves, since a smaller one
//! may fit what a quota or slow replication lets through in the time of a transaction; each commit doubles the next batch.
//! So one record that can never be written ends up alone.

use super::batch::{Batch, BatchLimits};

/// The limits of the next batch, as far as they are below the configured ones.
#[derive(Debug, Default)]
pub struct Portion(Option<Limits>);

#[derive(Debug, Clone, Copy)]
struct Limits {
    records: usize,
    bytes: usize,
}

impl Portion {
    /// The configured limits, made smaller.
    pub fn of(&self, configured: BatchLimits) -> BatchLimits {
        match self.0 {
            None => configured,
            Some(limits) => BatchLimits {
                max_records: configured.max_records.min(limits.records),
                max_bytes: configured.max_bytes.min(limits.bytes),
                ..configured
            },
        }
    }

    /// This batch could not be published: the next is to have half of it.
    pub fn failed(&mut self, batch: &Batch) {
        self.0 = Some(Limits {
            records: (batch.records() / 2).max(1),
            bytes: (batch.bytes() / 2).max(1),
        });
    }

    /// A batch was committed: the next may be twice as large, up to the configured limits.
    pub fn committed(&mut self, configured: &BatchLimits) {
        self.0 = self.0.and_then(|limits| {
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
    pub fn restart(&mut self) {
        self.0 = Some(Limits {
            records: 1,
            bytes: 1,
        });
    }

    /// Whether a batch has one record because larger ones failed.
    pub fn is_least(&self) -> bool {
        self.0.is_some_and(|limits| limits.records == 1)
    }
}
