//! Quarantined records that are judged again: each gets one final outcome, and each event is
//! written once, whatever dies meanwhile.

mod campaign;
mod load;
mod sealed;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::PROGRAM;
use crate::exactly_once::{SMALL_BATCHES, await_committed, end};
use crate::killed::ProxiedBroker;
use crate::ledger::{ExpectedFate, PRINCIPALS, change, count, expected_fate};
use crate::operator::{self, json};
use crate::trail::KEPT_FOREVER;
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::proxy::{Aim, Ambush, RequestKind};
use audit_testkit::relay::{Relay, TestDeployment};
use audit_testkit::topics::{Seen, TestRecord, produce, read_committed};

/// Principals of which none acts in the load.
pub const NOBODY: &str = r#"{"accountId":1,"userId":1,"iamId":"IBMid-1","name":"a","linked":true,"validFrom":"2018-01-01T00:00:00Z"}"#;
/// The header of a replayed event.
const REPLAYED: &str = "audit-relay-replayed";

/// Creates a deployment with the topic for outcomes, whose principals are not known yet.
#[track_caller]
fn unknown(broker: &KafkaBroker) -> TestDeployment {
    let deployment = TestDeployment::create(PROGRAM, broker, 3, NOBODY, SMALL_BATCHES);
    broker.create_topic_with(&outcomes(&deployment), 1, &KEPT_FOREVER);
    deployment
}

fn outcomes(deployment: &TestDeployment) -> String {
    format!("{}.state", deployment.quarantine)
}

/// Lets a relay process all records.
#[track_caller]
fn process(broker: &KafkaBroker, deployment: &TestDeployment, records: i64) {
    let mut relay = deployment.start("a");
    await_committed(broker, deployment, records);
    end(&mut relay);
}

/// Runs a command of `quarantine`.
#[track_caller]
fn run(deployment: &TestDeployment, arguments: &[&str]) -> (Option<i32>, String) {
    operator::run(deployment, &[&["quarantine"], arguments].concat())
}

/// All events, by the ids that their records had.
fn events(bootstrap: &str, deployment: &TestDeployment) -> BTreeMap<String, Seen> {
    let mut events = BTreeMap::new();
    for topic in deployment.outputs() {
        for seen in read_committed(bootstrap, &topic) {
            let event: Value =
                serde_json::from_slice(seen.value.as_deref().expect("an event")).expect("JSON");
            let id = event["id"].as_str().expect("an id").to_string();
            assert!(events.insert(id.clone(), seen).is_none(), "{id} stands twice");
        }
    }
    events
}

/// Fails unless the events of a deployment are those of another one whose principals were known
/// from the beginning. What is sealed has the chain's header besides.
#[track_caller]
fn assert_as_live(broker: &KafkaBroker, deployment: &TestDeployment, records: u64) {
    let live = TestDeployment::create(PROGRAM, broker, 3, PRINCIPALS, SMALL_BATCHES);
    // The same places of the same topic: ids and partitions follow from them.
    let input = read_committed(broker.bootstrap(), &deployment.input);
    produce(broker.bootstrap(), &live.input, input.iter().map(TestRecord::from));
    process(broker, &live, records as i64);
    let expected = events(broker.bootstrap(), &live);
    let found = events(broker.bootstrap(), deployment);
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (id, seen) in &found {
        let expected = &expected[id];
        let is_own = |name: &str| name == REPLAYED || name == "audit-chain";
        let headers = seen.headers.iter().filter(|(name, _)| !is_own(name));
        let headers: Vec<_> = headers.cloned().collect();
        assert_eq!(
            (&seen.key, &seen.value, seen.timestamp, seen.partition, &headers),
            (
                &expected.key,
                &expected.value,
                expected.timestamp,
                expected.partition,
                &expected.headers
            ),
            "{id}"
        );
    }
}

/// The outcomes by their words, of all cases.
fn outcome_counts(bootstrap: &str, deployment: &TestDeployment) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let mut cases = BTreeMap::new();
    for seen in read_committed(bootstrap, &outcomes(deployment)) {
        let record: Value =
            serde_json::from_slice(seen.value.as_deref().expect("an outcome")).expect("JSON");
        let outcome = record["outcome"].as_str().expect("an outcome").to_string();
        if outcome != "again" {
            let before = cases.insert(seen.key.clone(), outcome.clone());
            assert!(before.is_none(), "two final outcomes of {:?}", seen.key);
        }
        *counts.entry(outcome).or_default() += 1;
    }
    counts
}

