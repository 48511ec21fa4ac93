//! THE YARDSTICK, which stays as it is: figures of different months are compared by it. A raw copy writes what the relay
//! would write (as many bytes, with the same keys and headers, to the same topics and partitions, in the same transactions
//! with the same offsets) and does nothing else: a look-up in the plan instead of judging, no metrics, no recovery. Its
//! clients have the relay's own settings, made by the library; it calls them plainly: poll, send, wait until nothing is in
//! flight, send offsets, commit.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use audit_relay::config::{BatchLimits, Config};
use audit_relay::kafka::settings::{SessionSettings, check_property};
use audit_relay::kafka::topics::TopicNames;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::plan::{Copying, Plan};

const LIMIT: Duration = Duration::from_secs(30);
const LONGEST_POLL: Duration = Duration::from_millis(100);
const DRAIN_INTERVAL: Duration = Duration::from_millis(1);
/// While records are waiting, the clock is looked at once for so many.
const RECORDS_A_LOOK: usize = 64;
const HEADERS: [&str; 5] = ["type", "account", "region", "location", "id"];

/// Copies until the process is ended.
pub fn run(config: &Path, plan: &Path, regions: &[&str]) -> anyhow::Result<()> {
    let plan = Plan::read(plan)?;
    let config = Config::load_checked(Some(config), std::iter::empty(), &check_property)?;
    thread::scope(|scope| {
        let copiers: Vec<_> = (0..config.workers.get())
            .map(|worker| {
                let (config, plan) = (&config, &plan);
                scope.spawn(move || Copier::open(config, regions, worker, plan)?.run())
            })
            .collect();
        for copier in copiers {
            copier.join().expect("a copier does not panic")?;
        }
        Ok(())
    })
}

/// The settings of one thread's clients: those of the relay's worker with this number.
pub fn settings(config: &Config, regions: &[&str], worker: usize) -> SessionSettings {
    let topics = TopicNames {
        input: config.input.topic.clone(),
        regions: regions
            .iter()
            .map(|region| config.output.topic(region))
            .collect(),
        quarantine: config.output.quarantine_topic.clone(),
    };
    let regions = regions.iter().map(|region| (*region).to_string()).collect();
    SessionSettings::new(config, topics, regions, worker)
}

/// Remembers what was taken away.
#[derive(Default)]
pub struct Revocations {
    any: AtomicBool,
    partitions: Mutex<Vec<i32>>,
}

impl ClientContext for Revocations {
    fn stats_raw(&self, _: &[u8]) {}
}

impl ConsumerContext for Revocations {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(list) = rebalance {
            let taken = list.elements().into_iter().map(|it| it.partition());
            self.lock().extend(taken);
            self.any.store(true, Ordering::Release);
        }
    }
}

impl Revocations {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<i32>> {
        self.partitions.lock().expect("nobody panics with it")
    }

    /// What was taken away since the last call.
    pub fn take(&self) -> Option<Vec<i32>> {
        let any = self.any.load(Ordering::Acquire);
        any.then(|| {
            self.any.store(false, Ordering::Release);
            std::mem::take(&mut *self.lock())
        })
    }
}

/// An output that waits for its transaction.
struct Pending {
    source_partition: i32,
    source_offset: i64,
    timestamp: i64,
    key: std::ops::Range<usize>,
    /// The quarantined record itself.
    original: std::ops::Range<usize>,
    copying: Copying,
}

#[derive(Default)]
struct Batch {
    pending: Vec<Pending>,
    /// Keys and originals, end to end.
    kept: Vec<u8>,
    next_offsets: Vec<Option<i64>>,
    records: usize,
    bytes: usize,
    began: Option<Instant>,
}

impl Batch {
    fn keep(&mut self, bytes: &[u8]) -> std::ops::Range<usize> {
        let begin = self.kept.len();
        self.kept.extend_from_slice(bytes);
        begin..self.kept.len()
    }

    fn add(&mut self, message: &BorrowedMessage<'_>, copying: Copying) {
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
        let original = match copying {
            Copying::Nothing => return,
            Copying::Event { length, .. } => {
                self.bytes += length;
                0..0
            }
            Copying::Quarantined { .. } => {
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
            copying,
        });
    }

