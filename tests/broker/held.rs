//! Helpers for tests of held partitions: what the relay reports about them, and the progress of the
//! others.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use audit_testkit::kafka::KafkaBroker;
use audit_testkit::relay::{Relay, TestDeployment, measured};

pub const READ: &str = "audit_relay_records_read_total";
pub const HELD: &str = "audit_relay_partition_held";
const WAIT_MAX: Duration = Duration::from_secs(120);
const INTERVAL: Duration = Duration::from_millis(50);

/// Waits until the relay's metrics satisfy a condition. Meanwhile the relay must not commit more
/// records than exist.
#[track_caller]
pub fn await_metrics(relay: &Relay, what: &str, records: u64, done: impl Fn(&str) -> bool) {
    let since = Instant::now();
    loop {
        let (_, metrics) = relay.get("/metrics").unwrap_or_default();
        // The metric does not exist before the first assignment.
        let counted = measured(&metrics, READ, "");
        let read = counted.unwrap_or(0.0);
        assert!(
            read <= records as f64,
            "{read} records were judged, but there are only {records}\n{}",
            last_problem_lines(relay)
        );
        if done(&metrics) {
            assert!(counted.is_some(), "no {READ}:\n{metrics}");
            return;
        }
        assert!(since.elapsed() < WAIT_MAX, "no {what}\n{}", last_problem_lines(relay));
        std::thread::sleep(INTERVAL);
    }
}

/// Waits until this partition, and no other, is held for this reason. At most `records` may be
/// judged.
#[track_caller]
pub fn await_held(relay: &Relay, partition: i32, reason: &str, records: u64) {
    let labels = format!("partition=\"{partition}\",reason=\"{reason}\"");
    await_metrics(relay, &format!("{HELD} {labels}"), records, |metrics| {
        let held = |labels| measured(metrics, HELD, labels);
        held(&labels) == Some(1.0) && held("") == Some(1.0)
    });
}

/// Waits until no partition is held and the relay is ready. A partition that is not held has no
/// series; [`await_held`] shows that the metric still has this name.
#[track_caller]
pub fn await_released(relay: &Relay) {
    relay.await_page("/metrics", |_, metrics| {
        let owned = measured(metrics, "audit_relay_assigned_partitions", "");
        measured(metrics, HELD, "").is_none() && owned.is_some_and(|owned| owned > 0.0)
    });
    relay.await_ready();
}

/// Asserts that the relay is not ready and that `/readyz` and the log name the topic, the
/// partition, these offsets and the remedy.
#[track_caller]
pub fn assert_reported(
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
    let expected =
        format!("{}, {:?}, {remedy:?}", deployment.input, { numbers().collect::<Vec<_>>() });
    // A relay that is retrying may briefly report that instead.
    let since = Instant::now();
    loop {
        let (status, body) = relay.get("/readyz").expect("the admin server answers");
        if status != 200 && names_all(&body) {
            break;
        }
        assert!(since.elapsed() < WAIT_MAX, "/readyz lacks one of {expected}: {status} {body}");
        std::thread::sleep(INTERVAL);
    }
    let log = relay.log();
    assert!(
        problem_lines(&log).any(names_all),
        "no warning and no error in the log has all of {expected}\n{log}"
    );
}

fn problem_lines(log: &str) -> impl Iterator<Item = &str> {
    let is_one = |line: &&str| {
        ["\"level\":\"WARN\"", "\"level\":\"ERROR\""].iter().any(|level| line.contains(level))
    };
    log.lines().filter(is_one)
}

fn last_problem_lines(relay: &Relay) -> String {
    let log = relay.log();
    let all: Vec<&str> = problem_lines(&log).collect();
    all[all.len().saturating_sub(20)..].join("\n")
}

/// Returns how often the log reports that these offsets of the input will never be read.
pub fn times_logged(relay: &Relay, from: i64, to: i64) -> usize {
    let log = relay.log();
    let parts = [format!("\"from\":{from},"), format!("\"to\":{to},")];
    let says = |line: &&str| {
        let line = line.replace('}', ",");
        parts.iter().all(|part| line.contains(part))
    };
    problem_lines(&log).filter(says).count()
}

/// Waits until all records of the input are committed.
#[track_caller]
pub fn await_all(broker: &KafkaBroker, deployment: &TestDeployment, relay: &Relay) {
    await_all_but(None, broker, deployment, relay);
}

/// Does the same, except for the held partition.
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
            since.elapsed() < WAIT_MAX,
            "stalled at {committed:?} of {ends:?}\n{}",
            last_problem_lines(relay)
        );
        std::thread::sleep(INTERVAL);
    }
}
