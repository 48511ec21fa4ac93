//! Input that is deleted before it is read: its content is unknown, so the relay must report the
//! loss. It notices the gap at the next record, or at the end of an empty partition.

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

/// Waits until this relay has counted these deleted offsets and committed these records.
#[track_caller]
fn await_counts(relay: &Relay, deleted: u64, read: u64) {
    relay.await_page("/metrics", |_, body| {
        let counted = |name| measured(body, name, "");
        counted(DELETED) == Some(deleted as f64) && counted(READ) == Some(read as f64)
    });
}

#[test]
fn records_deleted_before_they_were_read_are_reported_and_counted() {
    let broker = KafkaBroker::shared();
    let deployment = TestDeployment::create(PROGRAM, broker, 1, PRINCIPALS, "");
    let write = |from: u64, to: u64| {
        let written = (from..to).map(change);
        produce(broker.bootstrap(), &deployment.input, written);
    };
    let delete_before = |offset: i64| {
        broker.delete_records(&deployment.input, &BTreeMap::from([(0, offset)]));
    };

    // A new group has missed nothing.
    write(0, 10);
    delete_before(5);
    let mut relay = deployment.start("first");
    await_counts(&relay, 0, 5);
    relay.signal("TERM");
    assert!(relay.wait().success());
    assert!(!relay.log().contains("not in the trail"), "{}", relay.log());

    // Some records written without a running relay are deleted, and records after them remain.
    write(10, 30);
    delete_before(25);
    let mut relay = deployment.start("second");
    await_counts(&relay, 15, 5);
    let log = relay.log();
    let said = log.lines().find(|line| line.contains("are not in the trail"));
    let said = said.expect("the loss must be logged");
    for part in ["\"level\":\"ERROR\"", "\"partition\":\"0\"", "\"from\":10", "\"to\":25"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    relay.signal("TERM");
    assert!(relay.wait().success());

    // All unread records are deleted.
    write(30, 34);
    delete_before(34);
    let relay = deployment.start("third");
    await_counts(&relay, 4, 0);
    write(34, 36);
    await_counts(&relay, 4, 2);
}

/// Offsets of transaction markers and aborted records are gaps but no loss, even if an earlier part
/// of the log was deleted.
#[test]
fn gaps_left_by_transactions_are_not_deleted_records() {
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
