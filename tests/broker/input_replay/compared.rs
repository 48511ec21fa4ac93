//! `replay --compare` finds each difference, and only these.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use super::{deployment, run, target};
use crate::exactly_once::{await_committed, end};
use crate::ledger::{
    ExpectedFate, PRINCIPALS, change, count, expected_fate, location_table, region,
};
use crate::operator::{self, json};
use crate::replayed::NOBODY;
use crate::trail::KEPT_FOREVER;
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::relay::TestDeployment;
use audit_testkit::topics::{Seen, TestRecord, produce, read_committed};

const RECORDS: u64 = 1_000;

/// Creates a deployment whose relay has processed all records.
#[track_caller]
fn processed(broker: &KafkaBroker) -> TestDeployment {
    let deployment = deployment(broker);
    process(broker, &deployment);
    deployment
}

#[track_caller]
fn process(broker: &KafkaBroker, deployment: &TestDeployment) {
    produce(broker.bootstrap(), &deployment.input, (0..RECORDS).map(change));
    let mut relay = deployment.start("a");
    await_committed(broker, deployment, RECORDS as i64);
    end(&mut relay);
}

/// Compares, and fails unless these are all the differences: changed records with their fields, and
/// what became of others.
#[track_caller]
fn assert_differs(
    deployment: &TestDeployment,
    (changed, fields): (u64, &[&str]),
    became: &[(&str, &str, u64)],
) {
    let (code, said) = run(deployment, &["--compare", "--json"]);
    let report = json(&said);
    let differences = changed + became.iter().map(|(.., count)| count).sum::<u64>();
    assert_eq!(code, Some(if differences == 0 { 0 } else { 3 }), "{said}");
    assert_eq!(report["differences"], differences, "{report:#}");
    assert_eq!(report["changed"]["records"], changed, "{report:#}");
    let found = report["changed"]["fields"].as_object().expect("fields");
    assert_eq!(found.keys().collect::<Vec<_>>(), fields, "{report:#}");
    let became: Vec<Value> = became
        .iter()
        .map(|(from, to, count)| json!({"from": from, "to": to, "count": count}))
        .collect();
    assert_eq!(report["became"], Value::from(became), "{report:#}");
    assert_eq!((&report["twice"], &report["outOfOrder"]), (&json!(0), &json!(0)), "{report:#}");
    assert_eq!(report["ofOtherRecords"], 0, "{report:#}");
    let equal = &report["equal"];
    let equal = ["audited", "quarantined", "skipped"].map(|fate| equal[fate].as_u64());
    let equal: u64 = equal.into_iter().flatten().sum();
    assert_eq!(equal + differences, RECORDS, "{report:#}");
}

#[test]
fn a_change_of_tables_and_rules_can_be_rehearsed() {
    let broker = KafkaBroker::shared();
    let mut deployment = processed(broker);
    let audited = count(RECORDS, ExpectedFate::Audited);
    assert_differs(&deployment, (0, &[]), &[]);

    deployment.write_principals(&PRINCIPALS.replace("operator@", "renamed@"));
    assert_differs(&deployment, (audited, &["/initiator/name"]), &[]);

    let visitors = (0..RECORDS).filter(|number| number % 10 == 8).count() as u64;
    let access =
        PRINCIPALS.replace("\"infrastructureAccess\":false", "\"infrastructureAccess\":true");
    deployment.write_principals(&access);
    assert_differs(&deployment, (0, &[]), &[("skipped", "audited", visitors)]);

    let visitor = PRINCIPALS.lines().last().expect("two lines");
    deployment.write_principals(visitor);
    assert_differs(
        &deployment,
        (0, &[]),
        &[("audited", "quarantined (unknown_principal)", audited)],
    );

    deployment.write_principals(PRINCIPALS);
    let set = |name: &str, value: &str| vec![(format!("AUDIT_RELAY_{name}"), value.to_string())];
    deployment.environment = set("CATALOG__DISABLE", "audit-log.bare-metal.power-off");
    assert_differs(&deployment, (0, &[]), &[("audited", "skipped (unlisted_action)", audited)]);

    // One data center moves to another region.
    let table = deployment.path("locations.toml");
    fs::write(&table, location_table(&[("fra02", "eu-gb")])).expect("write");
    deployment.environment = set("LOCATIONS__FILE", table.to_str().expect("a path"));
    let moved = (0..RECORDS).filter(|number| {
        expected_fate(*number) == ExpectedFate::Audited && region(*number) == "eu-de"
    });
    let (code, said) = run(&deployment, &["--compare", "--json"]);
    let report = json(&said);
    assert_eq!(code, Some(3), "{said}");
    assert_eq!(report["changed"]["records"], moved.count(), "{report:#}");
    assert_eq!(report["differences"], report["changed"]["records"], "{report:#}");
    assert!(report["changed"]["fields"]["topic"].as_u64() > Some(0), "{report:#}");
}

