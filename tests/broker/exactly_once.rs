//! The main guarantee on a real Apache Kafka: no loss, no duplicate and no reordering through
//! crashes, restarts, graceful leaves and zombies. Tests whole relays; `sessions.rs` tests single
//! sessions.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::PROGRAM;
use crate::ledger::{Ledger, PRINCIPALS, assert_accounted, change};
use crate::trail;
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::relay::{Relay, TestDeployment};
use audit_testkit::topics::{produce, read_committed};

pub const WAIT_MAX: Duration = Duration::from_secs(180);
pub const SMALL_BATCHES: &str = "[batch]\nmax_age_ms = 20\n";

/// The group's number of committed records. Here offsets count records: the input has no compaction
/// and no transactions.
fn committed(broker: &KafkaBroker, deployment: &TestDeployment) -> i64 {
    broker.committed(&deployment.group, &deployment.input).values().sum()
}

#[track_caller]
pub fn await_committed(broker: &KafkaBroker, deployment: &TestDeployment, least: i64) {
    let since = Instant::now();
    while committed(broker, deployment) < least {
        assert!(
            since.elapsed() < WAIT_MAX,
            "stalled at {:?} of {:?}",
            broker.committed(&deployment.group, &deployment.input),
            broker.end_offsets(&deployment.input)
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Stops a relay gracefully.
#[track_caller]
pub fn end(relay: &mut Relay) {
    relay.signal("TERM");
    assert!(relay.wait().success(), "{}", relay.log());
}

/// Keeps writing records while a test needs a backlog. About [`Load::AHEAD`] records stay ahead of
/// the committed offsets.
pub struct Load<'a> {
    broker: &'a KafkaBroker,
    deployment: &'a TestDeployment,
    stop: AtomicBool,
    written: AtomicU64,
}

impl<'a> Load<'a> {
    const PORTION: u64 = 2_000;
    const AHEAD: u64 = 3 * Self::PORTION;

    fn new(broker: &'a KafkaBroker, deployment: &'a TestDeployment) -> Self {
        Load { broker, deployment, stop: AtomicBool::new(false), written: AtomicU64::new(0) }
    }

    fn write(&self) {
        while !self.stop.load(Ordering::Acquire) {
            let written = self.written.load(Ordering::Acquire);
            if written > committed(self.broker, self.deployment) as u64 + Self::AHEAD {
                std::thread::sleep(Duration::from_millis(20));
                continue;
            }
            let numbers = written..written + Self::PORTION;
            let input = &self.deployment.input;
            produce(self.broker.bootstrap(), input, numbers.map(change));
            self.written.fetch_add(Self::PORTION, Ordering::Release);
        }
    }

    /// Waits until the group has committed this many more records.
    #[track_caller]
    pub fn await_progress(&self, records: i64) {
        let now = committed(self.broker, self.deployment);
        await_committed(self.broker, self.deployment, now + records);
    }
}

/// Stops the load even if the test fails: the scope waits for its thread.
struct StopOnDrop<'a>(&'a Load<'a>);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Release);
    }
}

