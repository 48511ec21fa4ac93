//! Reference tables from topics: read completely after compaction, followed, and brought up to date
//! by the read barrier, whatever the topics' ends contain.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use audit_judge::reference::{PrincipalKey, ReferenceTables, Table};
use audit_relay::config::Config;
use audit_relay::kafka::followers::{follow, followed, read_topics};
use audit_relay::tables::{TableCounts, TableName, TableStore};
use jiff::Timestamp;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

use audit_testkit::REQUEST_MAX;
use audit_testkit::kafka::{BrokerOptions, KafkaBroker, Stop};
use audit_testkit::topics::{TestRecord, Transactional, produce, read_committed, transactional};

pub const WAIT_MAX: Duration = Duration::from_secs(60);
pub const PRINCIPALS: TableName = TableName::Principals;
/// Rolls a segment with almost every record and compacts it immediately.
pub const COMPACTED: [(&str, &str); 5] = [
    ("cleanup.policy", "compact"),
    ("segment.ms", "50"),
    ("min.cleanable.dirty.ratio", "0.001"),
    ("delete.retention.ms", "50"),
    ("max.compaction.lag.ms", "100"),
];

/// Tables followed in this process.
pub struct Following {
    pub tables: Arc<TableStore>,
    threads: Vec<JoinHandle<()>>,
}

impl Following {
    /// Follows topics. Appends `more` to the configuration.
    fn start(broker: &KafkaBroker, principals: &str, more: &str) -> Self {
        let config = config(broker, principals, more);
        let reference = ReferenceTables {
            devices: config.devices.as_ref().map(|_| Table::default()),
            ..ReferenceTables::default()
        };
        let limit = config.tables.staleness_limit;
        let tables = TableStore::new(reference, &followed(&config), limit);
        let tables = Arc::new(tables);
        let threads = follow(&config, &tables).expect("followers");
        Following { tables, threads }
    }

    pub fn ready(broker: &KafkaBroker, principals: &str, more: &str) -> Self {
        let following = Following::start(broker, principals, more);
        assert_eq!(following.tables.await_ready(WAIT_MAX), Ok(()));
        following
    }

    pub fn has_access(&self, user: usize) -> bool {
        has_access(&self.tables.load(), user)
    }

    pub fn catch_up(&self) {
        assert_eq!(self.tables.catch_up(WAIT_MAX), Ok(()));
    }

    fn counts(&self) -> TableCounts {
        self.tables.counts(PRINCIPALS)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.tables.close();
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "a follower panicked");
        }
    }
}

fn config(broker: &KafkaBroker, principals: &str, more: &str) -> Config {
    let bootstrap = broker.bootstrap();
    let text = format!(
        "instance = \"t\"\n[kafka]\n\"bootstrap.servers\" = \"{bootstrap}\"\n\"broker.address.family\" = \"v4\"\n\"reconnect.backoff.max.ms\" = 500\n[principals]\ntopic = \"{principals}\"\n{more}"
    );
    Config::from_toml(&text, std::iter::empty()).expect("a valid configuration")
}

fn has_access(reference: &ReferenceTables, user: usize) -> bool {
    let key = PrincipalKey { account: "1".into(), id: user.to_string().into() };
    let principal = reference.principals.as_of(&key, Timestamp::now());
    principal.is_some_and(|principal| principal.infrastructure_access == Some(true))
}

fn key(user: usize) -> Vec<u8> {
    format!("1/{user}").into_bytes()
}

/// A version of a principal.
pub fn principal(user: usize, access: bool) -> TestRecord {
    let value = format!(
        r#"{{"accountId":1,"userId":{user},"iamId":"IBMid-{user}","infrastructureAccess":{access}}}"#
    );
    record(user, Some(value.into_bytes()))
}

fn record(user: usize, value: Option<Vec<u8>>) -> TestRecord {
    TestRecord { key: Some(key(user)), value, ..TestRecord::default() }
}

pub fn write(broker: &KafkaBroker, topic: &str, records: Vec<TestRecord>) {
    produce(broker.bootstrap(), topic, records.into_iter());
}

pub fn compacted_topic(broker: &KafkaBroker, partitions: i32) -> String {
    let topic = broker.unique("principals");
    broker.create_topic_with(&topic, partitions, &COMPACTED);
    topic
}

/// Writes until compaction has left at most one record of each user below `users`.
fn await_compaction(broker: &KafkaBroker, topic: &str, partitions: i32, users: usize) {
    let since = Instant::now();
    loop {
        let filler =
            |partition| TestRecord { partition: Some(partition), ..principal(999_999, false) };
        write(broker, topic, (0..partitions).map(filler).collect());
        let mut left = BTreeMap::new();
        for seen in read_committed(broker.bootstrap(), topic) {
            *left.entry(seen.key.expect("a key")).or_insert(0) += 1;
        }
        let superseded = (0..users).any(|user| left.get(&key(user)).is_some_and(|n| *n > 1));
        if !superseded {
            return;
        }
        assert!(since.elapsed() < WAIT_MAX, "not compacted after {WAIT_MAX:?}");
        std::thread::sleep(Duration::from_millis(300));
    }
}

