//! The start of a relay: it waits for missing topics, and reports committed offsets outside the
//! log.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use crate::PROGRAM;
use crate::ledger::{Ledger, PRINCIPALS, change};
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::relay::{Relay, TestDeployment};
use audit_testkit::topics::{TestRecord, produce};
use audit_testkit::{REQUEST_MAX, client_config};

/// Waits until the relay has logged this.
#[track_caller]
pub fn await_log(relay: &Relay, text: &str) {
    let since = Instant::now();
    while !relay.log().contains(text) {
        assert!(since.elapsed() < REQUEST_MAX, "{text}\n{}", relay.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_missing_topic_is_reported_and_awaited() {
    const RECORDS: u64 = 100;
    let broker = KafkaBroker::shared();
    let mut deployment = TestDeployment::create(PROGRAM, broker, 2, PRINCIPALS, "");
    deployment.prefix = format!("{}.", broker.unique("late"));
    let outputs = deployment.outputs();
    let (late, others) = outputs.split_first().expect("outputs");
    for topic in others {
        broker.create_topic(topic, 3);
    }
    produce(broker.bootstrap(), &deployment.input, (0..RECORDS).map(change));
    let mut relay = deployment.start("early");
    let missing = format!("output topic {late}: topic {late:?} does not exist");
    relay.await_page("/readyz", |status, body| {
        status != 200 && body.contains("cluster: waiting for") && body.contains(&missing)
    });
    broker.create_topic(late, 3);
    relay.await_metric("audit_relay_records_read_total", "", |read| read == RECORDS as f64);
    relay.await_ready();
    relay.signal("TERM");
    assert!(relay.wait().success(), "{}", relay.log());
    Ledger::of(broker.bootstrap(), &deployment, RECORDS).assert_clean();
}

/// Commits these offsets for a group without members.
fn commit(broker: &KafkaBroker, deployment: &TestDeployment, offsets: &BTreeMap<i32, i64>) {
    let mut client = client_config(broker.bootstrap());
    client.set("group.id", &deployment.group);
    let consumer: BaseConsumer = client.create().expect("a consumer");
    let mut list = TopicPartitionList::new();
    for (partition, offset) in offsets {
        list.add_partition_offset(&deployment.input, *partition, Offset::Offset(*offset))
            .expect("an offset");
    }
    consumer.commit(&list, CommitMode::Sync).expect("commits");
}

#[test]
fn committed_offsets_outside_the_log_are_reported_before_reading() {
    let broker = KafkaBroker::shared();
    let deployment = TestDeployment::create(PROGRAM, broker, 4, PRINCIPALS, "");
    let (input, group) = (&deployment.input, &deployment.group);
    let records =
        (0..60).map(|number| TestRecord { partition: Some((number % 4) as i32), ..change(number) });
    produce(broker.bootstrap(), input, records);
    broker.delete_records(input, &BTreeMap::from([(1, 5)]));
    // Beyond the end, before the beginning, at the end, and none for the last partition.
    let committed = BTreeMap::from([(0, 100), (1, 2), (2, 15)]);
    commit(broker, &deployment, &committed);

    let config = deployment.config("checker");
    let config = config.to_str().expect("path");
    let check = deployment.command(&["check", "--connect", "--config", config]);
    let said = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(!check.status.success(), "{said}");
    let behind = format!(
        "consumer group {group}, topic {input}, partition 0: committed up to offset 100, but the log ends at 15"
    );
    let before = format!(
        "consumer group {group}, topic {input}, partition 1: committed up to offset 2, but the log begins at 5"
    );
    let command = format!(
        "kafka-consumer-groups --bootstrap-server {} --group {group} --topic {input}:0 --reset-offsets --to-offset N --execute",
        broker.bootstrap()
    );
    for expected in [
        format!("PROBLEM  {behind}"),
        format!("WARNING  {before}"),
        format!("consumer group {group}: offsets of 3 partitions are committed"),
        command,
    ] {
        assert!(said.contains(&expected), "{expected}\n{said}");
    }
    assert_eq!(said.matches("PROBLEM").count(), 1, "{said}");

    // A failing start would be restarted forever, so `run` starts and logs the same problems.
    let mut relay = deployment.start("starter");
    await_log(&relay, "partitions assigned");
    let log = relay.log();
    let error = log.lines().find(|line| line.contains(&behind));
    let error = error.unwrap_or_else(|| panic!("{log}"));
    assert!(error.contains("\"level\":\"ERROR\""), "{error}");
    assert!(log.contains(&before), "{log}");
    relay.signal("TERM");
    assert!(relay.wait().success(), "{}", relay.log());
}
