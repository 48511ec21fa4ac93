//! What is read: the consumer, its membership of the group, and the queue that its records are led to. A rebalance is
//! served before any record that follows it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client_context::Logged;
use super::consumer::{CallbackQueue, Event};
use super::error::remedy;
use super::group_positions::GroupPositions;
use super::native::{NativeRecord, News, RecordQueue, has_member_id, log_start};
use super::reach::{Reach, deleted};
use super::settings::SessionSettings;
use crate::stream::{Arrival, Failure, Partition, SourceRecord};

/// Most records that are handed over by one poll, so that the clock is looked at now and then.
const MOST_AT_ONCE: usize = 256;
/// A client that rests for so long in a group without being a member is deaf to it. One that is well joins again at once.
const LONGEST_DEAF: Duration = Duration::from_secs(10);
/// Longest wait for the group's committed offset of a partition, which the client has just begun to read from there.
const COMMITTED_LIMIT: Duration = Duration::from_secs(2);
/// Longest wait for the group's positions to go back to; a predecessor's open transaction is waited for.
const POSITIONS_LIMIT: Duration = Duration::from_secs(20);
/// Longest wait for partitions to be moved to another offset.
const SEEK_LIMIT: Duration = Duration::from_secs(10);

/// A consumer of the input topic.
pub(super) struct Incoming {
    /// Before the consumer, so that it is dropped before it.
    records: Arc<RecordQueue>,
    pub consumer: BaseConsumer<Logged<CallbackQueue>>,
    positions: GroupPositions,
    /// Name of the group.
    group: String,
    standing: Standing,
}

/// How this consumer stands in its group.
#[derive(Default)]
struct Standing {
    /// For whom a commit speaks: the member and generation that own the partitions of the batch.
    membership: Option<ConsumerGroupMetadata>,
    owned: BTreeSet<Partition>,
    reach: Reach,
    /// Whether the group did not say where it is, since the last assignment.
    asked_in_vain: bool,
    /// Since when the client seems deaf to its group. Not how often: after a long call statistics from before it come in a row.
    deaf_since: Option<Instant>,
}

impl Incoming {
    /// A consumer that has not joined its group yet.
    pub fn open(settings: &SessionSettings) -> Result<Self, KafkaError> {
        let context = Logged(CallbackQueue::new(&settings.topics.input));
        let group = settings.consumer.get("group.id").unwrap_or_default();
        let consumer: BaseConsumer<_> = settings.consumer.create_with_context(context)?;
        let records = RecordQueue::new(consumer.client())
            .map(Arc::new)
            .ok_or_else(|| KafkaError::ClientCreation("no queue for records".to_string()))?;
        consumer.context().0.lead_to(&records);
        Ok(Incoming {
            records,
            consumer,
            positions: GroupPositions::open(&settings.positions, &settings.topics.input)?,
            group: group.to_string(),
            standing: Standing::default(),
        })
    }

    /// For whom a commit speaks now; nobody after a loss.
    pub fn membership(&self) -> Option<&ConsumerGroupMetadata> {
        self.standing.membership.as_ref()
    }

    /// Asks the client anew for whom a commit speaks.
    pub fn renew_membership(&mut self) {
        self.standing.membership = current_membership(&self.consumer);
    }

    /// Whether this consumer can ever read again. One whose place in the group was taken cannot, and must
    /// not throw its successor's producer out by building one of its own.
    pub fn check(&self) -> Result<(), Failure> {
        match self.consumer.client().fatal_error() {
            Some((code, text)) => Err(Failure::Fatal(format!(
                "the consumer can read no more: {code}: {text}"
            ))),
            None => Ok(()),
        }
    }

