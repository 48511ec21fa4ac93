//! Looks at a cluster without joining the consumer group or writing a record: for `check --connect`
//! and `explain --from`.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client_context::LoggingContext;
use super::producer::{OutgoingRecord, TransactionalProducer};
use super::settings;
use super::topics::{METADATA_LIMIT, TopicNames, partition_count};
use crate::config::{Config, TableSource};
use crate::stream::Failure;

/// Longest wait for a single record.
const RECORD_LIMIT: Duration = Duration::from_secs(15);

/// One thing that was looked at.
#[derive(Debug)]
pub struct Finding {
    /// What was looked at.
    pub subject: String,
    /// What was seen, or what is wrong.
    pub result: Result<String, String>,
}

impl Finding {
    fn new(subject: impl Into<String>, result: Result<String, String>) -> Self {
        Finding {
            subject: subject.into(),
            result,
        }
    }
}

/// Asks the cluster for everything that `run` will need. Stops early only if no broker answers.
pub fn check_cluster(config: &Config, topics: &TopicNames) -> Vec<Finding> {
    let consumer = match connect(config) {
        Ok(consumer) => consumer,
        Err(error) => {
            return vec![Finding::new(
                format!("brokers {}", config.kafka.bootstrap_servers()),
                Err(format!("{error:#}")),
            )];
        }
    };
    let mut findings = vec![Finding::new(
        format!("brokers {}", config.kafka.bootstrap_servers()),
        Ok("reached".to_string()),
    )];
    findings.push(check_readable(&consumer, "input", &topics.input));
    for (table, source) in [
        ("principals", Some(&config.principals)),
        ("devices", config.devices.as_ref()),
    ] {
        if let Some(TableSource::Topic(topic)) = source {
            findings.push(check_readable(&consumer, table, topic));
        }
    }
    findings.extend(topics.outputs().map(|topic| check_output(&consumer, topic)));
    findings.push(check_group(config, &topics.input));
    findings.push(check_transactions(config));
    findings
}

fn connect(config: &Config) -> anyhow::Result<BaseConsumer<LoggingContext>> {
    let consumer: BaseConsumer<LoggingContext> = settings::inspector(config)
        .create_with_context(LoggingContext)
        .context("create a client")?;
    // All topics: the one request that needs no right at all.
    consumer
        .fetch_metadata(None, METADATA_LIMIT)
        .context("no broker answered; check \"bootstrap.servers\" and the security settings")?;
    Ok(consumer)
}

fn check_output(consumer: &BaseConsumer<LoggingContext>, topic: &str) -> Finding {
    let count = partition_count(consumer, topic);
    Finding::new(
        format!("output topic {topic}"),
        count
            .map(|count| format!("{count} partitions"))
            .map_err(|problem| problem.to_string()),
    )
}

/// Beyond metadata, reads the end of a partition: that needs the right to read.
fn check_readable(consumer: &BaseConsumer<LoggingContext>, what: &str, topic: &str) -> Finding {
    let looked = partition_count(consumer, topic)
        .map_err(|problem| problem.to_string())
        .and_then(|count| {
            let (low, high) = consumer
                .fetch_watermarks(topic, 0, METADATA_LIMIT)
                .map_err(|error| format!("cannot read its offsets: {error}"))?;
            Ok(format!(
                "{count} partitions; partition 0 holds offsets {low} to {high}"
            ))
        });
    Finding::new(format!("{what} topic {topic}"), looked)
}

/// Reads a committed offset of the group, which needs the right to the group but no membership.
fn check_group(config: &Config, topic: &str) -> Finding {
    let look = || -> Result<String, KafkaError> {
        let mut client = settings::inspector(config);
        client.set("group.id", &config.input.group);
        let consumer: BaseConsumer<LoggingContext> = client.create_with_context(LoggingContext)?;
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, 0);
        let deadline = Instant::now() + METADATA_LIMIT;
        let committed = loop {
            match consumer.committed_offsets(list.clone(), METADATA_LIMIT) {
                Err(error) if is_moving(&error) && Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                result => break result?,
            }
        };
        for element in committed.elements() {
            element.error()?;
            if let Offset::Offset(offset) = element.offset() {
                return Ok(format!("partition 0 is committed up to offset {offset}"));
            }
        }
        Ok("nothing is committed for partition 0 yet".to_string())
    };
    Finding::new(
        format!("consumer group {}", config.input.group),
        look().map_err(|error| format!("cannot read its offsets: {error}")),
    )
}