    fn forget(&mut self, partitions: &[i32]) {
        self.pending
            .retain(|it| !partitions.contains(&it.source_partition));
        for partition in partitions {
            if let Some(offset) = self.next_offsets.get_mut(*partition as usize) {
                *offset = None;
            }
        }
    }

    fn clear(&mut self) {
        self.pending.clear();
        self.kept.clear();
        self.next_offsets.fill(None);
        self.records = 0;
        self.bytes = 0;
        self.began = None;
    }

    /// Without looking at the clock.
    fn is_full(&self, limits: &BatchLimits) -> bool {
        self.records >= limits.max_records || self.bytes >= limits.max_bytes
    }

    fn time_left(&self, limits: &BatchLimits) -> Duration {
        self.began.map_or(LONGEST_POLL, |began| {
            limits.max_age.saturating_sub(began.elapsed())
        })
    }
}

struct Copier<'a> {
    plan: &'a Plan,
    settings: SessionSettings,
    limits: BatchLimits,
    consumer: BaseConsumer<Revocations>,
    producer: ThreadedProducer<DefaultProducerContext>,
    /// Partitions of each region's topic, and of the quarantine last.
    partitions: Vec<i32>,
    batch: Batch,
    taking: Taking<'a>,
}

/// Takes bodies and headers out of the plan, for each output partition in turn.
struct Taking<'a> {
    plan: &'a Plan,
    /// By topic and partition.
    bodies: Vec<Vec<usize>>,
    headers: usize,
}

impl<'a> Taking<'a> {
    fn body(&mut self, topic: usize, partition: i32, length: usize) -> &'a [u8] {
        let bodies = self.plan.bodies();
        let begin = &mut self.bodies[topic][partition as usize];
        if *begin + length > bodies.len() {
            *begin = 0;
        }
        let body = &bodies[*begin..*begin + length];
        *begin += length;
        body
    }

    fn headers(&mut self, topic: usize) -> OwnedHeaders {
        let sets = self.plan.headers(topic);
        self.headers += 1;
        let values = &sets[self.headers % sets.len()];
        let headers = HEADERS
            .iter()
            .zip(values)
            .map(|(name, value)| (*name, value.as_str()));
        with_headers(5, headers)
    }
}

