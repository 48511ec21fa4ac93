//! Members that leave and members that come back: when their partitions go to others, and how many
//! members a relay is.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::{Duration, Instant};

use crate::PROGRAM;
use crate::exactly_once::{
    SMALL_BATCHES, WAIT_MAX, await_committed, await_partitions, end, under_load,
};
use crate::ledger::{Ledger, PRINCIPALS, change};
use audit_testkit::kafka::{BrokerOptions, KafkaBroker};
use audit_testkit::relay::{Relay, TestDeployment};
use audit_testkit::topics::produce;

/// No member times out during a test.
const LASTING_SESSION: &str = "\"session.timeout.ms\" = 600000\n\"max.poll.interval.ms\" = 600000\n\"heartbeat.interval.ms\" = 500\n";

/// Creates a deployment with twelve partitions for three relays.
#[track_caller]
fn deployment(broker: &KafkaBroker, session: &str, static_members: &[&str]) -> TestDeployment {
    let mut deployment = TestDeployment::create(PROGRAM, broker, 12, PRINCIPALS, SMALL_BATCHES);
    deployment.session = session.to_string();
    deployment.static_members = static_members.iter().map(ToString::to_string).collect();
    deployment
}

/// Starts three relays, and waits until each owns partitions.
#[track_caller]
fn three(deployment: &TestDeployment) -> [Relay; 3] {
    let relays = ["a", "b", "c"].map(|name| deployment.start(name));
    relays.iter().for_each(await_partitions);
    relays
}

/// Returns the relay's partitions.
fn owned(relay: &Relay) -> BTreeSet<i32> {
    let (_, metrics) = relay.get("/metrics").expect("metrics");
    let partitions = metrics.lines().filter_map(|line| {
        let rest = line.strip_prefix("audit_relay_partition_lag_records{partition=\"")?;
        rest.split('"').next()?.parse().ok()
    });
    partitions.collect()
}

