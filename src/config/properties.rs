//! What the relay knows about librdkafka's properties by name: aliases, secrets, the clients that
//! they apply to, and which are refused.
//!
//! Source: CONFIGURATION.md of librdkafka 2.12.1. librdkafka itself decides whether a
//! name exists and a value is legal, through a [`PropertyCheck`](super::PropertyCheck).

/// The clients that a property is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Both,
    Consumer,
    Producer,
}

/// Properties with two names: the name used here, and the alias.
const ALIASES: &[(&str, &str)] = &[
    ("bootstrap.servers", "metadata.broker.list"),
    ("max.in.flight.requests.per.connection", "max.in.flight"),
    ("sasl.mechanism", "sasl.mechanisms"),
    ("sasl.oauthbearer.client.id", "sasl.oauthbearer.client.credentials.client.id"),
    ("sasl.oauthbearer.client.secret", "sasl.oauthbearer.client.credentials.client.secret"),
    ("max.partition.fetch.bytes", "fetch.message.max.bytes"),
    ("linger.ms", "queue.buffering.max.ms"),
    ("retries", "message.send.max.retries"),
    ("compression.type", "compression.codec"),
    ("acks", "request.required.acks"),
    ("delivery.timeout.ms", "message.timeout.ms"),
    ("enable.auto.commit", "auto.commit.enable"),
];

/// Known secrets, however they are given.
const SECRETS: &[&str] = &[
    "sasl.password",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl_key",
    "ssl.keystore.password",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.client.credentials.client.secret",
    // The URL's query may contain a key.
    "sasl.oauthbearer.token.endpoint.url",
    // A shell command, which may hold a password.
    "sasl.kerberos.kinit.cmd",
];

/// The value of a name that contains such a part is never printed: it may be a misspelt or future
/// secret, or a PEM text with a key beside the certificate.
const SECRET_PARTS: &[&str] = &["passw", "passphrase", "secret", ".pem"];

/// Consumer properties, which a producer would only warn about. A trailing dot stands for the
/// whole family.
const CONSUMER_ONLY: &[&str] = &[
    "group.",
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "coordinator.query.interval.ms",
    "max.poll.interval.ms",
    "queued.",
    "fetch.",
    "max.partition.fetch.bytes",
    "consume.callback.max.messages",
];

/// Producer properties, which a consumer would only warn about.
const PRODUCER_ONLY: &[&str] = &[
    "transaction.timeout.ms",
    "queue.buffering.",
    "linger.ms",
    "compression.",
    "batch.",
    "sticky.partitioning.linger.ms",
    "request.timeout.ms",
    "produce.offset.report",
];

/// Every property that may be set, by its canonical name. Used for suggestions, and to decide
/// whether a message may repeat a refused value: an unlisted name may be a misspelt secret.
const SETTABLE: &str = "\
    api.version.request.timeout.ms \
    batch.num.messages batch.size bootstrap.servers broker.address.family broker.address.ttl \
    builtin.features client.dns.lookup client.id client.rack \
    compression.level compression.type connections.max.idle.ms consume.callback.max.messages \
    coordinator.query.interval.ms debug enable.metrics.push enable.random.seed \
    enable.sasl.oauthbearer.unsecure.jwt enable.ssl.certificate.verification \
    fetch.error.backoff.ms fetch.max.bytes fetch.min.bytes fetch.queue.backoff.ms \
    fetch.wait.max.ms group.protocol heartbeat.interval.ms https.ca.location https.ca.pem \
    internal.termination.signal linger.ms log.connection.close log.thread.name \
    max.partition.fetch.bytes max.poll.interval.ms message.copy.max.bytes metadata.max.age.ms \
    metadata.recovery.rebootstrap.trigger.ms metadata.recovery.strategy produce.offset.report \
    queue.buffering.max.kbytes queue.buffering.max.messages queued.max.messages.kbytes \
    queued.min.messages receive.message.max.bytes reconnect.backoff.jitter.ms \
    reconnect.backoff.max.ms reconnect.backoff.ms request.timeout.ms \
    retry.backoff.ms sasl.kerberos.keytab sasl.kerberos.kinit.cmd \
    sasl.kerberos.min.time.before.relogin sasl.kerberos.principal sasl.kerberos.service.name \
    sasl.mechanism sasl.oauthbearer.client.id sasl.oauthbearer.client.secret \
    sasl.oauthbearer.grant.type sasl.oauthbearer.method sasl.oauthbearer.scope \
    sasl.oauthbearer.token.endpoint.url sasl.password sasl.username security.protocol \
    session.timeout.ms socket.blocking.max.ms socket.connection.setup.timeout.ms \
    socket.keepalive.enable socket.nagle.disable socket.receive.buffer.bytes \
    socket.send.buffer.bytes socket.timeout.ms ssl.ca.certificate.stores ssl.ca.location \
    ssl.ca.pem ssl.certificate.location ssl.certificate.pem ssl.cipher.suites ssl.crl.location \
    ssl.curves.list ssl.endpoint.identification.algorithm ssl.engine.id ssl.engine.location \
    ssl.key.location ssl.key.password ssl.key.pem ssl.keystore.location ssl.keystore.password \
    ssl.providers ssl.sigalgs.list ssl_ca ssl_certificate ssl_key sticky.partitioning.linger.ms \
    topic.metadata.propagation.max.ms topic.metadata.refresh.fast.cnt \
    topic.metadata.refresh.fast.interval.ms topic.metadata.refresh.interval.ms \
    topic.metadata.refresh.sparse transaction.timeout.ms";

const OFFSETS: &str =
    "offsets are committed only inside the transaction that holds the audit events";
