//! From configuration to librdkafka's properties: defaults that suit the job, then the operator's,
//! then those that the promises rest on, which nobody can change.

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;

use super::topics::TopicNames;
use crate::config::{Client, Config};
use crate::kafka::OnReplaced;
use crate::kafka::client::oauth;
use audit_judge::fate::Envelope;

/// The property that says for how long a member may be silent.
const SESSION: &str = "session.timeout.ms";

/// Everything that a session needs to open, and to open its producer again.
#[derive(Debug, Clone)]
pub struct SessionSettings {
    /// The topics.
    pub topics: TopicNames,
    /// The regions, each at its index, as the `region` header has them.
    pub regions: Vec<String>,
    /// Whether audit events carry headers.
    pub event_headers: bool,
    /// Told of each producer that is replaced although the loop did not ask for it.
    pub replaced: OnReplaced,
    /// The consumer's properties.
    pub consumer: ClientConfig,
    /// The properties of the client that asks where the group has come to.
    pub positions: ClientConfig,
    /// The producer's properties.
    pub producer: ClientConfig,
}

/// Defaults that an operator may change.
const CONSUMER_DEFAULTS: &[(&str, &str)] = &[
    // Memory must not grow with lag: librdkafka's own default is 64 MiB and 100,000 records.
    ("queued.max.messages.kbytes", "16384"),
    ("queued.min.messages", "20000"),
    // Of compressed records, from each broker; the answer is held decompressed. Smaller fetches
    // take less memory, and longer to catch up (`docs/reliability.md`).
    ("fetch.max.bytes", "8388608"),
    // What is compressed with zstd is read only up to here, or up to a third of it if the batch
    // does not tell its size: beyond, its partition is held. So a record of 120 MB, which
    // takes 4 kB when it is blank, holds nothing up.
    ("receive.message.max.bytes", "400000000"),
    // With small queues the default of one second would starve the loop.
    ("fetch.queue.backoff.ms", "10"),
    // So long, at most, a fetch of partitions that have nothing new holds up those that are
    // assigned after it was sent, and the report that one is at its end.
    ("fetch.wait.max.ms", "100"),
    // So soon, at the latest, partitions that are added to the input are read; librdkafka's own
    // default is five minutes.
    ("topic.metadata.refresh.interval.ms", "30000"),
    // For dynamic membership; a static member has longer.
    ("session.timeout.ms", "15000"),
    ("socket.keepalive.enable", "true"),
    // The OpenSSL inside looks only where it was built; certificates are where the system has
    // them.
    ("ssl.ca.location", "probe"),
];

/// Session time-out of a static member in milliseconds, unless configured. Its restart takes less;
/// and a client that hears nothing of its coordinator for so long can fence itself
/// (`docs/reliability.md`).
const STATIC_SESSION_MS: u32 = 45_000;

const PRODUCER_DEFAULTS: &[(&str, &str)] = &[
    ("linger.ms", "5"),
    ("compression.type", "lz4"),
    // A dead predecessor's transaction blocks its partitions for at most so long.
    ("transaction.timeout.ms", "10000"),
    // A commit that takes this long may have been sent twice, and costs the producer: more than a
    // healthy cluster needs for one.
    ("retry.backoff.ms", "500"),
    // When the group's coordinator moves, librdkafka can wait for it for ever inside
    // send_offsets_to_transaction, whatever the limit of the call: only a connection that is
    // opened or closed makes it look again. So idle ones are closed.
    ("connections.max.idle.ms", "5000"),
    ("socket.keepalive.enable", "true"),
    // The OpenSSL inside looks only where it was built; certificates are where the system has
    // them.
    ("ssl.ca.location", "probe"),
];

/// What exactly-once and accounting rest on.
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
    // Events are judged by their size before they are produced, and of a quarantined record that
    // its topic does not take, a stub is written.
    ("message.max.bytes", "104857600"),
];

impl SessionSettings {
    /// Settings of one worker of this process.
    pub fn new(config: &Config, topics: TopicNames, regions: Vec<String>, worker: usize) -> Self {
        SessionSettings {
            topics,
            regions,
            event_headers: config.output.headers,
            replaced: OnReplaced::default(),
            consumer: consumer(config, worker),
            positions: follower(config, &format!("{worker}-positions")),
            producer: producer(config, worker),
        }
    }

    /// The name of an event's region.
    pub fn region(&self, envelope: &Envelope) -> &str {
        let region = self.regions.get(envelope.region.0);
        region.map_or("", String::as_str)
    }
}

/// A client that looks at the cluster and belongs to no group: for metadata and single records.
pub fn inspector(config: &Config) -> ClientConfig {
    let mut client = operators(config, Client::Consumer, CONSUMER_DEFAULTS);
    apply(&mut client, CONSUMER_FIXED);
    client.set("statistics.interval.ms", "0");
    client.set("client.id", format!("{}-inspector", config.instance.name));
    // No group, no protocol; the new one does not go with the defaults of the old.
    client.remove("group.protocol");
    client
}

/// A client that names the group and does not join it: one that follows a table's topic, or looks
/// something up.
pub fn follower(config: &Config, role: &str) -> ClientConfig {
    let mut client = inspector(config);
    // A group must be named to read; this one the relay may use. Nothing is committed, nobody
    // joins.
    client.set("group.id", &config.input.group);
    client.set("client.id", format!("{}-{role}", config.instance.name));
    client
}

