//! The main promise on a real Apache Kafka: no loss, no duplicate, no reordering, through crashes,
//! restarts, graceful leaves and zombies.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use audit_relay::config::Config;
use audit_relay::kafka::session::Session;
use audit_relay::kafka::settings::SessionSettings;
use audit_relay::kafka::topics::TopicNames;
use audit_relay::pipeline::fate::{Fate, Quarantine};
use audit_relay::stream::batch::Batch;
use audit_relay::stream::{Arrival, Broker, Failure};

use crate::ledger::{Ledger, PRINCIPALS, assert_accounted, change};
use crate::support::kafka::KafkaBroker;
use crate::support::relay::{Deployment, REGIONS, Relay};
use crate::support::topics::{TestRecord, produce, read_committed};

const LIMIT: Duration = Duration::from_secs(180);
const SMALL_BATCHES: &str = "[batch]\nmax_age_ms = 20\n";

/// Committed records of the group; compaction and transactions aside, offsets count records here.
fn committed(broker: &KafkaBroker, deployment: &Deployment) -> i64 {
    broker
        .committed(&deployment.group, &deployment.input)
        .values()
        .sum()
}

#[track_caller]
pub fn await_committed(broker: &KafkaBroker, deployment: &Deployment, least: i64) {
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

/// Writes so many records, in such portions that members come and go meanwhile.
fn load(broker: &KafkaBroker, deployment: &Deployment, records: u64) {
    for chunk in 0..records / 2_000 {
        let numbers = chunk * 2_000..(chunk + 1) * 2_000;
        produce(broker.bootstrap(), &deployment.input, numbers.map(change));
    }
}

#[test]
fn three_instances_through_kills_and_a_graceful_leave() {
    const RECORDS: u64 = 60_000;
    let broker = KafkaBroker::shared();
    let deployment = Deployment::create(broker, 12, PRINCIPALS, SMALL_BATCHES);
    std::thread::scope(|scope| {
        scope.spawn(|| load(broker, &deployment, RECORDS));
        let mut a = deployment.start("a");
        let mut b = deployment.start("b");
        let mut c = deployment.start("c");
        for progress in [4_000, 12_000, 20_000] {
            await_committed(broker, &deployment, progress);
            b.signal("KILL");
            b.wait();
            b = deployment.start("b");
        }
        await_committed(broker, &deployment, 30_000);
        end(&mut c);
        await_committed(broker, &deployment, RECORDS as i64);
        for relay in [&a, &b] {
            let (_, metrics) = relay.get("/metrics").expect("metrics");
            assert_accounted(&metrics);
        }
        for relay in [&mut a, &mut b] {
            end(relay);
        }
    });
    let ledger = Ledger::of(broker.bootstrap(), &deployment, RECORDS);
    println!("{ledger}");
    ledger.assert_clean();
}

/// Members come and go under load by the group protocol of KIP-848. No kills: the broker's session time-out is 45 s.
#[test]
fn instances_come_and_go_by_the_new_group_protocol() {
    const RECORDS: u64 = 40_000;
    let broker = KafkaBroker::shared();
    let mut deployment = Deployment::create(broker, 12, PRINCIPALS, SMALL_BATCHES);
    deployment.membership = "\"group.protocol\" = \"consumer\"\n".to_string();
    let deployment = &deployment;
    std::thread::scope(|scope| {
        scope.spawn(|| load(broker, deployment, RECORDS));
        let mut a = deployment.start("a");
        let mut b = deployment.start("b");
        for progress in [4_000, 12_000, 20_000] {
            await_committed(broker, deployment, progress);
            end(&mut b);
            b = deployment.start("b");
        }
        let mut c = deployment.start("c");
        await_committed(broker, deployment, RECORDS as i64);
        for relay in [&mut a, &mut b, &mut c] {
            end(relay);
        }
    });
    let ledger = Ledger::of(broker.bootstrap(), deployment, RECORDS);
    println!("{ledger}");
    ledger.assert_clean();
}

#[test]
fn a_zombie_process_neither_doubles_nor_loses() {
    const RECORDS: u64 = 20_000;
    let broker = KafkaBroker::shared();
    let deployment = Deployment::create(broker, 4, PRINCIPALS, SMALL_BATCHES);
    produce(
        broker.bootstrap(),
        &deployment.input,
        (0..RECORDS).map(change),
    );
    let mut zombie = deployment.start("same");
    await_committed(broker, &deployment, 1);
    // Stopped at any moment, inside a transaction or between two, for as long as its successor works.
    zombie.signal("STOP");
    // Both have one name; each logs to a file of its own.
    let log = deployment.path("successor.log");
    let mut successor = deployment.spawn("same", log).expect("starts");
    await_committed(broker, &deployment, RECORDS as i64);
    assert!(successor.find_admin(), "{}", successor.log());
    zombie.signal("CONT");
    let more = RECORDS..RECORDS + 2_000;
    produce(broker.bootstrap(), &deployment.input, more.map(change));
    await_committed(broker, &deployment, RECORDS as i64 + 2_000);
    // Each takes the other one's place in the group until one gives up, and says why; the other one goes on.
    let since = Instant::now();
    let (mut loser, mut winner) = loop {
        assert!(since.elapsed() < LIMIT, "both go on:\n{}", zombie.log());
        match (
            zombie.ended().expect("asked"),
            successor.ended().expect("asked"),
        ) {
            (None, None) => std::thread::sleep(Duration::from_millis(100)),
            (Some(_), None) => break (zombie, successor),
            (None, Some(_)) => break (successor, zombie),
            (Some(_), Some(_)) => panic!("{}\n{}", zombie.log(), successor.log()),
        }
    };
    assert!(!loser.wait().success(), "{}", loser.log());
    for said in ["fenced", "`instance`"] {
        assert!(loser.log().contains(said), "{}", loser.log());
    }
    let last = RECORDS + 2_000..RECORDS + 4_000;
    produce(broker.bootstrap(), &deployment.input, last.map(change));
    await_committed(broker, &deployment, RECORDS as i64 + 4_000);
    winner.await_ready();
    winner.signal("TERM");
    assert!(winner.wait().success(), "{}", winner.log());
    Ledger::of(broker.bootstrap(), &deployment, RECORDS + 4_000).assert_clean();
}

#[test]
fn all_is_accounted_for_in_the_metrics_of_one_instance() {
    const RECORDS: u64 = 5_000;
    let broker = KafkaBroker::shared();
    let deployment = Deployment::create(broker, 6, PRINCIPALS, "");
    produce(
        broker.bootstrap(),
        &deployment.input,
        (0..RECORDS).map(change),
    );
    let relay = deployment.start("only");
    await_committed(broker, &deployment, RECORDS as i64);
    relay.await_ready();
    let metrics = relay.await_page("/metrics", |_, body| {
        crate::support::relay::sum(body, "audit_relay_records_read_total", "") >= RECORDS as f64
    });
    assert_eq!(assert_accounted(&metrics), RECORDS as f64);
    assert_eq!(
        relay.metric("audit_relay_records_total", "fate=\"audited\""),
        2_000.0
    );
    assert_eq!(
        relay.metric("audit_relay_records_total", "fate=\"skipped\""),
        2_500.0
    );
    assert_eq!(
        relay.metric("audit_relay_records_total", "fate=\"quarantined\""),
        500.0
    );
    assert_eq!(relay.metric("audit_relay_events_total", ""), 2_000.0);
    // Lag is nothing once all is read, although nothing says so but the end of the partitions.
    relay.await_page("/metrics", |_, body| {
        body.contains("audit_relay_partition_lag_records{")
            && crate::support::relay::sum(body, "audit_relay_partition_lag_records", "") == 0.0
    });
}

#[test]
fn offsets_advance_when_everything_is_skipped() {
    let broker = KafkaBroker::shared();
    let deployment = Deployment::create(broker, 3, PRINCIPALS, "");
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

pub fn settings(broker: &KafkaBroker, deployment: &Deployment) -> SessionSettings {
    let text = std::fs::read_to_string(deployment.config("inside")).expect("configuration");
    // Dynamic membership: the successor must not take the zombie's place in the group, only its producer's.
    let text = text.replace("instance = \"inside\"\n", "");
    let config = Config::from_toml(&text, std::iter::empty()).expect("configuration");
    assert_eq!(config.kafka.bootstrap_servers(), broker.bootstrap());
    let topics = TopicNames {
        input: deployment.input.clone(),
        regions: deployment.outputs(),
        quarantine: deployment.quarantine.clone(),
    };
    SessionSettings::new(&config, topics, REGIONS.map(String::from).to_vec(), 0)
}

/// Polls until a batch of so many records is there.
#[track_caller]
pub fn fill(session: &mut Session, records: usize) -> Batch {
    let mut batch = Batch::default();
    let since = Instant::now();
    while batch.records() < records {
        let polled = session.poll(
            Duration::from_millis(100),
            1,
            &mut |arrival| match arrival {
                Arrival::Record(record) => {
                    let fate = Fate::Quarantined(Quarantine::malformed("test"));
                    batch.add(&record, fate);
                }
                Arrival::Revoked(partitions) | Arrival::Lost(partitions) => {
                    batch.forget(partitions)
                }
                Arrival::Gap(partition, gap) => panic!("partition {partition}: {gap:?}"),
                Arrival::Faulty(partition, fault) => panic!("partition {partition}: {fault}"),
                Arrival::Assigned(_)
                | Arrival::Placed(..)
                | Arrival::CaughtUp(..)
                | Arrival::Statistics(_) => {}
            },
        );
        polled.expect("poll");
        assert!(
            since.elapsed() < LIMIT,
            "{} of {records} records",
            batch.records()
        );
    }
    batch
}

#[test]
fn a_fenced_producer_cannot_commit_and_can_be_rebuilt() {
    let broker = KafkaBroker::shared();
    let deployment = Deployment::create(broker, 1, PRINCIPALS, "");
    let record = |number: u64| TestRecord {
        value: Some(number.to_string().into()),
        ..TestRecord::default()
    };
    produce(broker.bootstrap(), &deployment.input, (0..10).map(record));
    let settings = settings(broker, &deployment);
    let mut first = Session::open(settings.clone()).expect("open");
    let batch = fill(&mut first, 10);
    // Another producer takes the transactional id over while the first holds a batch.
    // In a group of its own: it must not make the first one's rebalance.
    let mut other = settings.clone();
    other.consumer.set("group.id", broker.unique("other"));
    let second = Session::open(other).expect("open");
    let failure = first
        .publish(batch.outputs(), &batch.positions())
        .expect_err("fenced");
    assert!(matches!(failure, Failure::Fenced(_)), "{failure}");
    assert_eq!(
        read_committed(broker.bootstrap(), &deployment.quarantine),
        []
    );
    assert_eq!(committed(broker, &deployment), 0);
    drop(second);
    first.rebuild().expect("rebuild");
    let partitions: Vec<_> = batch.partitions().keys().copied().collect();
    first.rewind(&partitions).expect("rewind");
    let again = fill(&mut first, 10);
    assert_eq!(
        again.outputs().iter().collect::<Vec<_>>(),
        batch.outputs().iter().collect::<Vec<_>>(),
        "read again from the committed position"
    );
    first
        .publish(again.outputs(), &again.positions())
        .expect("commits");
    let seen = read_committed(broker.bootstrap(), &deployment.quarantine);
    assert_eq!(seen.len(), 10);
    assert_eq!(
        broker.committed(&deployment.group, &deployment.input),
        BTreeMap::from([(0, 10)])
    );
}

#[test]
fn after_an_abort_reading_resumes_at_the_committed_position() {
    let broker = KafkaBroker::shared();
    let deployment = Deployment::create(broker, 2, PRINCIPALS, "");
    let record = |number: u64| TestRecord {
        partition: Some((number % 2) as i32),
        value: Some(number.to_string().into()),
        ..TestRecord::default()
    };
    produce(broker.bootstrap(), &deployment.input, (0..20).map(record));
    let mut session = Session::open(settings(broker, &deployment)).expect("open");
    let first = fill(&mut session, 20);
    session
        .publish(first.outputs(), &first.positions())
        .expect("commits");
    produce(broker.bootstrap(), &deployment.input, (20..30).map(record));
    let second = fill(&mut session, 10);
    let mut impossible = second.positions();
    impossible[0].metadata = "x".repeat(5_000);
    let failure = session
        .publish(second.outputs(), &impossible)
        .expect_err("metadata too large");
    assert!(matches!(failure, Failure::Aborted(_)), "{failure}");
    session.abort().expect("abort");
    let partitions: Vec<_> = second.partitions().keys().copied().collect();
    session.rewind(&partitions).expect("rewind");
    let again = fill(&mut session, 10);
    assert_eq!(again.positions(), second.positions());
    session
        .publish(again.outputs(), &again.positions())
        .expect("commits");
    assert_eq!(
        read_committed(broker.bootstrap(), &deployment.quarantine).len(),
        30
    );
}