#[test]
fn a_quarantined_record_is_audited_once_its_cause_is_corrected() {
    let broker = KafkaBroker::shared();
    let deployment = unknown(broker);
    let records = 300;
    produce(broker.bootstrap(), &deployment.input, (0..records).map(change));
    process(broker, &deployment, records as i64);
    let (audited, malformed) =
        (count(records, ExpectedFate::Audited), count(records, ExpectedFate::Quarantined));

    let (code, said) = run(&deployment, &["groups"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("unknown_principal") && said.contains("publish the principals"),
        "{said}"
    );
    let (_, said) = run(&deployment, &["list", "--reason", "malformed", "--json", "--limit", "1"]);
    let place = json(&said)["place"].as_str().expect("a place").to_string();
    let (code, said) = run(&deployment, &["show", &place]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("standing  open") && said.contains("fate      quarantined"), "{said}");

    // Nothing is corrected yet.
    let (code, said) = run(&deployment, &["replay", "--all", "--dry-run", "--json"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(json(&said)["outcomes"]["again"].as_u64() > Some(audited), "{said}");
    assert_eq!(read_committed(broker.bootstrap(), &outcomes(&deployment)).len(), 0);
    let one = ["replay", "--record", &place, "--by", "tester", "--json"];
    let (code, said) = run(&deployment, &one);
    assert_eq!((code, &json(&said)["again"]["malformed"]), (Some(3), &Value::from(1)), "{said}");

    deployment.write_principals(PRINCIPALS);
    let unknown = ["replay", "--reason", "unknown_principal", "--note", "published", "--json"];
    let (code, said) = run(&deployment, &unknown);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(json(&said)["outcomes"]["audited"], audited, "{said}");
    let (code, said) = run(&deployment, &unknown);
    assert_eq!((code, &json(&said)["selected"]), (Some(0), &Value::from(0)), "{said}");
    assert_as_live(broker, &deployment, records);

    let (code, said) = run(&deployment, &["done", "--all", "--note", "sent again", "--json"]);
    assert_eq!(
        (code, &json(&said)["outcomes"]["done"]),
        (Some(0), &Value::from(malformed)),
        "{said}"
    );
    let (_, said) = run(&deployment, &["groups"]);
    assert!(said.contains("Nothing is open"), "{said}");
    let counts = outcome_counts(broker.bootstrap(), &deployment);
    assert_eq!(counts["audited"] as u64, audited);
    assert_eq!((counts["done"] as u64, counts["again"]), (malformed, 1));
}

/// A record that its producer has sent again is in the trail once, whether both are quarantined or
/// the second was audited at once.
#[test]
fn a_record_that_was_sent_again_is_not_audited_twice() {
    let broker = KafkaBroker::shared();
    let deployment = unknown(broker);
    // Those with an event id of their own have the same event; the others are other records.
    let is_resent =
        |number: &u64| number % 2 == 1 && expected_fate(*number) == ExpectedFate::Audited;
    let early: Vec<u64> = (20..40).filter(is_resent).collect();
    let late: Vec<u64> = (0..20).filter(is_resent).collect();
    let records = (0..100).chain(early.iter().copied());
    produce(broker.bootstrap(), &deployment.input, records.map(change));
    let quarantined = 100 + early.len() as i64;
    process(broker, &deployment, quarantined);
    deployment.write_principals(PRINCIPALS);
    produce(broker.bootstrap(), &deployment.input, late.iter().copied().map(change));
    process(broker, &deployment, quarantined + late.len() as i64);
    let rehearsal = ["replay", "--reason", "unknown_principal", "--json", "--dry-run"];
    for arguments in [&rehearsal[..], &rehearsal[..4]] {
        let (code, said) = run(&deployment, arguments);
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(json(&said)["outcomes"]["present"], early.len() + late.len(), "{said}");
    }
    let audited = count(100, ExpectedFate::Audited);
    assert_eq!(events(broker.bootstrap(), &deployment).len() as u64, audited);
}

/// Starts a replay that goes on in the background.
#[track_caller]
fn start(deployment: &TestDeployment, instance: &str) -> Relay {
    let replay = ["quarantine", "replay", "--reason", "unknown_principal", "--json"];
    operator::start(deployment, instance, &replay)
}

/// Kills a replay at each step of its transaction, then lets one take over from another.
#[test]
fn replays_that_are_killed_or_overtaken_lose_and_double_nothing() {
    let proxied = ProxiedBroker::start();
    let broker = &proxied.broker;
    let mut deployment = unknown(broker);
    let records = 6_000;
    produce(broker.bootstrap(), &deployment.input, (0..records).map(change));
    process(broker, &deployment, records as i64);
    deployment.write_principals(PRINCIPALS);
    deployment.bootstrap.clone_from(&proxied.bootstrap);
    for kind in [
        RequestKind::INIT_PRODUCER_ID,
        RequestKind::ADD_PARTITIONS_TO_TXN,
        RequestKind::PRODUCE,
        RequestKind::END_TXN,
    ] {
        for ambush in [Ambush::HoldRequest, Ambush::HoldAnswer] {
            let begin = || start(&deployment, "killed");
            let mut replay = proxied.hold("killed-replay", kind, ambush, begin);
            replay.signal("KILL");
            replay.wait();
        }
    }
    // The first waits for an answer while the second takes over.
    let (client, commit) = ("first-replay", RequestKind::END_TXN);
    let begin = || start(&deployment, "first");
    let mut first = proxied.hold(client, commit, Ambush::HoldRequest, begin);
    let mut second = start(&deployment, "second");
    assert!(second.wait().success(), "{}", second.log());
    proxied.rules.cut(&Aim::client(client));
    assert_eq!(first.wait().code(), Some(1), "{}", first.log());
    assert!(first.log().contains("has taken over"), "{}", first.log());

    let (code, said) = run(&deployment, &["groups", "--json", "--reason", "unknown_principal"]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert_as_live(broker, &deployment, records);
    let audited = count(records, ExpectedFate::Audited) as usize;
    assert_eq!(outcome_counts(broker.bootstrap(), &deployment)["audited"], audited);
}
