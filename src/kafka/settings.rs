//! Builds librdkafka's properties from the configuration: defaults, then the operator's properties,
//! then those that the guarantees depend on, which cannot be overridden.

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;

use super::topics::TopicNames;
use crate::compose::RecordFormat;
use crate::config::{Client, Config, Membership};
use crate::kafka::OnReplaced;
use crate::kafka::client::oauth;

/// The property for the session timeout of a group member.
const SESSION_TIMEOUT: &str = "session.timeout.ms";
/// The property for the codec of the outputs.
const COMPRESSION_TYPE: &str = "compression.type";
/// The property for its level.
const COMPRESSION_LEVEL: &str = "compression.level";

/// Everything needed to open a session, and to reopen its producer.
#[derive(Debug, Clone)]
pub struct SessionSettings {
    /// The topics.
    pub topics: TopicNames,
    /// What the written records have in common.
    pub format: RecordFormat,
    /// Called for each producer that is replaced although the loop did not ask for it.
    pub replaced: OnReplaced,
    /// The consumer's properties.
    pub consumer: ClientConfig,
    /// The properties of the client that looks up the group's committed offsets.
    pub positions: ClientConfig,
    /// The properties of the client that reads seals.
    pub seals: ClientConfig,
    /// The producer's properties.
    pub producer: ClientConfig,
}

/// Defaults that the operator may change.
const CONSUMER_DEFAULTS: &[(&str, &str)] = &[
    // Memory must not grow with the lag: librdkafka's defaults are 64 MiB and 100,000 records.
    ("queued.max.messages.kbytes", "16384"),
    ("queued.min.messages", "20000"),
    // The size of compressed records from each broker; the response is kept decompressed. Smaller
    // fetches need less memory and fewer pages from the system, but catch up more slowly on input
    // that is compressed well (`docs/reliability.md`).
    ("fetch.max.bytes", "4194304"),
    // A zstd batch is only read up to this size, or up to a third of it if the batch does not
    // contain its uncompressed size; a larger one holds its partition. So a record of 120 MB,
    // which takes 4 kB when it is blank, holds nothing up.
    ("receive.message.max.bytes", "400000000"),
    // With small queues the default of one second would starve the loop.
    ("fetch.queue.backoff.ms", "10"),
    // Longest time that a fetch of partitions without new records delays those assigned after it
    // was sent, and the partition EOF.
    ("fetch.wait.max.ms", "100"),
    // Longest time until partitions added to the input are read; librdkafka's default is five
    // minutes.
    ("topic.metadata.refresh.interval.ms", "30000"),
    // For dynamic membership; a static member has a longer timeout.
    ("session.timeout.ms", "15000"),
    // The client would measure itself for the broker (KIP-714), which few collect.
    ("enable.metrics.push", "false"),
    ("socket.keepalive.enable", "true"),
    // The bundled OpenSSL only looks where it was built, so search where the system keeps its
    // certificates.
    ("ssl.ca.location", "probe"),
];

/// Session timeout of a static member in milliseconds, unless configured. A restart takes less than
/// this; and a client that hears nothing from its coordinator for this long can fence itself
/// (`docs/reliability.md`).
const STATIC_SESSION_MS: u32 = 45_000;

/// The level of the default codec, unless configured. librdkafka's own is 3.
const ZSTD_LEVEL: &str = "1";

const PRODUCER_DEFAULTS: &[(&str, &str)] = &[
    ("linger.ms", "5"),
    // Half of lz4's bytes on the brokers' disks, for the same CPU at level 1 (decision 41).
    (COMPRESSION_TYPE, "zstd"),
    // Longest time that a dead predecessor's transaction blocks its partitions.
    ("transaction.timeout.ms", "10000"),
    // A commit that takes this long may have been sent twice, and the producer is replaced. A
    // healthy cluster needs less for one.
    ("retry.backoff.ms", "500"),
    // When the group coordinator moves, librdkafka can wait for it forever inside
    // send_offsets_to_transaction, whatever the timeout of the call. Only a connection that is
    // opened or closed makes it look again, so idle connections are closed.
    ("connections.max.idle.ms", "5000"),
    // The client would measure itself for the broker (KIP-714), which few collect.
    ("enable.metrics.push", "false"),
    ("socket.keepalive.enable", "true"),
    // The bundled OpenSSL only looks where it was built, so search where the system keeps its
    // certificates.
    ("ssl.ca.location", "probe"),
];

/// The properties that exactly-once and accounting depend on.
const CONSUMER_FIXED: &[(&str, &str)] = &[
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("isolation.level", "read_committed"),
    ("auto.offset.reset", "earliest"),
    ("allow.auto.create.topics", "false"),
    ("check.crcs", "true"),
    ("enable.partition.eof", "true"),
    ("statistics.interval.ms", "1000"),
];

