//! Asks where the group has come to, and how far the log goes, on a connection of its own: while
//! the group rebalances, the broker answers a member nothing on the connection of its JoinGroup,
//! and one that waits there for committed offsets waits for the slowest member.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::input_ends::ends;
use crate::kafka::client::context::{LoggingContext, serve_events};
use crate::kafka::native::{TopicId, leader_epoch, topic_identity};
use crate::stream::Partition;

/// Longest wait for the ends of the log, and for the topic's id.
const LOOK_UP_LIMIT: Duration = Duration::from_secs(5);

/// A client that names the group and never joins it.
pub(in crate::kafka) struct GroupPositions {
    consumer: BaseConsumer<LoggingContext>,
    topic: String,
}

/// What the group committed of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kafka) struct Committed {
    /// The offset of the next record to read.
    pub offset: i64,
    /// The leader epoch of the last record before it, if it was committed with one: by this the
    /// broker tells whether that record is still in the log.
    pub leader_epoch: Option<i32>,
}

impl GroupPositions {
    /// Connects in the background.
    pub(super) fn open(config: &ClientConfig, topic: &str) -> KafkaResult<Self> {
        Ok(GroupPositions {
            consumer: config.create_with_context(LoggingContext::default())?,
            topic: topic.to_string(),
        })
    }

    /// The committed offsets of those of these partitions that have one. Waits for open
    /// transactions.
    pub(super) fn of(
        &self,
        partitions: &[Partition],
        limit: Duration,
    ) -> KafkaResult<BTreeMap<Partition, Committed>> {
        self.serve();
        let mut committed = BTreeMap::new();
        let found = self.consumer.committed_offsets(self.list(partitions), limit)?;
        for element in found.elements() {
            element.error()?;
            if let Offset::Offset(offset) = element.offset() {
                let partition = element.partition();
                let leader_epoch = leader_epoch(&found, &self.topic, partition);
                committed.insert(Partition(partition), Committed { offset, leader_epoch });
            }
        }
        Ok(committed)
    }

    /// The offsets that the next records of these partitions would get, as far as they can be had.
    pub(super) fn ends(&self, partitions: &[Partition]) -> BTreeMap<Partition, i64> {
        ends(&self.consumer, &self.topic, partitions, LOOK_UP_LIMIT).unwrap_or_default()
    }

    /// What tells the topic from another of the same name; none if the broker does not say.
    pub(super) fn topic_id(&self) -> Option<TopicId> {
        let found = topic_identity(self.consumer.client(), &self.topic, LOOK_UP_LIMIT);
        found.ok()?.id
    }

    fn list(&self, partitions: &[Partition]) -> TopicPartitionList {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            list.add_partition(&self.topic, partition.0);
        }
        list
    }

    /// Serves the client's own events, such as errors, which are logged then; to be called now and
    /// then.
    pub(super) fn serve(&self) {
        serve_events(&self.consumer);
    }
}
