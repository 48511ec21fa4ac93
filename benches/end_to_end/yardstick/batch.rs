//! The records of a raw copy's next transaction.

use std::ops::Range;
use std::time::{Duration, Instant};

use rdkafka::message::{BorrowedMessage, Message};

use super::super::plan::PlannedOutput;
use super::POLL_MAX;
use super::settings::Limits;

/// An output record of the next transaction.
pub(super) struct Pending {
    pub source_partition: i32,
    pub source_offset: i64,
    pub timestamp: i64,
    pub key: Range<usize>,
    /// The original record, if it is quarantined.
    pub original: Range<usize>,
    pub output: PlannedOutput,
}

#[derive(Default)]
pub(super) struct Batch {
    pub pending: Vec<Pending>,
    /// Concatenated keys and originals.
    pub kept: Vec<u8>,
    pub next_offsets: Vec<Option<i64>>,
    pub records: usize,
    bytes: usize,
    began: Option<Instant>,
}

impl Batch {
    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let begin = self.kept.len();
        self.kept.extend_from_slice(bytes);
        begin..self.kept.len()
    }

    pub fn add(&mut self, message: &BorrowedMessage<'_>, output: PlannedOutput) {
        self.records += 1;
        if self.began.is_none() {
            self.began = Some(Instant::now());
        }
        let partition = message.partition() as usize;
        if self.next_offsets.len() <= partition {
            self.next_offsets.resize(partition + 1, None);
        }
        self.next_offsets[partition] = Some(message.offset() + 1);
        let value = message.payload().unwrap_or_default();
        let original = match output {
            PlannedOutput::Nothing => return,
            PlannedOutput::Event { length, .. } => {
                self.bytes += length;
                0..0
            }
            PlannedOutput::Quarantined { .. } => {
                self.bytes += value.len();
                self.keep(value)
            }
        };
        let key = self.keep(message.key().unwrap_or_default());
        self.pending.push(Pending {
            source_partition: message.partition(),
            source_offset: message.offset(),
            timestamp: message.timestamp().to_millis().unwrap_or(0),
            key,
            original,
            output,
        });
    }

    pub fn forget(&mut self, partitions: &[i32]) {
        self.pending.retain(|it| !partitions.contains(&it.source_partition));
        for partition in partitions {
            if let Some(offset) = self.next_offsets.get_mut(*partition as usize) {
                *offset = None;
            }
        }
    }

    pub fn clear(&mut self) {
        self.pending.clear();
        self.kept.clear();
        self.next_offsets.fill(None);
        self.records = 0;
        self.bytes = 0;
        self.began = None;
    }

    /// Checks the limits of count and size, not the clock.
    pub fn is_full(&self, limits: &Limits) -> bool {
        self.records >= limits.max_records || self.bytes >= limits.max_bytes
    }

    pub fn time_left(&self, limits: &Limits) -> Duration {
        self.began.map_or(POLL_MAX, |began| limits.max_age.saturating_sub(began.elapsed()))
    }
}
