//! Measures the time and memory that a relay needs to read both tables from a real Kafka. The relay
//! is its own process, on topics that are written beforehand; the figures are its own metrics.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

use crate::PROGRAM;
use crate::{device, principal, time};
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::relay::TestDeployment;

const PARTITIONS: i32 = 6;
const RUNS: usize = 3;
const GOAL_SECONDS: f64 = 5.0;
/// One key in this many has a second record; the topic is not compacted yet.
const CHANGED_ONE_IN: u64 = 10;
const FLUSH_MAX: Duration = Duration::from_secs(300);

/// Writes the topics, starts one relay after another on them, and prints their metrics.
pub fn measure(keys: u64) {
    let broker = KafkaBroker::shared();
    let principals = topic(broker, "principals", keys, principal);
    let devices = topic(broker, "devices", keys, device);
    println!("{keys} principals and as many devices, {PARTITIONS} partitions each, lz4");
    for _ in 0..RUNS {
        let more = format!("[devices]\ntopic = \"{devices}\"\n");
        let mut deployment = TestDeployment::create(PROGRAM, broker, 1, "", &more);
        deployment.principals = format!("topic = \"{principals}\"");
        let mut relay = deployment.start("only");
        relay.await_ready();
        let seconds = |table| relay.metric("audit_relay_table_load_seconds", table);
        let (one, other) = (seconds("principals"), seconds("devices"));
        let cpu = relay.metric("process_cpu_seconds_total", "");
        let resident = relay.metric("process_resident_memory_bytes", "");
        let entries = relay.metric("audit_relay_table_entries", "");
        println!(
            "  ready in {:5.2} s (principals {one:.2}, devices {other:.2}; goal {GOAL_SECONDS}), CPU {cpu:.2} s, resident {:.0} bytes a key",
            one.max(other),
            resident / entries
        );
        relay.signal("TERM");
        relay.wait();
    }
}

/// Creates and fills a table's topic.
fn topic(
    broker: &KafkaBroker,
    name: &str,
    keys: u64,
    entry: impl Fn(u64, u64) -> (String, String),
) -> String {
    let topic = broker.unique(name);
    broker.create_topic_with(&topic, PARTITIONS, &[("cleanup.policy", "compact")]);
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap())
        .set("compression.type", "lz4")
        .set("linger.ms", "20")
        .set("queue.buffering.max.kbytes", "65536")
        .create()
        .expect("a producer");
    for round in 0..2 {
        let changed = (0..keys).filter(|number| round == 0 || number % CHANGED_ONE_IN == 0);
        for number in changed {
            let (key, value) = entry(number, round);
            let record = BaseRecord::to(&topic).key(&key).payload(&value);
            send(&producer, record.timestamp(time(number, round).unwrap_or_default()));
        }
    }
    producer.flush(FLUSH_MAX).expect("written");
    topic
}

fn send(
    producer: &ThreadedProducer<DefaultProducerContext>,
    mut record: BaseRecord<'_, String, String>,
) {
    loop {
        record = match producer.send(record) {
            Ok(()) => return,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => refused,
            Err((error, _)) => panic!("write a record: {error}"),
        };
        std::thread::sleep(Duration::from_millis(5));
    }
}
