//! Reads single records without joining the consumer group, for `explain --from`.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::settings;
use super::topics::METADATA_WAIT_MAX;
use crate::config::Config;
use crate::kafka::client::context::{PlainContext, prime_oauth};

/// Longest wait for a single record.
const RECORD_WAIT_MAX: Duration = Duration::from_secs(15);

/// The address of one record in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordAddress {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

impl std::str::FromStr for RecordAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.rsplitn(3, '/');
        let offset = parts.next().and_then(|part| part.parse().ok());
        let partition = parts.next().and_then(|part| part.parse().ok());
        match (parts.next(), partition, offset) {
            (Some(topic), Some(partition), Some(offset)) if partition >= 0 && offset >= 0 => {
                Ok(RecordAddress { topic: topic.to_string(), partition, offset })
            }
            _ => Err("expected TOPIC/PARTITION/OFFSET, e.g. state-changes/3/1200".to_string()),
        }
    }
}

/// Returns the value of one record; `None` for a record without a value.
///
/// # Errors
/// Fails if the record does not exist (any more), or cannot be read in time.
pub fn read_value(config: &Config, address: &RecordAddress) -> anyhow::Result<Option<Vec<u8>>> {
    let RecordAddress { topic, partition, offset } = address;
    let mut client = settings::inspector(config);
    // Reading requires a group id. Nothing is ever committed for it, and the client does not join.
    client.set("group.id", format!("{}-explain", config.input.group));
    let consumer: BaseConsumer<PlainContext> =
        client.create_with_context(PlainContext::default())?;
    prime_oauth(&consumer);
    let (low, high) = consumer
        .fetch_watermarks(topic, *partition, METADATA_WAIT_MAX)
        .with_context(|| format!("look up the offsets of {topic}/{partition}"))?;
    if !(low..high).contains(offset) {
        bail!("{topic}/{partition} holds offsets {low} to {high}, not {offset}");
    }
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
    consumer.assign(&list)?;
    let deadline = Instant::now() + RECORD_WAIT_MAX;
    while Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(200)) {
            Some(Ok(message)) if message.offset() == *offset => {
                return Ok(message.payload().map(Vec::from));
            }
            Some(Ok(message)) => bail!(
                "{topic}/{partition} has no record at offset {offset} (the next is at {}); the record was compacted away, or belongs to an aborted transaction",
                message.offset()
            ),
            Some(Err(KafkaError::PartitionEOF(_))) => {
                bail!("{topic}/{partition} has no committed record at or after offset {offset}")
            }
            Some(Err(error)) => tracing::warn!(%error, "poll"),
            None => {}
        }
    }
    bail!("{topic}/{partition}/{offset} was not read within {RECORD_WAIT_MAX:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_addresses() {
        let address: RecordAddress = "a.b/3/12".parse().expect("parses");
        assert_eq!((address.topic.as_str(), address.partition, address.offset), ("a.b", 3, 12));
        for wrong in ["a/b", "a/x/1", "a/-1/2", "1/2", ""] {
            assert!(wrong.parse::<RecordAddress>().is_err(), "{wrong}");
        }
    }
}
