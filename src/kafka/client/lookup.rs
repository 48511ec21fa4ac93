//! Looks up one topic in the cluster: the bounds of its partitions' logs, the offsets that a group
//! has committed, and the topic id. Each look-up has a connection of its own, because a broker
//! answers nothing on a connection while a fetch or JoinGroup waits on it.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::context::serve_events;
use crate::kafka::native::{TopicIdentity, Undescribed, leader_epoch, metadata, topic_identity};

/// A client that only looks things up: it reads no records and joins no group.
pub(in crate::kafka) struct TopicLookup<C: ConsumerContext + 'static> {
    consumer: BaseConsumer<C>,
    topic: String,
}

/// What a group has committed for a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kafka) struct Committed {
    /// The offset of the next record to read.
    pub offset: i64,
    /// The leader epoch of the last record before it, if one was committed. With it the broker can
    /// tell whether that record is still in the log.
    pub leader_epoch: Option<i32>,
    /// The metadata committed with it; empty if there is none.
    pub metadata: String,
}

/// An end of a partition's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kafka) enum Bound {
    /// The first offset in the log.
    Start,
    /// The offset of the next record to be appended. With `read_committed`, the last stable offset.
    End,
}

impl<C: ConsumerContext + 'static> TopicLookup<C> {
    /// Creates a look-up of this topic. The client must not be subscribed to anything.
    pub(in crate::kafka) fn new(consumer: BaseConsumer<C>, topic: &str) -> Self {
        TopicLookup { consumer, topic: topic.to_string() }
    }

    /// Returns the client.
    pub(in crate::kafka) fn consumer(&self) -> &BaseConsumer<C> {
        &self.consumer
    }

    /// Returns the name of the topic.
    pub(in crate::kafka) fn topic(&self) -> &str {
        &self.topic
    }

    /// Serves the client's own events without waiting: token requests, and errors, which are
    /// logged. Must be called regularly.
    pub(in crate::kafka) fn serve(&self) {
        serve_events(&self.consumer);
    }

    /// Returns one bound of each partition's log, or the error for that partition.
    ///
    /// # Errors
    /// Fails for all partitions if one of them has no leader: the client then answers for none.
    pub(in crate::kafka) fn bounds(
        &self,
        bound: Bound,
        partitions: impl IntoIterator<Item = i32>,
        limit: Duration,
    ) -> KafkaResult<Vec<(i32, KafkaResult<i64>)>> {
        bounds(&self.consumer, &self.topic, bound, partitions, limit)
    }

    /// Returns what the group has committed for these partitions. Partitions without a committed
    /// offset are left out.
    ///
    /// # Errors
    /// Fails if the group coordinator does not answer for one of them.
    pub(in crate::kafka) fn committed(
        &self,
        partitions: impl IntoIterator<Item = i32>,
        limit: Duration,
    ) -> KafkaResult<BTreeMap<i32, Committed>> {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(&self.topic, partition);
        }
        let found = self.consumer.committed_offsets(list, limit)?;
        let mut committed = BTreeMap::new();
        for element in found.elements() {
            element.error()?;
            if let Offset::Offset(offset) = element.offset() {
                let partition = element.partition();
                let leader_epoch = leader_epoch(&found, &self.topic, partition);
                let metadata = metadata(&found, &self.topic, partition);
                committed.insert(partition, Committed { offset, leader_epoch, metadata });
            }
        }
        Ok(committed)
    }

    /// Returns the topic's id and partition count.
    ///
    /// # Errors
    /// Fails if the topic does not exist, or no broker describes it in time.
    pub(in crate::kafka) fn identity(&self, limit: Duration) -> Result<TopicIdentity, Undescribed> {
        topic_identity(self.consumer.client(), &self.topic, limit)
    }
}

/// Returns one bound of each partition's log, or the error for that partition.
///
/// # Errors
/// Fails for all partitions if one of them has no leader: the client then answers for none.
pub(in crate::kafka) fn bounds<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    bound: Bound,
    partitions: impl IntoIterator<Item = i32>,
    limit: Duration,
) -> KafkaResult<Vec<(i32, KafkaResult<i64>)>> {
    let which = match bound {
        Bound::Start => Offset::Beginning,
        Bound::End => Offset::End,
    };
    let wanted = partitions.into_iter().map(|partition| (partition, which));
    let bounds = offsets(consumer, topic, wanted, limit)?.into_iter().map(|(partition, found)| {
        let offset = found.and_then(|found| match found {
            Offset::Offset(offset) => Ok(offset),
            _ => Err(KafkaError::OffsetFetch(RDKafkaErrorCode::NoOffset)),
        });
        (partition, offset)
    });
    Ok(bounds.collect())
}

/// Returns for each partition the offset of its first record from a time on, in milliseconds since
/// 1970; 0 stands for the beginning of its log. Partitions without such a record are left out.
///
/// # Errors
/// Fails if no broker answers for one of them.
pub(in crate::kafka) fn first_since<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    times: &BTreeMap<i32, u64>,
    limit: Duration,
) -> KafkaResult<BTreeMap<i32, i64>> {
    let wanted = times.iter().map(|(partition, time)| {
        let time = match i64::try_from(*time) {
            Ok(0) => Offset::Beginning,
            time => Offset::Offset(time.unwrap_or(i64::MAX)),
        };
        (*partition, time)
    });
    let mut first = BTreeMap::new();
    for (partition, found) in offsets(consumer, topic, wanted, limit)? {
        if let Offset::Offset(offset) = found? {
            first.insert(partition, offset);
        }
    }
    Ok(first)
}

/// Asks for the offset at a bound or a time of each partition's log, and returns the answer for
/// each.
fn offsets<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    wanted: impl Iterator<Item = (i32, Offset)>,
    limit: Duration,
) -> KafkaResult<Vec<(i32, KafkaResult<Offset>)>> {
    let mut list = TopicPartitionList::new();
    for (partition, which) in wanted {
        list.add_partition_offset(topic, partition, which)?;
    }
    if list.count() == 0 {
        return Ok(Vec::new());
    }
    let found = consumer.offsets_for_times(list, limit)?;
    let answers = found.elements().into_iter();
    let answers =
        answers.map(|element| (element.partition(), element.error().map(|()| element.offset())));
    Ok(answers.collect())
}
