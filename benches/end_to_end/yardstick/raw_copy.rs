//! The raw copy: polls, looks up each record's output in the plan, and writes it in the same
//! transactions as the relay.

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use audit_relay::config::Config;
use audit_relay::kafka::topics::TopicNames;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::super::plan::{Plan, PlannedOutput};
use super::batch::{Batch, Pending};
use super::revocations::Revocations;
use super::settings::{Settings, configuration};
use super::{RECORDS_PER_CLOCK_CHECK, whole_milliseconds};

/// Limit of each request.
const REQUEST_MAX: Duration = Duration::from_secs(30);
/// Pause between two checks whether everything is delivered.
const DRAIN_INTERVAL: Duration = Duration::from_millis(1);
const HEADERS: [&str; 5] = ["type", "account", "region", "location", "id"];

/// Copies until the process is terminated.
pub fn run(config: &Path, plan: &Path, regions: &[&str]) -> anyhow::Result<()> {
    let plan = Plan::read(plan)?;
    let config = configuration(config)?;
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

struct Copier<'a> {
    plan: &'a Plan,
    settings: Settings,
    consumer: BaseConsumer<Revocations>,
    producer: ThreadedProducer<DefaultProducerContext>,
    /// Partition counts of the region topics, and of the quarantine last.
    partitions: Vec<i32>,
    batch: Batch,
    cursor: PlanCursor<'a>,
}

/// Cuts bodies and headers from the plan, with a position for each output partition.
struct PlanCursor<'a> {
    plan: &'a Plan,
    /// Positions by topic and partition.
    bodies: Vec<Vec<usize>>,
    headers: usize,
}

impl<'a> PlanCursor<'a> {
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
        let headers = HEADERS.iter().zip(values).map(|(name, value)| (*name, value.as_str()));
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
        let settings = Settings::new(config, regions, worker);
        let consumer: BaseConsumer<Revocations> =
            settings.consumer.create_with_context(Revocations::default())?;
        let mut partitions = Vec::new();
        for topic in settings.topics.outputs() {
            let metadata = consumer.fetch_metadata(Some(topic), REQUEST_MAX)?;
            let found = metadata.topics().first().context("no metadata")?;
            partitions.push(i32::try_from(found.partitions().len())?);
        }
        let producer: ThreadedProducer<DefaultProducerContext> = settings.producer.create()?;
        producer.init_transactions(REQUEST_MAX)?;
        consumer.subscribe(&[&settings.topics.input])?;
        let begin = |count: &i32| vec![0; *count as usize];
        Ok(Copier {
            plan,
            consumer,
            producer,
            batch: Batch::default(),
            cursor: PlanCursor { plan, bodies: partitions.iter().map(begin).collect(), headers: 0 },
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
            for _ in 0..RECORDS_PER_CLOCK_CHECK {
                if self.batch.is_full(&self.settings.limits) {
                    return Ok(());
                }
                if !self.poll(Duration::ZERO)? {
                    break;
                }
            }
            let left = self.batch.time_left(&self.settings.limits);
            if left.is_zero() {
                return Ok(());
            }
            self.poll(whole_milliseconds(left))?;
        }
    }

    /// Returns whether there was a record.
    fn poll(&mut self, wait: Duration) -> anyhow::Result<bool> {
        let polled = self.consumer.poll(wait);
        if let Some(taken) = self.consumer.context().take() {
            self.batch.forget(&taken);
        }
        match polled {
            None | Some(Err(KafkaError::PartitionEOF(_))) => Ok(false),
            Some(Err(error)) => bail!("poll: {error}"),
            Some(Ok(message)) => {
                let output = self.plan.output(message.partition(), message.offset());
                self.batch.add(&message, output.context("not in the plan")?);
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
        // The producer's own thread handles the delivery reports. A poll of one millisecond would
        // spin: the client counts the remaining time in whole milliseconds.
        while self.producer.in_flight_count() > 0 {
            thread::sleep(DRAIN_INTERVAL);
        }
        self.producer.send_offsets_to_transaction(&offsets, &membership, REQUEST_MAX)?;
        self.producer.commit_transaction(REQUEST_MAX)?;
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
        let (index, topic) = match pending.output {
            PlannedOutput::Nothing => return Ok(()),
            PlannedOutput::Event { topic, .. } => (topic, &topics.regions[topic]),
            PlannedOutput::Quarantined { .. } => (quarantine, &topics.quarantine),
        };
        let partition = pending.source_partition.rem_euclid(self.partitions[index]);
        let mut record: BaseRecord<'_, [u8], [u8], ()> = BaseRecord::to(topic)
            .partition(partition)
            .timestamp(pending.timestamp)
            .key(&self.batch.kept[pending.key.clone()]);
        match pending.output {
            PlannedOutput::Nothing => {}
            PlannedOutput::Event { length, .. } => {
                record = record.payload(self.cursor.body(index, partition, length));
                if self.settings.event_headers {
                    record = record.headers(self.cursor.headers(index));
                }
            }
            PlannedOutput::Quarantined { detail } => {
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
            thread::sleep(DRAIN_INTERVAL);
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
        ("audit-relay-stub", "false"),
    ];
    Ok(with_headers(headers.len(), headers.into_iter()))
}

fn with_headers<'a>(
    count: usize,
    headers: impl Iterator<Item = (&'a str, &'a str)>,
) -> OwnedHeaders {
    headers.fold(OwnedHeaders::new_with_capacity(count), |all, (key, value)| {
        let value = Some(value);
        all.insert(Header { key, value })
    })
}
