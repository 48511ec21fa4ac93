//! What is read: the consumer, its membership of the group, and the queue that its records are led
//! to. A rebalance is served before any record that follows it.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::group_positions::GroupPositions;
use super::member::{Member, current_membership};
use super::placing::{Placing, ReadFrom};
use crate::kafka::client::context::{Logged, is_of_brokers};
use crate::kafka::client::error::{dead, remedy};
use crate::kafka::consumer::callbacks::CallbackQueue;
use crate::kafka::native::{
    NativeRecord, News, QueuedConsumer, ReadError, log_start, set_leader_epoch,
};
use crate::kafka::settings::SessionSettings;
use crate::stream::{Arrival, Failure, Partition, PartitionFault, Position, Rewound, SourceRecord};

/// Most records that are handed over by one poll, so that the clock is looked at now and then.
const MOST_AT_ONCE: usize = 256;
/// Longest wait for partitions to be moved to another offset.
const SEEK_LIMIT: Duration = Duration::from_secs(10);

/// A consumer of the input topic.
pub(in crate::kafka) struct GroupConsumer {
    pub consumer: QueuedConsumer<Logged<CallbackQueue>>,
    placing: Placing,
    /// Name of the group.
    group: String,
    /// Whether the broker lets the member's epoch grow by itself.
    epoch_grows: bool,
    member: Member,
}

impl GroupConsumer {
    /// A consumer that has not joined its group yet.
    pub(crate) fn open(settings: &SessionSettings) -> Result<Self, KafkaError> {
        let context = Logged(CallbackQueue::new(&settings.topics.input));
        let group = settings.consumer.get("group.id").unwrap_or_default();
        let consumer: BaseConsumer<_> = settings.consumer.create_with_context(context)?;
        let consumer = QueuedConsumer::new(consumer)
            .ok_or_else(|| KafkaError::ClientCreation("no queue for records".to_string()))?;
        consumer.context().0.lead_to(consumer.queue_handle());
        let positions = GroupPositions::open(&settings.positions, &settings.topics.input)?;
        Ok(GroupConsumer {
            consumer,
            placing: Placing::new(positions, &settings.pass_over),
            group: group.to_string(),
            epoch_grows: settings.consumer.get("group.protocol") == Some("consumer"),
            member: Member::default(),
        })
    }

    /// For whom a commit speaks now; nobody after a loss.
    pub(crate) fn membership(&self) -> Option<&ConsumerGroupMetadata> {
        self.member.membership.as_ref()
    }

    /// By KIP-848 the epoch of a member grows without a rebalance of its own, and a commit with an
    /// older one is refused. Asked anew before a commit it is still that of the batch: a
    /// partition goes only after this member has given it up, or with a loss.
    pub(crate) fn follow_epoch(&mut self) {
        if self.epoch_grows && self.member.membership.is_some() {
            self.renew_membership();
        }
    }

    /// Asks the client anew for whom a commit speaks.
    pub(crate) fn renew_membership(&mut self) {
        self.member.membership = current_membership(&self.consumer);
    }

