//! A worker's connection to Kafka: one consumer, one transactional producer, and the [`Broker`] trait
//! on top. It holds the rules that make exactly-once true on this client: which group membership a
//! commit speaks for, what is sent before the commit, and from where reading resumes.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use uuid::fmt::Hyphenated;

use super::consumer::{CallbackQueue, Event};
use super::producer::TransactionalProducer;
use super::settings::SessionSettings;
use super::topics::{OutputTopics, TopicProblem};
use crate::stream::{
    Arrival, Broker, Content, Failure, Output, Partition, Position, QuarantinedRecord, SourceRecord,
};

/// Longest wait for the group's committed offsets; a predecessor's open transaction is waited for.
const COMMITTED_LIMIT: Duration = Duration::from_secs(20);
/// Longest wait for partitions to be moved to another offset.
const SEEK_LIMIT: Duration = Duration::from_secs(10);

/// A consumer and a producer that work together.
pub struct Session {
    settings: SessionSettings,
    consumer: BaseConsumer<CallbackQueue>,
    producer: Option<TransactionalProducer>,
    topics: OutputTopics,
    /// For whom a commit speaks: the member and generation that own the partitions of the batch.
    membership: Option<ConsumerGroupMetadata>,
    clock: Instant,
}

/// Why a session could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Topics that are missing or closed to us, all of them.
    #[error("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Topics {
        /// One for each topic.
        problems: Vec<TopicProblem>,
    },
    /// The client could not be made, or the transactional id not be had.
    #[error(transparent)]
    Client(#[from] KafkaError),
    /// The producer could not be opened.
    #[error(transparent)]
    Producer(#[from] Failure),
}

impl OpenError {
    /// Whether it is worth trying again.
    pub fn may_pass(&self) -> bool {
        match self {
            OpenError::Topics { problems } => problems.iter().all(TopicProblem::may_pass),
            OpenError::Client(_) => false,
            OpenError::Producer(failure) => !matches!(failure, Failure::Fatal(_)),
        }
    }
}

impl Session {
    /// Connects, looks the topics up, takes over the transactional id, and joins the group, in this
    /// order: a predecessor's transaction is ended before anything is read.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(settings: SessionSettings) -> Result<Self, OpenError> {
        let context = CallbackQueue::new(&settings.topics.input);
        let consumer: BaseConsumer<CallbackQueue> =
            settings.consumer.create_with_context(context)?;
        let topics = OutputTopics::discover(&consumer, &settings.topics)
            .map_err(|problems| OpenError::Topics { problems })?;
        let producer = TransactionalProducer::open(&settings.producer)?;
        consumer.subscribe(&[&settings.topics.input])?;
        Ok(Session {
            settings,
            consumer,
            producer: Some(producer),
            topics,
            membership: None,
            clock: Instant::now(),
        })
    }

    fn producer(&self) -> Result<&TransactionalProducer, Failure> {
        self.producer
            .as_ref()
            .ok_or_else(|| Failure::Broken("the last producer could not be replaced".to_string()))
    }

    /// First the old one goes: two producers with one transactional id would fence each other.
    fn replace_producer(&mut self) -> Result<(), Failure> {
        self.producer = None;
        self.producer = Some(TransactionalProducer::open(&self.settings.producer)?);
        Ok(())
    }

    /// Whether this consumer can ever read again. One whose place in the group was taken cannot, and must
    /// not throw its successor's producer out by building one of its own.
    fn check_consumer(&self) -> Result<(), Failure> {
        match self.consumer.client().fatal_error() {
            Some((code, text)) => Err(Failure::Fatal(format!(
                "the consumer can read no more: {code}: {text}"
            ))),
            None => Ok(()),
        }
    }

    fn send(&self, producer: &TransactionalProducer, output: &Output) -> Result<(), Failure> {
        let (topic, partition) = self.topics.destination(output).ok_or_else(|| {
            Failure::Fatal(format!(
                "no topic for the region of partition {} offset {}",
                output.source_partition, output.source_offset
            ))
        })?;
        let mut record: BaseRecord<'_, [u8], [u8], ()> = BaseRecord::to(topic)
            .partition(partition)
            .timestamp(output.timestamp_ms.unwrap_or(0));
        match &output.content {
            Content::Event(event) => {
                record = record.key(event.device.as_bytes()).payload(&event.event);
                if self.settings.event_headers {
                    let mut id = [0; Hyphenated::LENGTH];
                    let headers = event.headers(self.settings.region(event), &mut id);
                    record = record.headers(with_headers(OwnedHeaders::new(), &headers));
                }
            }
            Content::Quarantined(kept) => {
                // A missing key or value stays missing: an empty one is something else.
                record.key = kept.key.as_deref();
                record.payload = kept.payload.as_deref();
                record = record.headers(self.quarantine_headers(kept, output));
            }
        }
        producer.send(record)
    }

    /// The original headers, and after them why the record is here and where it came from.
    fn quarantine_headers(&self, kept: &QuarantinedRecord, output: &Output) -> OwnedHeaders {
        let mut headers = OwnedHeaders::new_with_capacity(kept.headers.len() + 6);
        for (name, value) in &kept.headers {
            headers = headers.insert(Header {
                key: name,
                value: value.as_deref(),
            });
        }
        let partition = output.source_partition.to_string();
        let offset = output.source_offset.to_string();
        let ours = [
            ("audit-relay-reason", kept.quarantine.reason.name()),
            ("audit-relay-detail", &kept.quarantine.detail),
            ("audit-relay-topic", &self.settings.topics.input),
            ("audit-relay-partition", &partition),
            ("audit-relay-offset", &offset),
            ("audit-relay-version", env!("CARGO_PKG_VERSION")),
        ];
        with_headers(headers, &ours)
    }

    fn offsets(&self, positions: &[Position]) -> Result<TopicPartitionList, Failure> {
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for position in positions {
            // The client silently drops entries without a valid offset.
            if position.next_offset < 0 {
                return Err(Failure::Fatal(format!(
                    "partition {} has the impossible offset {}",
                    position.partition, position.next_offset
                )));
            }
            let mut element = list.add_partition(&self.settings.topics.input, position.partition.0);
            element
                .set_offset(Offset::Offset(position.next_offset))
                .map_err(|error| Failure::Fatal(format!("set offset: {error}")))?;
            if !position.metadata.is_empty() {
                element.set_metadata(&position.metadata);
            }
        }
        Ok(list)
    }
}

