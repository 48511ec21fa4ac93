//! Topics that are deleted and made anew under a running relay, which goes on by itself: from the
//! beginning of a new input, and with the partitions that a new output has.

use crate::PROGRAM;
use crate::exactly_once::{await_committed, end};
use crate::held::{await_all, await_released};
use crate::ledger::{Demand, Ledger, PRINCIPALS, change, demand, region};
use crate::tables::await_that;
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::relay::{REGIONS, TestDeployment};
use audit_testkit::topics::{produce, read_committed};

const SMALL_BATCHES: &str = "[batch]\nmax_age_ms = 20\n";

fn make_anew(broker: &KafkaBroker, topic: &str, partitions: i32) {
    let deleted = broker.try_delete_topic(topic);
    deleted.expect("the topic is deleted");
    broker.create_topic(topic, partitions);
}

/// An input of so many records is followed by one of so many others. The broker forgets what was
/// committed of the old one.
fn a_new_input_is_read_whole(old: u64, new: u64) {
    let broker = KafkaBroker::shared();
    let deployment = TestDeployment::create(PROGRAM, broker, 2, PRINCIPALS, SMALL_BATCHES);
    let (bootstrap, topic) = (broker.bootstrap(), &deployment.input);
    produce(bootstrap, topic, (0..old).map(change));
    let mut relay = deployment.start("only");
    await_committed(broker, &deployment, old as i64);
    let mut input = read_committed(bootstrap, topic);
    make_anew(broker, topic, 2);
    // The coordinator hears of it on its own.
    await_that(|| broker.committed(&deployment.group, topic).is_empty());
    produce(bootstrap, topic, (old..old + new).map(change));
    await_all(broker, &deployment, &relay);
    await_released(&relay);
    end(&mut relay);
    input.extend(read_committed(bootstrap, topic));
    Ledger::against(bootstrap, &deployment, &input, old + new).assert_clean();
}

#[test]
fn an_input_that_is_made_anew_and_shorter_is_read_from_its_beginning() {
    a_new_input_is_read_whole(1_000, 200);
}

/// The position of the old one is one of the new one as well.
#[test]
fn an_input_that_is_made_anew_and_longer_is_read_from_its_beginning() {
    a_new_input_is_read_whole(200, 2_000);
}

#[test]
fn an_output_that_is_made_anew_with_fewer_partitions_is_written_to() {
    const REGION: usize = 4;
    let broker = KafkaBroker::shared();
    let deployment = TestDeployment::create(PROGRAM, broker, 6, PRINCIPALS, SMALL_BATCHES);
    let (bootstrap, topic) = (broker.bootstrap(), &deployment.input);
    produce(bootstrap, topic, (0..2_000).map(change));
    let mut relay = deployment.start("only");
    await_committed(broker, &deployment, 2_000);
    make_anew(broker, &deployment.outputs()[REGION], 1);
    produce(bootstrap, topic, (2_000..4_000).map(change));
    await_all(broker, &deployment, &relay);
    await_released(&relay);
    end(&mut relay);
    let went_with_it =
        |number: &u64| demand(*number) == Demand::Audited && region(*number) == REGIONS[REGION];
    let gone: Vec<u64> = (0..2_000).filter(went_with_it).collect();
    assert!(gone.len() > 100, "{gone:?}");
    Ledger::of(bootstrap, &deployment, 4_000).assert_clean_but_for(&gone);
}
