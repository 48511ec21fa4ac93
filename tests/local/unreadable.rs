//! Unreadable partitions and silent brokers, on librdkafka's mock cluster: one must not hide the
//! others, and must not cause a table's topic to be reread from its beginning.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audit_judge::reference::ReferenceTables;
use audit_relay::config::Config;
use audit_relay::kafka::consumer::input_end_offsets::InputEndOffsets;
use audit_relay::kafka::followers::{follow, followed};
use audit_relay::stream::Partition;
use audit_relay::tables::{TableName, TableStore};
use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

const WAIT_MAX: Duration = Duration::from_secs(30);

fn config(bootstrap: &str) -> Config {
    let text = format!(
        "instance = \"t\"\n[kafka]\n\"bootstrap.servers\" = \"{bootstrap}\"\n[input]\ntopic = \"in\"\n[principals]\ntopic = \"principals\"\n"
    );
    Config::from_toml(&text, std::iter::empty()).expect("a valid configuration")
}

fn write(bootstrap: &str, topic: &str, partition: i32, values: &[&str]) {
    let producer: ThreadedProducer<DefaultProducerContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create().expect("a producer");
    for value in values {
        let record = BaseRecord::to(topic).partition(partition).key("1/1");
        let sent = producer.send(record.payload(value.as_bytes()));
        assert!(sent.is_ok(), "not queued");
    }
    producer.flush(WAIT_MAX).expect("written");
}

#[test]
fn a_silent_broker_does_not_hide_other_partitions() {
    let mock = MockCluster::new(2).expect("mock cluster");
    mock.create_topic("in", 3, 1).expect("topic");
    for partition in 0..3 {
        let leader = if partition == 1 { 2 } else { 1 };
        let led = mock.partition_leader("in", partition, Some(leader));
        led.expect("a leader");
    }
    let bootstrap = mock.bootstrap_servers();
    for partition in 0..3 {
        write(&bootstrap, "in", partition, &["{}"]);
    }
    // The broker accepts connections and never answers: the whole call fails.
    let never = Duration::from_secs(600);
    mock.broker_round_trip_time(2, never).expect("slow");
    let mut ends = InputEndOffsets::new(&config(&bootstrap)).expect("a client");
    let expected = BTreeMap::from([(Partition(0), 1), (Partition(2), 1)]);
    let since = Instant::now();
    loop {
        let found = ends.look_up((0..3).map(Partition));
        if found == expected {
            return;
        }
        assert!(since.elapsed() < WAIT_MAX, "{found:?}");
    }
}

/// Encodes a record of a batch, without a timestamp, key or headers.
fn record(number: u8, value: &[u8]) -> Vec<u8> {
    let zigzag = |length: usize| u8::try_from(length * 2).expect("short");
    let mut body = vec![0, 0, number * 2, 1, zigzag(value.len())];
    body.extend(value);
    body.push(0);
    body.insert(0, zigzag(body.len()));
    body
}

/// Encodes a batch of two records with a wrong checksum.
fn bad_batch() -> Vec<u8> {
    let value = br#"{"accountId":1,"userId":1}"#;
    let mut rest = vec![0, 0];
    rest.extend(1_i32.to_be_bytes());
    rest.extend([0; 16]);
    rest.extend((-1_i64).to_be_bytes());
    rest.extend((-1_i16).to_be_bytes());
    rest.extend((-1_i32).to_be_bytes());
    rest.extend(2_i32.to_be_bytes());
    rest.extend(record(0, value));
    rest.extend(record(1, value));
    let mut batch = 0_i64.to_be_bytes().to_vec();
    let length = i32::try_from(rest.len() + 9).expect("short");
    batch.extend(length.to_be_bytes());
    batch.extend([0, 0, 0, 0, 2, 0xBA, 0xD0, 0xBA, 0xD0]);
    batch.extend(rest);
    batch
}

/// Writes a batch unchanged, with a Produce request of version 3: a client would correct the
/// checksum.
fn write_raw(bootstrap: &str, topic: &str, batch: &[u8]) {
    let mut request = vec![0, 0, 0, 3, 0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
    request.extend(10_000_i32.to_be_bytes());
    request.extend(1_i32.to_be_bytes());
    request.extend(i16::try_from(topic.len()).expect("short").to_be_bytes());
    request.extend(topic.as_bytes());
    request.extend(1_i32.to_be_bytes());
    request.extend(0_i32.to_be_bytes());
    let length = i32::try_from(batch.len()).expect("short");
    request.extend(length.to_be_bytes());
    request.extend(batch);
    let mut broker = TcpStream::connect(bootstrap).expect("connected");
    let length = i32::try_from(request.len()).expect("short");
    broker.write_all(&length.to_be_bytes()).expect("sent");
    broker.write_all(&request).expect("sent");
    let mut length = [0; 4];
    broker.read_exact(&mut length).expect("an answer");
}

/// After a bad batch the client goes back to the beginning, and would reread everything before it
/// forever.
#[test]
fn a_bad_batch_in_a_table_topic_is_reported_and_nothing_is_reread() {
    let mock = MockCluster::new(1).expect("mock cluster");
    mock.create_topic("principals", 1, 1).expect("topic");
    let bootstrap = mock.bootstrap_servers();
    let value = r#"{"accountId":1,"userId":1}"#;
    write(&bootstrap, "principals", 0, &[value; 3]);
    write_raw(&bootstrap, "principals", &bad_batch());
    write(&bootstrap, "principals", 0, &[value; 2]);
    let config = config(&bootstrap);
    let limit = config.tables.staleness_limit;
    let tables = TableStore::new(ReferenceTables::default(), &followed(&config), limit);
    let tables = Arc::new(tables);
    let threads = follow(&config, &tables).expect("followers");
    let since = Instant::now();
    let cause = "partition 0 of \"principals\" cannot be read past offset 3: ";
    let why = || tables.trusted().err().unwrap_or_default();
    let records = || tables.counts(TableName::Principals).records;
    // The fault may be reported before the earlier records are counted.
    while !why().contains(cause) || records() < 3 {
        assert!(since.elapsed() < WAIT_MAX, "{}", why());
        std::thread::sleep(Duration::from_millis(10));
    }
    let error = why();
    assert!(error.contains(": partition 0 at offset "), "{error}");
    assert!(error.ends_with("(error -199)"), "{error}");
    // Long enough for a client to go back a few times and for a look-up to succeed.
    let named = Instant::now();
    while named.elapsed() < Duration::from_secs(7) {
        assert_eq!(records(), 3);
        assert!(why().contains(cause), "{}", why());
        std::thread::sleep(Duration::from_millis(10));
    }
    tables.close();
    for thread in threads {
        thread.join().expect("no panic");
    }
}
