//! Tests the testkit itself: it reads back what it wrote, aborted records stay hidden, zombies are
//! fenced, and a stopped or killed broker restarts with its data.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::{Message, TopicPartitionList};
use rdkafka::{Offset, consumer::BaseConsumer};

use audit_testkit::client_config;
use audit_testkit::kafka::{BrokerOptions, KafkaBroker, Stop};
use audit_testkit::topics::{
    Seen, TestRecord, Transactional, produce, read_committed, read_until, transactional,
};

const WAIT_MAX: Duration = Duration::from_secs(60);
/// Longer than all requests during a transaction, so that the broker does not abort it.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(60);

fn send(producer: &Transactional, topic: &str, value: &str) {
    let record = BaseRecord::<str, str>::to(topic).key("key").payload(value);
    producer.send(record).map_err(|(error, _)| error).expect("queued");
}

fn values(seen: &[Seen]) -> Vec<String> {
    let text = |seen: &Seen| {
        String::from_utf8_lossy(seen.value.as_deref().unwrap_or_default()).into_owned()
    };
    seen.iter().map(text).collect()
}

fn numbered(count: usize) -> impl Iterator<Item = TestRecord> {
    (0..count).map(|number| TestRecord {
        partition: Some((number % 3) as i32),
        value: Some(number.to_string().into_bytes()),
        ..TestRecord::default()
    })
}

#[test]
fn produced_records_are_read_back_unchanged() {
    let kafka = KafkaBroker::shared();
    let topic = kafka.unique("round-trip");
    kafka.create_topic(&topic, 3);
    assert_eq!(read_committed(kafka.bootstrap(), &topic), []);

    let record = TestRecord {
        partition: Some(2),
        key: Some(b"k".to_vec()),
        value: Some(vec![0, 159, 146, 150]),
        headers: vec![
            ("type".into(), Some(b"audit".to_vec())),
            ("type".into(), Some(Vec::new())),
            ("none".into(), None),
        ],
        timestamp: Some(1_500_000_000_123),
    };
    let tombstone = TestRecord { value: None, headers: Vec::new(), ..record.clone() };
    let records = [record.clone(), tombstone];
    assert_eq!(produce(kafka.bootstrap(), &topic, records.into_iter()), 2);

    let first = Seen {
        topic: topic.clone(),
        partition: 2,
        offset: 0,
        key: record.key,
        value: record.value,
        headers: record.headers,
        timestamp: record.timestamp,
    };
    let second = Seen { offset: 1, value: None, headers: Vec::new(), ..first.clone() };
    assert_eq!(read_committed(kafka.bootstrap(), &topic), [first, second]);
    assert_eq!(kafka.end_offsets(&topic), BTreeMap::from([(0, 0), (1, 0), (2, 2)]));
}

#[test]
fn many_records_arrive_once_each_and_deleted_ones_are_gone() {
    let kafka = KafkaBroker::shared();
    let topic = kafka.unique("many");
    kafka.create_topic(&topic, 3);
    // More than fit in the producer's queue.
    produce(kafka.bootstrap(), &topic, numbered(150_000));

    let done = |seen: &[Seen]| seen.len() >= 150_000;
    let seen = read_until(kafka.bootstrap(), &[&topic], WAIT_MAX, done);
    let mut numbers: Vec<usize> =
        values(&seen).iter().map(|value| value.parse().expect("a number")).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..150_000));

    let deleted = kafka.delete_records(&topic, &BTreeMap::from([(0, 50_000), (2, 49_999)]));
    assert_eq!(deleted, BTreeMap::from([(0, 50_000), (2, 49_999)]));
    let left = read_committed(kafka.bootstrap(), &topic);
    assert_eq!(left.len(), 50_001);
    assert_eq!(kafka.end_offsets(&topic), BTreeMap::from([(0, 50_000), (1, 50_000), (2, 50_000)]));
}

#[test]
#[should_panic(expected = "MessageSizeTooLarge")]
fn an_undelivered_record_fails_the_test() {
    let kafka = KafkaBroker::shared();
    let topic = kafka.unique("refused");
    kafka.create_topic_with(&topic, 1, &[("max.message.bytes", "1000")]);
    let too_large = TestRecord { value: Some(vec![b'x'; 2_000]), ..TestRecord::default() };
    let records = numbered(1).chain([too_large]);
    produce(kafka.bootstrap(), &topic, records);
}

