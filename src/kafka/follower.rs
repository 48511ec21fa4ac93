//! Reads the topic of a reference table, first to its end and then for ever, and publishes what comes of
//! it: now and then by itself, and at once when somebody waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client_context::LoggingContext;
use super::positions::Positions;
use super::reading_log::{Complaints, Progress};
use crate::pipeline::directory::packing::Packed;
use crate::pipeline::directory::{
    Directory, RecordProblem, Table, TableChange, TableKey, TableWriter,
};
use crate::tables::{SharedTables, TableCounts, TableName, Target};

/// Records that are taken between two looks at who waits.
const MOST_AT_ONCE: usize = 1_000;
/// Longest wait for a record: control records wake nobody, and are seen when it is over.
const IDLE_WAIT: Duration = Duration::from_millis(20);
/// The same while somebody waits for the table.
const URGENT_WAIT: Duration = Duration::from_millis(1);
/// Longest wait for a partition to be read again from where it is.
const SEEK_LIMIT: Duration = Duration::from_secs(2);

/// What the follower of a table must know of it.
pub(super) trait Kind: 'static {
    type Key: TableKey;
    type Value: Packed;
    const NAME: TableName;

    fn parse(
        key: &[u8],
        value: Option<&[u8]>,
        timestamp_ms: Option<i64>,
    ) -> Result<TableChange<Self::Key, Self::Value>, RecordProblem>;

    fn put(directory: &mut Directory, table: Table<Self::Key, Self::Value>);
}

/// Reads one topic.
pub(super) struct Follower<K: Kind> {
    consumer: BaseConsumer<LoggingContext>,
    /// How many partitions the topic has, as far as is known.
    partitions: Arc<AtomicI32>,
    /// How many of them are read.
    assigned: i32,
    reader: Reader<K>,
    /// Whether anything moved since the last snapshot.
    changed: bool,
    /// The ends that the snapshot has not reached.
    target: Option<Target>,
    /// When the last snapshot was published; none before the topic was read to its end.
    published: Option<Instant>,
    publish_interval: Duration,
    progress: Progress,
}

/// What becomes of the records.
struct Reader<K: Kind> {
    topic: String,
    tables: Arc<SharedTables>,
    table: TableWriter<K::Key, K::Value>,
    positions: Positions,
    counts: TableCounts,
    complaints: Complaints,
    /// The table could not take a record. Nothing is read any more: the table would never be complete, and so it
    /// is not to look complete.
    is_full: bool,
}

impl<K: Kind> Follower<K> {
    /// Reads `topic` into `table`, which is empty.
    pub fn new(
        consumer: BaseConsumer<LoggingContext>,
        topic: String,
        tables: Arc<SharedTables>,
        table: TableWriter<K::Key, K::Value>,
        partitions: Arc<AtomicI32>,
        publish_interval: Duration,
    ) -> Self {
        let progress = Progress::begin(K::NAME, &topic);
        Follower {
            consumer,
            partitions,
            assigned: 0,
            reader: Reader {
                topic,
                tables,
                table,
                positions: Positions::default(),
                counts: TableCounts::default(),
                complaints: Complaints::new(),
                is_full: false,
            },
            changed: false,
            target: None,
            published: None,
            publish_interval,
            progress,
        }
    }

    /// Works until the tables are closed.
    pub fn run(mut self) {
        while !self.reader.tables.is_closed() && !self.reader.is_full {
            if let Err(error) = self.assign() {
                self.reader.trouble(&error);
            }
            self.drain(self.wait());
            // Looked at after the wait, in which somebody may have asked.
            self.target = self.reader.tables.target(K::NAME);
            self.prove();
            if self.is_due() {
                self.publish();
            }
            if self.published.is_none() {
                let counts = self.reader.tables.counts(K::NAME);
                let positions = self.reader.positions.all();
                self.progress.log(&counts, positions, self.target.as_ref());
            }
        }
    }

    /// Reads partitions that the topic was found to have, from their beginning.
    fn assign(&mut self) -> KafkaResult<()> {
        let count = self.partitions.load(Ordering::Acquire);
        if count <= self.assigned {
            return Ok(());
        }
        let mut list = TopicPartitionList::new();
        for partition in self.assigned..count {
            list.add_partition_offset(&self.reader.topic, partition, Offset::Beginning)?;
        }
        self.consumer.incremental_assign(&list)?;
        self.assigned = count;
        Ok(())
    }

