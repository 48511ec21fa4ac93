//! Runs a broker inside this process for the demo: librdkafka's mock cluster on a local port, with
//! clients to write samples and to watch the outputs. It implements the protocol and consumer
//! groups. It proves nothing about transactions, which it accepts without enforcing them.

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

/// Partition count of the input topic.
pub const INPUT_PARTITIONS: i32 = 6;
/// Partition count of each output topic.
pub const OUTPUT_PARTITIONS: i32 = 3;
/// Longest wait for the samples to be delivered.
const FLUSH_WAIT_MAX: Duration = Duration::from_secs(10);

/// The broker. It stops when it is dropped.
pub struct EmbeddedBroker {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl EmbeddedBroker {
    /// Starts a broker with the relay's topics.
    ///
    /// # Errors
    /// Fails if no local port is available.
    pub fn start(topics: &TopicNames) -> anyhow::Result<Self> {
        let cluster = MockCluster::new(1).context("start the embedded broker")?;
        cluster.create_topic(&topics.input, INPUT_PARTITIONS, 1)?;
        for topic in topics.outputs() {
            cluster.create_topic(topic, OUTPUT_PARTITIONS, 1)?;
        }
        Ok(EmbeddedBroker { cluster })
    }

    /// Returns the address of the broker.
    pub fn bootstrap_servers(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", self.bootstrap_servers());
        client
    }

    /// Returns a client that writes samples.
    ///
    /// # Errors
    /// Fails if the client cannot be created.
    pub fn sampler(&self, topic: &str) -> anyhow::Result<Sampler> {
        let producer = self.client().create().context("create the sample producer")?;
        Ok(Sampler { producer, topic: topic.to_string() })
    }

    /// Returns a client that watches the output topics, from their beginning.
    ///
    /// # Errors
    /// Fails if the client cannot be created.
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
    /// Writes a record to the partition that its key hashes to.
    ///
    /// # Errors
    /// Fails if the producer does not accept it.
    pub fn write(&self, key: &str, value: &[u8]) -> anyhow::Result<()> {
        let record = BaseRecord::to(&self.topic).key(key).payload(value);
        self.producer.send(record).map_err(|(error, _)| error).context("produce a sample")
    }

    /// Waits until everything written was delivered to the broker.
    ///
    /// # Errors
    /// Fails if that takes too long.
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
pub struct DemoOutput<'a> {
    /// The topic that it was read from.
    pub topic: &'a str,
    /// Its bytes.
    pub value: &'a [u8],
    /// Why it is in quarantine, if it is.
    pub reason: Option<&'a str>,
    /// The reason in words.
    pub detail: Option<&'a str>,
}

impl Watcher {
    /// Waits for the next record and shows it. Returns whether there was one.
    pub fn next(&self, wait: Duration, mut show: impl FnMut(DemoOutput<'_>)) -> bool {
        match self.consumer.poll(wait) {
            Some(Ok(message)) => {
                show(DemoOutput {
                    topic: message.topic(),
                    value: message.payload().unwrap_or_default(),
                    reason: header(&message, headers::REASON),
                    detail: header(&message, headers::DETAIL),
                });
                true
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "watching the output topics failed");
                false
            }
            None => false,
        }
    }
}

fn header<'m>(message: &'m BorrowedMessage<'_>, name: &str) -> Option<&'m str> {
    let pairs = message.headers()?.iter();
    headers::read(pairs.map(|header| (header.key, header.value)), name)
}
