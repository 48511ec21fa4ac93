//! Asks the brokers how far the input's partitions go, on a connection of its own: what a worker's consumer believes is what the
//! watchdog doubts. It reads no records and belongs to no group.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client_context::LoggingContext;
use super::settings;
use crate::config::Config;
use crate::stream::Partition;

/// Longest wait for an answer.
const LOOK_UP_LIMIT: Duration = Duration::from_secs(5);

/// A client that looks up ends.
pub struct InputEnds {
    consumer: BaseConsumer<LoggingContext>,
    topic: String,
}

impl InputEnds {
    /// Makes the client; nothing is connected yet.
    ///
    /// # Errors
    /// If the client cannot be made.
    pub fn new(config: &Config) -> Result<Self, KafkaError> {
        let client = settings::follower(config, "watchdog");
        Ok(InputEnds {
            consumer: client.create_with_context(LoggingContext::default())?,
            topic: config.input.topic.clone(),
        })
    }

    /// The offset behind the last record that can be read of each partition. Those whose brokers do not answer are left out.
    pub fn look_up(&self, partitions: impl Iterator<Item = Partition>) -> BTreeMap<Partition, i64> {
        // Serves the client's own events, such as errors, which then are logged.
        self.consumer.poll(Duration::ZERO);
        self.ask(partitions).unwrap_or_default()
    }

    fn ask(
        &self,
        partitions: impl Iterator<Item = Partition>,
    ) -> Result<BTreeMap<Partition, i64>, KafkaError> {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition_offset(&self.topic, partition.0, Offset::End)?;
        }
        let found = self.consumer.offsets_for_times(list, LOOK_UP_LIMIT)?;
        let ends = found.elements().into_iter().filter_map(|element| {
            let end = element.error().ok().and(element.offset().to_raw())?;
            (end >= 0).then_some((Partition(element.partition()), end))
        });
        Ok(ends.collect())
    }
}
