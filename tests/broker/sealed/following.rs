//! A witness that follows a trail while relays write it.

use std::process::Command;
use std::time::Instant;

use super::*;
use crate::exactly_once::WAIT_MAX;
use audit_testkit::relay::Relay;
use audit_testkit::topics::{TestRecord, read_committed};

/// Starts `verify --follow`. Its log has its reports, a line each.
#[track_caller]
fn follow(deployment: &TestDeployment) -> Relay {
    let mut command = Command::new(PROGRAM);
    command.args(["verify", "--json", "--follow", "--every", "1", "--trust"]);
    command.arg(deployment.path("trust"));
    command.arg("--state").arg(deployment.path("state"));
    command.args(["--bootstrap-servers", &deployment.bootstrap]);
    command.args(["--property", "broker.address.family=v4"]);
    command.args(["--topic-prefix", &deployment.prefix]);
    command.args(["--quarantine-topic", &deployment.quarantine]);
    deployment.spawn_command(&command, deployment.path("witness.log")).expect("start the witness")
}

/// The reports of a witness so far.
fn reports(witness: &Relay) -> Vec<Value> {
    let log = witness.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str(line).ok());
    lines.collect()
}

/// How many events a witness has confirmed.
fn confirmed(witness: &Relay) -> u64 {
    let reports = reports(witness);
    let counts = reports.iter().filter_map(|report| report["confirmed"].as_object());
    counts.flat_map(|counts| counts.values()).filter_map(Value::as_u64).sum()
}

/// How many events there are.
fn events(broker: &KafkaBroker, deployment: &TestDeployment) -> u64 {
    let topics = deployment.outputs().into_iter().chain([deployment.quarantine.clone()]);
    topics.map(|topic| read_committed(broker.bootstrap(), &topic).len() as u64).sum()
}

#[track_caller]
fn await_confirmed(witness: &mut Relay, events: u64) {
    let since = Instant::now();
    while confirmed(witness) < events {
        let ended = witness.ended().expect("a status");
        assert!(ended.is_none() && since.elapsed() < WAIT_MAX, "{}", witness.log());
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(confirmed(witness), events, "each once: {}", witness.log());
}

/// Awaits the end of a witness that has found evidence, and returns the labels of its last report.
#[track_caller]
fn await_evidence(witness: &mut Relay) -> Vec<String> {
    let code = witness.wait().code();
    assert_eq!(code, Some(1), "{}", witness.log());
    let last = reports(witness).pop().expect("a report");
    assert_eq!(last["exit"], 1, "{}", witness.log());
    last["findings"].as_object().expect("findings").keys().cloned().collect()
}

#[test]
fn a_witness_confirms_what_comes_until_there_is_evidence() {
    let broker = KafkaBroker::shared();
    let deployment = sealed(broker, 3);
    process(broker, &deployment, 0..300);
    let mut witness = follow(&deployment);
    await_confirmed(&mut witness, events(broker, &deployment));
    for round in 1..=3 {
        let end = 300 + round * 500;
        produce(broker.bootstrap(), &deployment.input, (end - 500..end).map(change));
        let mut relay = deployment.start(&format!("killed-{round}"));
        await_committed(broker, &deployment, end as i64 - 250);
        relay.signal("KILL");
        relay.wait();
    }
    process(broker, &deployment, 1_800..2_000);
    await_confirmed(&mut witness, events(broker, &deployment));
    let reports = reports(&witness);
    assert!(reports.len() > 1 && reports.iter().all(|report| report["exit"] == 0), "{reports:?}");

    let topic = &deployment.outputs()[0];
    let copied = read_committed(broker.bootstrap(), topic).remove(0);
    produce(broker.bootstrap(), topic, [TestRecord::from(&copied)].into_iter());
    assert_eq!(await_evidence(&mut witness), ["DUPLICATE"]);
}

/// What was verified is read again where the topics say that it is gone.
#[test]
fn a_witness_notices_that_a_topic_was_emptied() {
    let broker = KafkaBroker::shared();
    let deployment = sealed(broker, 1);
    process(broker, &deployment, 0..100);
    let mut witness = follow(&deployment);
    await_confirmed(&mut witness, events(broker, &deployment));
    let topic = &deployment.outputs()[0];
    broker.try_delete_topic(topic).expect("deleted");
    broker.create_topic(topic, 3);
    assert_eq!(await_evidence(&mut witness), ["TRUNCATED"]);
}