impl Broker for Session {
    fn poll(
        &mut self,
        wait: Duration,
        receive: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<(), Failure> {
        let polled = self.consumer.poll(wait);
        // The callbacks ran before the record was returned: they come first.
        deliver_events(&self.consumer, &mut self.membership, receive);
        match polled {
            None => {}
            Some(Ok(message)) => receive(Arrival::Record(source_record(&message))),
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                receive(Arrival::CaughtUp(Partition(partition)));
            }
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                return Err(Failure::Fatal(format!(
                    "the consumer can read no more: {code}"
                )));
            }
            // The client goes on by itself.
            Some(Err(error)) => tracing::warn!(%error, "poll"),
        }
        Ok(())
    }

    fn publish(&mut self, outputs: &[Output], positions: &[Position]) -> Result<(), Failure> {
        if self.producer()?.is_used_up() {
            tracing::info!("the last transaction took long to end: continuing with a new producer");
            self.replace_producer()?;
        }
        let producer = self.producer()?;
        let offsets = self.offsets(positions)?;
        let membership = self.membership.as_ref().ok_or_else(|| {
            Failure::Aborted("this member has left the consumer group".to_string())
        })?;
        producer.begin()?;
        for output in outputs {
            self.send(producer, output)?;
        }
        producer.drain()?;
        producer.send_offsets(&offsets, membership)?;
        producer.commit()
    }

    fn abort(&mut self) -> Result<(), Failure> {
        self.producer()?.abort()?;
        self.membership = current_membership(&self.consumer);
        Ok(())
    }

    fn rebuild(&mut self) -> Result<(), Failure> {
        self.check_consumer()?;
        self.replace_producer()?;
        self.membership = current_membership(&self.consumer);
        Ok(())
    }

    fn rewind(&mut self, partitions: &[Partition]) -> Result<(), Failure> {
        if partitions.is_empty() {
            return Ok(());
        }
        self.check_consumer()?;
        let broken = |what: &str, error: &dyn std::fmt::Display| {
            Failure::Broken(format!("{what} while going back: {error}"))
        };
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            list.add_partition(&self.settings.topics.input, partition.0);
        }
        let mut list = self
            .consumer
            .committed_offsets(list, COMMITTED_LIMIT)
            .map_err(|error| broken("committed offsets", &error))?;
        for mut element in list.elements() {
            let failed = element.error();
            failed.map_err(|error| broken("committed offset", &error))?;
            if !matches!(element.offset(), Offset::Offset(_)) {
                let set = element.set_offset(Offset::Beginning);
                set.map_err(|error| broken("set offset", &error))?;
            }
        }
        list = self
            .consumer
            .seek_partitions(list, SEEK_LIMIT)
            .map_err(|error| broken("seek", &error))?;
        // The call as a whole succeeds even where single partitions failed.
        for element in list.elements() {
            let moved = element.error();
            moved.map_err(|error| broken("seek of a partition", &error))?;
        }
        Ok(())
    }

    fn pause(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    fn now(&self) -> Duration {
        self.clock.elapsed()
    }
}

/// Hands over what the callbacks of the last poll reported.
fn deliver_events(
    consumer: &BaseConsumer<CallbackQueue>,
    membership: &mut Option<ConsumerGroupMetadata>,
    receive: &mut dyn FnMut(Arrival<'_>),
) {
    while let Some(event) = consumer.context().take() {
        match event {
            Event::Assigned(partitions) => {
                *membership = current_membership(consumer);
                receive(Arrival::Assigned(&partitions));
            }
            Event::Revoked(partitions) => receive(Arrival::Revoked(&partitions)),
            Event::Lost(partitions) => {
                *membership = None;
                receive(Arrival::Lost(&partitions));
            }
            Event::Statistics(statistics) => receive(Arrival::Statistics(statistics)),
        }
    }
}

/// The membership, unless the client knows that it has been lost. A client that was thrown out has
/// forgotten its member id, and the broker would take its commit for one of a group without members.
/// Looked at in this order: the client marks the loss before it can hand out the empty member id.
fn current_membership(consumer: &BaseConsumer<CallbackQueue>) -> Option<ConsumerGroupMetadata> {
    let membership = consumer.group_metadata();
    membership.filter(|_| !consumer.assignment_lost())
}

fn source_record<'a>(message: &'a BorrowedMessage<'_>) -> SourceRecord<'a> {
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        let header = |header: Header<'a, &'a [u8]>| (header.key, header.value);
        headers.iter().map(header).collect()
    });
    SourceRecord {
        partition: Partition(message.partition()),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis(),
        key: message.key(),
        payload: message.payload(),
        headers,
    }
}

fn with_headers(headers: OwnedHeaders, more: &[(&str, &str)]) -> OwnedHeaders {
    more.iter().fold(headers, |headers, (key, value)| {
        headers.insert(Header {
            key,
            value: Some(*value),
        })
    })
}
