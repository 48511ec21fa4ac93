//! The input judged again: written into other topics, it gives what the relay has written, whatever
//! dies meanwhile.

mod compared;

use serde_json::Value;

use crate::PROGRAM;
use crate::exactly_once::{SMALL_BATCHES, await_committed, end};
use crate::killed::ProxiedBroker;
use crate::ledger::{ExpectedFate, PRINCIPALS, change, count, header};
use crate::operator::{self, json};
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::proxy::{Ambush, RequestKind};
use audit_testkit::relay::{REGIONS, Relay, TestDeployment};
use audit_testkit::topics::{Seen, produce, read_committed};

/// Partitions of the input and the outputs, and of the quarantine.
const PARTITIONS: [i32; 2] = [3, 2];

fn deployment(broker: &KafkaBroker) -> TestDeployment {
    TestDeployment::create(PROGRAM, broker, PARTITIONS[0], PRINCIPALS, SMALL_BATCHES)
}

/// Creates the topics of a replay, and returns their prefix.
#[track_caller]
fn target(broker: &KafkaBroker) -> String {
    let prefix = format!("{}.", broker.unique("replay"));
    for region in REGIONS {
        broker.create_topic(&format!("{prefix}{region}"), PARTITIONS[0]);
    }
    let quarantine = format!("{prefix}quarantine");
    broker.create_topic_with(&quarantine, PARTITIONS[1], &[("max.message.bytes", "2097152")]);
    prefix
}

/// Starts a replay that goes on in the background.
#[track_caller]
fn start(deployment: &TestDeployment, name: &str, arguments: &[&str]) -> Relay {
    operator::start(deployment, name, &[&["replay"], arguments].concat())
}

/// Runs a replay.
#[track_caller]
fn run(deployment: &TestDeployment, arguments: &[&str]) -> (Option<i32>, String) {
    operator::run(deployment, &[&["replay"], arguments].concat())
}

/// What must be the same of a record.
fn content(seen: &Seen) -> impl PartialEq + std::fmt::Debug + '_ {
    (seen.partition, &seen.key, &seen.value, &seen.headers, seen.timestamp)
}

/// Fails unless each topic of the replay begins like that of the relay, and there is as much as the
/// first records give. Each partition is compared in its order: the outputs have as many as the
/// input, and in quarantine each input partition is looked at alone.
#[track_caller]
fn assert_same(bootstrap: &str, deployment: &TestDeployment, prefix: &str, records: u64) {
    let in_order = |topic: &str, is_it: &dyn Fn(&Seen) -> bool| -> Vec<Seen> {
        let mut all = read_committed(bootstrap, topic);
        all.retain(is_it);
        all.sort_by_key(|seen| (seen.partition, seen.offset));
        all
    };
    let mut audited = 0;
    for (region, live) in REGIONS.iter().zip(deployment.outputs()) {
        for partition in 0..PARTITIONS[0] {
            let is_it = |seen: &Seen| seen.partition == partition;
            let replayed = in_order(&format!("{prefix}{region}"), &is_it);
            let live = in_order(&live, &is_it);
            audited += replayed.len() as u64;
            assert!(live.len() >= replayed.len(), "{region} {partition}");
            for (replayed, live) in replayed.iter().zip(&live) {
                assert_eq!(content(replayed), content(live), "{region} {partition}");
            }
        }
    }
    assert_eq!(audited, count(records, ExpectedFate::Audited));
    let mut quarantined = 0;
    for partition in 0..PARTITIONS[0] {
        let is_it = |seen: &Seen| header(seen, "audit-relay-partition") == partition.to_string();
        let replayed = in_order(&format!("{prefix}quarantine"), &is_it);
        let live = in_order(&deployment.quarantine, &is_it);
        quarantined += replayed.len() as u64;
        for (replayed, live) in replayed.iter().zip(&live) {
            assert_eq!(content(replayed), content(live), "quarantine of {partition}");
        }
    }
    assert_eq!(quarantined, count(records, ExpectedFate::Quarantined));
}

