//! Topics that are deleted and recreated under a running relay. It continues without a restart:
//! from the beginning of a new input, and with the partitions of a new output.

use crate::PROGRAM;
use crate::exactly_once::{await_committed, end};
use crate::held::{await_all, await_released};
use crate::ledger::{ExpectedFate, Ledger, PRINCIPALS, change, expected_fate, region};
use crate::start::await_log;
use crate::tables::await_condition;
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::relay::{REGIONS, TestDeployment};
use audit_testkit::topics::{produce, read_committed};

const SMALL_BATCHES: &str = "[batch]\nmax_age_ms = 20\n";

fn recreate(broker: &KafkaBroker, topic: &str, partitions: i32) {
    let deleted = broker.try_delete_topic(topic);
    deleted.expect("the topic is deleted");
    broker.create_topic(topic, partitions);
}

/// Replaces an input of `old` records by one with `new` other records. The broker forgets the
/// offsets committed for the old topic.
fn assert_new_input_is_read(old: u64, new: u64) {
    let broker = KafkaBroker::shared();
    let deployment = TestDeployment::create(PROGRAM, broker, 2, PRINCIPALS, SMALL_BATCHES);
    let (bootstrap, topic) = (broker.bootstrap(), &deployment.input);
    produce(bootstrap, topic, (0..old).map(change));
    let mut relay = deployment.start("only");
    await_committed(broker, &deployment, old as i64);
    let mut input = read_committed(bootstrap, topic);
    recreate(broker, topic, 2);
    // The coordinator learns of the deletion asynchronously.
    await_condition(|| broker.committed(&deployment.group, topic).is_empty());
    // The client must see the empty log: it would read a log that has reached its old position on
    // from there (docs/reliability.md, "Found and left open").
    for partition in 0..2 {
        await_log(&relay, &format!("{topic} [{partition}]: offset reset (at offset "));
    }
    produce(bootstrap, topic, (old..old + new).map(change));
    await_all(broker, &deployment, &relay);
    await_released(&relay);
    end(&mut relay);
    input.extend(read_committed(bootstrap, topic));
    Ledger::against(bootstrap, &deployment, &input, old + new).assert_clean();
}

#[test]
fn a_recreated_shorter_input_is_read_from_its_beginning() {
    assert_new_input_is_read(1_000, 200);
}

/// The position in the old topic is also valid in the new one.
#[test]
fn a_recreated_longer_input_is_read_from_its_beginning() {
    assert_new_input_is_read(200, 2_000);
}

#[test]
fn a_recreated_output_with_fewer_partitions_is_written() {
    const REGION: usize = 4;
    let broker = KafkaBroker::shared();
    let deployment = TestDeployment::create(PROGRAM, broker, 6, PRINCIPALS, SMALL_BATCHES);
    let (bootstrap, topic) = (broker.bootstrap(), &deployment.input);
    produce(bootstrap, topic, (0..2_000).map(change));
    let mut relay = deployment.start("only");
    await_committed(broker, &deployment, 2_000);
    recreate(broker, &deployment.outputs()[REGION], 1);
    produce(bootstrap, topic, (2_000..4_000).map(change));
    await_all(broker, &deployment, &relay);
    await_released(&relay);
    end(&mut relay);
    let was_deleted = |number: &u64| {
        expected_fate(*number) == ExpectedFate::Audited && region(*number) == REGIONS[REGION]
    };
    let gone: Vec<u64> = (0..2_000).filter(was_deleted).collect();
    assert!(gone.len() > 100, "{gone:?}");
    Ledger::of(bootstrap, &deployment, 4_000).assert_clean_but_for(&gone);
}