    /// Whoever asks does not wake us: what was read and not published yet, they would wait for in vain.
    fn wait(&self) -> Duration {
        let is_awaited = self.target.as_ref().is_some_and(|target| target.urgent);
        if is_awaited || self.changed {
            URGENT_WAIT
        } else {
            IDLE_WAIT
        }
    }

    /// Takes what is there, waiting for the first record only.
    fn drain(&mut self, mut wait: Duration) {
        let mut idle = false;
        for _ in 0..MOST_AT_ONCE {
            if self.reader.is_full {
                return;
            }
            match self.consumer.poll(wait) {
                None => {
                    idle = true;
                    break;
                }
                Some(Ok(message)) => self.reader.take(&message),
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    self.reader.positions.met_end(partition, Instant::now());
                }
                Some(Err(error)) => self.reader.trouble(&error),
            }
            wait = Duration::ZERO;
        }
        // The client's positions count control records as well, which are not handed out.
        if idle && let Ok(list) = self.consumer.position() {
            for element in list.elements() {
                if let Offset::Offset(next) = element.offset() {
                    self.reader.positions.advance(element.partition(), next);
                }
            }
        }
        self.changed |= self.reader.positions.take_changed();
        self.reader.report_counts();
    }

    /// Offsets before an end can be empty, without even a control record. That nothing is left there is
    /// known once the partition, read again from where it is, reports its end anew.
    fn prove(&mut self) {
        let Some(target) = &self.target else {
            return;
        };
        let doubtful = self.reader.positions.doubtful(&target.ends, Instant::now());
        for (partition, end) in doubtful {
            let from = match self.reader.positions.of(partition) {
                Some(next) => Offset::Offset(next),
                None => Offset::Beginning,
            };
            let topic = &self.reader.topic;
            match self.consumer.seek(topic, partition, from, SEEK_LIMIT) {
                Ok(()) => self.reader.positions.reads_again(partition, end),
                Err(error) => self.reader.trouble(&error),
            }
        }
    }

    fn is_due(&self) -> bool {
        let reached = |target: &Target| target.urgent && self.reader.positions.cover(&target.ends);
        let overdue = |published: Instant| published.elapsed() >= self.publish_interval;
        self.target.as_ref().is_some_and(reached)
            || self.changed && self.published.is_some_and(overdue)
    }

    fn publish(&mut self) {
        let Reader { tables, table, .. } = &self.reader;
        tables.publish(|directory| K::put(directory, table.snapshot()));
        tables.reached(K::NAME, self.reader.positions.all());
        if self.published.is_none() {
            let counts = tables.counts(K::NAME);
            self.progress.log_end(&counts, table.len());
        }
        self.published = Some(Instant::now());
        self.changed = false;
    }
}

impl<K: Kind> Reader<K> {
    fn take(&mut self, message: &BorrowedMessage<'_>) {
        let (key, value) = (message.key().unwrap_or_default(), message.payload());
        self.counts.records += 1;
        self.counts.bytes += (key.len() + value.map_or(0, <[u8]>::len)) as u64;
        match K::parse(key, value, message.timestamp().to_millis()) {
            Ok(change) => {
                if let Err(full) = self.table.apply(change) {
                    self.is_full = true;
                    let topic = &self.topic;
                    let trouble = format!("cannot follow {topic:?} any more: {full}");
                    self.tables.trouble(K::NAME, trouble);
                    return;
                }
            }
            Err(problem) => {
                let count = self.counts.rejected.entry(problem.reason.name());
                *count.or_default() += 1;
                self.complaints.log(K::NAME, message, &problem);
            }
        }
        self.positions.read(message.partition(), message.offset());
    }

    fn report_counts(&mut self) {
        if self.counts.records == 0 {
            return;
        }
        let counts = std::mem::take(&mut self.counts);
        self.tables.count(K::NAME, |total| {
            total.records += counts.records;
            total.bytes += counts.bytes;
            for (reason, count) in counts.rejected {
                *total.rejected.entry(reason).or_default() += count;
            }
        });
    }

    fn trouble(&self, error: &KafkaError) {
        let topic = &self.topic;
        self.tables
            .trouble(K::NAME, format!("cannot read {topic:?}: {error}"));
    }
}
