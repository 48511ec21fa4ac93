//! Reads the topic of a reference table, first to its end and then forever, and publishes snapshots
//! of the table: at intervals, and at once when a worker waits at the read barrier.

mod assigning;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use jiff::Timestamp;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::Offset;

use super::blocked_partitions::BlockedPartitions;
use super::positions::Positions;
use super::reading_log::{Progress, RejectLog};
use crate::kafka::client::context::PlainContext;
use crate::kafka::native::{NativeRecord, QueuedConsumer};
use crate::tables::{EndOffsets, Reading, TableCounts, TableName, TableStore};
use audit_judge::reference::packing::Packed;
use audit_judge::reference::{
    Oddities, RecordProblem, ReferenceTables, Table, TableChange, TableKey, TableWriter,
    unreadable_record,
};

/// Most records to read before checking for a waiting worker.
const PUBLISH_RECORDS_MAX: usize = 1_000;
/// Longest wait for a record. Control records do not end the wait; they are noticed after it.
const IDLE_WAIT: Duration = Duration::from_millis(20);
/// The same while a worker waits for the table.
const URGENT_WAIT: Duration = Duration::from_millis(1);

/// What a follower needs to know about its table.
pub(in crate::kafka) trait FollowedTable: 'static {
    type Key: TableKey;
    type Value: Packed;
    const NAME: TableName;

    fn parse(
        key: &[u8],
        value: Option<&[u8]>,
        timestamp_ms: Option<i64>,
        oddities: &mut Oddities,
    ) -> Result<TableChange<Self::Key, Self::Value>, RecordProblem>;

    fn put(reference: &mut ReferenceTables, table: Table<Self::Key, Self::Value>);
}

/// Follows one topic.
pub(in crate::kafka) struct Follower<K: FollowedTable> {
    consumer: QueuedConsumer<PlainContext>,
    reader: TableReader<K>,
    /// Whether a position moved since the last snapshot.
    changed: bool,
    /// The end offsets that the snapshot has not reached.
    target: Option<EndOffsets>,
    /// When the last snapshot was published; `None` before the topic was first read to its end.
    published: Option<Instant>,
    publish_interval: Duration,
    progress: Progress,
}

/// The table, and the state of its partitions.
struct TableReader<K: FollowedTable> {
    topic: String,
    /// The number of this reading of the topic.
    reading: Reading,
    /// How many partitions are assigned.
    assigned: i32,
    blocked: BlockedPartitions,
    tables: Arc<TableStore>,
    table: TableWriter<K::Key, K::Value>,
    positions: Positions,
    counts: TableCounts,
    reject_log: RejectLog,
    /// When the current records were read, or a moment before.
    now: Timestamp,
    /// Whether a record is missing in the table. Reading then stops for good: the table would
    /// never be complete, and must not look complete.
    is_broken: bool,
}

impl<K: FollowedTable> Follower<K> {
    /// Creates a follower that reads `topic` into `table`, which is empty.
    ///
    /// # Errors
    /// Fails if there is no memory for the record queue.
    pub(super) fn new(
        consumer: BaseConsumer<PlainContext>,
        topic: String,
        tables: Arc<TableStore>,
        table: TableWriter<K::Key, K::Value>,
        reading: Reading,
        publish_interval: Duration,
    ) -> anyhow::Result<Self> {
        let consumer = QueuedConsumer::new(consumer).context("no memory for the record queue")?;
        let progress = Progress::start(K::NAME, &topic);
        // Publish the empty table: records of a deleted topic must no longer decide anything, and
        // their memory is needed.
        tables.publish(|reference| K::put(reference, table.snapshot()));
        Ok(Follower {
            consumer,
            reader: TableReader {
                topic,
                reading,
                assigned: 0,
                blocked: BlockedPartitions::default(),
                tables,
                table,
                positions: Positions::default(),
                counts: TableCounts::default(),
                reject_log: RejectLog::new(),
                now: Timestamp::now(),
                is_broken: false,
            },
            changed: false,
            target: None,
            published: None,
            publish_interval,
            progress,
        })
    }

    /// Runs until the tables are closed, or the topic is to be read again. Returns the new reading
    /// in that case.
    pub(super) fn run(mut self) -> Option<Reading> {
        while !self.reader.tables.is_closed() && !self.reader.is_broken {
            let assignment = self.reader.tables.assignment(K::NAME);
            if assignment.reading != self.reader.reading {
                return Some(assignment.reading);
            }
            self.assign(assignment.partitions);
            self.serve();
            self.drain(self.wait());
            // Read after the wait, during which a worker may have asked.
            self.target = self.reader.tables.target(K::NAME);
            if self.is_due() {
                self.publish();
            }
            if self.published.is_none() {
                let counts = self.reader.tables.counts(K::NAME);
                let positions = self.reader.positions.all();
                self.progress.log(&counts, positions, self.target.as_ref());
            }
        }
        None
    }

