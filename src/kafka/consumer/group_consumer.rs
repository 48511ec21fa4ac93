//! The consumer of the group. It reads records from a queue of its own, and serves each rebalance
//! before the records that follow it.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::member::{Member, current_membership};
use super::resume_points::{ReadFrom, ResumePoints};
use super::source::{ClientLog, source_record};
use crate::kafka::client::context::{LoggingContext, PlainContext, is_of_brokers};
use crate::kafka::client::error::{consumer_failure, remedy};
use crate::kafka::client::lookup::TopicLookup;
use crate::kafka::consumer::callbacks::CallbackQueue;
use crate::kafka::native::{QueueItem, QueuedConsumer, ReadError, Undescribed, set_leader_epoch};
use crate::kafka::settings::SessionSettings;
use crate::stream::{
    Failure, Partition, PartitionEvent, PartitionFault, Polled, Position, Rewound,
};

/// Most records that one poll returns, so that the caller checks the clock regularly.
const POLL_RECORDS_MAX: usize = 256;
/// Longest wait for a seek.
const SEEK_WAIT_MAX: Duration = Duration::from_secs(10);

/// A consumer of the input topic.
pub(in crate::kafka) struct GroupConsumer {
    pub client: QueuedConsumer<LoggingContext<CallbackQueue>>,
    points: ResumePoints,
    /// Name of the group.
    group: String,
    /// Whether the broker advances the member's epoch by itself, as KIP-848 does.
    epoch_grows: bool,
    member: Member,
}

impl GroupConsumer {
    /// Creates a consumer that has not joined its group yet.
    pub(crate) fn open(settings: &SessionSettings) -> Result<Self, KafkaError> {
        let context = LoggingContext(CallbackQueue::new(&settings.topics.input));
        let consumer: BaseConsumer<_> = settings.consumer.create_with_context(context)?;
        let client = QueuedConsumer::new(consumer).ok_or_else(|| {
            KafkaError::ClientCreation("no memory for the record queue".to_string())
        })?;
        client.context().0.forward_to(client.queue_handle());
        let group = settings.positions.create_with_context(PlainContext::default())?;
        let group = TopicLookup::new(group, &settings.topics.input);
        Ok(GroupConsumer {
            client,
            points: ResumePoints::new(group),
            group: settings.consumer.get("group.id").unwrap_or_default().to_string(),
            epoch_grows: settings.consumer.get("group.protocol") == Some("consumer"),
            member: Member::default(),
        })
    }

    /// Returns how many partitions the input topic has.
    pub(crate) fn input_partitions(&self) -> Result<i32, Undescribed> {
        self.points.partition_count()
    }

    /// Returns the membership with which a commit is made; `None` after a loss.
    pub(crate) fn membership(&self) -> Option<&ConsumerGroupMetadata> {
        self.member.membership.as_ref()
    }

    /// Renews the membership if the group follows KIP-848. There a member's epoch grows without a
    /// rebalance of its own, and the broker rejects a commit with an older one. A membership
    /// renewed before the commit still covers the batch: a partition leaves only after this member
    /// has given it up, or with a loss.
    pub(crate) fn follow_epoch(&mut self) {
        if self.epoch_grows && self.member.membership.is_some() {
            self.renew_membership();
        }
    }

    /// Takes the current membership from the client.
    pub(crate) fn renew_membership(&mut self) {
        self.member.membership = current_membership(&self.client);
    }