/// Reads a state until it is as expected, and returns it. Fails the test at the time limit.
#[track_caller]
fn await_state<T: Debug>(read: impl Fn() -> T, is_expected: impl Fn(&T) -> bool) -> T {
    let since = Instant::now();
    loop {
        let state = read();
        if is_expected(&state) {
            return state;
        }
        assert!(since.elapsed() < WAIT_MAX, "{state:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until the relay owns a third of the partitions, and returns them.
#[track_caller]
fn await_third(relay: &Relay) -> BTreeSet<i32> {
    await_state(|| owned(relay), |partitions| partitions.len() == 4)
}

/// Returns the partitions that are not committed to their end.
fn behind(broker: &KafkaBroker, deployment: &TestDeployment) -> BTreeSet<i32> {
    let committed = broker.committed(&deployment.group, &deployment.input);
    let ends = broker.end_offsets(&deployment.input).into_iter();
    let behind = ends.filter(|(partition, end)| committed.get(partition) != Some(end));
    behind.map(|(partition, _)| partition).collect()
}

/// The last of three relays stops under load. Every partition is committed further without it.
#[track_caller]
fn hands_over(session: &str, static_members: &[&str]) {
    let broker = KafkaBroker::shared();
    let deployment = deployment(broker, session, static_members);
    let [mut a, mut b, mut c] = three(&deployment);
    let records = under_load(broker, &deployment, |load| {
        load.await_progress(12_000);
        end(&mut c);
        let left = Instant::now();
        let before = broker.committed(&deployment.group, &deployment.input);
        assert_eq!(before.len(), 12, "{before:?}");
        await_state(
            || broker.committed(&deployment.group, &deployment.input),
            |now| now.iter().all(|(partition, offset)| before.get(partition) < Some(offset)),
        );
        println!("every partition is committed again after {:?}", left.elapsed());
    });
    await_committed(broker, &deployment, records as i64);
    [&mut a, &mut b].into_iter().for_each(end);
    Ledger::of(broker.bootstrap(), &deployment, records).assert_clean();
}

/// No session times out during the test, so others get the partitions only from a member that
/// left.
#[test]
fn a_dynamic_member_that_stops_hands_its_partitions_over() {
    hands_over(LASTING_SESSION, &[]);
}

#[test]
fn a_static_member_that_stops_loses_its_partitions_when_its_session_times_out() {
    let session = "\"session.timeout.ms\" = 6000\n\"heartbeat.interval.ms\" = 500\n";
    hands_over(session, &["a", "b", "c"]);
}

#[test]
fn a_static_member_that_restarts_finds_its_partitions_and_the_others_keep_theirs() {
    const RECORDS: u64 = 3_000;
    let broker = KafkaBroker::shared();
    let deployment = deployment(broker, LASTING_SESSION, &["a", "b", "c"]);
    let [mut a, mut b, mut c] = three(&deployment);
    let [of_a, of_b, of_c] = [&a, &b, &c].map(await_third);
    end(&mut c);
    produce(broker.bootstrap(), &deployment.input, (0..RECORDS).map(change));
    await_state(|| behind(broker, &deployment), |behind| *behind == of_c);
    let rebalances = |relay: &Relay| relay.metric("audit_relay_rebalances_total", "");
    let before = [&a, &b].map(rebalances);
    let mut c = deployment.start("c");
    await_committed(broker, &deployment, RECORDS as i64);
    assert_eq!(await_third(&c), of_c, "other partitions than before");
    assert_eq!([&a, &b].map(owned), [of_a, of_b]);
    assert_eq!([&a, &b].map(rebalances), before, "the others had a rebalance");
    [&mut a, &mut b, &mut c].into_iter().for_each(end);
    Ledger::of(broker.bootstrap(), &deployment, RECORDS).assert_clean();
}

/// A machine with many cores and a topic with few partitions. Those that are added later are read
/// by the same workers.
#[test]
fn a_relay_starts_no_more_workers_than_the_input_has_partitions() {
    const RECORDS: u64 = 600;
    let broker = KafkaBroker::shared();
    let mut deployment = TestDeployment::create(PROGRAM, broker, 3, PRINCIPALS, "");
    deployment.workers = 64;
    deployment.kafka = "\"topic.metadata.refresh.interval.ms\" = 500\n".to_string();
    produce(broker.bootstrap(), &deployment.input, (0..RECORDS / 2).map(change));
    let mut relay = deployment.start("only");
    await_committed(broker, &deployment, RECORDS as i64 / 2);
    relay.await_ready();
    assert_eq!(broker.group_members(&deployment.group), 3);
    assert!(relay.log().contains("starting 3 of 64 workers"), "{}", relay.log());
    assert_eq!(relay.metric("audit_relay_workers", ""), 3.0);
    assert_eq!(relay.metric("audit_relay_input_partitions", ""), 3.0);
    broker.try_add_partitions(&deployment.input, 5).expect("added");
    produce(broker.bootstrap(), &deployment.input, (RECORDS / 2..RECORDS).map(change));
    await_committed(broker, &deployment, RECORDS as i64);
    relay.await_metric("audit_relay_input_partitions", "", |count| count == 5.0);
    let labels = format!("group=\"{}\",topic=\"{}\"", deployment.group, deployment.input);
    assert_eq!(relay.metric("audit_relay_input_info", &labels), 1.0);
    end(&mut relay);
    Ledger::of(broker.bootstrap(), &deployment, RECORDS).assert_clean();
}

/// With KIP-848 the broker reserves the place of a killed static member until its session times
/// out.
#[test]
fn the_consumer_protocol_waits_for_a_killed_static_member() {
    const RECORDS: u64 = 400;
    let property = |name: &str, value: &str| (format!("group.consumer.{name}"), value.to_string());
    let broker = KafkaBroker::start(BrokerOptions {
        properties: vec![
            property("min.heartbeat.interval.ms", "500"),
            property("heartbeat.interval.ms", "1000"),
            property("min.session.timeout.ms", "5000"),
            property("session.timeout.ms", "10000"),
        ],
        ..BrokerOptions::default()
    });
    let broker = broker.expect("a broker");
    let mut deployment = TestDeployment::create(PROGRAM, &broker, 4, PRINCIPALS, "");
    deployment.session = "\"group.protocol\" = \"consumer\"\n".to_string();
    deployment.static_members = vec!["same".to_string()];
    let write = |from: u64, to: u64| {
        produce(broker.bootstrap(), &deployment.input, (from..to).map(change));
    };
    write(0, RECORDS / 2);
    let mut killed = deployment.start("same");
    let half = |read| read == (RECORDS / 2) as f64;
    killed.await_metric("audit_relay_records_read_total", "", half);
    killed.signal("KILL");
    killed.wait();
    write(RECORDS / 2, RECORDS);

    let mut relay = deployment.start("same");
    relay.await_page("/readyz", |status, body| {
        status != 200
            && body.contains("rejoining: waiting for the broker to release this member's place")
    });
    relay.await_metric("audit_relay_records_read_total", "", half);
    relay.await_ready();
    assert_eq!(relay.ended().expect("asked"), None, "the process must not restart");
    relay.signal("TERM");
    assert!(relay.wait().success(), "{}", relay.log());
    Ledger::of(broker.bootstrap(), &deployment, RECORDS).assert_clean();
}
