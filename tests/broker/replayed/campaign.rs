//! Quarantined records of six causes are replayed by commands that are killed at random, two at a
//! time, beside relays that work. The trail is sealed, and proven in the end.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::load::{Cause, REGIONS_AFTER, REGIONS_BEFORE, devices, locations, principals, record};
use super::{events, outcome_counts, outcomes, process};
use crate::PROGRAM;
use crate::exactly_once::{SMALL_BATCHES, await_committed, end};
use crate::ledger::header;
use crate::operator::start;
use crate::sealed::{trust, verify_own};
use crate::trail::{KEPT_FOREVER, seal};
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::random::Random;
use audit_testkit::relay::{Relay, TestDeployment};
use audit_testkit::topics::{produce, read_committed};

/// Records that are quarantined or audited before the causes are corrected, unless
/// `REPLAYED_RECORDS` says otherwise.
const RECORDS: u64 = 4_000;
/// Records that come between two kills.
const PORTION: u64 = 200;
/// Commands that are killed.
const KILLS: u64 = 9;
/// Longest time for the last command.
const END_MAX: Duration = Duration::from_secs(900);
const MORE: &str = "[policy]\nno_infrastructure_access = \"quarantine\"\n[devices]\nfile = \"devices.jsonl\"\n[locations]\nfile = \"locations.toml\"\n";

/// Writes the tables before or after the causes are corrected.
fn write_tables(deployment: &mut TestDeployment, is_corrected: bool) {
    deployment.write_principals(&principals(is_corrected));
    fs::write(deployment.path("devices.jsonl"), devices(is_corrected)).expect("write");
    fs::write(deployment.path("locations.toml"), locations(is_corrected)).expect("write");
    let regions = if is_corrected { REGIONS_AFTER } else { REGIONS_BEFORE };
    deployment.environment = vec![("AUDIT_RELAY_OUTPUT__REGIONS".to_string(), regions.to_string())];
}