const ORDER: &str = "exactly-once delivery in order needs librdkafka's own idempotence settings";
const GROUP: &str = "rebalancing without loss depends on the group's membership protocol";
const OWN_MEANS: &str = "its own accounting depends on it";
const TOKENS: &str = "it fetches tokens itself, with client id and secret only";
const VERSION: &str =
    "fencing needs a protocol that no fallback has, so the version must come from the broker";
const CODE: &str = "its value is program code";

/// Properties that the promises depend on, and why the operator may not set each of them, by
/// canonical name.
#[rustfmt::skip] // one property a line reads as the table that it is
pub(super) const REFUSED: &[(&str, &str)] = &[
    ("enable.auto.commit", OFFSETS),
    ("auto.commit.interval.ms", OFFSETS),
    ("enable.auto.offset.store", OFFSETS),
    ("offset.store.method", OFFSETS),
    ("offset.store.path", OFFSETS),
    ("offset.store.sync.interval.ms", OFFSETS),
    ("isolation.level", "always read_committed, so that aborted records are never read"),
    ("auto.offset.reset", "always earliest, so that a new group misses no record"),
    ("group.id", "use input.group"),
    ("group.instance.id", "use instance, from which each worker's id is made"),
    ("transactional.id", "use instance, from which each worker's id is made"),
    ("group.protocol.type", GROUP),
    ("partition.assignment.strategy", GROUP),
    ("group.remote.assignor", GROUP),
    ("enable.idempotence", ORDER),
    ("enable.gapless.guarantee", "an aborted transaction would become a fatal error"),
    ("acks", ORDER),
    ("max.in.flight.requests.per.connection", ORDER),
    ("retries", ORDER),
    ("queuing.strategy", ORDER),
    ("queue.buffering.backpressure.threshold", ORDER),
    ("msg_order_cmp", ORDER),
    ("partitioner", "it chooses the partition, so that the events of a device stay in order"),
    ("delivery.timeout.ms", "the transaction limits each delivery, use transaction.timeout.ms"),
    ("message.max.bytes", "it follows from output.max_message_bytes"),
    ("allow.auto.create.topics", "a misspelt topic must be an error, not a new topic"),
    ("topic.blacklist", "it could silently exclude a topic that must be read"),
    ("check.crcs", "always on, so that a damaged record is an error"),
    ("retry.backoff.max.ms", "a request that is retried sooner than retry.backoff.ms would go unnoticed, and its late copy could end a later transaction"),
    ("socket.max.fails", "a connection that leaves a request unanswered must be closed, or calls would wait forever"),
    ("api.version.request", VERSION),
    ("api.version.fallback.ms", VERSION),
    ("broker.version.fallback", VERSION),
    ("enable.partition.eof", OWN_MEANS),
    ("delivery.report.only.error", OWN_MEANS),
    ("statistics.interval.ms", OWN_MEANS),
    ("enabled_events", OWN_MEANS),
    ("log.queue", OWN_MEANS),
    ("log_level", "use log.level"),
    ("plugin.library.paths", "a plugin could change what is read or written"),
    ("sasl.oauthbearer.config", TOKENS),
    ("sasl.oauthbearer.extensions", TOKENS),
    ("sasl.oauthbearer.metadata.authentication.type", TOKENS),
    ("interceptors", CODE),
    ("default_topic_conf", CODE),
    ("opaque", CODE),
    ("ssl_engine_callback_data", CODE),
];

/// Returns why a property is refused, if it is.
pub(super) fn refusal(name: &str) -> Option<&'static str> {
    let name = canonical(name);
    let listed = REFUSED.iter().find(|(refused, _)| *refused == name).map(|(_, reason)| *reason);
    let family = || match name {
        _ if name.ends_with("_cb") => Some(CODE),
        _ if name.starts_with("sasl.oauthbearer.assertion.") => Some(TOKENS),
        _ => None,
    };
    listed.or_else(family)
}

/// Returns the properties that may be set, by canonical name.
pub(super) fn settable() -> impl Iterator<Item = &'static str> + Clone {
    SETTABLE.split_ascii_whitespace()
}

/// Returns whether `name` is one of the properties that may be set.
pub(super) fn is_known(name: &str) -> bool {
    settable().any(|known| known == name)
}

/// Returns whether the value must never be shown.
pub(super) fn is_secret(name: &str) -> bool {
    SECRETS.contains(&name) || SECRET_PARTS.iter().any(|part| name.contains(part))
}

/// Returns the clients to which the property applies.
pub(super) fn concerns(name: &str) -> Scope {
    let is_in = |names: &[&str]| {
        names
            .iter()
            .any(|entry| *entry == name || (entry.ends_with('.') && name.starts_with(entry)))
    };
    match (is_in(CONSUMER_ONLY), is_in(PRODUCER_ONLY)) {
        (true, _) => Scope::Consumer,
        (_, true) => Scope::Producer,
        _ => Scope::Both,
    }
}

/// Returns the canonical name of a property that may have an alias.
pub(super) fn canonical(name: &str) -> &str {
    ALIASES.iter().find(|(_, alias)| *alias == name).map_or(name, |(name, _)| *name)
}

/// Returns `kafka.consumer.x` with the canonical name of `x`, so that both names are one key in
/// the tree.
pub(super) fn canonical_key(key: &str) -> String {
    let (_, name) = split_key(key);
    let before = key.strip_suffix(name).unwrap_or_default();
    format!("{before}{}", canonical(name))
}

/// `kafka.consumer.x` is `x` for the consumer, `kafka.x` is `x` for both.
pub(super) fn split_key(key: &str) -> (Scope, &str) {
    let property = key.strip_prefix("kafka.").unwrap_or(key);
    match property.split_once('.') {
        Some(("consumer", name)) => (Scope::Consumer, name),
        Some(("producer", name)) => (Scope::Producer, name),
        _ => (Scope::Both, property),
    }
}
