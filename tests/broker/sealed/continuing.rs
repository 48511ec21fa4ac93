//! A trail whose committed state is lost is held, and continues on purpose.

use std::collections::BTreeMap;
use std::fs;

use audit_chain::key::SigningKey;

use super::*;
use crate::ledger::{ExpectedFate, Ledger, expected_fate, location_table};
use audit_testkit::topics::{TestRecord, read_committed};

/// Starts a relay and waits until it holds its partition; returns what it says.
#[track_caller]
fn held(deployment: &TestDeployment) -> String {
    let mut relay = deployment.start("held");
    relay.await_metric("audit_relay_partition_held", "reason=\"unsealable\"", |held| held > 0.0);
    end(&mut relay);
    relay.log()
}

/// The lines of the newest seal that begin with a word.
fn last_seal(broker: &KafkaBroker, deployment: &TestDeployment, word: &str) -> Vec<String> {
    let seals = read_committed(broker.bootstrap(), &deployment.checkpoints());
    let note = seals.last().and_then(|seen| seen.value.clone()).expect("a seal");
    let note = String::from_utf8(note).expect("text");
    let lines = note.lines().filter_map(|line| line.strip_prefix(word));
    lines.map(|line| line.trim().to_string()).collect()
}

#[test]
fn offsets_that_were_reset_hold_the_partition_until_it_is_resumed() {
    let broker = KafkaBroker::shared();
    let deployment = sealed(broker, 1);
    process(broker, &deployment, 0..400);
    // As every reset does: the offset without metadata.
    broker.commit(&deployment.group, &deployment.input, &BTreeMap::from([(0, 100)]));
    let log = held(&deployment);
    assert!(log.contains("has lost the state of its chains"), "{log}");
    let (is_good, said) = resume(&deployment, &[]);
    assert!(!is_good && said.contains("partition 0: last seal"), "{said}");
    assert!(said.contains("to offset 400; committed offset 100; HELD"), "{said}");
    let (is_good, said) = resume(&deployment, &["--partition", "0", "--skip-to-committed"]);
    assert!(!is_good && said.contains("would be audited twice"), "{said}");
    let (is_good, said) = resume(&deployment, &["--partition", "0"]);
    assert!(is_good && said.contains("continues at offset 400"), "{said}");
    assert_eq!(last_seal(broker, &deployment, "resumed"), ["metadata-lost"]);
    let (is_good, said) = resume(&deployment, &[]);
    assert!(is_good && said.contains("goes on"), "{said}");
    process(broker, &deployment, 400..600);
    Ledger::of(broker.bootstrap(), &deployment, 600).assert_clean();
    let proven = verify_own(&deployment, &[]);
    assert_eq!(proven.code, Some(0), "{}", proven.output);
}

#[test]
fn what_is_skipped_on_purpose_is_signed() {
    let broker = KafkaBroker::shared();
    let deployment = sealed(broker, 1);
    process(broker, &deployment, 0..100);
    produce(broker.bootstrap(), &deployment.input, (100..200).map(change));
    broker.commit(&deployment.group, &deployment.input, &BTreeMap::from([(0, 150)]));
    held(&deployment);
    let (is_good, said) = resume(&deployment, &["--partition", "0", "--skip-to-committed"]);
    assert!(is_good && said.contains("continues at offset 150"), "{said}");
    assert_eq!(last_seal(broker, &deployment, "gap"), ["100 150 passed-over"]);
    process(broker, &deployment, 200..300);
    let proven = verify_own(&deployment, &[]);
    assert_eq!(proven.code, Some(0), "{}", proven.output);
    let lost: Vec<u64> =
        (100..150).filter(|number| expected_fate(*number) != ExpectedFate::Skipped).collect();
    Ledger::of(broker.bootstrap(), &deployment, 300).assert_clean_but_for(&lost);
}

/// The broker would accept the command's commit beside members, by either protocol.
#[test]
fn nothing_is_resumed_while_the_group_has_members() {
    let broker = KafkaBroker::shared();
    for session in ["", "\"group.protocol\" = \"consumer\"\n"] {
        let mut deployment = sealed(broker, 1);
        if !session.is_empty() {
            deployment.session = session.to_string();
        }
        produce(broker.bootstrap(), &deployment.input, (0..100).map(change));
        let mut relay = deployment.start("a");
        await_committed(broker, &deployment, 100);
        let (is_good, said) = resume(&deployment, &["--partition", "0"]);
        assert!(!is_good && said.contains("has members: stop all of them"), "{session} {said}");
        end(&mut relay);
    }
}

#[test]
fn another_group_does_not_continue_the_chains() {
    let broker = KafkaBroker::shared();
    let mut deployment = sealed(broker, 1);
    process(broker, &deployment, 0..100);
    deployment.group = broker.unique("other");
    let log = held(&deployment);
    assert!(log.contains("the group has no committed offset"), "{log}");
    let (is_good, said) = resume(&deployment, &["--partition", "0"]);
    assert!(is_good, "{said}");
    process(broker, &deployment, 100..200);
    Ledger::of(broker.bootstrap(), &deployment, 200).assert_clean();
    let proven = verify_own(&deployment, &[]);
    assert_eq!(proven.code, Some(0), "{}", proven.output);
}

