//! Quarantined records of a sealed trail that are judged again: what is written is on chains of its
//! own, through kills and while the signing key is replaced.

use std::fs;

use audit_chain::key::SigningKey;

use super::*;
use crate::sealed::attacks::{QUARANTINE, Trail, read, write};
use crate::sealed::{trust, verify, verify_own};
use crate::trail::{seal, signing_key};
use audit_testkit::random::Random;

/// Fails unless the whole trail is proven.
#[track_caller]
fn assert_proven(deployment: &TestDeployment) -> String {
    let answer = verify_own(deployment, &[]);
    assert_eq!(answer.code, Some(0), "{}", answer.output);
    answer.output
}

/// The lines of `[integrity]` with the second key, and the first one if it is still needed.
fn second_key(deployment: &TestDeployment, with_first: bool) -> String {
    let origin = signing_key().public().name().clone();
    let (first, second) = (deployment.path("seal.pem"), deployment.path("second.pem"));
    let key = SigningKey::from_seed(origin.clone(), &[10; 32]);
    fs::write(&second, &*key.to_pem().expect("a key")).expect("write the key");
    let previous = format!("previous_key = \"{}\"\n", first.display());
    let previous = if with_first { previous } else { String::new() };
    format!("origin = \"{origin}\"\nkey = \"{}\"\n{previous}", second.display())
}

/// Creates a sealed deployment whose relay has quarantined these records; their cause is corrected.
#[track_caller]
fn quarantined(broker: &KafkaBroker, records: u64) -> TestDeployment {
    let mut deployment = TestDeployment::create(PROGRAM, broker, 3, NOBODY, SMALL_BATCHES);
    // Two partitions of the quarantine hold records of three of the input.
    broker.create_topic_with(&outcomes(&deployment), 2, &KEPT_FOREVER);
    seal(broker, &mut deployment);
    trust(&deployment);
    produce(broker.bootstrap(), &deployment.input, (0..records).map(change));
    process(broker, &deployment, records as i64);
    let output = assert_proven(&deployment);
    assert!(output.contains("\"quarantine\": null"), "nothing is replayed yet: {output}");
    deployment.write_principals(PRINCIPALS);
    deployment
}

#[test]
fn replays_of_a_sealed_trail_are_sealed_through_kills_and_a_new_key() {
    let proxied = ProxiedBroker::start();
    let broker = &proxied.broker;
    let records = 4_000;
    let mut deployment = quarantined(broker, records);
    deployment.bootstrap.clone_from(&proxied.bootstrap);
    for kind in [RequestKind::PRODUCE, RequestKind::END_TXN] {
        for ambush in [Ambush::HoldRequest, Ambush::HoldAnswer] {
            let mut replay =
                proxied.hold("killed-replay", kind, ambush, || start(&deployment, "killed"));
            replay.signal("KILL");
            replay.wait();
        }
    }
    deployment.bootstrap = broker.bootstrap().to_string();
    let (code, said) = run(&deployment, &["replay", "--record", "0/0", "--record", "1/0"]);
    assert!(matches!(code, Some(0 | 3)), "{said}");
    assert_proven(&deployment);

    // The key is replaced in the middle, by a replay of nothing. The trust file has the first
    // alone.
    deployment.integrity = second_key(&deployment, true);
    let nothing = ["replay", "--all", "--limit", "0", "--json"];
    let (code, said) = run(&deployment, &nothing);
    assert_eq!((code, &json(&said)["selected"]), (Some(0), &Value::from(0)), "{said}");
    deployment.integrity = second_key(&deployment, false);
    let (code, said) = run(&deployment, &["replay", "--reason", "unknown_principal", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    assert_as_live(broker, &deployment, records);
    let (code, said) = run(&deployment, &["done", "--all", "--note", "sent again", "--json"]);
    assert_eq!(code, Some(0), "{said}");

    // The relays go on: their sets are other ones.
    deployment.integrity = second_key(&deployment, true);
    let more = records + 200;
    produce(broker.bootstrap(), &deployment.input, (records..more).map(change));
    process(broker, &deployment, more as i64);
    let proven = assert_proven(&deployment);
    let report: Value = serde_json::from_str(&proven).expect("a report");
    let counts = outcome_counts(broker.bootstrap(), &deployment);
    let audited = count(records, ExpectedFate::Audited);
    let totals = &report["quarantine"];
    assert_eq!((&totals["audited"], counts["audited"] as u64), (&Value::from(audited), audited));
    let closed = counts["done"] + counts.get("skipped").copied().unwrap_or_default();
    assert_eq!(totals["closed"], closed, "{proven}");
    let open = count(more, ExpectedFate::Quarantined) - count(records, ExpectedFate::Quarantined);
    assert_eq!(totals["quarantined"], audited + closed as u64 + open, "{proven}");

    deployment.integrity = second_key(&deployment, false);
    assert_attacks_are_found(broker, &deployment);
    assert_lost_outcomes_are_refused(broker, &mut deployment);
}

/// Attacks copies of the trail.
#[track_caller]
fn assert_attacks_are_found(broker: &KafkaBroker, deployment: &TestDeployment) {
    type Attack = (&'static str, fn(&mut Trail), i32, Option<&'static str>);
    const ATTACKS: [Attack; 5] = [
        ("nothing", |_| {}, 0, None),
        ("an outcome altered", |trail| alter(state(trail)), 1, Some("ALTERED")),
        ("an outcome removed", |trail| _ = state(trail).remove(7), 1, Some("MISSING")),
        ("an outcome twice", |trail| state(trail).extend_from_within(7..8), 1, Some("DUPLICATE")),
        ("a replayed event removed", remove_replayed, 1, Some("MISSING")),
    ];
    let original = read(broker, deployment, &[outcomes(deployment)]);
    for (name, attack, code, label) in ATTACKS {
        let mut trail = original.clone();
        attack(&mut trail);
        let prefix = write(broker, &trail);
        let answer = verify(deployment, &prefix, &format!("{prefix}{QUARANTINE}"), &[]);
        assert_eq!(answer.code, Some(code), "{name}: {}", answer.output);
        let is_found = label.is_none_or(|label| answer.labels.iter().any(|it| it == label));
        assert!(is_found, "{name}: {}", answer.output);
    }
}

fn state(trail: &mut Trail) -> &mut Vec<Seen> {
    trail.get_mut(&format!("{QUARANTINE}.state")).expect("outcomes")
}

fn alter(records: &mut [Seen]) {
    let random = Random::new(1);
    let value = records[random.index(records.len())].value.as_mut().expect("a value");
    let at = random.index(value.len());
    value[at] ^= 1;
}

fn remove_replayed(trail: &mut Trail) {
    let is_replayed = |seen: &Seen| seen.headers.iter().any(|(name, _)| name == REPLAYED);
    let regions = trail.values_mut();
    let region = regions.max_by_key(|records| records.iter().filter(|it| is_replayed(it)).count());
    let region = region.expect("regions");
    let places = region.iter().enumerate().filter(|(_, seen)| is_replayed(seen));
    let places: Vec<usize> = places.map(|(place, _)| place).collect();
    region.remove(places[places.len() / 2]);
}

/// Without the outcomes, records would be replayed again; the seals know that there were some.
#[track_caller]
fn assert_lost_outcomes_are_refused(broker: &KafkaBroker, deployment: &mut TestDeployment) {
    broker.try_delete_topic(&outcomes(deployment)).expect("deleted");
    broker.create_topic_with(&outcomes(deployment), 2, &KEPT_FOREVER);
    let (code, said) = run(deployment, &["replay", "--all", "--json"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("outcomes or seals were removed or added"), "{said}");
}