const PRODUCER_FIXED: &[(&str, &str)] = &[
    ("enable.idempotence", "true"),
    ("acks", "all"),
    ("delivery.report.only.error", "true"),
    ("statistics.interval.ms", "0"),
    // The size of events is checked before they are produced, and a quarantined record that its
    // topic rejects is replaced by a stub.
    ("message.max.bytes", "104857600"),
];

impl SessionSettings {
    /// Returns the settings of one worker of this process.
    pub fn new(config: &Config, topics: TopicNames, regions: Vec<String>, worker: usize) -> Self {
        SessionSettings {
            topics,
            format: RecordFormat::new(config, regions),
            replaced: OnReplaced::default(),
            consumer: consumer(config, worker),
            positions: follower(config, &format!("{worker}-positions")),
            seals: follower(config, &format!("{worker}-seals")),
            producer: producer(config, worker),
        }
    }
}

/// Returns the properties of a client that belongs to no group, for metadata and single records.
pub fn inspector(config: &Config) -> ClientConfig {
    let mut client = with_operator_properties(config, Client::Consumer, CONSUMER_DEFAULTS);
    apply(&mut client, CONSUMER_FIXED);
    client.set("statistics.interval.ms", "0");
    client.set("client.id", format!("{}-inspector", config.instance));
    // Without a group the protocol is not needed, and the new one conflicts with the defaults of
    // the classic one.
    client.remove("group.protocol");
    client
}

/// Returns the properties of a client that names the group but does not join it: one that follows a
/// table's topic, or looks something up.
pub fn follower(config: &Config, role: &str) -> ClientConfig {
    let mut client = inspector(config);
    // Reading requires a group id, and the relay may use this one. Nothing is committed, and the
    // client does not join.
    client.set("group.id", &config.input.group);
    client.set("client.id", format!("{}-{role}", config.instance));
    client
}

/// Returns the properties of a client that looks up the end offsets of a table's topic: of all
/// records, including those of open transactions. A transaction that its producer has committed may
/// still be open on the partition for a moment.
pub fn end_offset_client(config: &Config, role: &str) -> ClientConfig {
    let mut client = follower(config, role);
    client.set("isolation.level", "read_uncommitted");
    client
}

fn consumer(config: &Config, worker: usize) -> ClientConfig {
    let mut client = with_operator_properties(config, Client::Consumer, CONSUMER_DEFAULTS);
    apply(&mut client, CONSUMER_FIXED);
    client.set("group.id", &config.input.group);
    client.set("client.id", member(config, worker));
    if config.membership == Membership::Static {
        client.set("group.instance.id", member(config, worker));
        if config.kafka.get(Client::Consumer, SESSION_TIMEOUT).is_none() {
            client.set(SESSION_TIMEOUT, static_session_ms(config).to_string());
        }
    }
    if uses_consumer_protocol(config) {
        // With KIP-848 the broker assigns the partitions, and sets the session timeout.
        client.remove(SESSION_TIMEOUT);
    } else {
        client.set("partition.assignment.strategy", "cooperative-sticky");
    }
    client
}

/// Returns the session timeout of a static member. The client rejects one that exceeds
/// max.poll.interval.ms.
fn static_session_ms(config: &Config) -> u32 {
    let pause = config.kafka.get(Client::Consumer, "max.poll.interval.ms");
    let pause = pause.and_then(|ms| ms.parse().ok()).unwrap_or(u32::MAX);
    STATIC_SESSION_MS.min(pause)
}

/// Returns the properties of a worker's producer.
pub fn producer(config: &Config, worker: usize) -> ClientConfig {
    let mut client = with_operator_properties(config, Client::Producer, PRODUCER_DEFAULTS);
    apply(&mut client, PRODUCER_FIXED);
    // The level is for the default codec: with gzip or lz4 it would mean something else.
    let is_configured = |name| config.kafka.get(Client::Producer, name).is_some();
    if !is_configured(COMPRESSION_TYPE) && !is_configured(COMPRESSION_LEVEL) {
        client.set(COMPRESSION_LEVEL, ZSTD_LEVEL);
    }
    client.set("transactional.id", transactional_id(config, worker));
    client.set("client.id", member(config, worker));
    client
}

/// Returns the transactional id of a worker. It is stable across restarts, so that a restart fences
/// its predecessor.
pub fn transactional_id(config: &Config, worker: usize) -> String {
    format!("{}-{}", config.input.group, member(config, worker))
}

/// Returns whether the operator chose the KIP-848 protocol instead of the classic one.
pub fn uses_consumer_protocol(config: &Config) -> bool {
    config.kafka.get(Client::Consumer, "group.protocol") == Some("consumer")
}

fn member(config: &Config, worker: usize) -> String {
    format!("{}-{worker}", config.instance)
}