/// Runs `run` under load. Returns the number of written records.
pub fn under_load(
    broker: &KafkaBroker,
    deployment: &TestDeployment,
    run: impl FnOnce(&Load<'_>),
) -> u64 {
    let load = Load::new(broker, deployment);
    std::thread::scope(|scope| {
        scope.spawn(|| load.write());
        let _enough = StopOnDrop(&load);
        run(&load);
    });
    load.written.into_inner()
}

/// Waits until the relay owns partitions.
#[track_caller]
pub fn await_partitions(relay: &Relay) {
    relay.await_metric("audit_relay_assigned_partitions", "", |owned| owned > 0.0);
}

/// Waits until the relay itself has committed records.
#[track_caller]
fn await_share(relay: &Relay) {
    relay.await_metric("audit_relay_records_read_total", "", |read| read > 0.0);
}

#[test]
fn three_instances_survive_kills_and_a_graceful_leave() {
    let broker = KafkaBroker::shared();
    let mut deployment = TestDeployment::create(PROGRAM, broker, 12, PRINCIPALS, SMALL_BATCHES);
    // Both kinds of members: b keeps its place in the group when it is killed.
    deployment.static_members = vec!["b".to_string()];
    trail::seal(broker, &mut deployment);
    let mut a = deployment.start("a");
    let mut b = deployment.start("b");
    let mut c = deployment.start("c");
    let records = under_load(broker, &deployment, |load| {
        for _ in 0..3 {
            load.await_progress(4_000);
            await_share(&b);
            await_partitions(&b);
            b.signal("KILL");
            b.wait();
            b = deployment.start("b");
        }
        await_share(&c);
        await_partitions(&c);
        end(&mut c);
        load.await_progress(4_000);
        [&a, &b].into_iter().for_each(await_share);
    });
    await_committed(broker, &deployment, records as i64);
    for relay in [&a, &b] {
        let (_, metrics) = relay.get("/metrics").expect("metrics");
        assert_accounted(&metrics);
    }
    for relay in [&mut a, &mut b] {
        end(relay);
    }
    let ledger = Ledger::of(broker.bootstrap(), &deployment, records);
    println!("{ledger}");
    ledger.assert_clean();
    println!("{}", trail::assert_proven(broker, &deployment));
}

/// Members join and leave under load with the consumer group protocol of KIP-848. No kills: the
/// broker's session timeout is 45 s.
#[test]
fn instances_join_and_leave_with_the_consumer_protocol() {
    let broker = KafkaBroker::shared();
    let mut deployment = TestDeployment::create(PROGRAM, broker, 12, PRINCIPALS, SMALL_BATCHES);
    deployment.session = "\"group.protocol\" = \"consumer\"\n".to_string();
    let deployment = &deployment;
    let mut a = deployment.start("a");
    let mut b = deployment.start("b");
    let mut c = None;
    let records = under_load(broker, deployment, |load| {
        for _ in 0..3 {
            load.await_progress(4_000);
            await_share(&b);
            await_partitions(&b);
            end(&mut b);
            b = deployment.start("b");
        }
        let c = c.insert(deployment.start("c"));
        [&a, &b, c].into_iter().for_each(await_share);
    });
    await_committed(broker, deployment, records as i64);
    for relay in [&mut a, &mut b].into_iter().chain(&mut c) {
        end(relay);
    }
    let ledger = Ledger::of(broker.bootstrap(), deployment, records);
    println!("{ledger}");
    ledger.assert_clean();
}

/// Suspends a relay inside a transaction that has written output records.
#[track_caller]
fn stop_in_a_transaction(broker: &KafkaBroker, deployment: &TestDeployment, relay: &mut Relay) {
    let outputs = deployment.outputs();
    let is_open = || outputs.iter().any(|topic| broker.has_open_transaction(topic));
    let since = Instant::now();
    loop {
        relay.signal("STOP");
        if is_open() {
            return;
        }
        relay.signal("CONT");
        assert!(since.elapsed() < WAIT_MAX, "never inside a transaction");
        // The next attempt hits another point of the worker's turn.
        std::thread::sleep(Duration::from_millis(7));
    }
}

#[test]
fn a_zombie_process_causes_no_duplicate_and_no_loss() {
    zombie(&[]);
}

#[test]
fn a_zombie_of_a_static_member_causes_no_duplicate_and_no_loss() {
    zombie(&["same"]);
}

/// A suspended process continues when its successor, of the same name, has long taken over.
#[track_caller]
fn zombie(static_members: &[&str]) {
    let broker = KafkaBroker::shared();
    let mut deployment = TestDeployment::create(PROGRAM, broker, 4, PRINCIPALS, SMALL_BATCHES);
    deployment.static_members = static_members.iter().map(ToString::to_string).collect();
    let is_sealed = !static_members.is_empty();
    if is_sealed {
        trail::seal(broker, &mut deployment);
    }
    let mut zombie = deployment.start("same");
    let mut successor = None;
    let written = under_load(broker, &deployment, |load| {
        load.await_progress(1);
        // The zombie stays suspended while its successor works. Its open transaction must be
        // processed again.
        stop_in_a_transaction(broker, &deployment, &mut zombie);
        // Both have the same name, so each needs its own log file.
        let log = deployment.path("successor.log");
        successor = Some(deployment.spawn("same", log).expect("starts"));
        load.await_progress(4_000);
    });
    let mut successor = successor.expect("started");
    await_committed(broker, &deployment, written as i64);
    assert!(successor.find_admin(), "{}", successor.log());
    zombie.signal("CONT");
    let mut written = written;
    let mut write = || {
        let more = written..written + 500;
        produce(broker.bootstrap(), &deployment.input, more.map(change));
        written += 500;
        await_committed(broker, &deployment, written as i64);
    };
    let (mut loser, mut winner) = await_loser(zombie, successor, &mut write);
    assert!(!loser.wait().success(), "{}", loser.log());
    for said in ["fenced", "`instance`"] {
        assert!(loser.log().contains(said), "{}", loser.log());
    }
    write();
    winner.await_ready();
    end(&mut winner);
    Ledger::of(broker.bootstrap(), &deployment, written).assert_clean();
    if is_sealed {
        trail::assert_proven(broker, &deployment);
    }
}

/// Two processes with one name fence each other, while they have records, until one gives up.
/// Returns the one that gave up first.
#[track_caller]
fn await_loser(
    mut zombie: Relay,
    mut successor: Relay,
    write: &mut impl FnMut(),
) -> (Relay, Relay) {
    let since = Instant::now();
    loop {
        assert!(since.elapsed() < WAIT_MAX, "both processes keep running:\n{}", zombie.log());
        match (zombie.ended().expect("asked"), successor.ended().expect("asked")) {
            (None, None) => write(),
            (Some(_), None) => return (zombie, successor),
            (None, Some(_)) => return (successor, zombie),
            (Some(_), Some(_)) => panic!("{}\n{}", zombie.log(), successor.log()),
        }
    }
}

#[test]
fn the_metrics_account_for_every_record() {
    const RECORDS: u64 = 5_000;
    let broker = KafkaBroker::shared();
    let deployment = TestDeployment::create(PROGRAM, broker, 6, PRINCIPALS, "");
    produce(broker.bootstrap(), &deployment.input, (0..RECORDS).map(change));
    let relay = deployment.start("only");
    await_committed(broker, &deployment, RECORDS as i64);
    relay.await_ready();
    let metrics =
        relay.await_metric("audit_relay_records_read_total", "", |read| read >= RECORDS as f64);
    assert_eq!(assert_accounted(&metrics), RECORDS as f64);
    assert_eq!(relay.metric("audit_relay_records_total", "fate=\"audited\""), 2_000.0);
    assert_eq!(relay.metric("audit_relay_records_total", "fate=\"skipped\""), 2_500.0);
    assert_eq!(relay.metric("audit_relay_records_total", "fate=\"quarantined\""), 500.0);
    assert_eq!(relay.metric("audit_relay_events_total", ""), 2_000.0);
    // The lag becomes 0 when everything is read, which only a partition EOF shows.
    relay.await_metric("audit_relay_partition_lag_records", "", |lag| lag == 0.0);
}

#[test]
fn offsets_advance_when_everything_is_skipped() {
    let broker = KafkaBroker::shared();
    let deployment = TestDeployment::create(PROGRAM, broker, 3, PRINCIPALS, "");
    let skipped = (0..3_000).map(|number| change(number * 10 + 5));
    produce(broker.bootstrap(), &deployment.input, skipped);
    let mut relay = deployment.start("only");
    await_committed(broker, &deployment, 3_000);
    relay.signal("TERM");
    assert!(relay.wait().success());
    let committed = broker.committed(&deployment.group, &deployment.input);
    assert_eq!(committed, broker.end_offsets(&deployment.input));
    for topic in deployment.outputs().iter().chain([&deployment.quarantine]) {
        assert_eq!(read_committed(broker.bootstrap(), topic), [], "{topic}");
    }
}

#[test]
fn events_have_no_headers_when_headers_are_off() {
    const RECORDS: u64 = 200;
    let broker = KafkaBroker::shared();
    let mut deployment = TestDeployment::create(PROGRAM, broker, 2, PRINCIPALS, "");
    deployment.event_headers = false;
    let changes = (0..RECORDS).map(change);
    produce(broker.bootstrap(), &deployment.input, changes);
    let mut relay = deployment.start("only");
    await_committed(broker, &deployment, RECORDS as i64);
    end(&mut relay);
    Ledger::of(broker.bootstrap(), &deployment, RECORDS).assert_clean();
}
