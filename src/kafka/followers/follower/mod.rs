//! Reads the topic of a reference table, first to its end and then for ever, and publishes what
//! comes of it: now and then by itself, and at once when somebody waits.

mod assigning;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use jiff::Timestamp;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::Offset;

use super::obstacles::Obstacles;
use super::positions::Positions;
use super::reading_log::{Complaints, Progress};
use crate::kafka::client::context::PlainContext;
use crate::kafka::native::{NativeRecord, QueuedConsumer};
use crate::tables::{EndOffsets, Reading, SharedTables, TableCounts, TableName};
use audit_judge::reference::packing::Packed;
use audit_judge::reference::{
    Directory, Oddities, RecordProblem, Table, TableChange, TableKey, TableWriter,
    unreadable_record,
};

/// Records that are taken between two looks at who waits.
const PUBLISH_RECORDS_MAX: usize = 1_000;
/// Longest wait for a record: control records wake nobody, and are seen when it is over.
const IDLE_WAIT: Duration = Duration::from_millis(20);
/// The same while somebody waits for the table.
const URGENT_WAIT: Duration = Duration::from_millis(1);

/// What the follower of a table must know of it.
pub(in crate::kafka) trait Kind: 'static {
    type Key: TableKey;
    type Value: Packed;
    const NAME: TableName;

    fn parse(
        key: &[u8],
        value: Option<&[u8]>,
        timestamp_ms: Option<i64>,
        oddities: &mut Oddities,
    ) -> Result<TableChange<Self::Key, Self::Value>, RecordProblem>;

    fn put(directory: &mut Directory, table: Table<Self::Key, Self::Value>);
}

/// Reads one topic.
pub(in crate::kafka) struct Follower<K: Kind> {
    consumer: QueuedConsumer<PlainContext>,
    reader: Reader<K>,
    /// Whether anything moved since the last snapshot.
    changed: bool,
    /// The ends that the snapshot has not reached.
    target: Option<EndOffsets>,
    /// When the last snapshot was published; none before the topic was read to its end.
    published: Option<Instant>,
    publish_interval: Duration,
    progress: Progress,
}

/// What becomes of the records.
struct Reader<K: Kind> {
    topic: String,
    /// Which reading of the topic this is.
    reading: Reading,
    /// How many partitions are read.
    assigned: i32,
    obstacles: Obstacles,
    tables: Arc<SharedTables>,
    table: TableWriter<K::Key, K::Value>,
    positions: Positions,
    counts: TableCounts,
    complaints: Complaints,
    /// When the records that are taken now were read, or a moment before.
    now: Timestamp,
    /// A record is missing in the table. Nothing is read any more: the table would never be
    /// complete, and so it is not to look complete.
    is_broken: bool,
}

impl<K: Kind> Follower<K> {
    /// Reads `topic` into `table`, which is empty.
    ///
    /// # Errors
    /// If the client has no queue for records.
    pub(super) fn new(
        consumer: BaseConsumer<PlainContext>,
        topic: String,
        tables: Arc<SharedTables>,
        table: TableWriter<K::Key, K::Value>,
        reading: Reading,
        publish_interval: Duration,
    ) -> anyhow::Result<Self> {
        let consumer = QueuedConsumer::new(consumer).context("no queue for records")?;
        let progress = Progress::begin(K::NAME, &topic);
        // What was read of a topic that is gone decides nothing any more, and its memory is needed.
        tables.publish(|directory| K::put(directory, table.snapshot()));
        Ok(Follower {
            consumer,
            reader: Reader {
                topic,
                reading,
                assigned: 0,
                obstacles: Obstacles::default(),
                tables,
                table,
                positions: Positions::default(),
                counts: TableCounts::default(),
                complaints: Complaints::new(),
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

    /// Works until the tables are closed, or the topic is to be read anew: then it returns the
    /// reading that counts.
    pub(super) fn run(mut self) -> Option<Reading> {
        while !self.reader.tables.is_closed() && !self.reader.is_broken {
            let assignment = self.reader.tables.assignment(K::NAME);
            if assignment.reading != self.reader.reading {
                return Some(assignment.reading);
            }
            self.assign(assignment.partitions);
            self.serve();
            self.drain(self.wait());
            // Looked at after the wait, in which somebody may have asked.
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

    /// Whoever asks does not wake us: what was read and not published yet, they would wait for in
    /// vain.
    fn wait(&self) -> Duration {
        let is_awaited = self.target.as_ref().is_some_and(|target| target.urgent);
        if is_awaited || self.changed { URGENT_WAIT } else { IDLE_WAIT }
    }

    /// Serves the client's main queue, on which nothing but its own events arrives: records were
    /// led elsewhere.
    fn serve(&mut self) {
        match self.consumer.poll(Duration::ZERO) {
            None => {}
            Some(Ok(_)) => self.reader.fail("a record came by the wrong queue"),
            Some(Err(error)) => self.reader.trouble(&error),
        }
    }

    /// Takes what is there, waiting for the first record only.
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
            self.reader.hear(taken.item(), &self.consumer);
            wait = Duration::ZERO;
        }
        // The client passes control records without a word, and says that it is at the end only
        // after another fetch.
        if idle && let Ok(list) = self.consumer.position() {
            for element in list.elements() {
                let partition = element.partition();
                if let Offset::Offset(next) = element.offset()
                    && !self.reader.obstacles.is_stopped(partition)
                {
                    self.reader.positions.advance(partition, next);
                }
            }
        }
        self.changed |= self.reader.positions.take_changed();
        self.reader.report_counts();
    }

    fn is_due(&self) -> bool {
        let reached =
            |target: &EndOffsets| target.urgent && self.reader.positions.cover(&target.ends);
        let overdue = |published: Instant| published.elapsed() >= self.publish_interval;
        self.target.as_ref().is_some_and(reached)
            || self.changed && self.published.is_some_and(overdue)
    }

    fn publish(&mut self) {
        let Reader { tables, table, reading, .. } = &self.reader;
        tables.publish(|directory| K::put(directory, table.snapshot()));
        tables.reached(K::NAME, *reading, self.reader.positions.all());
        if self.published.is_none() {
            let counts = tables.counts(K::NAME);
            self.progress.log_end(&counts, table.len());
        }
        self.published = Some(Instant::now());
        self.changed = false;
    }
}

impl<K: Kind> Reader<K> {
    fn take(&mut self, record: &NativeRecord<'_>) {
        let (key, value) = (record.key().unwrap_or_default(), record.payload());
        self.counts.records += 1;
        self.counts.bytes += (key.len() + value.map_or(0, <[u8]>::len)) as u64;
        let time = record.timestamp_ms();
        let change = match K::parse(key, value, time, self.table.oddities_mut()) {
            Ok(change) => Some(change),
            Err(problem) => {
                let count = self.counts.rejected.entry(problem.reason.name());
                *count.or_default() += 1;
                self.complaints.log(K::NAME, &self.topic, record, &problem);
                unreadable_record(key, time, self.now)
            }
        };
        match change.map(|change| self.table.apply(change.read_at(self.now))) {
            None | Some(Ok(0)) => {}
            Some(Ok(dropped)) => {
                self.counts.versions_dropped += dropped as u64;
                self.complaints.log_dropped(K::NAME, &self.topic, key);
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
        let cause = format!("cannot follow {topic:?} any more: {cause}");
        self.tables.ended(K::NAME, cause);
    }

    fn trouble(&self, error: &dyn fmt::Display) {
        let topic = &self.topic;
        self.tables.trouble(K::NAME, format!("cannot read {topic:?}: {error}"));
    }
}
