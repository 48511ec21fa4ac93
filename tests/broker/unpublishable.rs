//! Output that a topic refuses: the region's topic does not accept the audit event of one record.
//! Its partition is held, the others continue, and no attempt counts anything twice.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::PROGRAM;
use crate::exactly_once::{await_committed, end};
use crate::held::{
    assert_reported, await_all, await_all_but, await_held, await_metrics, await_released,
    times_logged,
};
use crate::ledger::{ExpectedFate, Ledger, PRINCIPALS, change, expected_fate};
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::relay::{TestDeployment, measured};
use audit_testkit::topics::{TestRecord, produce, read_committed};

/// The region topics refuse older records.
const OLDEST_MS: i64 = 3_600_000;
const DELETED: &str = "audit_relay_deleted_offsets_total";

/// The record with this number, which would be audited, with a timestamp that the topics refuse.
fn poison(number: u64) -> TestRecord {
    assert_eq!(expected_fate(number), ExpectedFate::Audited);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("a time of this era").as_millis() as i64;
    TestRecord { timestamp: Some(now - 2 * OLDEST_MS), ..change(number) }
}

fn set_limit(broker: &KafkaBroker, deployment: &TestDeployment, oldest_ms: i64) {
    let oldest = oldest_ms.to_string();
    let settings = [("retention.ms", "-1"), ("message.timestamp.before.max.ms", oldest.as_str())];
    for topic in deployment.outputs() {
        let altered = broker.try_alter_topic(&topic, &settings);
        altered.expect("the limit is set");
    }
}

/// Writes records, one of them poison.
fn write_with_poison(
    broker: &KafkaBroker,
    deployment: &TestDeployment,
    numbers: std::ops::Range<u64>,
    bad: u64,
) {
    let records = numbers.map(|number| match number {
        number if number == bad => poison(number),
        number => change(number),
    });
    produce(broker.bootstrap(), &deployment.input, records);
    set_limit(broker, deployment, OLDEST_MS);
}

fn lift_limit(broker: &KafkaBroker, deployment: &TestDeployment) {
    set_limit(broker, deployment, i64::MAX);
}

#[test]
fn a_record_that_cannot_be_written_holds_only_its_partition() {
    const RECORDS: u64 = 2_000;
    const BAD: u64 = 1_203;
    let broker = KafkaBroker::shared();
    let deployment = TestDeployment::create(PROGRAM, broker, 3, PRINCIPALS, "");
    let (bootstrap, topic) = (broker.bootstrap(), &deployment.input);
    write_with_poison(broker, &deployment, 0..RECORDS, BAD);
    let input = read_committed(bootstrap, topic);
    let bad = input.iter().find(|seen| seen.value == change(BAD).value);
    let bad = bad.expect("the poison was written");

    let mut relay = deployment.start("only");
    await_held(&relay, bad.partition, "unpublishable", RECORDS);
    await_all_but(Some(bad.partition), broker, &deployment, &relay);
    let named = [bad.offset];
    assert_reported(&relay, &deployment, bad.partition, &named, "max.message.bytes");
    let committed = broker.committed(&deployment.group, topic);
    assert!(committed.get(&bad.partition) <= Some(&bad.offset), "{committed:?}");
    // The relay aborts each attempt before the broker does; otherwise the abort would look like
    // fencing by another process.
    let fenced = relay.metric("audit_relay_transactions_total", "result=\"fenced\"");
    assert_eq!(fenced, 0.0, "{}", relay.log());
    lift_limit(broker, &deployment);
    await_all(broker, &deployment, &relay);
    await_released(&relay);
    end(&mut relay);
    Ledger::of(bootstrap, &deployment, RECORDS).assert_clean();
}

/// The first record after the deleted ones cannot be written for a while.
#[test]
fn deleted_offsets_are_counted_once_when_a_batch_is_retried() {
    let broker = KafkaBroker::shared();
    let deployment = TestDeployment::create(PROGRAM, broker, 1, PRINCIPALS, "");
    let (bootstrap, topic) = (broker.bootstrap(), &deployment.input);
    produce(bootstrap, topic, (0..10).map(change));
    let mut relay = deployment.start("first");
    await_committed(broker, &deployment, 10);
    end(&mut relay);
    let mut input = read_committed(bootstrap, topic);
    write_with_poison(broker, &deployment, 10..30, 20);
    broker.delete_records(topic, &BTreeMap::from([(0, 20)]));

    let mut relay = deployment.start("second");
    await_metrics(&relay, "failed transactions", 11, |metrics| {
        // The metric exists from the first assignment on.
        let deleted = measured(metrics, DELETED, "");
        assert!(deleted.is_none_or(|it| it == 0.0), "nothing must be committed yet");
        let aborted = measured(metrics, "audit_relay_transactions_total", "\"aborted\"");
        deleted.is_some() && aborted.is_some_and(|it| it >= 4.0)
    });
    lift_limit(broker, &deployment);
    await_all(broker, &deployment, &relay);
    await_metrics(&relay, DELETED, 11, |metrics| {
        measured(metrics, DELETED, "partition=\"0\"") == Some(10.0)
    });
    await_released(&relay);
    assert_eq!(times_logged(&relay, 10, 20), 1, "{}", relay.log());
    end(&mut relay);
    input.extend(read_committed(bootstrap, topic));
    let ledger = Ledger::against(bootstrap, &deployment, &input, 30);
    ledger.assert_clean_but_for(&[10, 11, 12, 13, 19]);
}