/// A client that looks up the ends of a table's topic: of all records, those of open transactions
/// too. A transaction that its producer has committed may still be open on the partition for a
/// moment.
pub fn ends_finder(config: &Config, role: &str) -> ClientConfig {
    let mut client = follower(config, role);
    client.set("isolation.level", "read_uncommitted");
    client
}

fn consumer(config: &Config, worker: usize) -> ClientConfig {
    let mut client = operators(config, Client::Consumer, CONSUMER_DEFAULTS);
    apply(&mut client, CONSUMER_FIXED);
    client.set("group.id", &config.input.group);
    client.set("client.id", member(config, worker));
    if config.instance.configured {
        client.set("group.instance.id", member(config, worker));
        if config.kafka.get(Client::Consumer, SESSION).is_none() {
            client.set(SESSION, static_session_ms(config).to_string());
        }
    }
    if uses_consumer_protocol(config) {
        // Then the broker assigns, and owns the session's timeout.
        client.remove(SESSION);
    } else {
        client.set("partition.assignment.strategy", "cooperative-sticky");
    }
    client
}

/// The client refuses a session that outlasts the longest pause between two polls.
fn static_session_ms(config: &Config) -> u32 {
    let pause = config.kafka.get(Client::Consumer, "max.poll.interval.ms");
    let pause = pause.and_then(|ms| ms.parse().ok()).unwrap_or(u32::MAX);
    STATIC_SESSION_MS.min(pause)
}

/// The properties of a worker's producer.
pub fn producer(config: &Config, worker: usize) -> ClientConfig {
    let mut client = operators(config, Client::Producer, PRODUCER_DEFAULTS);
    apply(&mut client, PRODUCER_FIXED);
    client.set("transactional.id", transactional_id(config, worker));
    client.set("client.id", member(config, worker));
    client
}

/// The transactional id of a worker: stable over restarts, so that a restart fences its
/// predecessor.
pub fn transactional_id(config: &Config, worker: usize) -> String {
    format!("{}-{}", config.input.group, member(config, worker))
}

/// The classic protocol unless the operator chose KIP-848.
pub fn uses_consumer_protocol(config: &Config) -> bool {
    config.kafka.get(Client::Consumer, "group.protocol") == Some("consumer")
}

fn member(config: &Config, worker: usize) -> String {
    format!("{}-{worker}", config.instance.name)
}

fn operators(config: &Config, client: Client, defaults: &[(&str, &str)]) -> ClientConfig {
    let mut properties = ClientConfig::new();
    apply(&mut properties, defaults);
    for (name, value) in config.kafka.of(client) {
        properties.set(name, value.reveal());
    }
    oauth::adopt(&mut properties);
    // The safe client would else cut off what was asked for as soon as the client is made. Our own
    // log has the last word.
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

/// Asks librdkafka whether it knows a property and takes its value, without connecting.
///
/// # Errors
/// librdkafka's complaint.
pub fn check_property(name: &str, value: &str) -> Result<(), String> {
    if oauth::is_ours(name) {
        return Ok(());
    }
    let mut client = ClientConfig::new();
    client.set(name, value);
    match client.create_native_config() {
        Ok(_) => Ok(()),
        // The description alone: the whole error may hold the value, and that may be a secret.
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
            ("instance = \"a\"\n", Some("45000")),
            ("instance = \"a\"\nkafka.\"session.timeout.ms\" = 6000\n", Some("6000")),
            ("instance = \"a\"\nkafka.\"max.poll.interval.ms\" = 30000\n", Some("30000")),
            ("instance = \"a\"\nkafka.\"group.protocol\" = \"consumer\"\n", None),
        ] {
            let text = format!(
                "{text}kafka.\"bootstrap.servers\" = \"127.0.0.1:1\"\nprincipals.topic = \"p\"\n"
            );
            let config = Config::from_toml(&text, std::iter::empty()).expect("configuration");
            let client = consumer(&config, 0);
            assert_eq!(client.get(SESSION), expected, "{text}");
            let made: Result<BaseConsumer, _> = client.create();
            made.unwrap_or_else(|error| panic!("{text}: {error}"));
        }
    }

    /// librdkafka refuses some properties only together, and only when a client is made.
    #[test]
    fn every_client_can_be_made_by_either_group_protocol() {
        for protocol in ["classic", "consumer"] {
            let text = format!(
                "instance = \"a\"\n[kafka]\n\"bootstrap.servers\" = \"127.0.0.1:1\"\n\"group.protocol\" = \"{protocol}\"\n\
                 [principals]\ntopic = \"principals\"\n"
            );
            let config = Config::from_toml(&text, std::iter::empty()).expect("configuration");
            let consumers = [
                inspector(&config),
                follower(&config, "table"),
                ends_finder(&config, "ends"),
                consumer(&config, 0),
            ];
            for client in consumers {
                let made: Result<BaseConsumer, _> = client.create();
                made.unwrap_or_else(|error| panic!("{protocol}: {error}: {client:?}"));
            }
            let made: Result<BaseProducer, _> = producer(&config, 0).create();
            made.unwrap_or_else(|error| panic!("{protocol}: {error}"));
        }
    }
}
