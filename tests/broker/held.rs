//! What is common to the tests of partitions that are held while the others of their worker go on:
//! what the relay says of them, and how far the others come.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use audit_testkit::kafka::KafkaBroker;
use audit_testkit::relay::{Relay, TestDeployment, measured};

pub const READ: &str = "audit_relay_records_read_total";
pub const HELD: &str = "audit_relay_partition_held";
const LIMIT: Duration = Duration::from_secs(120);
const INTERVAL: Duration = Duration::from_millis(50);

/// Waits until the relay's metrics satisfy a condition. Meanwhile it must not commit more records
/// than there are.
#[track_caller]
pub fn await_metrics(relay: &Relay, what: &str, records: u64, done: impl Fn(&str) -> bool) {
    let since = Instant::now();
    loop {
        let (_, metrics) = relay.get("/metrics").unwrap_or_default();
        // There is none before the first assignment.
        let counted = measured(&metrics, READ, "");
        let read = counted.unwrap_or(0.0);
        assert!(
            read <= records as f64,
            "of {records} records {read} were judged: some of them twice\n{}",
            last_complaints(relay)
        );
        if done(&metrics) {
            assert!(counted.is_some(), "no {READ}:\n{metrics}");
            return;
        }
        assert!(since.elapsed() < LIMIT, "no {what}\n{}", last_complaints(relay));
        std::thread::sleep(INTERVAL);
    }
}

/// Waits until this partition, and no other, is held for this reason. There are so many records
/// that may be judged.
#[track_caller]
pub fn await_held(relay: &Relay, partition: i32, reason: &str, records: u64) {
    let labels = format!("partition=\"{partition}\",reason=\"{reason}\"");
    await_metrics(relay, &format!("{HELD} {labels}"), records, |metrics| {
        let held = |labels| measured(metrics, HELD, labels);
        held(&labels) == Some(1.0) && held("") == Some(1.0)
    });
}

/// Waits until no partition is held, and the relay is ready. What is not held is in no series; that
/// this one has its name yet is shown where something is held ([`await_held`]).
#[track_caller]
pub fn await_released(relay: &Relay) {
    relay.await_page("/metrics", |_, metrics| {
        let owned = measured(metrics, "audit_relay_assigned_partitions", "");
        measured(metrics, HELD, "").is_none() && owned.is_some_and(|owned| owned > 0.0)
    });
    relay.await_ready();
}

/// The relay is not ready, and names the topic, the partition, these offsets, and a word of the
/// remedy. So does its log.
#[track_caller]
pub fn assert_named(
    relay: &Relay,
    deployment: &TestDeployment,
    partition: i32,
    offsets: &[i64],
    remedy: &str,
) {
    let numbers = || offsets.iter().copied().chain([i64::from(partition)]);
    let names_all = |text: &str| {
        let rest = text.replace(&deployment.input, "");
        let words: Vec<&str> = rest.split(|c: char| !c.is_alphanumeric()).collect();
        let names = |number: i64| words.contains(&number.to_string().as_str());
        text.contains(&deployment.input) && text.contains(remedy) && numbers().all(names)
    };
    let looked_for =
        format!("{}, {:?}, {remedy:?}", deployment.input, { numbers().collect::<Vec<_>>() });
    // A relay that just tries again may say so instead for a moment.
    let since = Instant::now();
    loop {
        let (status, body) = relay.get("/readyz").expect("the admin server answers");
        if status != 200 && names_all(&body) {
            break;
        }
        assert!(since.elapsed() < LIMIT, "/readyz lacks one of {looked_for}: {status} {body}");
        std::thread::sleep(INTERVAL);
    }
    let log = relay.log();
    assert!(
        complaints(&log).any(names_all),
        "no warning and no error in the log has all of {looked_for}\n{log}"
    );
}

fn complaints(log: &str) -> impl Iterator<Item = &str> {
    let is_one = |line: &&str| {
        ["\"level\":\"WARN\"", "\"level\":\"ERROR\""].iter().any(|level| line.contains(level))
    };
    log.lines().filter(is_one)
}

fn last_complaints(relay: &Relay) -> String {
    let log = relay.log();
    let all: Vec<&str> = complaints(&log).collect();
    all[all.len().saturating_sub(20)..].join("\n")
}

/// How often the log says that these offsets of the input will never be read.
pub fn times_said(relay: &Relay, from: i64, to: i64) -> usize {
    let log = relay.log();
    let parts = [format!("\"from\":{from},"), format!("\"to\":{to},")];
    let says = |line: &&str| {
        let line = line.replace('}', ",");
        parts.iter().all(|part| line.contains(part))
    };
    complaints(&log).filter(says).count()
}

/// Waits until all there is in the input's partitions is committed.
#[track_caller]
pub fn await_all(broker: &KafkaBroker, deployment: &TestDeployment, relay: &Relay) {
    await_all_but(None, broker, deployment, relay);
}

/// The same, except in the partition that is held.
#[track_caller]
pub fn await_all_but(
    held: Option<i32>,
    broker: &KafkaBroker,
    deployment: &TestDeployment,
    relay: &Relay,
) {
    let others = |offsets: BTreeMap<i32, i64>| -> BTreeMap<i32, i64> {
        let has_records =
            |(partition, offset): &(i32, i64)| held != Some(*partition) && *offset > 0;
        offsets.into_iter().filter(has_records).collect()
    };
    let since = Instant::now();
    loop {
        let ends = others(broker.end_offsets(&deployment.input));
        let committed = others(broker.committed(&deployment.group, &deployment.input));
        if committed == ends {
            return;
        }
        assert!(
            since.elapsed() < LIMIT,
            "stalled at {committed:?} of {ends:?}\n{}",
            last_complaints(relay)
        );
        std::thread::sleep(INTERVAL);
    }
}
