//! Writes records to topics and reads them back, complete and in order, or fails the test with the
//! reason. For tests of a topic's content; a test of client behaviour builds its own client.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{
    BaseProducer, BaseRecord, DefaultProducerContext, DeliveryResult, Producer, ProducerContext,
    ThreadedProducer,
};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use crate::admin::{partitions, reader};
use crate::random::Random;
use crate::{REQUEST_MAX, client_config, or_fail};

/// A transactional producer. The test decides what it writes and whether it commits.
pub type Transactional = ThreadedProducer<DefaultProducerContext>;

/// Creates a transactional producer, which fences every other one with its id. The broker aborts
/// its transactions after `timeout`.
#[track_caller]
pub fn transactional(bootstrap: &str, id: &str, timeout: Duration) -> Transactional {
    let mut config = client_config(bootstrap);
    config
        .set("transactional.id", id)
        .set("transaction.timeout.ms", timeout.as_millis().to_string());
    let producer: Transactional = config.create().expect("a producer");
    producer.init_transactions(REQUEST_MAX).expect("initialised");
    producer
}

/// A record's headers, in order; names may repeat.
pub type HeaderList = Vec<(String, Option<Vec<u8>>)>;

/// A record to write. Without a partition, the key selects one as Java's producers do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestRecord {
    pub partition: Option<i32>,
    pub key: Option<Vec<u8>>,
    /// `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    pub headers: HeaderList,
    /// Milliseconds since 1970; `None` is now.
    pub timestamp: Option<i64>,
}

/// A record as a consumer saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: HeaderList,
    /// Milliseconds since 1970.
    pub timestamp: Option<i64>,
}

impl From<&Seen> for TestRecord {
    /// The same record once more, in a partition of the same number.
    fn from(seen: &Seen) -> Self {
        TestRecord {
            partition: Some(seen.partition),
            key: seen.key.clone(),
            value: seen.value.clone(),
            headers: seen.headers.clone(),
            timestamp: seen.timestamp,
        }
    }
}

/// Returns this many incompressible bytes, always the same.
pub fn noise(bytes: usize) -> Vec<u8> {
    let random = Random::new(7);
    (0..bytes).map(|_| (random.next() >> 56) as u8).collect()
}

/// Writes the records in order, each exactly once. Returns their number when all are acknowledged.
#[track_caller]
pub fn produce(bootstrap: &str, topic: &str, records: impl Iterator<Item = TestRecord>) -> usize {
    produce_compressed(bootstrap, topic, "none", records)
}

/// Does the same with this compression codec.
#[track_caller]
pub fn produce_compressed(
    bootstrap: &str,
    topic: &str,
    codec: &str,
    records: impl Iterator<Item = TestRecord>,
) -> usize {
    or_fail(try_produce(bootstrap, topic, codec, records), format_args!("produce to {topic}"))
}

/// Returns all committed records of the topic, by partition and offset. An open transaction hides
/// everything after its first record.
#[track_caller]
pub fn read_committed(bootstrap: &str, topic: &str) -> Vec<Seen> {
    let read = || {
        let mut reading = Reading::start(bootstrap, &[topic], REQUEST_MAX)?;
        while !reading.at_end() {
            reading.next()?;
        }
        anyhow::Ok(reading.seen)
    };
    let mut seen = or_fail(read(), format_args!("read {topic}"));
    seen.sort_by_key(|record| (record.partition, record.offset));
    seen
}

/// Returns the topic's number of partitions.
#[track_caller]
pub fn partition_count(bootstrap: &str, topic: &str) -> i32 {
    let count = || {
        let consumer = reader(bootstrap, "support-reader", "read_committed")?;
        anyhow::Ok(partitions(&consumer, topic)?.len() as i32)
    };
    or_fail(count(), format_args!("partitions of {topic}"))
}

/// Reads the topics' committed records from the start until they satisfy `done`. Returns them in
/// order of arrival, which within a partition is that of the offsets. Fails the test at `limit`.
/// Waits for a broker that is down.
#[track_caller]
pub fn read_until(
    bootstrap: &str,
    topics: &[&str],
    limit: Duration,
    mut done: impl FnMut(&[Seen]) -> bool,
) -> Vec<Seen> {
    let mut read = || {
        let mut reading = Reading::start(bootstrap, topics, limit)?;
        while !done(&reading.seen) {
            reading.next()?;
        }
        anyhow::Ok(reading.seen)
    };
    or_fail(read(), format_args!("wait for records of {topics:?}"))
}

/// Reads partitions from the start.
struct Reading {
    consumer: BaseConsumer,
    partitions: usize,
    ended: BTreeSet<i32>,
    seen: Vec<Seen>,
    started: Instant,
    limit: Duration,
    last_error: Option<KafkaError>,
}

impl Reading {
    /// Records read between two checks of the condition.
    const BATCH: usize = 1_000;