fn with_operator_properties(
    config: &Config,
    client: Client,
    defaults: &[(&str, &str)],
) -> ClientConfig {
    let mut properties = ClientConfig::new();
    apply(&mut properties, defaults);
    for (name, value) in config.kafka.of(client) {
        properties.set(name, value.reveal());
    }
    oauth::move_endpoint(&mut properties);
    // By default the safe client drops debug lines as soon as the client is created. The relay's
    // own log filter decides instead.
    properties.set_log_level(match properties.get("debug") {
        Some(_) => RDKafkaLogLevel::Debug,
        None => RDKafkaLogLevel::Info,
    });
    properties
}

fn apply(client: &mut ClientConfig, properties: &[(&str, &str)]) {
    for (name, value) in properties {
        client.set(*name, *value);
    }
}

/// Checks, without connecting, that librdkafka knows a property and accepts its value.
///
/// # Errors
/// Returns librdkafka's message if it rejects the property.
pub fn check_property(name: &str, value: &str) -> Result<(), String> {
    if oauth::is_relay_property(name) {
        return Ok(());
    }
    let mut client = ClientConfig::new();
    client.set(name, value);
    match client.create_native_config() {
        Ok(_) => Ok(()),
        // Only the description: the whole error may contain the value, which may be a secret.
        Err(KafkaError::ClientConfig(_, description, _, _)) => Err(description),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::consumer::BaseConsumer;
    use rdkafka::producer::BaseProducer;

    use super::*;

    #[test]
    fn a_static_member_of_the_classic_protocol_has_a_longer_session() {
        for (text, expected) in [
            ("", Some("15000")),
            ("instance = \"a\"\n", Some("15000")),
            ("membership = \"dynamic\"\n", Some("15000")),
            ("membership = \"static\"\n", Some("45000")),
            ("membership = \"static\"\nkafka.\"session.timeout.ms\" = 6000\n", Some("6000")),
            ("membership = \"static\"\nkafka.\"max.poll.interval.ms\" = 30000\n", Some("30000")),
            ("membership = \"static\"\nkafka.\"group.protocol\" = \"consumer\"\n", None),
        ] {
            let text = format!(
                "{text}kafka.\"bootstrap.servers\" = \"127.0.0.1:1\"\nprincipals.topic = \"p\"\n"
            );
            let config = Config::from_toml(&text, std::iter::empty()).expect("configuration");
            let client = consumer(&config, 0);
            assert_eq!(client.get(SESSION_TIMEOUT), expected, "{text}");
            let is_static = text.contains("static");
            assert_eq!(client.get("group.instance.id").is_some(), is_static, "{text}");
            let created: Result<BaseConsumer, _> = client.create();
            created.unwrap_or_else(|error| panic!("{text}: {error}"));
        }
    }

    #[test]
    fn the_default_level_is_for_the_default_codec_alone() {
        for (text, codec, level) in [
            ("", "zstd", Some("1")),
            ("kafka.\"compression.type\" = \"zstd\"\n", "zstd", None),
            ("kafka.producer.\"compression.type\" = \"gzip\"\n", "gzip", None),
            ("kafka.producer.\"compression.codec\" = \"lz4\"\n", "lz4", None),
            ("kafka.producer.\"compression.level\" = 7\n", "zstd", Some("7")),
        ] {
            let text = format!(
                "{text}kafka.\"bootstrap.servers\" = \"127.0.0.1:1\"\nprincipals.topic = \"p\"\n"
            );
            let config = Config::from_toml(&text, std::iter::empty()).expect("configuration");
            let client = producer(&config, 0);
            let set = client.get(COMPRESSION_TYPE).or(client.get("compression.codec"));
            assert_eq!((set, client.get(COMPRESSION_LEVEL)), (Some(codec), level), "{text}");
            let created: Result<BaseProducer, _> = client.create();
            created.unwrap_or_else(|error| panic!("{text}: {error}"));
        }
    }

    /// librdkafka rejects some combinations of properties, and only when a client is created.
    #[test]
    fn every_client_can_be_created_with_either_group_protocol() {
        for protocol in ["classic", "consumer"] {
            let text = format!(
                "membership = \"static\"\n[kafka]\n\"bootstrap.servers\" = \"127.0.0.1:1\"\n\"group.protocol\" = \"{protocol}\"\n\
                 [principals]\ntopic = \"principals\"\n"
            );
            let config = Config::from_toml(&text, std::iter::empty()).expect("configuration");
            let consumers = [
                inspector(&config),
                follower(&config, "table"),
                end_offset_client(&config, "ends"),
                consumer(&config, 0),
            ];
            for client in consumers {
                let created: Result<BaseConsumer, _> = client.create();
                created.unwrap_or_else(|error| panic!("{protocol}: {error}: {client:?}"));
            }
            let created: Result<BaseProducer, _> = producer(&config, 0).create();
            created.unwrap_or_else(|error| panic!("{protocol}: {error}"));
        }
    }
}
