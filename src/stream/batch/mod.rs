//! A batch: the judged records of one transaction, and their counts. It can forget partitions that
//! were revoked. It does not know how it is published.

use std::collections::BTreeMap;
use std::time::Duration;

use super::broker::Gap;
use super::kept_record::{KeptRecord, QuarantinedRecord, RecordLimit};
use super::outputs::{Content, Origin, Outputs};
use super::record::{Partition, Position, SourceRecord};
use super::unlisted::UnlistedNames;
use audit_judge::fate::{Fate, FateKind};

/// When a batch is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// At this many input records.
    pub max_records: usize,
    /// At this many bytes to be written.
    pub max_bytes: usize,
    /// This long after its first record arrived.
    pub max_age: Duration,
}

/// Records that were judged and wait to be committed together.
#[derive(Debug, Default)]
pub struct Batch {
    outputs: Outputs,
    deferred: Vec<DeferredRecord>,
    partitions: BTreeMap<Partition, PartitionTally>,
    records: usize,
    bytes: usize,
    began: Option<Duration>,
    /// The size beyond which quarantined records are stubs.
    limit: RecordLimit,
}

/// What a batch holds of one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartitionTally {
    /// Records read.
    pub read: u64,
    /// Fates, each kind at its [`FateKind::index`]; their sum is `read`.
    pub fates: [u64; FateKind::COUNT],
    /// Of the quarantined ones, those that are stubs.
    pub stubs: u64,
    /// The offset of the first record, if there is one.
    pub first_offset: Option<i64>,
    /// The offset after the last record.
    pub next_offset: i64,
    /// Leader epoch of the last record.
    pub leader_epoch: Option<i32>,
    /// Timestamp of the last record, in milliseconds since 1970.
    pub last_timestamp_ms: Option<i64>,
    /// Whether the last record was the partition's last when it was read.
    pub at_end: bool,
    /// Offsets before `next_offset` that will never be read.
    pub gaps: Vec<Gap>,
    /// Event names of skipped records that the catalogue may lack.
    pub unlisted: UnlistedNames,
}

/// A record that is kept whole, because its fate is not final.
#[derive(Debug)]
struct DeferredRecord {
    origin: Origin,
    original: KeptRecord,
}

impl PartitionTally {
    /// Returns whether the position is committed once more and nothing else: no progress.
    pub fn is_silent(&self) -> bool {
        self.read == 0 && self.gaps.is_empty()
    }
}

impl Batch {
    /// Adds a judged record.
    pub fn add(&mut self, record: &SourceRecord<'_>, fate: Fate) {
        let tally = self.read(record);
        tally.fates[fate.kind().index()] += 1;
        let limit = self.limit;
        self.write(record.into(), fate, || KeptRecord::within(record, limit));
    }

    /// Adds a record whose fate is not final, to be judged after the read barrier.
    pub fn defer(&mut self, record: &SourceRecord<'_>) {
        self.read(record);
        let original = KeptRecord::from(record);
        self.bytes += original.bytes();
        let origin = Origin::from(record);
        self.deferred.push(DeferredRecord { origin, original });
    }

    /// Returns whether records wait for the read barrier.
    pub fn has_deferred(&self) -> bool {
        !self.deferred.is_empty()
    }

    /// Judges the deferred records, and restores the order of the outputs within each partition, as
    /// if all fates had been final at once.
    pub fn judge_deferred(&mut self, judge: impl Fn(Option<&[u8]>) -> Fate) {
        if !self.has_deferred() {
            return;
        }
        for DeferredRecord { origin, original } in std::mem::take(&mut self.deferred) {
            let fate = judge(original.payload.as_deref());
            if let Some(tally) = self.partitions.get_mut(&origin.partition) {
                tally.fates[fate.kind().index()] += 1;
            }
            let limit = self.limit;
            self.write(origin, fate, || original.cut_to(limit));
        }
        self.outputs.sort();
    }

    fn read(&mut self, record: &SourceRecord<'_>) -> &mut PartitionTally {
        self.records += 1;
        let tally = self.partitions.entry(record.partition);
        let tally = tally.or_default();
        tally.read += 1;
        tally.first_offset.get_or_insert(record.offset);
        tally.next_offset = record.offset + 1;
        tally.leader_epoch = record.leader_epoch;
        tally.last_timestamp_ms = record.timestamp_ms;
        tally.at_end = false;
        tally
    }