    /// Fails if this consumer can never read again. A consumer whose group.instance.id was taken
    /// over cannot, and must not fence its successor's producer by creating one of its own.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self.client.client().fatal_error() {
            Some((code, text)) => {
                let failure = consumer_failure(code, &text);
                let topic = self.client.context().0.topic();
                let remedy = remedy(Some(code), topic, &self.group);
                Err(remedy.map_or(failure.clone(), |it| failure.with(&format!("; {it}"))))
            }
            None => Ok(()),
        }
    }

    /// Implements `Broker::poll`.
    pub(crate) fn poll(
        &mut self,
        wait: Duration,
        most: usize,
        receive: &mut dyn FnMut(Polled<'_>),
    ) -> Result<(), Failure> {
        // Without partitions there are no records to wait for.
        let is_idle = self.member.owned.is_empty();
        self.serve(if is_idle { wait } else { Duration::ZERO }, receive)?;
        if is_idle {
            return Ok(());
        }
        let mut wait = wait;
        for _ in 0..most.min(POLL_RECORDS_MAX) {
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
        receive: &mut dyn FnMut(Polled<'_>),
    ) -> Result<(), Failure> {
        // A worker that recovers polls once in seconds. A rebalance behind other events must not
        // wait for as many polls, and the whole group with it.
        let waiting = self.client.waiting_events();
        let mut served = self.serve_one(wait);
        for _ in 1..waiting {
            served = served.and_then(|()| self.serve_one(Duration::ZERO));
        }
        if self.client.context().0.has_events() {
            // Statistics arrive once a second, so this runs at least that often.
            self.member.follow(&self.client, &mut self.points, receive);
            self.points.serve();
            self.member.check()?;
            self.check()?;
        }
        served
    }

    /// Serves one event, if one arrives in this time.
    fn serve_one(&self, wait: Duration) -> Result<(), Failure> {
        match self.client.poll(wait) {
            None => Ok(()),
            // No record should arrive here: every partition is forwarded to the queue before it is
            // assigned.
            Some(Ok(message)) => Err(Failure::Fatal(format!(
                "the client returned record {} of partition {} on the main queue instead of the record queue",
                message.offset(),
                message.partition()
            ))),
            // The error only says that the client failed; `check` asks it why.
            Some(Err(error)) => self.check().and_then(|()| self.check_error(&error)),
        }
    }

    /// Takes one entry of the queue. Returns whether there was one.
    fn take(
        &mut self,
        wait: Duration,
        receive: &mut dyn FnMut(Polled<'_>),
    ) -> Result<bool, Failure> {
        let GroupConsumer { client, points, .. } = self;
        let Some(taken) = client.take(wait) else {
            return Ok(false);
        };
        match taken.item() {
            QueueItem::Record(record) => {
                let partition = Partition(record.partition());
                if is_placed(points, partition, receive) {
                    let log = ClientLog { client, partition };
                    receive(Polled::Record(source_record(&record, &log)));
                }
            }
            QueueItem::End(number, offset) => {
                let partition = Partition(number);
                if is_placed(points, partition, receive) {
                    let log = ClientLog { client, partition };
                    let end = PartitionEvent::End { offset, log: &log };
                    receive(Polled::Partition(partition, end));
                }
            }
            QueueItem::Error(error) => {
                let fault = unreadable(&error, client.context().0.topic(), &self.group)?;
                let partition = Partition(error.partition);
                receive(Polled::Partition(partition, PartitionEvent::Failed(fault)));
            }
        }
        Ok(true)
    }

    /// Records the positions that this member committed.
    pub(crate) fn committed(&mut self, positions: &[Position]) {
        self.points.committed(positions);
    }

    /// Seeks back to the group's committed offsets. Implements `Broker::rewind`.
    pub(crate) fn rewind(&mut self, partitions: &[Partition]) -> Result<Vec<Rewound>, Failure> {
        let held = |error: KafkaError| {
            Failure::Held(format!("cannot read the group's committed offsets: {error}"))
        };
        let places = self.points.find(partitions).map_err(held)?;
        let moves = places.iter().filter_map(|(partition, place)| {
            Some((*partition, ReadFrom::place(place.as_ref().ok()?)))
        });
        let mut unmoved = self.seek(moves)?;
        let rewound = places.into_iter().map(|(partition, place)| {
            let place = match unmoved.remove(&partition) {
                Some(cause) => Err(PartitionFault::Unplaced { cause }),
                None => place,
            };
            if place.is_ok() {
                self.points.moved(partition);
            }
            Rewound { partition, place }
        });
        Ok(rewound.collect())
    }

    /// Moves a partition to an offset, or to the end of its log if that comes first. Implements
    /// `Broker::skip_to`. Committing a position behind the end would skip the records that are
    /// written there later.
    pub(crate) fn skip_to(
        &mut self,
        partition: Partition,
        offset: i64,
    ) -> Result<Result<i64, PartitionFault>, Failure> {
        let unplaced = |cause: String| Ok(Err(PartitionFault::Unplaced { cause }));
        let Some(end) = self.points.ends(&[partition]).remove(&partition) else {
            return unplaced("the end of the log is not known".to_string());
        };
        let next = offset.min(end);
        let mut unmoved = self.seek([(partition, ReadFrom::Offset(next, None))].into_iter())?;
        match unmoved.remove(&partition) {
            Some(cause) => unplaced(cause),
            None => Ok(Ok(next)),
        }
    }

    /// Moves these partitions to their ends, where only new records are read. Pausing is not an
    /// option: a bug in the client can leave a paused partition paused forever. The ends are looked
    /// up here. A client that looks one up itself still goes there when the answer arrives after
    /// the partition was rewound, and so skips everything before it.
    pub(crate) fn park(&mut self, partitions: &[Partition]) -> Result<(), Failure> {
        let ends = self.points.ends(partitions).into_iter();
        // Partitions that cannot be moved are still read; the loop accepts nothing of them.
        self.seek(ends.map(|(partition, end)| (partition, ReadFrom::Offset(end, None))))?;
        Ok(())
    }

    /// Seeks partitions. Returns those that could not be moved, and why.
    fn seek(
        &self,
        moves: impl Iterator<Item = (Partition, ReadFrom)>,
    ) -> Result<BTreeMap<Partition, String>, Failure> {
        let held = |error: KafkaError| {
            Failure::Held(format!("cannot seek partitions to another offset: {error}"))
        };
        let topic = self.client.context().0.topic();
        let mut list = TopicPartitionList::new();
        for (partition, from) in moves {
            let (offset, leader_epoch) = match from {
                ReadFrom::Beginning => (Offset::Beginning, None),
                ReadFrom::Offset(offset, leader_epoch) => (Offset::Offset(offset), leader_epoch),
            };
            list.add_partition_offset(topic, partition.0, offset).map_err(held)?;
            set_leader_epoch(&mut list, topic, partition.0, leader_epoch);
        }
        if list.count() == 0 {
            return Ok(BTreeMap::new());
        }
        let moved = self.client.seek_partitions(list, SEEK_WAIT_MAX).map_err(held)?;
        // The call succeeds as a whole even if single partitions failed.
        let failed = moved.elements().into_iter().filter_map(|element| {
            let error = element.error().err()?;
            Some((Partition(element.partition()), format!("seek: {error}")))
        });
        Ok(failed.collect())
    }

    /// Logs an error that the client recovers from by itself. A missing ACL is not one: retrying
    /// cannot fix it, so it fails the poll.
    fn check_error(&self, error: &KafkaError) -> Result<(), Failure> {
        match remedy(error.rdkafka_error_code(), self.client.context().0.topic(), &self.group) {
            Some(remedy) => Err(Failure::Held(format!("{error}; {remedy}"))),
            None if is_of_brokers(error) => {
                tracing::debug!(%error, "poll");
                Ok(())
            }
            None => {
                tracing::warn!(%error, "poll");
                Ok(())
            }
        }
    }
}

/// Returns the fault of a partition that could not be read. A missing ACL fails the whole poll.
fn unreadable(error: &ReadError, topic: &str, group: &str) -> Result<PartitionFault, Failure> {
    match remedy(error.known(), topic, group) {
        Some(remedy) => Err(Failure::Held(format!("{}; {remedy}", error.text))),
        None => Ok(PartitionFault::Unreadable { offset: error.offset, cause: error.text.clone() }),
    }
}

/// Passes on the floor of a partition, once after it was assigned. Returns whether its records may
/// follow.
fn is_placed(
    points: &mut ResumePoints,
    partition: Partition,
    receive: &mut dyn FnMut(Polled<'_>),
) -> bool {
    let (event, is_placed) = match points.floor(partition) {
        Ok(None) => return true,
        Ok(Some(place)) => (PartitionEvent::Placed(place), true),
        Err(fault) => (PartitionEvent::Failed(fault), false),
    };
    receive(Polled::Partition(partition, event));
    is_placed
}