#[test]
fn a_compacted_topic_is_read_completely() {
    const USERS: usize = 300;
    let broker = KafkaBroker::shared();
    let topic = compacted_topic(broker, 3);
    for version in 0..4 {
        let versions = (0..USERS).map(|user| principal(user, version == 3 && user % 2 == 0));
        write(broker, &topic, versions.collect());
    }
    let removed = (0..USERS).step_by(10);
    write(broker, &topic, removed.map(|user| record(user, None)).collect());
    let mismatch = principal(USERS + 1, true).value;
    let bad = vec![
        record(USERS + 2, Some(b"nonsense".to_vec())),
        record(USERS + 3, mismatch),
        record(USERS + 4, Some(vec![b' '; 70_000])),
    ];
    write(broker, &topic, bad);
    await_compaction(broker, &topic, 3, USERS);
    // Twice: a restart must read the same as the first start.
    for _ in 0..2 {
        let following = Following::ready(broker, &topic, "");
        for user in 0..USERS {
            let expected = user % 2 == 0 && user % 10 != 0;
            assert_eq!(following.has_access(user), expected, "user {user}");
        }
        let counts = following.counts();
        assert_eq!(
            counts.rejected,
            BTreeMap::from([("key_mismatch", 1), ("malformed", 1), ("too_large", 1)])
        );
        assert!(counts.records < 2 * USERS as u64, "not compacted: {counts:?}");
        assert!(counts.bytes > 70_000);
    }
    let config = config(broker, &topic, "");
    let once = read_topics(&config, &[PRINCIPALS]).expect("reads");
    assert!(has_access(&once, 2) && !has_access(&once, 10));
}

/// The snapshot is published rarely on purpose: only the barrier makes new records visible.
#[test]
fn the_barrier_makes_the_latest_writes_visible() {
    let broker = KafkaBroker::shared();
    let topic = compacted_topic(broker, 2);
    let following = Following::ready(broker, &topic, "[tables]\npublish_interval_ms = 60000\n");
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap())
        .set("linger.ms", "0")
        .create()
        .expect("a producer");
    let mut waits = Vec::new();
    for user in 0..1_000 {
        let record = principal(user, true);
        let (key, value) = (record.key.expect("a key"), record.value.expect("a value"));
        let sent = producer.send(BaseRecord::to(&topic).key(&key).payload(&value));
        sent.map_err(|(error, _)| error).expect("queued");
        while producer.in_flight_count() > 0 {
            std::thread::sleep(Duration::from_micros(200));
        }
        assert!(!following.has_access(user), "the follower published without a barrier");
        let since = Instant::now();
        following.catch_up();
        waits.push(since.elapsed());
        assert!(following.has_access(user), "user {user}");
    }
    waits.sort_unstable();
    println!("barrier: median {:?}, p99 {:?}", waits[500], waits[990]);
    write(broker, &topic, vec![record(7, None)]);
    following.catch_up();
    assert!(!following.has_access(7) && following.has_access(8));
}

#[test]
fn a_snapshot_is_published_without_a_barrier() {
    let broker = KafkaBroker::shared();
    let topic = compacted_topic(broker, 2);
    let following = Following::ready(broker, &topic, "");
    write(broker, &topic, vec![principal(1, true)]);
    await_condition(|| following.has_access(1));
}

#[test]
fn a_bad_record_makes_its_key_unknown_until_a_valid_one_arrives() {
    let broker = KafkaBroker::shared();
    let topic = compacted_topic(broker, 1);
    let following = Following::ready(broker, &topic, "");
    write(broker, &topic, vec![principal(1, true), principal(2, true)]);
    write(broker, &topic, vec![record(1, Some(b"{".to_vec()))]);
    write(broker, &topic, vec![principal(3, true)]);
    following.catch_up();
    assert!(!following.has_access(1));
    assert!((2..=3).all(|user| following.has_access(user)));
    let key = PrincipalKey { account: "1".into(), id: "1".into() };
    let reference = following.tables.load();
    let versions = reference.principals.versions(&key).expect("known");
    assert!(versions.as_of(Timestamp::now()).is_some_and(|version| version.is_unreadable));
    assert_eq!(following.counts().rejected, BTreeMap::from([("malformed", 1)]));
    assert_eq!(following.tables.trusted(), Ok(()));
    write(broker, &topic, vec![principal(1, true)]);
    following.catch_up();
    assert!(following.has_access(1));
}

