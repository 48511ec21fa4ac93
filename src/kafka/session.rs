//! A worker's connection to Kafka: one consumer, one transactional producer, and the [`Broker`]
//! trait on top. It implements the rules that exactly-once depends on with this client: which group
//! membership a commit uses, what is sent before the commit, and where reading resumes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;

use super::producer::{TransactionalProducer, offset_list};
use super::replaced::Replaced;
use super::seal_log::SealReader;
use super::settings::SessionSettings;
use super::topics::{OutputTopics, TopicProblem};
use crate::kafka::consumer::group_consumer::GroupConsumer;
use crate::kafka::producer::output_record::{output_record, seal_record};
use crate::stream::{
    Broker, Failure, Output, Partition, PartitionFault, Polled, Proof, Rewound, SealLog,
    SealSearch, Transaction,
};

/// A consumer and a producer that work together.
pub struct Session {
    settings: SessionSettings,
    consumer: GroupConsumer,
    producer: Option<TransactionalProducer>,
    topics: OutputTopics,
    /// Reads seals; none if the trail is not sealed.
    seals: Option<SealReader>,
    /// Whether a record was sent to a partition that its topic does not have, which means that the
    /// topic was replaced.
    topics_changed: bool,
    clock: Instant,
}

/// Why a session could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// All topics that are missing or not accessible.
    #[error("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Topics {
        /// One problem for each topic.
        problems: Vec<TopicProblem>,
        /// The number of topics that are needed in all.
        of: usize,
    },
    /// The client could not be created or subscribed.
    #[error(transparent)]
    Client(#[from] KafkaError),
    /// The producer could not be opened.
    #[error(transparent)]
    Producer(#[from] Failure),
}

impl OpenError {
    /// Returns whether a retry may succeed.
    pub fn may_pass(&self) -> bool {
        match self {
            OpenError::Topics { problems, .. } => problems.iter().all(TopicProblem::may_pass),
            OpenError::Client(_) => false,
            OpenError::Producer(failure) => !matches!(failure, Failure::Fatal(_)),
        }
    }

    /// Returns whether topics are missing, while others exist and none is inaccessible: the missing
    /// ones may still be created.
    pub fn is_missing(&self) -> bool {
        match self {
            OpenError::Topics { problems, of } => {
                let is_missing = |problem| matches!(problem, &TopicProblem::Missing(_));
                problems.len() < *of && problems.iter().all(is_missing)
            }
            OpenError::Client(_) | OpenError::Producer(_) => false,
        }
    }
}

impl Session {
    /// Creates the consumer, looks up the topics, takes over the transactional id, and joins the
    /// group, in this order: a predecessor's transaction is ended before anything is read.
    ///
    /// # Errors
    /// Fails if the consumer cannot be created, a topic cannot be used, or the producer cannot be
    /// opened.
    pub fn open(settings: SessionSettings) -> Result<Self, OpenError> {
        let consumer = GroupConsumer::open(&settings)?;
        let topics =
            OutputTopics::discover(&consumer.client, &settings.topics).map_err(|problems| {
                OpenError::Topics { problems, of: 1 + settings.topics.outputs().count() }
            })?;
        let producer = TransactionalProducer::open(&settings.producer, settings.topics.outputs())?;
        let checkpoints = settings.topics.checkpoints.as_ref();
        let seals = checkpoints.map(|topic| SealReader::new(&settings.seals, topic)).transpose()?;
        consumer.client.subscribe(&[&settings.topics.input])?;
        Ok(Session {
            settings,
            consumer,
            producer: Some(producer),
            topics,
            seals,
            topics_changed: false,
            clock: Instant::now(),
        })
    }

    fn producer(&self) -> Result<&TransactionalProducer, Failure> {
        self.producer
            .as_ref()
            .ok_or_else(|| Failure::Broken("the last producer could not be replaced".to_string()))
    }

    /// Replaces a spent producer, which must not begin another transaction. The membership stays,
    /// since it is that of the batch.
    fn renew_producer(&mut self) -> Result<(), Failure> {
        if self.producer()?.is_spent() {
            self.consumer.check()?;
            (self.settings.replaced.0)(Replaced::Spent);
            self.open_producer()?;
        }
        Ok(())
    }

    /// Looks up the output topics again if one of them lacked a partition. A topic with more
    /// partitions than before keeps its count: the partition of a device's events must not change
    /// while the session is open.
    fn renew_topics(&mut self) {
        if !std::mem::take(&mut self.topics_changed) {
            return;
        }
        match OutputTopics::discover(&self.consumer.client, &self.settings.topics) {
            Ok(found) => self.topics.shrink_to(&found),
            Err(problems) => {
                self.topics_changed = true;
                for problem in problems {
                    tracing::warn!(%problem, "an output topic has changed and cannot be used yet");
                }
            }
        }
    }

    fn transact(&self, transaction: &Transaction<'_>) -> Result<(), Failure> {
        let producer = self.producer()?;
        let offsets = offset_list(&self.settings.topics.input, transaction.positions)?;
        let membership = self.consumer.membership().ok_or_else(|| {
            Failure::Aborted("this member has left the consumer group".to_string())
        })?;
        producer.begin()?;
        self.send(transaction, producer)?;
        producer.drain()?;
        producer.send_offsets(&offsets, membership)?;
        producer.commit()
    }

    fn send(
        &self,
        transaction: &Transaction<'_>,
        producer: &TransactionalProducer,
    ) -> Result<(), Failure> {
        let Transaction { outputs, proof, .. } = *transaction;
        let time_ms = proof.map_or(0, Proof::time_ms);
        for (number, output) in outputs.iter().enumerate() {
            let chain = proof.and_then(|proof| proof.header(number));
            self.settings.format.compose(&output, time_ms, |composed| {
                producer.send(output_record(&output, composed, chain, &self.topics)?)
            })?;
        }
        for seal in proof.map_or(&[][..], Proof::seals) {
            producer.send(seal_record(seal, &self.topics)?)?;
        }
        Ok(())
    }

    /// Drops the old producer first: two producers with one transactional id would fence each
    /// other.
    fn open_producer(&mut self) -> Result<(), Failure> {
        self.producer = None;
        let topics = self.settings.topics.outputs();
        self.producer = Some(TransactionalProducer::open(&self.settings.producer, topics)?);
        Ok(())
    }
}

impl Broker for Session {
    fn poll(
        &mut self,
        wait: Duration,
        most: usize,
        receive: &mut dyn FnMut(Polled<'_>),
    ) -> Result<(), Failure> {
        self.consumer.poll(wait, most, receive)
    }

    fn publish(&mut self, transaction: &Transaction<'_>) -> Result<(), Failure> {
        self.renew_producer()?;
        self.consumer.follow_epoch();
        let published = self.transact(transaction);
        let producer = self.producer.as_ref();
        self.topics_changed |= producer.is_some_and(TransactionalProducer::hit_unknown_partition);
        published?;
        self.consumer.committed(transaction.positions);
        Ok(())
    }

    fn seal_log(&mut self) -> Option<&mut dyn SealLog> {
        self.seals.is_some().then_some(self as &mut dyn SealLog)
    }

    fn abort(&mut self) -> Result<(), Failure> {
        match self.producer()?.abort() {
            Ok(()) => {}
            // A new producer ends whatever the old one cannot. One reason is that the broker knows
            // no transaction, since it rejected every partition, and the client treats that answer
            // as a fatal error. Another is that the broker aborted the transaction just before
            // because it took too long, and reports that as fenced. Another process with the same
            // name is still detected, since one of the two is fenced while it publishes.
            Err(Failure::Broken(what) | Failure::Fenced(what)) => {
                tracing::warn!("the abort failed; replacing the producer: {what}");
                (self.settings.replaced.0)(Replaced::Unabortable);
                return self.rebuild();
            }
            Err(failure) => return Err(failure),
        }
        self.consumer.renew_membership();
        self.renew_topics();
        Ok(())
    }

    fn rebuild(&mut self) -> Result<(), Failure> {
        self.consumer.check()?;
        self.open_producer()?;
        self.consumer.renew_membership();
        self.renew_topics();
        Ok(())
    }

    fn rewind(&mut self, partitions: &[Partition]) -> Result<Vec<Rewound>, Failure> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        self.consumer.check()?;
        self.consumer.rewind(partitions)
    }

    fn skip_to(
        &mut self,
        partition: Partition,
        offset: i64,
    ) -> Result<Result<i64, PartitionFault>, Failure> {
        self.consumer.check()?;
        self.consumer.skip_to(partition, offset)
    }

    fn park(&mut self, partitions: &[Partition]) -> Result<(), Failure> {
        self.consumer.check()?;
        self.consumer.park(partitions)
    }

    fn pause(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    fn now(&self) -> Duration {
        self.clock.elapsed()
    }
}

impl SealLog for Session {
    fn read(
        &mut self,
        searches: &[SealSearch],
        receive: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), Failure> {
        let Some(seals) = &self.seals else { return Ok(()) };
        let mut from = BTreeMap::<i32, u64>::new();
        for search in searches {
            if let Some((_, partition)) = self.topics.checkpoints(search.partition) {
                let since = from.entry(partition).or_insert(search.since_ms);
                *since = search.since_ms.min(*since);
            }
        }
        seals.read(&from, receive).map_err(|error| {
            Failure::Held(format!("cannot read the topic with the seals: {error:#}"))
        })
    }

    fn input_partitions(&mut self) -> Result<i32, Failure> {
        self.consumer.input_partitions().map_err(|cause| {
            Failure::Held(format!("the partitions of the input are not known: {cause}"))
        })
    }

    fn output_partition(&self, output: &Output<'_>) -> Option<i32> {
        self.topics.destination(output).map(|(_, partition)| partition)
    }

    fn time_ms(&self) -> u64 {
        u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0)
    }
}
