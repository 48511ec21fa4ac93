//! Asks where the group has come to, on a connection of its own: while the group rebalances, the broker answers a member nothing on
//! the connection of its JoinGroup, and one that waits there for committed offsets waits for the slowest member.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client_context::LoggingContext;
use crate::stream::Partition;

/// Events of the client that are served at once; more are left for the next time.
const MOST_EVENTS: usize = 100;

/// A client that names the group and never joins it.
pub(super) struct GroupPositions {
    consumer: BaseConsumer<LoggingContext>,
    topic: String,
}

impl GroupPositions {
    /// Connects in the background.
    pub fn open(config: &ClientConfig, topic: &str) -> KafkaResult<Self> {
        Ok(GroupPositions {
            consumer: config.create_with_context(LoggingContext::default())?,
            topic: topic.to_string(),
        })
    }

    /// The committed offsets of those of these partitions that have one. Waits for open transactions.
    pub fn of(
        &self,
        partitions: &[Partition],
        limit: Duration,
    ) -> KafkaResult<BTreeMap<Partition, i64>> {
        self.serve();
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            list.add_partition(&self.topic, partition.0);
        }
        let mut committed = BTreeMap::new();
        for element in self.consumer.committed_offsets(list, limit)?.elements() {
            element.error()?;
            if let Offset::Offset(next) = element.offset() {
                committed.insert(Partition(element.partition()), next);
            }
        }
        Ok(committed)
    }

    /// Serves the client's own events, such as errors, which are logged then; to be called now and then.
    pub fn serve(&self) {
        for _ in 0..MOST_EVENTS {
            if self.consumer.poll(Duration::ZERO).is_none() {
                return;
            }
        }
    }
}