    /// See `Broker::poll`.
    pub fn poll(
        &mut self,
        wait: Duration,
        most: usize,
        receive: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<(), Failure> {
        // Without partitions there are no records to wait for.
        let is_idle = self.standing.owned.is_empty();
        self.serve(if is_idle { wait } else { Duration::ZERO }, receive)?;
        if is_idle {
            return Ok(());
        }
        let mut wait = wait;
        for _ in 0..most.min(MOST_AT_ONCE) {
            if !self.take(wait, receive)? {
                break;
            }
            wait = Duration::ZERO;
        }
        Ok(())
    }

    /// Serves the consumer's main queue: rebalances, statistics and errors.
    fn serve(
        &mut self,
        wait: Duration,
        receive: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<(), Failure> {
        let polled = self.consumer.poll(wait);
        if self.consumer.context().0.has_events() {
            // At least once a second, with the statistics.
            self.standing.follow(&self.consumer, receive);
            self.positions.serve();
            self.standing.check()?;
        }
        match polled {
            None => Ok(()),
            // None come this way: their partitions were led elsewhere before they were assigned.
            Some(Ok(message)) => Err(Failure::Fatal(format!(
                "the client handed out record {} of partition {} by the wrong queue",
                message.offset(),
                message.partition()
            ))),
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => Err(Failure::Fatal(format!(
                "the consumer can read no more: {code}"
            ))),
            Some(Err(error)) => self.complain(&error),
        }
    }

    /// Takes a record, or the end of a partition. Whether there was anything.
    fn take(
        &mut self,
        wait: Duration,
        receive: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<bool, Failure> {
        let Some(taken) = self.records.take(wait) else {
            return Ok(false);
        };
        match taken.news() {
            News::Record(record) => {
                let record = source_record(&record);
                let next = record.offset.saturating_add(1);
                self.goes_on(record.partition, record.offset, next, receive);
                receive(Arrival::Record(record));
            }
            News::End(partition, next) => {
                let partition = Partition(partition);
                self.goes_on(partition, next, next, receive);
                receive(Arrival::CaughtUp(partition));
            }
            News::Error(_, code) => self.complain(&KafkaError::MessageConsumption(code))?,
        }
        Ok(true)
    }

    /// A partition goes on at this offset, and then at the next. If it was to go on elsewhere, it is asked whether anything was deleted between
    /// the two.
    fn goes_on(
        &mut self,
        partition: Partition,
        offset: i64,
        next: i64,
        receive: &mut dyn FnMut(Arrival<'_>),
    ) {
        let expected = self.standing.reach.of(partition);
        self.standing.reach.set(partition, next);
        if expected == Some(offset) {
            return;
        }
        let topic = self.consumer.context().0.topic();
        let begins = log_start(self.consumer.client(), topic, partition.0);
        let Some(begins) = begins.filter(|begins| *begins > 0) else {
            return;
        };
        // The group is asked but once for each assignment, and before anything of it is committed.
        let expected = expected.or_else(|| self.committed(partition));
        if let Some(offsets) = expected.and_then(|expected| deleted(expected, offset, begins)) {
            receive(Arrival::Deleted(partition, offsets));
        }
    }

    /// Where the group has come to, if it ever was there. Once it does not answer, nothing more is asked until the next assignment: many
    /// partitions would wait one after the other.
    fn committed(&mut self, partition: Partition) -> Option<i64> {
        if self.standing.asked_in_vain {
            return None;
        }
        match self.positions.of(&[partition], COMMITTED_LIMIT) {
            Ok(committed) => committed.get(&partition).copied(),
            Err(error) => {
                self.standing.asked_in_vain = true;
                tracing::warn!(%partition, %error, "it is not known whether anything was deleted before it was read");
                None
            }
        }
    }

    /// Goes back to the group's positions, or to the beginnings of partitions that it has none of.
    pub fn rewind(&mut self, partitions: &[Partition]) -> Result<(), Failure> {
        let broken = |what: &str, error: &dyn fmt::Display| {
            Failure::Broken(format!("{what} while going back: {error}"))
        };
        let committed = self
            .positions
            .of(partitions, POSITIONS_LIMIT)
            .map_err(|error| broken("committed offsets", &error))?;
        let topic = self.consumer.context().0.topic();
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            let next = committed.get(partition).copied();
            let from = next.map_or(Offset::Beginning, Offset::Offset);
            list.add_partition_offset(topic, partition.0, from)
                .map_err(|error| broken("set offset", &error))?;
        }
        let moved = self
            .consumer
            .seek_partitions(list, SEEK_LIMIT)
            .map_err(|error| broken("seek", &error))?;
        // The call as a whole succeeds even where single partitions failed.
        for element in moved.elements() {
            let moved = element.error();
            moved.map_err(|error| broken("seek of a partition", &error))?;
        }
        self.standing.reach.forget(partitions);
        for (partition, next) in committed {
            self.standing.reach.set(partition, next);
        }
        Ok(())
    }

    /// The client goes on by itself; but where a right is missing, in vain, and somebody must be told.
    fn complain(&self, error: &KafkaError) -> Result<(), Failure> {
        let code = error.rdkafka_error_code();
        match remedy(code, self.consumer.context().0.topic(), &self.group) {
            Some(remedy) => Err(Failure::Held(format!("{error}; {remedy}"))),
            None => {
                tracing::warn!(%error, "poll");
                Ok(())
            }
        }
    }
}

impl Standing {
    /// Hands over what the callbacks of the last poll reported.
    fn follow(
        &mut self,
        consumer: &BaseConsumer<Logged<CallbackQueue>>,
        receive: &mut dyn FnMut(Arrival<'_>),
    ) {
        while let Some(event) = consumer.context().0.take() {
            match event {
                Event::Assigned(partitions) => {
                    self.membership = current_membership(consumer);
                    self.owned.extend(&partitions);
                    self.reach.forget(&partitions);
                    self.asked_in_vain = false;
                    receive(Arrival::Assigned(&partitions));
                }
                Event::Revoked(partitions) => {
                    self.give_up(&partitions);
                    receive(Arrival::Revoked(&partitions));
                }
                Event::Lost(partitions) => {
                    self.membership = None;
                    self.give_up(&partitions);
                    receive(Arrival::Lost(&partitions));
                }
                Event::Statistics(statistics) => {
                    let is_deaf = statistics.steady && !has_member_id(consumer.client());
                    self.deaf_since = is_deaf.then(|| self.deaf_since.unwrap_or_else(Instant::now));
                    receive(Arrival::Statistics(statistics));
                }
            }
        }
    }

    /// A client can come to answer no rebalance any more, and believe itself a member for ever (`docs/reliability.md`).
    fn check(&self) -> Result<(), Failure> {
        let is_over = |since: Instant| since.elapsed() > LONGEST_DEAF;
        if !self.deaf_since.is_some_and(is_over) {
            return Ok(());
        }
        Err(Failure::Fatal(
            "the consumer does not notice that its group has gone on without it; only a new process can join".to_string(),
        ))
    }

    fn give_up(&mut self, partitions: &[Partition]) {
        self.owned
            .retain(|partition| !partitions.contains(partition));
    }
}

/// The membership, unless the client knows that it has been lost. A client that was thrown out has
/// forgotten its member id, and the broker would take its commit for one of a group without members.
/// Looked at in this order: the client marks the loss, if it does, before it can hand out the empty member id.
fn current_membership(
    consumer: &BaseConsumer<Logged<CallbackQueue>>,
) -> Option<ConsumerGroupMetadata> {
    let membership = consumer.group_metadata();
    membership.filter(|_| !consumer.assignment_lost() && has_member_id(consumer.client()))
}

fn source_record<'a>(record: &'a NativeRecord<'_>) -> SourceRecord<'a> {
    SourceRecord {
        partition: Partition(record.partition()),
        offset: record.offset(),
        timestamp_ms: record.timestamp_ms(),
        key: record.key(),
        payload: record.payload(),
        headers: record,
    }
}