/// Records that were quarantined and replayed: their events stand where they came, and what was
/// closed without one is settled.
#[test]
fn what_was_replayed_from_the_quarantine_is_no_difference() {
    let broker = KafkaBroker::shared();
    let deployment = deployment(broker);
    deployment.write_principals(NOBODY);
    broker.create_topic_with(&format!("{}.state", deployment.quarantine), 1, &KEPT_FOREVER);
    process(broker, &deployment);
    deployment.write_principals(PRINCIPALS);
    let audited = count(RECORDS, ExpectedFate::Audited);
    let visitors = (0..RECORDS).filter(|number| number % 10 == 8).count() as u64;
    let unknown = "quarantined (unknown_principal)";
    let corrected =
        [(unknown, "audited", audited), (unknown, "skipped (no_infrastructure_access)", visitors)];
    assert_differs(&deployment, (0, &[]), &corrected);

    let replay = ["quarantine", "replay", "--reason", "unknown_principal"];
    let (code, said) = operator::run(&deployment, &replay);
    assert_eq!(code, Some(0), "{said}");
    assert_differs(&deployment, (0, &[]), &[]);

    // What was settled by these rules is not by others.
    deployment.write_principals(NOBODY);
    let settled =
        [("audited", unknown, audited), ("closed in quarantine (skipped)", unknown, visitors)];
    assert_differs(&deployment, (0, &[]), &settled);
}

/// What is done to an output.
#[derive(Debug, Clone, Copy)]
enum Plant {
    Missing,
    Doubled,
    Altered,
    Moved,
}

/// A topic of a replay, and the events of one partition.
struct Target<'a> {
    broker: &'a KafkaBroker,
    topic: String,
    events: Vec<Seen>,
}

impl Target<'_> {
    #[track_caller]
    fn plant(&self, plant: Plant) {
        let first = &self.events[0];
        match plant {
            Plant::Missing => self.delete_first(),
            Plant::Doubled => self.append(&self.events[3]),
            Plant::Altered => {
                self.delete_first();
                let value = first.value.clone().expect("a value");
                let value = String::from_utf8(value).expect("JSON");
                let value = value.replace("operator@example.com", "nobody@example.com");
                self.append(&Seen { value: Some(value.into_bytes()), ..first.clone() });
            }
            Plant::Moved => {
                self.delete_first();
                self.append(first);
            }
        }
    }

    /// What must be found, without what is not.
    fn expected(&self, plant: Plant) -> Value {
        // All others stand before the first then.
        let behind = self.events.len() - 1;
        match plant {
            Plant::Missing => json!({"became": [{"from": "skipped", "to": "audited", "count": 1}]}),
            Plant::Doubled => json!({"twice": 1}),
            Plant::Altered => json!({"changed": 1, "outOfOrder": behind}),
            Plant::Moved => json!({"outOfOrder": behind}),
        }
    }

    #[track_caller]
    fn delete_first(&self) {
        let first = &self.events[0];
        let before = BTreeMap::from([(first.partition, first.offset + 1)]);
        self.broker.delete_records(&self.topic, &before);
    }

    /// Writes an event behind the others.
    #[track_caller]
    fn append(&self, seen: &Seen) {
        let bootstrap = self.broker.bootstrap();
        produce(bootstrap, &self.topic, [TestRecord::from(seen)].into_iter());
    }
}

/// Each has a replay of its own, which is tampered with.
#[test]
fn what_is_missing_doubled_altered_or_moved_is_found() {
    let broker = KafkaBroker::shared();
    let deployment = processed(broker);
    for plant in [Plant::Missing, Plant::Doubled, Plant::Altered, Plant::Moved] {
        let prefix = target(broker);
        let (code, said) = run(&deployment, &["--into", &prefix]);
        assert_eq!(code, Some(0), "{said}");
        let topic = format!("{prefix}us-south");
        let mut events = read_committed(broker.bootstrap(), &topic);
        let partition = events[0].partition;
        events.retain(|seen| seen.partition == partition);
        events.sort_by_key(|seen| seen.offset);
        let target = Target { broker, topic, events };
        target.plant(plant);
        let (code, said) = run(&deployment, &["--compare", "--with", &prefix, "--json"]);
        assert_eq!(code, Some(3), "{plant:?}: {said}");
        let report = json(&said);
        let mut found = json!({});
        for (field, value) in [
            ("changed", &report["changed"]["records"]),
            ("became", &report["became"]),
            ("twice", &report["twice"]),
            ("outOfOrder", &report["outOfOrder"]),
        ] {
            if *value != json!(0) && *value != json!([]) {
                found[field] = value.clone();
            }
        }
        assert_eq!(found, target.expected(plant), "{plant:?}: {report:#}");
        assert_eq!(report["ofOtherRecords"], 0, "{plant:?}: {report:#}");
    }
}