pub fn await_condition(condition: impl Fn() -> bool) {
    let since = Instant::now();
    while !condition() {
        assert!(since.elapsed() < WAIT_MAX, "the condition does not hold after {WAIT_MAX:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Writes a grant in a transaction that stays open.
pub fn begin(producer: &Transactional, topic: &str, user: usize) {
    let record = principal(user, true);
    let (key, value) = (record.key.expect("a key"), record.value.expect("a value"));
    producer.begin_transaction().expect("begun");
    let record = BaseRecord::to(topic).key(&key).payload(&value);
    let sent = producer.send(record);
    sent.map_err(|(error, _)| error).expect("queued");
    producer.flush(WAIT_MAX).expect("written");
}

/// Asserts that the barrier waits for an open transaction, which may be committed already. Retries:
/// a wait that times out before the end offsets are known does not name them.
fn assert_waits_for_open_transaction(following: &Following) {
    const BRIEF: Duration = Duration::from_secs(1);
    let is_said = || {
        let why = following.tables.catch_up(BRIEF);
        let why = why.expect_err("a transaction is open");
        why.contains("partition 0 is read up to")
    };
    await_condition(is_said);
}

/// Such a topic ends with markers and with records of aborted and open transactions.
#[test]
fn the_barrier_completes_on_a_topic_that_is_written_in_transactions() {
    let broker = KafkaBroker::shared();
    let topic = compacted_topic(broker, 1);
    let producer = transactional(broker.bootstrap(), &broker.unique("directory"), REQUEST_MAX);
    begin(&producer, &topic, 1_000);
    producer.commit_transaction(WAIT_MAX).expect("committed");
    let following = Following::ready(broker, &topic, "");
    assert!(following.has_access(1_000));
    let mut slowest = Duration::ZERO;
    for user in 0..30 {
        begin(&producer, &topic, user);
        if user % 10 == 0 {
            assert_waits_for_open_transaction(&following);
        }
        if user % 3 == 0 {
            producer.abort_transaction(WAIT_MAX).expect("aborted");
        } else {
            producer.commit_transaction(WAIT_MAX).expect("committed");
        }
        let ended = Instant::now();
        following.catch_up();
        slowest = slowest.max(ended.elapsed());
        assert_eq!(following.has_access(user), user % 3 != 0, "user {user}");
    }
    println!("the slowest barrier took {slowest:?}");
}

/// The offsets before the end have no records, not even control records.
#[test]
fn an_emptied_partition_is_read_to_its_end() {
    let broker = KafkaBroker::shared();
    let topic = broker.unique("principals");
    // Deleting records requires the delete policy.
    broker.create_topic_with(&topic, 2, &[("cleanup.policy", "compact,delete")]);
    let principals = (0..50).map(|user| principal(user, true));
    write(broker, &topic, principals.collect());
    let ends = broker.end_offsets(&topic);
    broker.delete_records(&topic, &ends);
    let following = Following::ready(broker, &topic, "");
    assert!(following.tables.load().principals.is_empty());
    following.catch_up();
    write(broker, &topic, vec![principal(1, true)]);
    following.catch_up();
    assert!(following.has_access(1));
    // Also while it is followed: the end moves, but no record is left.
    write(broker, &topic, vec![principal(2, true)]);
    broker.delete_records(&topic, &broker.end_offsets(&topic));
    following.catch_up();
}

#[test]
fn added_partitions_are_read() {
    let broker = KafkaBroker::shared();
    let topic = compacted_topic(broker, 1);
    let following = Following::ready(broker, &topic, "");
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap())
        .create()
        .expect("an admin client");
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let more = [NewPartitions::new(&topic, 3)];
    let options = AdminOptions::new().operation_timeout(Some(WAIT_MAX));
    let made = runtime.expect("a runtime").block_on(admin.create_partitions(&more, &options));
    made.expect("asked")[0].as_ref().expect("made");
    await_condition(|| broker.end_offsets(&topic).len() == 3);
    let in_new = TestRecord { partition: Some(2), ..principal(1, true) };
    write(broker, &topic, vec![in_new]);
    await_condition(|| following.has_access(1));
}

#[test]
fn a_lost_broker_makes_the_tables_untrusted_until_it_is_back() {
    let mut broker = KafkaBroker::start(BrokerOptions::default()).expect("a private broker");
    let topic = compacted_topic(&broker, 2);
    write(&broker, &topic, vec![principal(1, true)]);
    let following = Following::ready(&broker, &topic, "[tables]\nstaleness_limit_ms = 2000\n");
    await_condition(|| following.tables.trusted().is_ok());
    broker.stop(Stop::Kill);
    let why = following.tables.catch_up(Duration::from_secs(1));
    let why = why.expect_err("no broker");
    assert!(why.starts_with("principals: "), "{why}");
    await_condition(|| following.tables.trusted().is_err());
    assert!(following.has_access(1), "known entries must stay known");
    broker.restart();
    await_condition(|| following.tables.trusted().is_ok());
    write(&broker, &topic, vec![principal(2, true)]);
    following.catch_up();
    assert!(following.has_access(2));
}