    /// Whether this consumer can ever read again. One whose place in the group was taken cannot,
    /// and must not throw its successor's producer out by building one of its own.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self.consumer.client().fatal_error() {
            Some((code, text)) => {
                let failure = dead(code, &text);
                let topic = self.consumer.context().0.topic();
                let remedy = remedy(Some(code), topic, &self.group);
                Err(remedy.map_or(failure.clone(), |it| failure.with(&format!("; {it}"))))
            }
            None => Ok(()),
        }
    }

    /// See `Broker::poll`.
    pub(crate) fn poll(
        &mut self,
        wait: Duration,
        most: usize,
        receive: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<(), Failure> {
        // Without partitions there are no records to wait for.
        let is_idle = self.member.owned.is_empty();
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
            self.member.follow(&self.consumer, &mut self.placing, receive);
            self.placing.serve();
            self.member.check()?;
            self.check()?;
        }
        match polled {
            None => Ok(()),
            // None come this way: their partitions were led elsewhere before they were assigned.
            Some(Ok(message)) => Err(Failure::Fatal(format!(
                "the client handed out record {} of partition {} by the wrong queue",
                message.offset(),
                message.partition()
            ))),
            // What it is, the client says only when asked.
            Some(Err(error)) => self.check().and_then(|()| self.complain(&error)),
        }
    }

    /// Takes a record, or the end of a partition. Whether there was anything.
    fn take(
        &mut self,
        wait: Duration,
        receive: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<bool, Failure> {
        let GroupConsumer { consumer, placing, .. } = self;
        let Some(taken) = consumer.take(wait) else {
            return Ok(false);
        };
        let topic = consumer.context().0.topic();
        let log_start = |partition: Partition| log_start(consumer.client(), topic, partition.0);
        match taken.news() {
            News::Record(record) => {
                let record = source_record(&record);
                let (partition, offset) = (record.partition, record.offset);
                let place = (offset, offset.saturating_add(1));
                if placing.goes_on(partition, place, || log_start(partition), receive) {
                    receive(Arrival::Record(record));
                }
            }
            News::End(partition, next) => {
                let partition = Partition(partition);
                if placing.goes_on(partition, (next, next), || log_start(partition), receive) {
                    receive(Arrival::CaughtUp(partition, next));
                }
            }
            News::Error(error) => {
                let fault = unreadable(&error, topic, &self.group)?;
                let partition = Partition(error.partition);
                placing.unreadable(partition, error.offset);
                receive(Arrival::Faulty(partition, fault));
            }
        }
        Ok(true)
    }

    /// These positions were committed by this member.
    pub(crate) fn committed(&mut self, positions: &[Position]) {
        self.placing.committed(positions);
    }

    /// Goes back to the group's positions, or to the beginnings of partitions that it has none of.
    /// See `Broker::rewind`.
    pub(crate) fn rewind(&mut self, partitions: &[Partition]) -> Result<Vec<Rewound>, Failure> {
        let held = |error: KafkaError| {
            Failure::Held(format!("cannot read the group's committed offsets: {error}"))
        };
        let courses = self.placing.courses(partitions).map_err(held)?;
        let moves = courses.iter().filter_map(|(partition, course)| {
            let (from, _) = course.as_ref().ok()?;
            Some((*partition, *from))
        });
        let unmoved = self.seek(moves)?;
        let rewound = courses.into_iter().map(|(partition, course)| {
            let place = match unmoved.get(&partition) {
                Some(cause) => Err(PartitionFault::Unplaced { cause: cause.clone() }),
                None => course.map(|(_, place)| place),
            };
            if let Ok(place) = place {
                self.placing.moved(partition, place);
            }
            Rewound { partition, place }
        });
        Ok(rewound.collect())
    }

    /// Leads the client to the ends of these partitions, where it reads nothing but what is new: a
    /// partition that is paused may stay so for ever, by a fault of the client. The ends are
    /// looked up here. A client that looks one up itself still goes there when the answer comes
    /// after the partition was rewound, and passes over all that lies before it.
    pub(crate) fn park(&mut self, partitions: &[Partition]) -> Result<(), Failure> {
        let ends = self.placing.ends(partitions).into_iter();
        // Those that cannot be moved are read on; nothing of them is taken.
        self.seek(ends.map(|(partition, end)| (partition, ReadFrom::Offset(end, None))))?;
        Ok(())
    }

    /// Moves partitions, and says which could not be moved, and why.
    fn seek(
        &self,
        moves: impl Iterator<Item = (Partition, ReadFrom)>,
    ) -> Result<BTreeMap<Partition, String>, Failure> {
        let held = |error: KafkaError| {
            Failure::Held(format!("cannot move partitions to another offset: {error}"))
        };
        let topic = self.consumer.context().0.topic();
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
        let moved = self.consumer.seek_partitions(list, SEEK_LIMIT).map_err(held)?;
        // The call as a whole succeeds even where single partitions failed.
        let failed = moved.elements().into_iter().filter_map(|element| {
            let error = element.error().err()?;
            Some((Partition(element.partition()), format!("seek: {error}")))
        });
        Ok(failed.collect())
    }

    /// The client goes on by itself; but where a right is missing, in vain, and somebody must be
    /// told.
    fn complain(&self, error: &KafkaError) -> Result<(), Failure> {
        match remedy(error.rdkafka_error_code(), self.consumer.context().0.topic(), &self.group) {
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

/// What an error of a partition means for it. Where a right is missing everything holds: waiting
/// grants none.
fn unreadable(error: &ReadError, topic: &str, group: &str) -> Result<PartitionFault, Failure> {
    match remedy(error.known(), topic, group) {
        Some(remedy) => Err(Failure::Held(format!("{}; {remedy}", error.text))),
        None => Ok(PartitionFault::Unreadable { offset: error.offset, cause: error.text.clone() }),
    }
}

fn source_record<'a>(record: &'a NativeRecord<'_>) -> SourceRecord<'a> {
    SourceRecord {
        partition: Partition(record.partition()),
        offset: record.offset(),
        timestamp_ms: record.timestamp_ms(),
        key: record.key(),
        payload: record.payload(),
        headers: record,
        leader_epoch: record.leader_epoch(),
    }
}