impl<'a> Copier<'a> {
    fn open(
        config: &Config,
        regions: &[&str],
        worker: usize,
        plan: &'a Plan,
    ) -> anyhow::Result<Copier<'a>> {
        let settings = settings(config, regions, worker);
        let consumer: BaseConsumer<Revocations> = settings
            .consumer
            .create_with_context(Revocations::default())?;
        let mut partitions = Vec::new();
        for topic in settings.topics.outputs() {
            let metadata = consumer.fetch_metadata(Some(topic), LIMIT)?;
            let found = metadata.topics().first().context("no metadata")?;
            partitions.push(i32::try_from(found.partitions().len())?);
        }
        let producer: ThreadedProducer<DefaultProducerContext> = settings.producer.create()?;
        producer.init_transactions(LIMIT)?;
        consumer.subscribe(&[&settings.topics.input])?;
        let begin = |count: &i32| vec![0; *count as usize];
        Ok(Copier {
            plan,
            limits: config.batch,
            consumer,
            producer,
            batch: Batch::default(),
            taking: Taking {
                plan,
                bodies: partitions.iter().map(begin).collect(),
                headers: 0,
            },
            partitions,
            settings,
        })
    }

    fn run(&mut self) -> anyhow::Result<()> {
        loop {
            self.fill()?;
            if self.batch.records > 0 {
                self.publish()?;
            }
            self.batch.clear();
        }
    }

    /// Polls until the batch is due.
    fn fill(&mut self) -> anyhow::Result<()> {
        loop {
            for _ in 0..RECORDS_A_LOOK {
                if self.batch.is_full(&self.limits) {
                    return Ok(());
                }
                if !self.poll(Duration::ZERO)? {
                    break;
                }
            }
            let left = self.batch.time_left(&self.limits);
            if left.is_zero() {
                return Ok(());
            }
            self.poll(left.min(LONGEST_POLL))?;
        }
    }

    /// Whether a record was there.
    fn poll(&mut self, wait: Duration) -> anyhow::Result<bool> {
        let polled = self.consumer.poll(wait);
        if let Some(taken) = self.consumer.context().take() {
            self.batch.forget(&taken);
        }
        match polled {
            None | Some(Err(KafkaError::PartitionEOF(_))) => Ok(false),
            Some(Err(error)) => bail!("poll: {error}"),
            Some(Ok(message)) => {
                let copying = self.plan.copying(message.partition(), message.offset());
                self.batch
                    .add(&message, copying.context("not in the plan")?);
                Ok(true)
            }
        }
    }

    fn publish(&mut self) -> anyhow::Result<()> {
        let offsets = self.offsets()?;
        let membership = self.consumer.group_metadata().context("not in a group")?;
        self.producer.begin_transaction()?;
        for position in 0..self.batch.pending.len() {
            self.send(position)?;
        }
        while self.producer.in_flight_count() > 0 {
            self.producer.poll(DRAIN_INTERVAL);
        }
        self.producer
            .send_offsets_to_transaction(&offsets, &membership, LIMIT)?;
        self.producer.commit_transaction(LIMIT)?;
        Ok(())
    }

    fn offsets(&self) -> anyhow::Result<TopicPartitionList> {
        let mut offsets = TopicPartitionList::new();
        for (partition, offset) in self.batch.next_offsets.iter().enumerate() {
            if let Some(offset) = offset {
                let input = &self.settings.topics.input;
                offsets.add_partition_offset(input, partition as i32, Offset::Offset(*offset))?;
            }
        }
        Ok(offsets)
    }

    fn send(&mut self, position: usize) -> anyhow::Result<()> {
        let pending = &self.batch.pending[position];
        let topics = &self.settings.topics;
        let quarantine = self.plan.topics();
        let (index, topic) = match pending.copying {
            Copying::Nothing => return Ok(()),
            Copying::Event { topic, .. } => (topic, &topics.regions[topic]),
            Copying::Quarantined { .. } => (quarantine, &topics.quarantine),
        };
        let partition = pending.source_partition.rem_euclid(self.partitions[index]);
        let mut record: BaseRecord<'_, [u8], [u8], ()> = BaseRecord::to(topic)
            .partition(partition)
            .timestamp(pending.timestamp)
            .key(&self.batch.kept[pending.key.clone()]);
        match pending.copying {
            Copying::Nothing => {}
            Copying::Event { length, .. } => {
                record = record.payload(self.taking.body(index, partition, length));
                if self.settings.event_headers {
                    record = record.headers(self.taking.headers(index));
                }
            }
            Copying::Quarantined { detail } => {
                record = record.payload(&self.batch.kept[pending.original.clone()]);
                let detail = &self.plan.bodies()[..detail];
                record = record.headers(quarantine_headers(pending, detail, topics)?);
            }
        }
        self.produce(record)
    }

    fn produce(&self, mut record: BaseRecord<'_, [u8], [u8], ()>) -> anyhow::Result<()> {
        loop {
            let Err((error, refused)) = self.producer.send(record) else {
                return Ok(());
            };
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                bail!("send: {error}");
            }
            self.producer.poll(DRAIN_INTERVAL);
            record = refused;
        }
    }
}

fn quarantine_headers(
    pending: &Pending,
    detail: &[u8],
    topics: &TopicNames,
) -> anyhow::Result<OwnedHeaders> {
    let partition = pending.source_partition.to_string();
    let offset = pending.source_offset.to_string();
    let headers = [
        ("audit-relay-reason", "malformed"),
        ("audit-relay-detail", std::str::from_utf8(detail)?),
        ("audit-relay-topic", &topics.input),
        ("audit-relay-partition", &partition),
        ("audit-relay-offset", &offset),
        ("audit-relay-version", env!("CARGO_PKG_VERSION")),
    ];
    Ok(with_headers(6, headers.into_iter()))
}

fn with_headers<'a>(
    count: usize,
    headers: impl Iterator<Item = (&'a str, &'a str)>,
) -> OwnedHeaders {
    headers.fold(
        OwnedHeaders::new_with_capacity(count),
        |all, (key, value)| {
            let value = Some(value);
            all.insert(Header { key, value })
        },
    )
}