    fn start(bootstrap: &str, topics: &[&str], limit: Duration) -> anyhow::Result<Reading> {
        let consumer = reader(bootstrap, "support-reader", "read_committed")?;
        let mut assignment = TopicPartitionList::new();
        for topic in topics {
            for partition in partitions(&consumer, topic)? {
                assignment.add_partition_offset(topic, partition, Offset::Beginning)?;
            }
        }
        consumer.assign(&assignment)?;
        Ok(Reading {
            consumer,
            partitions: assignment.count(),
            ended: BTreeSet::new(),
            seen: Vec::new(),
            started: Instant::now(),
            limit,
            last_error: None,
        })
    }

    /// Returns whether every partition reached its end. A partition EOF does not name the topic, so
    /// this works for one topic only.
    fn at_end(&self) -> bool {
        self.ended.len() >= self.partitions
    }

    /// Reads the available records. Waits briefly if there are none.
    fn next(&mut self) -> anyhow::Result<()> {
        self.check_limit()?;
        let mut wait = Duration::from_millis(100);
        for _ in 0..Self::BATCH {
            let event = match self.consumer.poll(wait) {
                None => return Ok(()),
                Some(Ok(message)) => Ok(Seen::from(&message)),
                Some(Err(error)) => Err(error),
            };
            self.take(event)?;
            wait = Duration::ZERO;
        }
        Ok(())
    }

    fn take(&mut self, event: Result<Seen, KafkaError>) -> anyhow::Result<()> {
        match event {
            Ok(record) => self.seen.push(record),
            Err(KafkaError::PartitionEOF(partition)) => {
                self.ended.insert(partition);
            }
            Err(error @ KafkaError::MessageConsumptionFatal(_)) => return Err(error.into()),
            // A restarting broker causes many errors; only the time limit fails the test.
            Err(error) => self.last_error = Some(error),
        }
        Ok(())
    }

    fn check_limit(&self) -> anyhow::Result<()> {
        if self.started.elapsed() < self.limit {
            return Ok(());
        }
        let last = self.seen.last();
        bail!(
            "condition not met after {:?}: {} records, the last {last:?}; last error {:?}",
            self.limit,
            self.seen.len(),
            self.last_error
        )
    }
}

impl From<&BorrowedMessage<'_>> for Seen {
    fn from(message: &BorrowedMessage<'_>) -> Seen {
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        Seen {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers
                .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
                .collect(),
            timestamp: message.timestamp().to_millis(),
        }
    }
}

/// Counts delivery reports and keeps the first failure.
#[derive(Default)]
struct Reports {
    delivered: AtomicUsize,
    failure: Mutex<Option<KafkaError>>,
}

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, report: &DeliveryResult<'_>, (): ()) {
        match report {
            Ok(_) => {
                self.delivered.fetch_add(1, Ordering::Relaxed);
            }
            Err((error, _)) => {
                let mut failure =
                    self.failure.lock().expect("no thread panics while it holds the lock");
                failure.get_or_insert_with(|| error.clone());
            }
        }
    }
}

fn try_produce(
    bootstrap: &str,
    topic: &str,
    codec: &str,
    records: impl Iterator<Item = TestRecord>,
) -> anyhow::Result<usize> {
    let mut config = client_config(bootstrap);
    config
        .set("compression.type", codec)
        .set("enable.idempotence", "true")
        .set("partitioner", "murmur2_random")
        .set("linger.ms", "5")
        // The topic's limit applies, not this client's.
        .set("message.max.bytes", "200000000")
        .set("message.timeout.ms", REQUEST_MAX.as_millis().to_string());
    let producer: BaseProducer<Reports> = config.create_with_context(Reports::default())?;
    let mut sent = 0;
    for record in records {
        send(&producer, topic, &record).with_context(|| format!("record {sent}"))?;
        sent += 1;
    }
    producer.flush(REQUEST_MAX)?;
    let reports = producer.context();
    let failure = reports.failure.lock().map_err(|_| anyhow!("poisoned"))?;
    if let Some(error) = failure.as_ref() {
        bail!("not delivered: {error}");
    }
    let delivered = reports.delivered.load(Ordering::Relaxed);
    ensure!(delivered == sent, "{delivered} of {sent} were delivered");
    Ok(sent)
}

/// Hands a record to the producer. Waits while its queue is full.
fn send(
    producer: &BaseProducer<Reports>,
    topic: &str,
    record: &TestRecord,
) -> Result<(), KafkaError> {
    let mut unsent = to_kafka(topic, record);
    loop {
        unsent = match producer.send(unsent) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => refused,
            Err((error, _)) => return Err(error),
        };
        producer.poll(Duration::from_millis(10));
    }
}

fn to_kafka<'a>(topic: &'a str, record: &'a TestRecord) -> BaseRecord<'a, [u8], [u8]> {
    let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
    for (key, value) in &record.headers {
        let value = value.as_deref();
        headers = headers.insert(Header { key, value });
    }
    BaseRecord {
        topic,
        partition: record.partition,
        key: record.key.as_deref(),
        payload: record.value.as_deref(),
        timestamp: record.timestamp,
        headers: Some(headers),
        delivery_opaque: (),
    }
}