#[test]
fn aborted_records_are_hidden_and_their_offsets_not_committed() {
    let kafka = KafkaBroker::shared();
    let (topic, group) = (kafka.unique("transactions"), kafka.unique("group"));
    kafka.create_topic(&topic, 1);
    let producer =
        transactional(kafka.bootstrap(), &kafka.unique("transactional"), TRANSACTION_TIMEOUT);
    let member = member_of(kafka.bootstrap(), &group, &topic);
    let metadata = member.group_metadata().expect("a member's metadata");

    let open = |offset, value| {
        producer.begin_transaction().expect("begun");
        send(&producer, &topic, value);
        producer.flush(WAIT_MAX).expect("written");
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(&topic, 0, Offset::Offset(offset)).expect("an offset");
        producer.send_offsets_to_transaction(&offsets, &metadata, WAIT_MAX).expect("sent");
    };
    open(1, "kept");
    producer.commit_transaction(WAIT_MAX).expect("committed");
    open(2, "aborted");
    producer.abort_transaction(WAIT_MAX).expect("aborted");
    assert_eq!(kafka.committed(&group, &topic), BTreeMap::from([(0, 1)]));
    open(3, "last");
    assert_eq!(values(&read_committed(kafka.bootstrap(), &topic)), ["kept"]);
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| kafka.committed(&group, &topic));
        std::thread::sleep(Duration::from_secs(2));
        assert!(!asked.is_finished(), "the transaction is still open");
        producer.commit_transaction(WAIT_MAX).expect("committed");
        let committed = asked.join().expect("an answer");
        assert_eq!(committed, BTreeMap::from([(0, 3)]));
    });

    assert_eq!(values(&read_committed(kafka.bootstrap(), &topic)), ["kept", "last"]);
    // Three records and three markers.
    assert_eq!(kafka.end_offsets(&topic), BTreeMap::from([(0, 6)]));
}

/// Returns a consumer that has joined the group and owns the topic's only partition.
fn member_of(bootstrap: &str, group: &str, topic: &str) -> BaseConsumer {
    let mut config = client_config(bootstrap);
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "earliest");
    let member: BaseConsumer = config.create().expect("a consumer");
    member.subscribe(&[topic]).expect("subscribed");
    let since = Instant::now();
    let mut last = None;
    while since.elapsed() < WAIT_MAX {
        // The first polls may fail until the coordinator is found.
        match member.poll(WAIT_MAX) {
            Some(Err(KafkaError::PartitionEOF(0))) => return member,
            other => last = other.map(|event| event.map(|message| message.offset())),
        }
    }
    panic!("expected the partition EOF, got {last:?}")
}

#[test]
fn a_zombie_is_fenced_by_its_successor() {
    let kafka = KafkaBroker::shared();
    let (topic, id) = (kafka.unique("fencing"), kafka.unique("transactional"));
    kafka.create_topic(&topic, 1);
    let zombie = transactional(kafka.bootstrap(), &id, TRANSACTION_TIMEOUT);
    zombie.begin_transaction().expect("begun");
    send(&zombie, &topic, "the zombie's");
    zombie.flush(WAIT_MAX).expect("written");

    let successor = transactional(kafka.bootstrap(), &id, TRANSACTION_TIMEOUT);
    successor.begin_transaction().expect("begun");
    send(&successor, &topic, "the successor's");
    successor.commit_transaction(WAIT_MAX).expect("committed");

    let fenced = zombie.commit_transaction(WAIT_MAX).expect_err("the zombie must not commit");
    let KafkaError::Transaction(error) = fenced else {
        panic!("expected a transaction error, got {fenced}");
    };
    assert!(error.is_fatal(), "{error:?}");
    assert_eq!(error.code(), RDKafkaErrorCode::Fenced);
    assert_eq!(values(&read_committed(kafka.bootstrap(), &topic)), ["the successor's"]);
}

#[test]
fn a_broker_that_is_stopped_or_killed_comes_back_with_its_data() {
    let properties = vec![("offsets.topic.num.partitions".into(), "1".into())];
    let mut kafka = KafkaBroker::start(BrokerOptions { properties, ..BrokerOptions::default() })
        .expect("a private broker");
    let (topic, group) = (kafka.unique("restarts"), kafka.unique("group"));
    kafka.create_topic_with(&topic, 3, &[("cleanup.policy", "compact")]);
    let bootstrap = kafka.bootstrap().to_owned();
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(&topic, 1, Offset::Offset(7)).expect("an offset");

    for (round, how) in [Stop::Graceful, Stop::Kill].into_iter().enumerate() {
        produce(&bootstrap, &topic, numbered(30).map(keyed));
        let consumer: BaseConsumer =
            client_config(&bootstrap).set("group.id", &group).create().expect("a consumer");
        consumer.commit(&offsets, CommitMode::Sync).expect("committed");
        kafka.stop(how);
        kafka.restart();
        assert_eq!(kafka.bootstrap(), bootstrap);
        assert_eq!(read_committed(&bootstrap, &topic).len(), 30 * (round + 1));
        assert_eq!(kafka.committed(&group, &topic), BTreeMap::from([(1, 7)]));
    }

    // The test's property overrides the testkit's own.
    assert_eq!(kafka.end_offsets("__consumer_offsets").len(), 1);
}

/// Adds a key: a compacted topic requires one.
fn keyed(record: TestRecord) -> TestRecord {
    TestRecord { key: record.value.clone().or(Some(b"key".to_vec())), ..record }
}
