//! The frozen settings of the yardsticks: librdkafka's properties by name, and the limits of a
//! batch, as the relay's defaults were on 29 November 2026. They do not follow the relay.

use std::path::Path;
use std::time::Duration;

use audit_relay::config::Config;
use audit_relay::kafka::topics::TopicNames;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

/// The consumer's properties, except those that name the cluster, the group and the client.
const CONSUMER: &[(&str, &str)] = &[
    ("allow.auto.create.topics", "false"),
    ("auto.offset.reset", "earliest"),
    ("broker.address.family", "v4"),
    ("check.crcs", "true"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("enable.partition.eof", "true"),
    ("fetch.max.bytes", "8388608"),
    ("fetch.queue.backoff.ms", "10"),
    ("fetch.wait.max.ms", "100"),
    ("isolation.level", "read_committed"),
    ("partition.assignment.strategy", "cooperative-sticky"),
    ("queued.max.messages.kbytes", "16384"),
    ("queued.min.messages", "20000"),
    ("receive.message.max.bytes", "400000000"),
    ("session.timeout.ms", "15000"),
    ("socket.keepalive.enable", "true"),
    ("ssl.ca.location", "probe"),
    ("statistics.interval.ms", "1000"),
    ("topic.metadata.refresh.interval.ms", "30000"),
];

/// The producer's properties, except those that name the cluster, the transactions and the client.
const PRODUCER: &[(&str, &str)] = &[
    ("acks", "all"),
    ("broker.address.family", "v4"),
    ("compression.type", "lz4"),
    ("connections.max.idle.ms", "5000"),
    ("delivery.report.only.error", "true"),
    ("enable.idempotence", "true"),
    ("linger.ms", "5"),
    ("message.max.bytes", "104857600"),
    ("retry.backoff.ms", "500"),
    ("socket.keepalive.enable", "true"),
    ("ssl.ca.location", "probe"),
    ("statistics.interval.ms", "0"),
    ("transaction.timeout.ms", "10000"),
];

/// Input records in one transaction at most.
const BATCH_RECORDS_MAX: usize = 50_000;
/// Bytes written in one transaction at most.
const BATCH_BYTES_MAX: usize = 16_777_216;

/// The limits of a batch.
pub struct Limits {
    pub max_records: usize,
    pub max_bytes: usize,
    /// From the configuration, since scenarios set it.
    pub max_age: Duration,
}

/// What a yardstick needs to open its clients and to write its output.
pub struct Settings {
    pub topics: TopicNames,
    pub event_headers: bool,
    pub limits: Limits,
    pub consumer: ClientConfig,
    pub producer: ClientConfig,
}

/// Reads the relay's configuration file.
pub fn configuration(path: &Path) -> anyhow::Result<Config> {
    let accept_all = |_: &str, _: &str| Ok(());
    Ok(Config::draft(Some(path), std::iter::empty(), &accept_all)?.finish()?)
}

impl Settings {
    /// Returns the settings of the worker with this number.
    pub fn new(config: &Config, regions: &[&str], worker: usize) -> Settings {
        let topics = TopicNames {
            input: config.input.topic.clone(),
            regions: regions.iter().map(|region| config.output.topic(region)).collect(),
            quarantine: config.output.quarantine_topic.clone(),
            checkpoints: None,
        };
        let group = &config.input.group;
        let member = format!("{}-{worker}", config.instance);
        let mut consumer = client(config, &member, CONSUMER);
        consumer.set("group.id", group);
        let mut producer = client(config, &member, PRODUCER);
        producer.set("transactional.id", format!("{group}-{member}"));
        Settings {
            topics,
            event_headers: config.output.headers,
            limits: Limits {
                max_records: BATCH_RECORDS_MAX,
                max_bytes: BATCH_BYTES_MAX,
                max_age: config.batch.max_age,
            },
            consumer,
            producer,
        }
    }
}

fn client(config: &Config, member: &str, properties: &[(&str, &str)]) -> ClientConfig {
    let mut client = ClientConfig::new();
    for (name, value) in properties {
        client.set(*name, *value);
    }
    client.set("bootstrap.servers", config.kafka.bootstrap_servers());
    client.set("client.id", member);
    client.set_log_level(RDKafkaLogLevel::Info);
    client
}
