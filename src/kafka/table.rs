//! Follows the topic of a reference table: reads it whole, without a group, and then whatever is written to
//! it, and publishes what comes of it. What a record says is decided in `pipeline::directory`, who waits
//! for what in `tables`.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use jiff::SignedDuration;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tracing::{info, warn};

use super::client_context::LoggingContext;
use super::ends::EndsFinder;
use super::positions::Positions;
use super::settings;
use crate::config::{Config, TableSource};
use crate::pipeline::directory::packing::Packed;
use crate::pipeline::directory::{
    Device, Directory, Principal, PrincipalKey, RecordProblem, Table, TableChange, TableKey,
    parse_device_record, parse_principal_record,
};
use crate::pipeline::field::Id;
use crate::tables::{SharedTables, TableCounts, TableName, Target};

/// Records that are taken between two looks at who waits.
const MOST_AT_ONCE: usize = 1_000;
/// Longest wait for a record: control records wake nobody, and are seen when it is over.
const IDLE_WAIT: Duration = Duration::from_millis(20);
/// The same while somebody waits for the table.
const URGENT_WAIT: Duration = Duration::from_millis(1);
/// Longest wait for a partition to be read again from where it is.
const SEEK_LIMIT: Duration = Duration::from_secs(2);
/// Look-ups are made at least so often, so that partitions that are added are found.
const LONGEST_HEARTBEAT: Duration = Duration::from_secs(5);
/// Longest time for reading topics once.
const READ_LIMIT: Duration = Duration::from_secs(120);
/// How often progress is logged while a topic is read for the first time.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(3);
/// So many bad records are logged at most in [`COMPLAINT_INTERVAL`]; all are counted.
const MOST_COMPLAINTS: u32 = 10;
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

/// What the follower of a table must know of it.
trait Kind: 'static {
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

struct Principals;

impl Kind for Principals {
    type Key = PrincipalKey;
    type Value = Principal;
    const NAME: TableName = TableName::Principals;

    fn parse(
        key: &[u8],
        value: Option<&[u8]>,
        timestamp_ms: Option<i64>,
    ) -> Result<TableChange<PrincipalKey, Principal>, RecordProblem> {
        parse_principal_record(key, value, timestamp_ms)
    }

    fn put(directory: &mut Directory, table: Table<PrincipalKey, Principal>) {
        directory.principals = table;
    }
}

struct Devices;

impl Kind for Devices {
    type Key = Id;
    type Value = Device;
    const NAME: TableName = TableName::Devices;

    fn parse(
        key: &[u8],
        value: Option<&[u8]>,
        timestamp_ms: Option<i64>,
    ) -> Result<TableChange<Id, Device>, RecordProblem> {
        parse_device_record(key, value, timestamp_ms)
    }

    fn put(directory: &mut Directory, table: Table<Id, Device>) {
        directory.devices = Some(table);
    }
}

/// The tables that topics feed, by configuration.
pub fn followed(config: &Config) -> Vec<TableName> {
    let is_topic = |source: &TableSource| matches!(source, TableSource::Topic(_));
    let principals = is_topic(&config.principals).then_some(TableName::Principals);
    let devices = config.devices.as_ref().is_some_and(is_topic);
    let devices = devices.then_some(TableName::Devices);
    principals.into_iter().chain(devices).collect()
}

/// Reads the topics of these tables once, to their ends; the other tables are empty.
///
/// # Errors
/// What they wait for when they are not read in time.
pub fn read_topics(config: &Config, names: &[TableName]) -> Result<Arc<Directory>, String> {
    let tables = Arc::new(SharedTables::new(
        Directory::default(),
        names,
        config.tables.staleness_limit,
    ));
    follow(config, &tables).map_err(|error| format!("{error:#}"))?;
    let read = tables.await_ready(READ_LIMIT);
    tables.close();
    read.map(|()| tables.load())
}

/// Starts to follow those of the tables that topics feed; ends when the tables are closed.
///
/// # Errors
/// If a client or a thread cannot be made. A broker that does not answer is waited for.
pub fn follow(config: &Config, tables: &Arc<SharedTables>) -> anyhow::Result<Vec<JoinHandle<()>>> {
    let mut threads = Vec::new();
    if let TableSource::Topic(topic) = &config.principals
        && tables.is_followed(TableName::Principals)
    {
        threads.extend(start::<Principals>(config, topic, tables)?);
    }
    if let Some(TableSource::Topic(topic)) = &config.devices
        && tables.is_followed(TableName::Devices)
    {
        threads.extend(start::<Devices>(config, topic, tables)?);
    }
    Ok(threads)
}

fn start<K: Kind>(
    config: &Config,
    topic: &str,
    tables: &Arc<SharedTables>,
) -> anyhow::Result<[JoinHandle<()>; 2]> {
    let name = K::NAME.name();
    let create = |client: ClientConfig| {
        let made = client.create_with_context(LoggingContext);
        made.with_context(|| format!("create a client for {topic:?}"))
    };
    let partitions = Arc::new(AtomicI32::new(0));
    let finder = EndsFinder {
        table: K::NAME,
        topic: topic.to_string(),
        consumer: create(settings::ends_finder(config, &format!("{name}-ends")))?,
        tables: Arc::clone(tables),
        partitions: Arc::clone(&partitions),
        heartbeat: (config.tables.staleness_limit / 3).min(LONGEST_HEARTBEAT),
    };
    let history = SignedDuration::try_from(config.tables.history);
    let consumer: BaseConsumer<LoggingContext> = create(settings::follower(config, name))?;
    let follower = Follower::<K> {
        consumer,
        partitions,
        assigned: 0,
        reader: Reader {
            topic: topic.to_string(),
            tables: Arc::clone(tables),
            table: Table::with_history(history.unwrap_or(SignedDuration::MAX)),
            positions: Positions::default(),
            counts: TableCounts::default(),
            complaints: Complaints::new(),
        },
        changed: false,
        published: None,
        publish_interval: config.tables.publish_interval,
        progress: Progress::new(),
    };
    let spawn = |role: &str, work: Box<dyn FnOnce() + Send>| {
        let thread = std::thread::Builder::new().name(format!("{name}{role}"));
        thread.spawn(work).context("start a thread")
    };
    Ok([
        spawn("-ends", Box::new(|| finder.run()))?,
        spawn("", Box::new(|| follower.run()))?,
    ])
}

