//! The outputs of a batch. The events of all its records lie in one buffer, which is kept from
//! batch to batch: in the steady state it allocates nothing and reuses warm memory. It decides
//! nothing.

use std::ops::Range;

use super::kept_record::QuarantinedRecord;
use super::record::{Partition, SourceRecord};
use audit_judge::fate::{Audited, Envelope};

/// Largest buffer that is kept: a batch of the default size, and the buffer's growth by doubling.
const KEPT_BYTES_MAX: usize = 32 << 20;

/// A record to be written, in the transaction of the batch that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output<'a> {
    /// The input partition; the output partition follows from it, so that order is kept.
    pub source_partition: Partition,
    /// The offset of the input record.
    pub source_offset: i64,
    /// The timestamp of the input record, in milliseconds since 1970, which the output inherits.
    pub timestamp_ms: Option<i64>,
    /// The content, which decides the topic.
    pub content: Content<'a>,
}

/// The two kinds of records that the relay writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// An audit event, to the topic of its region.
    Event {
        /// The region, and the values of the headers.
        envelope: &'a Envelope,
        /// The event as canonical JSON.
        event: &'a [u8],
    },
    /// An input record, whole or as a stub, to the quarantine topic.
    Quarantined(&'a QuarantinedRecord),
}

/// Records to be written, in the order of the input within each partition.
#[derive(Debug, Default)]
pub struct Outputs {
    entries: Vec<Entry>,
    events: Vec<u8>,
}

/// Where a record to be written comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub partition: Partition,
    pub offset: i64,
    pub timestamp_ms: Option<i64>,
}

impl From<&SourceRecord<'_>> for Origin {
    fn from(record: &SourceRecord<'_>) -> Self {
        Origin {
            partition: record.partition,
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
        }
    }
}

#[derive(Debug)]
struct Entry {
    origin: Origin,
    written: OutputContent,
}

#[derive(Debug)]
enum OutputContent {
    /// An event, and where it lies.
    Event(Envelope, Range<usize>),
    Quarantined(Box<QuarantinedRecord>),
}

impl Outputs {
    /// Returns the number of records to write.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the records, in order.
    pub fn iter(&self) -> impl Iterator<Item = Output<'_>> {
        self.entries.iter().map(|entry| Output {
            source_partition: entry.origin.partition,
            source_offset: entry.origin.offset,
            timestamp_ms: entry.origin.timestamp_ms,
            content: match &entry.written {
                OutputContent::Event(envelope, place) => Content::Event {
                    envelope,
                    event: self.events.get(place.clone()).unwrap_or_default(),
                },
                OutputContent::Quarantined(kept) => Content::Quarantined(kept),
            },
        })
    }

    /// Adds the event of a record.
    pub(super) fn push_event(&mut self, origin: Origin, audited: Audited) {
        let start = self.events.len();
        self.events.extend_from_slice(&audited.event);
        let place = start..self.events.len();
        let written = OutputContent::Event(audited.envelope, place);
        self.entries.push(Entry { origin, written });
    }

    /// Adds a record that is kept as it is.
    pub(super) fn push_quarantined(&mut self, origin: Origin, kept: QuarantinedRecord) {
        let written = OutputContent::Quarantined(Box::new(kept));
        self.entries.push(Entry { origin, written });
    }

    /// Restores the order of the input within each partition.
    pub(super) fn sort(&mut self) {
        self.entries.sort_by_key(|entry| (entry.origin.partition, entry.origin.offset));
    }

    /// Drops what came from these partitions. Its events stay in the buffer until it is cleared.
    pub(super) fn forget(&mut self, partitions: &[Partition]) {
        self.entries.retain(|entry| !partitions.contains(&entry.origin.partition));
    }

    /// Clears it. Keeps the memory, unless it has grown unusually large.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.events.clear();
        self.events.shrink_to(KEPT_BYTES_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_is_kept_unless_it_has_grown_unusually_large() {
        let mut outputs = Outputs::default();
        for (bytes, kept) in [(1_000_000, true), (KEPT_BYTES_MAX + 1, false)] {
            outputs.events.reserve_exact(bytes);
            outputs.clear();
            assert_eq!(outputs.events.capacity() >= bytes, kept, "{bytes}");
        }
    }
}