/// Waits for the end of a command, for as long as many records may need.
#[track_caller]
fn await_end(command: &mut Relay) -> Option<i32> {
    let since = Instant::now();
    loop {
        if let Some(status) = command.ended().expect("a status") {
            return status.code();
        }
        assert!(since.elapsed() < END_MAX, "{}", command.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn count(records: u64, is_it: impl Fn(Cause) -> bool) -> u64 {
    (0..records).filter(|number| is_it(Cause::of(*number))).count() as u64
}

/// Creates a deployment whose relay has quarantined these records.
#[track_caller]
fn quarantine(broker: &KafkaBroker, records: u64) -> TestDeployment {
    let more = format!("{SMALL_BATCHES}{MORE}");
    let mut deployment = TestDeployment::create(PROGRAM, broker, 3, "{}", &more);
    broker.create_topic_with(&outcomes(&deployment), 2, &KEPT_FOREVER);
    seal(broker, &mut deployment);
    trust(&deployment);
    write_tables(&mut deployment, false);
    produce(broker.bootstrap(), &deployment.input, (0..records).map(record));
    process(broker, &deployment, records as i64);
    let reasons = quarantined(broker.bootstrap(), &deployment);
    for number in 0..8 {
        let cause = Cause::of(number);
        let expected = count(records, |it| it == cause);
        let found = reasons.get(cause.reason()).copied().unwrap_or_default();
        assert_eq!(found, if cause == Cause::Nothing { 0 } else { expected }, "{cause:?}");
    }
    deployment
}

/// Replays all, again and again, while more records come. Each command is killed at a moment that
/// the seed chooses. Returns how many records there are now.
#[track_caller]
fn kill_replays(broker: &KafkaBroker, deployment: &TestDeployment, records: u64) -> u64 {
    let random = Random::new(17);
    let mut written = records;
    for kill in 0..KILLS {
        produce(broker.bootstrap(), &deployment.input, (written..written + PORTION).map(record));
        written += PORTION;
        let mut replays =
            vec![start(deployment, "one", &["quarantine", "replay", "--all", "--json"])];
        if kill % 3 == 2 {
            replays.push(start(deployment, "other", &["quarantine", "replay", "--all", "--json"]));
        }
        for mut replay in replays {
            // When it dies is the fault that is injected.
            std::thread::sleep(Duration::from_millis(random.within(200, 2_500)));
            // It may have ended by itself.
            _ = replay.try_signal("KILL");
            replay.wait();
        }
    }
    written
}

#[test]
fn replays_under_random_kills_beside_relays_leave_one_event_of_each_record() {
    let records =
        std::env::var("REPLAYED_RECORDS").map_or(RECORDS, |it| it.parse().expect("a number"));
    let broker = KafkaBroker::shared();
    let bootstrap = broker.bootstrap();
    let mut deployment = quarantine(broker, records);

    write_tables(&mut deployment, true);
    let mut relays = [deployment.start("a"), deployment.start("b")];
    // The producer sends some again: the same records, with their own ids.
    let is_corrected = |cause: Cause| cause != Cause::Malformed && cause != Cause::Nothing;
    let resent = (0..records).filter(|number| number % 50 == 0 && is_corrected(Cause::of(*number)));
    let resent: Vec<u64> = resent.collect();
    produce(bootstrap, &deployment.input, resent.iter().map(|number| record(*number)));
    await_committed(broker, &deployment, (records + resent.len() as u64) as i64);
    let written = kill_replays(broker, &deployment, records);
    await_committed(broker, &deployment, (written + resent.len() as u64) as i64);
    relays.iter_mut().for_each(end);
    let mut last = start(&deployment, "last", &["quarantine", "replay", "--all", "--json"]);
    // Malformed ones stay open.
    assert_eq!(await_end(&mut last), Some(3), "{}", last.log());

    assert_one_event_each(bootstrap, &deployment, written);
    let counts = outcome_counts(bootstrap, &deployment);
    let corrected = count(records, is_corrected);
    assert_eq!(counts["audited"] + counts["present"], corrected as usize, "{counts:?}");
    assert_eq!(counts["present"], resent.len(), "{counts:?}");
    assert_eq!(counts.get("skipped"), None, "{counts:?}");

    let proven = verify_own(&deployment, &[]);
    assert_eq!(proven.code, Some(0), "{}", proven.output);
    let report: Value = serde_json::from_str(&proven.output).expect("a report");
    let totals = &report["quarantine"];
    assert_eq!(totals["audited"], counts["audited"], "{totals}");
    assert_eq!(totals["closed"], counts["present"], "{totals}");
}

/// How many records are in quarantine, by reason.
fn quarantined(bootstrap: &str, deployment: &TestDeployment) -> BTreeMap<String, u64> {
    let mut reasons = BTreeMap::new();
    for seen in read_committed(bootstrap, &deployment.quarantine) {
        let reason = header(&seen, "audit-relay-reason");
        *reasons.entry(reason).or_default() += 1;
    }
    reasons
}

/// Fails unless every record has one event, in the topic of its region and the partition of its
/// input, and malformed ones have none.
#[track_caller]
fn assert_one_event_each(bootstrap: &str, deployment: &TestDeployment, records: u64) {
    let mut places = BTreeMap::new();
    for seen in read_committed(bootstrap, &deployment.input) {
        let value: Value = match serde_json::from_slice(seen.value.as_deref().expect("a value")) {
            Ok(value) => value,
            Err(_) => continue,
        };
        let number: u64 = value["traceId"].as_str().expect("a number").parse().expect("a number");
        places.entry(number).or_insert(seen.partition);
    }
    // Ids stand once: `events` checks that.
    let events = events(bootstrap, deployment);
    let mut found = BTreeMap::new();
    for (id, seen) in &events {
        let event: Value =
            serde_json::from_slice(seen.value.as_deref().expect("a value")).expect("JSON");
        let number: u64 =
            event["correlationId"].as_str().expect("a number").parse().expect("a number");
        assert!(found.insert(number, id).is_none(), "record {number} has two events");
        let region = seen.topic.strip_prefix(&deployment.prefix).expect("a region");
        assert_eq!(region, Cause::of(number).region(), "record {number}");
        assert_eq!(seen.partition, places[&number] % 3, "record {number}");
    }
    let lost: Vec<u64> = (0..records)
        .filter(|number| Cause::of(*number) != Cause::Malformed && !found.contains_key(number))
        .collect();
    assert!(lost.is_empty(), "{} are lost: {:?}", lost.len(), &lost[..lost.len().min(20)]);
    assert_eq!(found.len() as u64, count(records, |it| it != Cause::Malformed));
}
