//! Output that a topic refuses: one record whose audit event the topic of its region does not take.
//! Its partition is held, the others go on, and what was counted is not counted again with every
//! attempt.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::PROGRAM;
use crate::exactly_once::{await_committed, end};
use crate::held::{
    assert_named, await_all, await_all_but, await_held, await_metrics, await_released, times_said,
};
use crate::ledger::{Demand, Ledger, PRINCIPALS, change, demand};
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::relay::{TestDeployment, measured};
use audit_testkit::topics::{TestRecord, produce, read_committed};

/// No older records are taken by the topics of the regions.
const OLDEST_MS: i64 = 3_600_000;
const DELETED: &str = "audit_relay_deleted_offsets_total";

/// The record of this number, which is to be audited, from a time that is too long ago.
fn poison(number: u64) -> TestRecord {
    assert_eq!(demand(number), Demand::Audited);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("a time of this era").as_millis() as i64;
    TestRecord { timestamp: Some(now - 2 * OLDEST_MS), ..change(number) }
}

fn limit(broker: &KafkaBroker, deployment: &TestDeployment, oldest_ms: i64) {
    let oldest = oldest_ms.to_string();
    let settings = [("retention.ms", "-1"), ("message.timestamp.before.max.ms", oldest.as_str())];
    for topic in deployment.outputs() {
        let altered = broker.try_alter_topic(&topic, &settings);
        altered.expect("the limit is set");
    }
}

/// Writes records, of which one is poison.
fn poisoned(
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
    limit(broker, deployment, OLDEST_MS);
}

fn heal(broker: &KafkaBroker, deployment: &TestDeployment) {
    limit(broker, deployment, i64::MAX);
}

#[test]
fn one_record_that_cannot_be_written_holds_its_partition_alone() {
    const RECORDS: u64 = 2_000;
    const BAD: u64 = 1_203;
    let broker = KafkaBroker::shared();
    let deployment = TestDeployment::create(PROGRAM, broker, 3, PRINCIPALS, "");
    let (bootstrap, topic) = (broker.bootstrap(), &deployment.input);
    poisoned(broker, &deployment, 0..RECORDS, BAD);
    let input = read_committed(bootstrap, topic);
    let bad = input.iter().find(|seen| seen.value == change(BAD).value);
    let bad = bad.expect("the poison was written");

    let mut relay = deployment.start("only");
    await_held(&relay, bad.partition, "unpublishable", RECORDS);
    await_all_but(Some(bad.partition), broker, &deployment, &relay);
    let named = [bad.offset];
    assert_named(&relay, &deployment, bad.partition, &named, "max.message.bytes");
    let committed = broker.committed(&deployment.group, topic);
    assert!(committed.get(&bad.partition) <= Some(&bad.offset), "{committed:?}");
    // Each attempt is given up before the broker does so: else this would look like another process
    // of the same name.
    let fenced = relay.metric("audit_relay_transactions_total", "result=\"fenced\"");
    assert_eq!(fenced, 0.0, "{}", relay.log());
    heal(broker, &deployment);
    await_all(broker, &deployment, &relay);
    await_released(&relay);
    end(&mut relay);
    Ledger::of(bootstrap, &deployment, RECORDS).assert_clean();
}

/// The first record behind what was deleted cannot be written for a while.
#[test]
fn deleted_offsets_are_counted_once_however_often_a_batch_fails() {
    let broker = KafkaBroker::shared();
    let deployment = TestDeployment::create(PROGRAM, broker, 1, PRINCIPALS, "");
    let (bootstrap, topic) = (broker.bootstrap(), &deployment.input);
    produce(bootstrap, topic, (0..10).map(change));
    let mut relay = deployment.start("first");
    await_committed(broker, &deployment, 10);
    end(&mut relay);
    let mut input = read_committed(bootstrap, topic);
    poisoned(broker, &deployment, 10..30, 20);
    broker.delete_records(topic, &BTreeMap::from([(0, 20)]));

    let mut relay = deployment.start("second");
    await_metrics(&relay, "failed transactions", 11, |metrics| {
        // Shown from the first assignment on.
        let deleted = measured(metrics, DELETED, "");
        assert!(deleted.is_none_or(|it| it == 0.0), "nothing is committed");
        let aborted = measured(metrics, "audit_relay_transactions_total", "\"aborted\"");
        deleted.is_some() && aborted.is_some_and(|it| it >= 4.0)
    });
    heal(broker, &deployment);
    await_all(broker, &deployment, &relay);
    await_metrics(&relay, DELETED, 11, |metrics| {
        measured(metrics, DELETED, "partition=\"0\"") == Some(10.0)
    });
    await_released(&relay);
    assert_eq!(times_said(&relay, 10, 20), 1, "{}", relay.log());
    end(&mut relay);
    input.extend(read_committed(bootstrap, topic));
    let ledger = Ledger::against(bootstrap, &deployment, &input, 30);
    ledger.assert_clean_but_for(&[10, 11, 12, 13, 19]);
}