/// The relay works on while its input is replayed: nothing of its own changes.
#[test]
fn a_replay_gives_what_the_relay_has_written() {
    let broker = KafkaBroker::shared();
    let deployment = deployment(broker);
    let records = 3_000;
    produce(broker.bootstrap(), &deployment.input, (0..records).map(change));
    let mut relay = deployment.start("a");
    await_committed(broker, &deployment, records as i64);
    let prefix = target(broker);
    let mut replay = start(&deployment, "replay", &["--into", &prefix, "--json"]);
    produce(broker.bootstrap(), &deployment.input, (records..2 * records).map(change));
    assert!(replay.wait().success(), "{}", replay.log());
    await_committed(broker, &deployment, 2 * records as i64);
    end(&mut relay);
    let summary = json(&replay.log());
    let read = summary["records"].as_u64().expect("a number");
    // Some of those that came meanwhile may have been there when it began.
    assert!((records..=2 * records).contains(&read), "{summary}");
    let (code, said) = run(&deployment, &["--compare", "--with", &prefix]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("{read} records judged")), "{said}");
    assert!(said.contains("No difference"), "{said}");

    // The same offsets once more, and only a part of them.
    let again = target(broker);
    let offsets = summary["offsets"].as_str().expect("offsets");
    let (code, said) = run(&deployment, &["--into", &again, "--offsets", offsets]);
    assert_eq!(code, Some(0), "{said}");
    let part = target(broker);
    let (code, said) = run(&deployment, &["--into", &part, "--offsets", "1:10-60", "--json"]);
    assert_eq!((code, &json(&said)["records"]), (Some(0), &Value::from(50)), "{said}");
    for (prefix, is_whole) in [(&prefix, true), (&again, true), (&part, false)] {
        let events = REGIONS
            .iter()
            .flat_map(|region| read_committed(broker.bootstrap(), &format!("{prefix}{region}")));
        let events = events.count() as u64;
        assert_eq!(events == json_count(&summary, "audited"), is_whole, "{prefix} {events}");
    }
}

fn json_count(summary: &Value, name: &str) -> u64 {
    summary[name].as_u64().expect("a number")
}

/// Kills a replay at the steps of its transactions, then lets one take over from another.
#[test]
fn a_replay_that_is_killed_goes_on() {
    let proxied = ProxiedBroker::start();
    let broker = &proxied.broker;
    let mut deployment = deployment(broker);
    let records = 4_000;
    produce(broker.bootstrap(), &deployment.input, (0..records).map(change));
    let mut relay = deployment.start("a");
    await_committed(broker, &deployment, records as i64);
    end(&mut relay);
    deployment.bootstrap.clone_from(&proxied.bootstrap);
    let prefix = target(broker);
    let begin = ["--into", &prefix];
    let resume = ["--into", &prefix, "--resume"];
    let mut arguments = &begin[..];
    for kind in [RequestKind::PRODUCE, RequestKind::TXN_OFFSET_COMMIT, RequestKind::END_TXN] {
        for ambush in [Ambush::HoldRequest, Ambush::HoldAnswer] {
            let begin = || start(&deployment, "killed", arguments);
            let mut replay = proxied.hold("replay-", kind, ambush, begin);
            replay.signal("KILL");
            replay.wait();
            arguments = &resume;
        }
    }
    let (code, said) = run(&deployment, &begin);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("has begun") && said.contains("--resume"), "{said}");
    // Two at once: the one that is fenced gives up, or both succeed.
    let mut both = ["first", "second"].map(|name| start(&deployment, name, &resume));
    let ended = both.each_mut().map(|replay| replay.wait().success());
    assert!(ended.contains(&true), "{}\n{}", both[0].log(), both[1].log());
    assert_same(broker.bootstrap(), &deployment, &prefix, records);
    let (code, said) = run(&deployment, &resume);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("0 records in this run"), "{said}");
    assert_same(broker.bootstrap(), &deployment, &prefix, records);
}

#[test]
fn a_replay_does_not_mix_with_anything() {
    let broker = KafkaBroker::shared();
    let deployment = deployment(broker);
    produce(broker.bootstrap(), &deployment.input, (0..30).map(change));
    let refused = |arguments: &[&str], why: &str| {
        let (code, said) = run(&deployment, arguments);
        assert_ne!(code, Some(0), "{arguments:?}: {said}");
        assert!(said.contains(why), "{arguments:?}: {said}");
    };
    refused(&["--into", &deployment.prefix], "a replay needs topics of its own");
    refused(&["--into", "not.there."], "does not exist");
    refused(&["--into", "not a name."], "not a name");
    refused(&["--compare"], "what the relays have processed");

    let prefix = target(broker);
    refused(&["--into", &prefix, "--resume"], "no replay into these topics has begun");
    refused(&["--into", &prefix, "--offsets", "0:0-999"], "not all of 0-999");
    refused(&["--into", &prefix, "--offsets", "9:0-1"], "no partition 9");
    refused(&["--into", &prefix, "--to", "2020-01-01"], "no record in this part");
    let topic = format!("{prefix}eu-de");
    produce(broker.bootstrap(), &topic, [change(0)].into_iter());
    refused(&["--into", &prefix], "is not empty");

    let prefix = format!("{}.", broker.unique("replay"));
    for region in REGIONS {
        broker.create_topic(&format!("{prefix}{region}"), 2);
    }
    let quarantine = format!("{prefix}quarantine");
    broker.create_topic_with(&quarantine, PARTITIONS[1], &[("max.message.bytes", "2097152")]);
    refused(&["--into", &prefix], "has 2 partitions");
}