#[test]
fn a_recreated_topic_begins_an_epoch_that_is_linked_to_the_last() {
    let broker = KafkaBroker::shared();
    let deployment = sealed(broker, 1);
    process(broker, &deployment, 0..100);
    broker.try_delete_topic(&deployment.input).expect("deleted");
    broker.create_topic(&deployment.input, 1);
    produce(broker.bootstrap(), &deployment.input, (100..150).map(change));
    let (is_good, said) = resume(&deployment, &["--partition", "0", "--new-topic"]);
    assert!(is_good && said.contains("/0#2 continues at offset 0"), "{said}");
    assert_eq!(last_seal(broker, &deployment, "resumed"), ["topic-recreated"]);
    let mut relay = deployment.start("a");
    await_committed(broker, &deployment, 50);
    end(&mut relay);
    let proven = verify_own(&deployment, &[]);
    assert_eq!(proven.code, Some(0), "{}", proven.output);
    assert!(proven.output.contains("/0#1") && proven.output.contains("/0#2"), "{}", proven.output);
}

#[test]
fn a_key_is_replaced_between_two_runs() {
    let broker = KafkaBroker::shared();
    let mut deployment = sealed(broker, 1);
    process(broker, &deployment, 0..100);
    let origin = signing_key().public().name().clone();
    let (before, after) = (deployment.path("seal.pem"), deployment.path("after.pem"));
    let next = SigningKey::from_seed(origin.clone(), &[10; 32]);
    fs::write(&after, &*next.to_pem().expect("a key")).expect("write");
    deployment.integrity = format!(
        "origin = \"{origin}\"\nkey = \"{}\"\nprevious_key = \"{}\"\n",
        after.display(),
        before.display()
    );
    process(broker, &deployment, 100..200);
    process(broker, &deployment, 200..300);
    deployment.integrity = format!("origin = \"{origin}\"\nkey = \"{}\"\n", after.display());
    process(broker, &deployment, 300..400);
    // The trust file has the first key alone.
    let proven = verify_own(&deployment, &[]);
    assert_eq!(proven.code, Some(0), "{}", proven.output);
    deployment.integrity = format!("origin = \"{origin}\"\nkey = \"{}\"\n", before.display());
    let log = held(&deployment);
    assert!(log.contains("was written under the key"), "{log}");
}

/// The chain of a region goes on after a time in which no relay writes to it.
#[test]
fn a_region_is_added_removed_and_added_again() {
    let broker = KafkaBroker::shared();
    let more = format!("{SMALL_BATCHES}[locations]\nfile = \"locations.toml\"\n");
    let mut deployment = TestDeployment::create(PROGRAM, broker, 2, PRINCIPALS, &more);
    seal(broker, &mut deployment);
    trust(&deployment);
    let east = &deployment.outputs()[4];
    let mut events = Vec::new();
    for (run, region) in (0..).zip(["us-south", "us-east", "us-south", "us-east"]) {
        let table = location_table(&[("wdc04", region)]);
        fs::write(deployment.path("locations.toml"), table).expect("write the locations");
        process(broker, &deployment, run * 300..run * 300 + 300);
        events.push(read_committed(broker.bootstrap(), east).len());
        let proven = verify_own(&deployment, &[]);
        assert_eq!(proven.code, Some(0), "{}", proven.output);
    }
    assert!(events[0] == 0 && events[1] > 0, "{events:?}");
    assert!(events[2] == events[1] && events[3] > events[2], "{events:?}");
}

/// An added partition has seals of its own, from its first moment on, and the others say that
/// there are more.
#[test]
fn a_partition_that_is_added_is_sealed_from_its_beginning() {
    let broker = KafkaBroker::shared();
    let mut deployment = sealed(broker, 1);
    // Looks for new partitions more often than usual.
    deployment.kafka = "\"topic.metadata.refresh.interval.ms\" = 500\n".to_string();
    let input = &deployment.input;
    let mut relay = deployment.start("a");
    produce(broker.bootstrap(), input, (0..100).map(change));
    await_committed(broker, &deployment, 100);
    broker.try_add_partitions(input, 3).expect("added");
    relay.await_metric("audit_relay_assigned_partitions", "", |owned| owned >= 3.0);
    let more = (100..200)
        .map(|number| TestRecord { partition: Some((number % 3) as i32), ..change(number) });
    produce(broker.bootstrap(), input, more);
    await_committed(broker, &deployment, 200);
    end(&mut relay);
    let proven = verify_own(&deployment, &["--partitions", "3"]);
    assert_eq!(proven.code, Some(0), "{}", proven.output);
    for partition in 0..3 {
        assert!(proven.output.contains(&format!("{input}/{partition}#1")), "{}", proven.output);
    }
    let sets = last_seal(broker, &deployment, &format!("set {input}/"));
    assert!(sets.iter().all(|set| set.ends_with(" of 3")), "{sets:?}");
}