/// Reads one topic.
struct Follower<K: Kind> {
    consumer: BaseConsumer<LoggingContext>,
    /// How many partitions the topic has, as far as is known.
    partitions: Arc<AtomicI32>,
    /// How many of them are read.
    assigned: i32,
    reader: Reader<K>,
    /// Whether anything moved since the last snapshot.
    changed: bool,
    /// When the last snapshot was published; none before the topic was read to its end.
    published: Option<Instant>,
    publish_interval: Duration,
    progress: Progress,
}

/// What becomes of the records.
struct Reader<K: Kind> {
    topic: String,
    tables: Arc<SharedTables>,
    table: Table<K::Key, K::Value>,
    positions: Positions,
    counts: TableCounts,
    complaints: Complaints,
}

impl<K: Kind> Follower<K> {
    fn run(mut self) {
        info!(
            table = K::NAME.name(),
            topic = self.reader.topic,
            "reading the table"
        );
        while !self.reader.tables.is_closed() {
            if let Err(error) = self.assign() {
                self.reader.trouble(&error);
            }
            let target = self.reader.tables.target(K::NAME);
            self.drain(self.wait(target.as_ref()));
            if let Some(target) = &target {
                self.prove(target);
            }
            if self.is_due(target.as_ref()) {
                self.publish();
            }
            if self.published.is_none() {
                self.progress.log(K::NAME, &self.reader, target.as_ref());
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

    fn wait(&self, target: Option<&Target>) -> Duration {
        if target.is_some_and(|target| target.urgent) {
            return URGENT_WAIT;
        }
        match self.published {
            Some(published) if self.changed => self
                .publish_interval
                .saturating_sub(published.elapsed())
                .min(IDLE_WAIT),
            _ => IDLE_WAIT,
        }
    }

    /// Takes what is there, waiting for the first record only.
    fn drain(&mut self, mut wait: Duration) {
        let mut idle = false;
        for _ in 0..MOST_AT_ONCE {
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
    fn prove(&mut self, target: &Target) {
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

    fn is_due(&self, target: Option<&Target>) -> bool {
        let reached = |target: &Target| target.urgent && self.reader.positions.cover(&target.ends);
        let overdue = |published: Instant| published.elapsed() >= self.publish_interval;
        target.is_some_and(reached) || self.changed && self.published.is_some_and(overdue)
    }

    fn publish(&mut self) {
        let Reader { tables, table, .. } = &self.reader;
        tables.publish(|directory| K::put(directory, table.clone()));
        tables.reached(K::NAME, self.reader.positions.all());
        if self.published.is_none() {
            self.progress.log_end(K::NAME, &self.reader);
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
        self.positions.read(message.partition(), message.offset());
        match K::parse(key, value, message.timestamp().to_millis()) {
            Ok(TableChange { key, change }) => self.table.apply(key, change),
            Err(problem) => {
                *self
                    .counts
                    .rejected
                    .entry(problem.reason.name())
                    .or_default() += 1;
                self.complaints.log(K::NAME, message, &problem);
            }
        }
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

/// Says how far the first reading is.
struct Progress {
    began: Instant,
    logged: Instant,
}

impl Progress {
    fn new() -> Self {
        let now = Instant::now();
        Progress {
            began: now,
            logged: now,
        }
    }

    fn log<K: Kind>(&mut self, table: TableName, reader: &Reader<K>, target: Option<&Target>) {
        if self.logged.elapsed() < PROGRESS_INTERVAL {
            return;
        }
        self.logged = Instant::now();
        let counts = reader.tables.counts(table);
        let read: i64 = reader.positions.all().values().sum();
        let all: i64 = target.map_or(0, |target| target.ends.values().sum());
        // Offsets that were compacted away count as read when the next record is.
        let percent = (read * 100)
            .checked_div(all)
            .map(|percent| percent.min(100));
        info!(
            table = table.name(),
            records = counts.records,
            bytes = counts.bytes,
            percent,
            "reading the table"
        );
    }

    fn log_end<K: Kind>(&self, table: TableName, reader: &Reader<K>) {
        let counts = reader.tables.counts(table);
        info!(
            table = table.name(),
            records = counts.records,
            bytes = counts.bytes,
            entries = reader.table.len(),
            seconds = self.began.elapsed().as_secs_f64(),
            "the table is ready"
        );
    }
}

/// Logs bad records, but not all of a flood.
struct Complaints {
    since: Instant,
    count: u32,
}

impl Complaints {
    fn new() -> Self {
        Complaints {
            since: Instant::now(),
            count: 0,
        }
    }

    fn log(&mut self, table: TableName, message: &BorrowedMessage<'_>, problem: &RecordProblem) {
        if self.since.elapsed() >= COMPLAINT_INTERVAL {
            *self = Complaints::new();
        }
        self.count += 1;
        if self.count > MOST_COMPLAINTS {
            return;
        }
        warn!(
            table = table.name(),
            topic = message.topic(),
            partition = message.partition(),
            offset = message.offset(),
            reason = problem.reason.name(),
            last_of_these = self.count == MOST_COMPLAINTS,
            "bad table record, the version before it stays: {problem}"
        );
    }
}
