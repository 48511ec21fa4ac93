//! Committed offsets that the log does not contain. The log was truncated or replaced, and only an
//! operator knows where to continue: the relay holds the partition until the offset is reset.

use std::collections::BTreeMap;

use crate::PROGRAM;
use crate::exactly_once::{await_committed, end};
use crate::held::{HELD, assert_reported, await_all, await_held, await_metrics, await_released};
use crate::ledger::{Ledger, PRINCIPALS, change};
use audit_testkit::kafka::{BrokerOptions, KafkaBroker, Stop};
use audit_testkit::relay::{TestDeployment, measured};
use audit_testkit::topics::{produce, read_committed};

#[test]
fn a_committed_offset_beyond_the_end_holds_the_partition_until_reset() {
    let broker = KafkaBroker::shared();
    let deployment = TestDeployment::create(PROGRAM, broker, 1, PRINCIPALS, "");
    let (group, topic) = (&deployment.group, &deployment.input);
    produce(broker.bootstrap(), topic, (0..15).map(change));
    let beyond = BTreeMap::from([(0, 100)]);
    broker.commit(group, topic, &beyond);
    let mut relay = deployment.start("only");
    await_held(&relay, 0, "behind_end", 0);
    assert_reported(&relay, &deployment, 0, &[100, 15], "reset");
    end(&mut relay);
    for output in deployment.outputs().iter().chain([&deployment.quarantine]) {
        assert_eq!(read_committed(broker.bootstrap(), output), [], "{output}");
    }
    assert_eq!(broker.committed(group, topic), beyond);

    broker.commit(group, topic, &BTreeMap::from([(0, 5)]));
    let mut relay = deployment.start("only");
    await_all(broker, &deployment, &relay);
    produce(broker.bootstrap(), topic, (15..20).map(change));
    await_all(broker, &deployment, &relay);
    await_released(&relay);
    end(&mut relay);
    let ledger = Ledger::of(broker.bootstrap(), &deployment, 20);
    ledger.assert_clean_but_for(&[0, 1, 2, 3]);
}

/// Simulates a power failure before the last records reach any disk: the broker returns with a log
/// that ends before the committed offset.
#[test]
fn a_log_truncated_under_a_running_relay_is_not_reread() {
    let mut broker = KafkaBroker::start(BrokerOptions::default()).expect("a broker");
    let deployment = TestDeployment::create(PROGRAM, &broker, 1, PRINCIPALS, "");
    let (group, topic) = (&deployment.group, &deployment.input);
    for numbers in [0..20, 20..30] {
        produce(broker.bootstrap(), topic, numbers.map(change));
    }
    let mut relay = deployment.start("only");
    await_committed(&broker, &deployment, 30);
    let mut input = read_committed(broker.bootstrap(), topic);
    broker.stop(Stop::Kill);
    let left = broker.cut_log(topic, 0, 25);
    assert_eq!(left, 20);
    broker.restart();
    assert_eq!(broker.end_offsets(topic)[&0], left);

    // The client either goes back to the truncation point or first notices that the log ends before
    // its position.
    produce(broker.bootstrap(), topic, (30..35).map(change));
    await_metrics(&relay, HELD, 30, |metrics| {
        let held = |reason: &str| measured(metrics, HELD, &format!("reason=\"{reason}\""));
        held("went_back").or(held("behind_end")) == Some(1.0)
    });
    assert_reported(&relay, &deployment, 0, &[30], "reset");
    assert_eq!(broker.committed(group, topic), BTreeMap::from([(0, 30)]));
    end(&mut relay);

    broker.commit(group, topic, &BTreeMap::from([(0, left)]));
    let mut relay = deployment.start("only");
    await_all(&broker, &deployment, &relay);
    await_released(&relay);
    end(&mut relay);
    input.extend(read_committed(broker.bootstrap(), topic));
    Ledger::against(broker.bootstrap(), &deployment, &input, 35).assert_clean();
}
