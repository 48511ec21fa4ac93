//! A worker's connection to Kafka: one consumer, one transactional producer, and the [`Broker`]
//! trait on top. It implements the rules that exactly-once depends on with this client: which group
//! membership a commit uses, what is sent before the commit, and where reading resumes.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::native::set_leader_epoch;
use super::producer::TransactionalProducer;
use super::replaced::Replaced;
use super::settings::SessionSettings;
use super::topics::{OutputTopics, TopicProblem};
use crate::kafka::consumer::group_consumer::GroupConsumer;
use crate::kafka::producer::output_record::output_record;
use crate::stream::outputs::Outputs;
use crate::stream::{Broker, Failure, Partition, PartitionFault, Polled, Position, Rewound};

/// A consumer and a producer that work together.
pub struct Session {
    settings: SessionSettings,
    consumer: GroupConsumer,
    producer: Option<TransactionalProducer>,
    topics: OutputTopics,
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
        consumer.client.subscribe(&[&settings.topics.input])?;
        Ok(Session {
            settings,
            consumer,
            producer: Some(producer),
            topics,
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

    fn transact(&mut self, outputs: &Outputs, positions: &[Position]) -> Result<(), Failure> {
        let producer = self.producer()?;
        let offsets = self.offsets(positions)?;
        let membership = self.consumer.membership().ok_or_else(|| {
            Failure::Aborted("this member has left the consumer group".to_string())
        })?;
        producer.begin()?;
        for output in outputs.iter() {
            producer.send(output_record(&output, &self.topics, &self.settings)?)?;
        }
        producer.drain()?;
        producer.send_offsets(&offsets, membership)?;
        producer.commit()
    }

    /// Drops the old producer first: two producers with one transactional id would fence each
    /// other.
    fn open_producer(&mut self) -> Result<(), Failure> {
        self.producer = None;
        let topics = self.settings.topics.outputs();
        self.producer = Some(TransactionalProducer::open(&self.settings.producer, topics)?);
        Ok(())
    }

    fn offsets(&self, positions: &[Position]) -> Result<TopicPartitionList, Failure> {
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for position in positions {
            // The client silently drops entries without a valid offset.
            if position.next_offset < 0 {
                return Err(Failure::Fatal(format!(
                    "partition {} has an invalid offset {}",
                    position.partition, position.next_offset
                )));
            }
            let mut element = list.add_partition(&self.settings.topics.input, position.partition.0);
            element.set_offset(Offset::Offset(position.next_offset)).map_err(|error| {
                Failure::Fatal(format!("set the offset of a partition: {error}"))
            })?;
            if !position.metadata.is_empty() {
                element.set_metadata(&position.metadata);
            }
            set_leader_epoch(
                &mut list,
                &self.settings.topics.input,
                position.partition.0,
                position.leader_epoch,
            );
        }
        Ok(list)
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

    fn publish(&mut self, outputs: &Outputs, positions: &[Position]) -> Result<(), Failure> {
        self.renew_producer()?;
        self.consumer.follow_epoch();
        let published = self.transact(outputs, positions);
        let producer = self.producer.as_ref();
        self.topics_changed |= producer.is_some_and(TransactionalProducer::hit_unknown_partition);
        published?;
        self.consumer.committed(positions);
        Ok(())
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
