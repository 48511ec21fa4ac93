//! A broker inside this process, for the demo: librdkafka's mock cluster on a local port, with a
//! way to write samples and to watch what comes out. It speaks the protocol and groups; it proves
//! nothing about transactions, which it accepts and does not enforce.

use std::time::Duration;

use anyhow::Context;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::topics::TopicNames;
use crate::kafka::client::context::PlainContext;
use crate::quarantine::headers;

/// Partitions of the input topic.
pub const INPUT_PARTITIONS: i32 = 6;
/// Partitions of each output topic.
pub const OUTPUT_PARTITIONS: i32 = 3;
/// Longest wait for the samples to be taken.
const FLUSH_WAIT_MAX: Duration = Duration::from_secs(10);

/// The broker; it ends when this is dropped.
pub struct EmbeddedBroker {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl EmbeddedBroker {
    /// Starts a broker with the topics of a relay.
    ///
    /// # Errors
    /// If no local port can be had.
    pub fn start(topics: &TopicNames) -> anyhow::Result<Self> {
        let cluster = MockCluster::new(1).context("start the embedded broker")?;
        cluster.create_topic(&topics.input, INPUT_PARTITIONS, 1)?;
        for topic in topics.outputs() {
            cluster.create_topic(topic, OUTPUT_PARTITIONS, 1)?;
        }
        Ok(EmbeddedBroker { cluster })
    }

    /// Where it listens.
    pub fn bootstrap_servers(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", self.bootstrap_servers());
        client
    }

    /// A way to write samples.
    ///
    /// # Errors
    /// If the client cannot be made.
    pub fn sampler(&self, topic: &str) -> anyhow::Result<Sampler> {
        let producer = self.client().create().context("create the sample producer")?;
        Ok(Sampler { producer, topic: topic.to_string() })
    }

    /// A way to watch the output topics, from their beginning.
    ///
    /// # Errors
    /// If the client cannot be made.
    pub fn watcher(&self, topics: &TopicNames) -> anyhow::Result<Watcher> {
        let consumer: BaseConsumer<PlainContext> = self
            .client()
            .set("group.id", "demo-watcher")
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "50")
            .create_with_context(PlainContext::default())
            .context("create the watcher")?;
        let mut list = TopicPartitionList::new();
        for topic in topics.outputs() {
            for partition in 0..OUTPUT_PARTITIONS {
                list.add_partition_offset(topic, partition, Offset::Beginning)?;
            }
        }
        consumer.assign(&list)?;
        Ok(Watcher { consumer })
    }
}

/// Writes samples to the input topic.
pub struct Sampler {
    producer: ThreadedProducer<DefaultProducerContext>,
    topic: String,
}

impl Sampler {
    /// Writes a record, to the partition that its key hashes to.
    ///
    /// # Errors
    /// If the producer does not take it.
    pub fn write(&self, key: &str, value: &[u8]) -> anyhow::Result<()> {
        let record = BaseRecord::to(&self.topic).key(key).payload(value);
        self.producer.send(record).map_err(|(error, _)| error).context("produce a sample")
    }

    /// Waits until everything written is on the broker.
    ///
    /// # Errors
    /// If that takes too long.
    pub fn flush(&self) -> anyhow::Result<()> {
        self.producer.flush(FLUSH_WAIT_MAX).context("deliver the samples")
    }
}

/// Watches the output topics.
pub struct Watcher {
    consumer: BaseConsumer<PlainContext>,
}

/// A record of an output topic.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    /// The topic that it was read from.
    pub topic: &'a str,
    /// Its bytes.
    pub value: &'a [u8],
    /// Why it is in quarantine, where it is.
    pub reason: Option<&'a str>,
    /// The same in words.
    pub detail: Option<&'a str>,
}

impl Watcher {
    /// Waits for the next record and shows it.
    pub fn next(&self, wait: Duration, mut show: impl FnMut(Written<'_>)) -> bool {
        match self.consumer.poll(wait) {
            Some(Ok(message)) => {
                show(Written {
                    topic: message.topic(),
                    value: message.payload().unwrap_or_default(),
                    reason: header(&message, headers::REASON),
                    detail: header(&message, headers::DETAIL),
                });
                true
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "watch");
                false
            }
            None => false,
        }
    }
}

fn header<'m>(message: &'m BorrowedMessage<'_>, name: &str) -> Option<&'m str> {
    let given = message.headers()?.iter();
    headers::read(given.map(|header| (header.key, header.value)), name)
}