    fn write(&mut self, origin: Origin, fate: Fate, original: impl FnOnce() -> KeptRecord) {
        match fate {
            Fate::Audited(audited) => {
                self.bytes += audited.event.len();
                self.outputs.push_event(origin, audited);
            }
            Fate::Skipped(skip) => {
                let tally = self.partitions.get_mut(&origin.partition);
                if let (Some(name), Some(tally)) = (skip.unlisted_name, tally) {
                    tally.unlisted.note(name);
                }
            }
            Fate::Quarantined(quarantine) => {
                let original = original();
                self.bytes += original.bytes();
                if original.stub.is_some()
                    && let Some(tally) = self.partitions.get_mut(&origin.partition)
                {
                    tally.stubs += 1;
                }
                let kept = QuarantinedRecord { original, quarantine };
                self.outputs.push_quarantined(origin, kept);
            }
        }
    }

    /// Notes that the end of a partition was reached. Returns whether the batch holds records of
    /// it: then the partition is at its end only once they are committed.
    pub fn reached_end(&mut self, partition: Partition) -> bool {
        let tally = self.partitions.get_mut(&partition);
        tally.map(|tally| tally.at_end = true).is_some()
    }

    /// Adds offsets that will never be read. They are committed even if no record follows, so that
    /// they are counted once.
    pub fn pass(&mut self, partition: Partition, gap: Gap) {
        let tally = self.partitions.entry(partition).or_default();
        tally.next_offset = tally.next_offset.max(gap.offsets.end);
        tally.gaps.push(gap);
    }

    /// Adds a partition of which nothing was read, so that its position is committed once more.
    pub fn touch(&mut self, position: &Position) {
        let tally = self.partitions.entry(position.partition).or_default();
        tally.next_offset = position.next_offset;
        tally.leader_epoch = position.leader_epoch;
    }

    /// Drops everything from these partitions: another member reads them now, from the committed
    /// position on.
    pub fn forget(&mut self, partitions: &[Partition]) {
        for partition in partitions {
            if let Some(tally) = self.partitions.remove(partition) {
                self.records = self.records.saturating_sub(tally.read as usize);
            }
        }
        self.outputs.forget(partitions);
        self.deferred.retain(|record| !partitions.contains(&record.origin.partition));
        if self.is_empty() {
            self.clear();
        }
    }

    /// Clears it, keeping the memory.
    pub fn clear(&mut self) {
        self.outputs.clear();
        self.deferred.clear();
        self.partitions.clear();
        self.records = 0;
        self.bytes = 0;
        self.began = None;
    }

    /// Sets the size beyond which quarantined records are stubs, from now on.
    pub fn set_limit(&mut self, limit: RecordLimit) {
        self.limit = limit;
    }

    /// Returns a lower limit for quarantined records, after the topic refused the only record of
    /// this batch. `None` if that is not a quarantined record, or is as small as a stub can be.
    pub fn lowered_limit(&self) -> Option<RecordLimit> {
        let mut outputs = self.outputs.iter();
        match (outputs.next()?.content, outputs.next()) {
            (Content::Quarantined(kept), None) if self.records == 1 => {
                self.limit.lowered(&kept.original)
            }
            _ => None,
        }
    }

    /// Returns whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// Returns the number of input records.
    pub fn records(&self) -> usize {
        self.records
    }

    /// Returns the bytes to be written, as far as they are counted.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the records to be written, in the order of the input.
    pub fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    /// Returns the tallies by partition.
    pub fn partitions(&self) -> &BTreeMap<Partition, PartitionTally> {
        &self.partitions
    }

    /// Returns the positions to commit.
    pub fn positions(&self) -> Vec<Position> {
        let position = |(partition, tally): (&Partition, &PartitionTally)| Position {
            partition: *partition,
            next_offset: tally.next_offset,
            leader_epoch: tally.leader_epoch,
            metadata: String::new(),
        };
        self.partitions.iter().map(position).collect()
    }

    /// Notes when the first record arrived. Does nothing while the batch is empty, or if that is
    /// known already.
    pub fn begin(&mut self, now: impl FnOnce() -> Duration) {
        if self.began.is_none() && !self.is_empty() {
            self.began = Some(now());
        }
    }

    /// Returns the time since the first record arrived.
    pub fn age(&self, now: Duration) -> Duration {
        self.began.map_or(Duration::ZERO, |began| now.saturating_sub(began))
    }

    /// Returns how many more records fit, at least one.
    pub fn room(&self, limits: &BatchLimits) -> usize {
        limits.max_records.saturating_sub(self.records).max(1)
    }

    /// Returns whether a limit on records or bytes is reached.
    pub fn is_full(&self, limits: &BatchLimits) -> bool {
        self.records >= limits.max_records || self.bytes >= limits.max_bytes
    }

    /// Returns how long to wait for more records before the batch is due: zero if it is due, `None`
    /// while it is empty.
    pub fn time_left(&self, limits: &BatchLimits, now: Duration) -> Option<Duration> {
        let began = self.began?;
        if self.is_full(limits) {
            return Some(Duration::ZERO);
        }
        Some((began + limits.max_age).saturating_sub(now))
    }
}

#[cfg(test)]
mod tests;
