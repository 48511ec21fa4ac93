//! The main promise on a real Apache Kafka: no loss, no duplicate, no reordering, through crashes,
//! restarts, graceful leaves and zombies. Whole relays; what one session does is in `sessions.rs`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::PROGRAM;
use crate::ledger::{Ledger, PRINCIPALS, assert_accounted, change};
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::relay::{Relay, TestDeployment};
use audit_testkit::topics::{produce, read_committed};

const LIMIT: Duration = Duration::from_secs(180);
const SMALL_BATCHES: &str = "[batch]\nmax_age_ms = 20\n";

/// Committed records of the group; compaction and transactions aside, offsets count records here.
fn committed(broker: &KafkaBroker, deployment: &TestDeployment) -> i64 {
    broker.committed(&deployment.group, &deployment.input).values().sum()
}

#[track_caller]
pub fn await_committed(broker: &KafkaBroker, deployment: &TestDeployment, least: i64) {
    let since = Instant::now();
    while committed(broker, deployment) < least {
        assert!(
            since.elapsed() < LIMIT,
            "stalled at {:?} of {:?}",
            broker.committed(&deployment.group, &deployment.input),
            broker.end_offsets(&deployment.input)
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A graceful leave.
#[track_caller]
pub fn end(relay: &mut Relay) {
    relay.signal("TERM");
    assert!(relay.wait().success(), "{}", relay.log());
}

/// Keeps writing records while a test needs a backlog: this many are always ahead of the committed
/// offsets.
struct Load<'a> {
    broker: &'a KafkaBroker,
    deployment: &'a TestDeployment,
    is_enough: AtomicBool,
    written: AtomicU64,
}

impl<'a> Load<'a> {
    const PORTION: u64 = 2_000;
    const AHEAD: u64 = 3 * Self::PORTION;

    fn new(broker: &'a KafkaBroker, deployment: &'a TestDeployment) -> Self {
        Load { broker, deployment, is_enough: AtomicBool::new(false), written: AtomicU64::new(0) }
    }

    fn write(&self) {
        while !self.is_enough.load(Ordering::Acquire) {
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

    /// Waits until the group has committed so many records more.
    #[track_caller]
    fn await_progress(&self, records: i64) {
        let now = committed(self.broker, self.deployment);
        await_committed(self.broker, self.deployment, now + records);
    }
}

/// Ends the load also when the test fails: its thread is waited for.
struct Enough<'a>(&'a Load<'a>);

impl Drop for Enough<'_> {
    fn drop(&mut self) {
        self.0.is_enough.store(true, Ordering::Release);
    }
}

/// Runs this beside the load; returns how many records were written.
fn under_load(
    broker: &KafkaBroker,
    deployment: &TestDeployment,
    run: impl FnOnce(&Load<'_>),
) -> u64 {
    let load = Load::new(broker, deployment);
    std::thread::scope(|scope| {
        scope.spawn(|| load.write());
        let _enough = Enough(&load);
        run(&load);
    });
    load.written.into_inner()
}

/// Waits until the relay owns partitions.
#[track_caller]
fn await_partitions(relay: &Relay) {
    relay.await_metric("audit_relay_assigned_partitions", "", |owned| owned > 0.0);
}

/// Waits until the relay has committed records of its own.
#[track_caller]
fn await_share(relay: &Relay) {
    relay.await_metric("audit_relay_records_read_total", "", |read| read > 0.0);
}

#[test]
fn three_instances_through_kills_and_a_graceful_leave() {
    let broker = KafkaBroker::shared();
    let deployment = TestDeployment::create(PROGRAM, broker, 12, PRINCIPALS, SMALL_BATCHES);
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
}

/// Members come and go under load by the group protocol of KIP-848. No kills: the broker's session
/// time-out is 45 s.
#[test]
fn instances_come_and_go_by_the_new_group_protocol() {
    let broker = KafkaBroker::shared();
    let mut deployment = TestDeployment::create(PROGRAM, broker, 12, PRINCIPALS, SMALL_BATCHES);
    deployment.membership = "\"group.protocol\" = \"consumer\"\n".to_string();
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

/// Stops a relay that works inside a transaction, in which records of some output were written.
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
        assert!(since.elapsed() < LIMIT, "never inside a transaction");
        // Elsewhere in its turn the next time.
        std::thread::sleep(Duration::from_millis(7));
    }
}

#[test]
fn a_zombie_process_neither_doubles_nor_loses() {
    let broker = KafkaBroker::shared();
    let deployment = TestDeployment::create(PROGRAM, broker, 4, PRINCIPALS, SMALL_BATCHES);
    let mut zombie = deployment.start("same");
    let mut successor = None;
    let written = under_load(broker, &deployment, |load| {
        load.await_progress(1);
        // For as long as its successor works. What is in its transaction is left to be done.
        stop_in_a_transaction(broker, &deployment, &mut zombie);
        // Both have one name; each logs to a file of its own.
        let log = deployment.path("successor.log");
        successor = Some(deployment.spawn("same", log).expect("starts"));
        load.await_progress(4_000);
    });
    let mut successor = successor.expect("started");
    await_committed(broker, &deployment, written as i64);
    assert!(successor.find_admin(), "{}", successor.log());
    zombie.signal("CONT");
    let write = |from: u64| {
        let more = from..from + 2_000;
        produce(broker.bootstrap(), &deployment.input, more.map(change));
        await_committed(broker, &deployment, from as i64 + 2_000);
    };
    write(written);
    let (mut loser, mut winner) = await_loser(zombie, successor);
    assert!(!loser.wait().success(), "{}", loser.log());
    for said in ["fenced", "`instance`"] {
        assert!(loser.log().contains(said), "{}", loser.log());
    }
    write(written + 2_000);
    winner.await_ready();
    end(&mut winner);
    Ledger::of(broker.bootstrap(), &deployment, written + 4_000).assert_clean();
}

/// Of two processes with one name each takes the other one's place in the group until one gives up.
/// Returns that one first.
#[track_caller]
fn await_loser(mut zombie: Relay, mut successor: Relay) -> (Relay, Relay) {
    let since = Instant::now();
    loop {
        assert!(since.elapsed() < LIMIT, "both go on:\n{}", zombie.log());
        match (zombie.ended().expect("asked"), successor.ended().expect("asked")) {
            (None, None) => std::thread::sleep(Duration::from_millis(100)),
            (Some(_), None) => return (zombie, successor),
            (None, Some(_)) => return (successor, zombie),
            (Some(_), Some(_)) => panic!("{}\n{}", zombie.log(), successor.log()),
        }
    }
}

#[test]
fn all_is_accounted_for_in_the_metrics_of_one_instance() {
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
    // Lag is nothing once all is read, although nothing says so but the end of the partitions.
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
fn events_go_without_headers_where_none_are_wanted() {
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
