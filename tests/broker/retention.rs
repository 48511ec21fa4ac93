//! Input that is deleted before it is read: nobody can say what it held, and so it must be said
//! that it is gone, however the relay finds out: by a record that lies behind what is gone, or by
//! the end of a partition that holds nothing more.

use std::collections::BTreeMap;

use rdkafka::producer::Producer;

use crate::PROGRAM;
use crate::lag::begin;
use crate::ledger::{PRINCIPALS, change};
use audit_testkit::REQUEST_MAX;
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::relay::{Relay, TestDeployment, measured};
use audit_testkit::topics::{produce, transactional};

const DELETED: &str = "audit_relay_deleted_offsets_total";
const READ: &str = "audit_relay_records_read_total";

/// Waits until this relay has counted so many deleted offsets and committed so many records.
#[track_caller]
fn await_counts(relay: &Relay, deleted: u64, read: u64) {
    relay.await_page("/metrics", |_, body| {
        let counted = |name| measured(body, name, "");
        counted(DELETED) == Some(deleted as f64) && counted(READ) == Some(read as f64)
    });
}

#[test]
fn what_was_deleted_before_it_was_read_is_named_and_counted() {
    let broker = KafkaBroker::shared();
    let deployment = TestDeployment::create(PROGRAM, broker, 1, PRINCIPALS, "");
    let write = |from: u64, to: u64| {
        let written = (from..to).map(change);
        produce(broker.bootstrap(), &deployment.input, written);
    };
    let delete_before = |offset: i64| {
        broker.delete_records(&deployment.input, &BTreeMap::from([(0, offset)]));
    };

    // A group that is new has missed nothing.
    write(0, 10);
    delete_before(5);
    let mut relay = deployment.start("first");
    await_counts(&relay, 0, 5);
    relay.signal("TERM");
    assert!(relay.wait().success());
    assert!(!relay.log().contains("not in the trail"), "{}", relay.log());

    // Some of what comes while nobody reads is gone, and a record is left behind it.
    write(10, 30);
    delete_before(25);
    let mut relay = deployment.start("second");
    await_counts(&relay, 15, 5);
    let log = relay.log();
    let said = log.lines().find(|line| line.contains("are not in the trail"));
    let said = said.expect("it is said");
    for part in ["\"level\":\"ERROR\"", "\"partition\":\"0\"", "\"from\":10", "\"to\":25"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    relay.signal("TERM");
    assert!(relay.wait().success());

    // Nothing is left.
    write(30, 34);
    delete_before(34);
    let relay = deployment.start("third");
    await_counts(&relay, 4, 0);
    write(34, 36);
    await_counts(&relay, 4, 2);
}

/// Offsets that a transaction takes for its marker, and its records if it is aborted, lie between
/// records and are no loss, whether or not the log was cut off somewhere before.
#[test]
fn what_transactions_leave_between_records_was_not_deleted() {
    let broker = KafkaBroker::shared();
    let deployment = TestDeployment::create(PROGRAM, broker, 1, PRINCIPALS, "");
    produce(broker.bootstrap(), &deployment.input, (0..10).map(change));
    broker.delete_records(&deployment.input, &BTreeMap::from([(0, 3)]));
    let relay = deployment.start("only");
    await_counts(&relay, 0, 7);
    let producer = transactional(broker.bootstrap(), &broker.unique("upstream"), REQUEST_MAX);
    for number in 10..14 {
        begin(&producer, &deployment.input, number);
        if number % 2 == 0 {
            producer.commit_transaction(REQUEST_MAX).expect("ended");
        } else {
            producer.abort_transaction(REQUEST_MAX).expect("ended");
        }
    }
    produce(broker.bootstrap(), &deployment.input, (14..15).map(change));
    await_counts(&relay, 0, 10);
}