    /// Returns how long to wait for a record. A barrier request does not wake this thread, so it
    /// polls briefly while unpublished records exist.
    fn wait(&self) -> Duration {
        let is_urgent = self.target.as_ref().is_some_and(|target| target.urgent);
        if is_urgent || self.changed { URGENT_WAIT } else { IDLE_WAIT }
    }

    /// Serves the client's main queue. Only the client's own events arrive there, since records are
    /// forwarded to the record queue.
    fn serve(&mut self) {
        match self.consumer.poll(Duration::ZERO) {
            None => {}
            Some(Ok(_)) => self
                .reader
                .fail("the client returned a record on the main queue instead of the record queue"),
            Some(Err(error)) => self.reader.report_error(&error),
        }
    }

    /// Reads the available records. Waits for the first one only.
    fn drain(&mut self, mut wait: Duration) {
        let mut idle = false;
        self.reader.now = Timestamp::now();
        for _ in 0..PUBLISH_RECORDS_MAX {
            if self.reader.is_broken {
                return;
            }
            let Some(taken) = self.consumer.take(wait) else {
                idle = true;
                break;
            };
            self.reader.handle(taken.item(), &self.consumer);
            wait = Duration::ZERO;
        }
        // The client skips control records silently, and reports the partition EOF only after
        // another fetch, so use its position.
        if idle && let Ok(list) = self.consumer.position() {
            for element in list.elements() {
                let partition = element.partition();
                if let Offset::Offset(next) = element.offset()
                    && !self.reader.blocked.is_blocked(partition)
                {
                    self.reader.positions.advance(partition, next);
                }
            }
        }
        self.changed |= self.reader.positions.take_changed();
        self.reader.report_counts();
    }

    fn is_due(&self) -> bool {
        let is_reached =
            |target: &EndOffsets| target.urgent && self.reader.positions.cover(&target.ends);
        let is_overdue = |published: Instant| published.elapsed() >= self.publish_interval;
        self.target.as_ref().is_some_and(is_reached)
            || self.changed && self.published.is_some_and(is_overdue)
    }

    fn publish(&mut self) {
        let TableReader { tables, table, reading, .. } = &self.reader;
        tables.publish(|reference| K::put(reference, table.snapshot()));
        tables.reached(K::NAME, *reading, self.reader.positions.all());
        if self.published.is_none() {
            let counts = tables.counts(K::NAME);
            self.progress.log_ready(&counts, table.len());
        }
        self.published = Some(Instant::now());
        self.changed = false;
    }
}

impl<K: FollowedTable> TableReader<K> {
    fn apply(&mut self, record: &NativeRecord<'_>) {
        let (key, value) = (record.key().unwrap_or_default(), record.payload());
        self.counts.records += 1;
        self.counts.bytes += (key.len() + value.map_or(0, <[u8]>::len)) as u64;
        let time = record.timestamp_ms();
        let change = match K::parse(key, value, time, self.table.oddities_mut()) {
            Ok(change) => Some(change),
            Err(problem) => {
                let count = self.counts.rejected.entry(problem.reason.name());
                *count.or_default() += 1;
                self.reject_log.log(K::NAME, &self.topic, record, &problem);
                unreadable_record(key, time, self.now)
            }
        };
        match change.map(|change| self.table.apply(change.read_at(self.now))) {
            None | Some(Ok(0)) => {}
            Some(Ok(dropped)) => {
                self.counts.versions_dropped += dropped as u64;
                self.reject_log.log_dropped(K::NAME, &self.topic, key);
            }
            Some(Err(full)) => return self.fail(full),
        }
        self.positions.read(record.partition(), record.offset());
    }

    fn report_counts(&mut self) {
        if self.counts.records == 0 {
            return;
        }
        let counts = std::mem::take(&mut self.counts);
        self.tables.count(K::NAME, |total| {
            total.records += counts.records;
            total.bytes += counts.bytes;
            total.versions_dropped += counts.versions_dropped;
            for (reason, count) in counts.rejected {
                *total.rejected.entry(reason).or_default() += count;
            }
        });
    }

    fn fail(&mut self, cause: impl fmt::Display) {
        self.is_broken = true;
        let topic = &self.topic;
        let cause = format!("stopped reading {topic:?}: {cause}");
        self.tables.ended(K::NAME, cause);
    }

    fn report_error(&self, error: &dyn fmt::Display) {
        let topic = &self.topic;
        self.tables.trouble(K::NAME, format!("cannot read {topic:?}: {error}"));
    }
}