/// Whether the group's coordinator is only just being found, as after the start of a cluster.
fn is_moving(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{CoordinatorLoadInProgress, CoordinatorNotAvailable, NotCoordinator};
    let code = error.rdkafka_error_code();
    code.is_some_and(|code| {
        [
            NotCoordinator,
            CoordinatorNotAvailable,
            CoordinatorLoadInProgress,
        ]
        .contains(&code)
    })
}

/// Takes a transactional id of its own, so that no running relay is fenced, and aborts an empty
/// transaction.
fn check_transactions(config: &Config) -> Finding {
    let tried = checking_producer(config, None).and_then(|producer| {
        producer.begin()?;
        producer.abort()
    });
    Finding::new(
        format!("transactional id {}", checking_id(config)),
        tried
            .map(|()| "transactions are possible".to_string())
            .map_err(|failure| failure.to_string()),
    )
}

/// Writes a record to each output topic, in a transaction that is aborted.
pub fn check_writing(config: &Config, topics: &TopicNames) -> Vec<Finding> {
    let check = |topic: &str| {
        let tried = checking_producer(config, Some(topic)).and_then(|producer| {
            producer.begin()?;
            producer.send(OutgoingRecord {
                topic: 0,
                partition: 0,
                timestamp_ms: 0,
                key: Some(b"check"),
                payload: Some(b""),
                headers: None,
            })?;
            let delivered = producer.drain();
            producer.abort()?;
            delivered
        });
        Finding::new(
            format!("writing to {topic}"),
            tried
                .map(|()| "allowed".to_string())
                .map_err(|failure| failure.to_string()),
        )
    };
    topics.outputs().map(check).collect()
}

fn checking_id(config: &Config) -> String {
    format!("{}-check", settings::transactional_id(config, 0))
}

fn checking_producer(
    config: &Config,
    topic: Option<&str>,
) -> Result<TransactionalProducer, Failure> {
    let mut client = settings::producer(config, 0);
    client.set("transactional.id", checking_id(config));
    TransactionalProducer::open(&client, topic)
}

/// One record on the cluster.
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
                Ok(RecordAddress {
                    topic: topic.to_string(),
                    partition,
                    offset,
                })
            }
            _ => Err("expected TOPIC/PARTITION/OFFSET, e.g. state-changes/3/1200".to_string()),
        }
    }
}

/// The value of one record; `None` is a record without one.
///
/// # Errors
/// If the record is not there (any more), or cannot be read in time.
pub fn read_value(config: &Config, address: &RecordAddress) -> anyhow::Result<Option<Vec<u8>>> {
    let RecordAddress {
        topic,
        partition,
        offset,
    } = address;
    let mut client = settings::inspector(config);
    // A group must be named to read; nothing is ever committed for it, and it is not joined.
    client.set("group.id", format!("{}-explain", config.input.group));
    let consumer: BaseConsumer<LoggingContext> = client.create_with_context(LoggingContext)?;
    let (low, high) = consumer
        .fetch_watermarks(topic, *partition, METADATA_LIMIT)
        .with_context(|| format!("look up the offsets of {topic}/{partition}"))?;
    if !(low..high).contains(offset) {
        bail!("{topic}/{partition} holds offsets {low} to {high}, not {offset}");
    }
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
    consumer.assign(&list)?;
    let deadline = Instant::now() + RECORD_LIMIT;
    while Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(200)) {
            Some(Ok(message)) if message.offset() == *offset => {
                return Ok(message.payload().map(Vec::from));
            }
            Some(Ok(message)) => bail!(
                "{topic}/{partition} has no record at offset {offset} (the next is at {}); it was compacted away, or belongs to a transaction that was aborted",
                message.offset()
            ),
            Some(Err(KafkaError::PartitionEOF(_))) => {
                bail!("{topic}/{partition} has no committed record at or after offset {offset}")
            }
            Some(Err(error)) => tracing::warn!(%error, "poll"),
            None => {}
        }
    }
    bail!("{topic}/{partition}/{offset} was not read within {RECORD_LIMIT:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_addresses() {
        let address: RecordAddress = "a.b/3/12".parse().expect("parses");
        assert_eq!(
            (address.topic.as_str(), address.partition, address.offset),
            ("a.b", 3, 12)
        );
        for wrong in ["a/b", "a/x/1", "a/-1/2", "1/2", ""] {
            assert!(wrong.parse::<RecordAddress>().is_err(), "{wrong}");
        }
    }
}
