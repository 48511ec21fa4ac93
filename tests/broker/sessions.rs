//! One or two sessions in the test's own process: what is committed when something happens between
//! a batch and its commit.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use audit_judge::fate::{Fate, Quarantine};
use audit_relay::config::Config;
use audit_relay::kafka::session::Session;
use audit_relay::kafka::settings::SessionSettings;
use audit_relay::kafka::topics::TopicNames;
use audit_relay::stream::batch::Batch;
use audit_relay::stream::{
    Broker, Failure, GroupEvent, Partition, PartitionEvent, PartitionFault, Polled, ResumePoint,
    Transaction,
};

use crate::PROGRAM;
use crate::ledger::PRINCIPALS;
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::relay::{REGIONS, TestDeployment};
use audit_testkit::topics::{TestRecord, produce, read_committed};

const WAIT_MAX: Duration = Duration::from_secs(180);
/// A session timeout longer than any pause between two polls of a test.
const LONG_SESSION: &str = "\"session.timeout.ms\" = 30000\n\"heartbeat.interval.ms\" = 500\n";

/// Creates a deployment for sessions in this process, with a session timeout that tolerates a busy
/// machine.
#[track_caller]
pub fn deployment(broker: &KafkaBroker, partitions: i32) -> TestDeployment {
    let deployment = TestDeployment::create(PROGRAM, broker, partitions, PRINCIPALS, "");
    with_long_session(deployment)
}

/// Gives an existing deployment the long session timeout.
pub fn with_long_session(mut deployment: TestDeployment) -> TestDeployment {
    deployment.session = LONG_SESSION.to_string();
    deployment
}

/// Returns the settings of a session.
pub fn settings(deployment: &TestDeployment) -> SessionSettings {
    let text = std::fs::read_to_string(deployment.config("inside")).expect("configuration");
    let config = Config::from_toml(&text, std::iter::empty()).expect("configuration");
    assert_eq!(config.kafka.bootstrap_servers(), deployment.bootstrap);
    let topics = TopicNames {
        input: deployment.input.clone(),
        regions: deployment.outputs(),
        quarantine: deployment.quarantine.clone(),
        checkpoints: None,
    };
    SessionSettings::new(&config, topics, REGIONS.map(String::from).to_vec(), 0)
}

/// Polls until the batch has this many records.
#[track_caller]
pub fn fill(session: &mut Session, records: usize) -> Batch {
    let mut batch = Batch::default();
    let since = Instant::now();
    while batch.records() < records {
        let polled = session.poll(Duration::from_millis(100), 1, &mut |polled| match polled {
            Polled::Record(record) => {
                let fate = Fate::Quarantined(Quarantine::malformed("test"));
                batch.add(&record, fate);
            }
            Polled::Group(GroupEvent::Revoked(partitions) | GroupEvent::Lost(partitions)) => {
                batch.forget(partitions);
            }
            Polled::Partition(partition, PartitionEvent::Failed(fault)) => {
                panic!("partition {partition}: {fault}")
            }
            Polled::Group(_) | Polled::Partition(..) => {}
        });
        polled.expect("poll");
        assert!(since.elapsed() < WAIT_MAX, "{} of {records} records", batch.records());
    }
    batch
}

/// Writes records with these numbers round-robin to the partitions.
#[track_caller]
fn write(broker: &KafkaBroker, deployment: &TestDeployment, partitions: u64, numbers: Range<u64>) {
    let record = |number: u64| TestRecord {
        partition: Some((number % partitions) as i32),
        value: Some(number.to_string().into()),
        ..TestRecord::default()
    };
    produce(broker.bootstrap(), &deployment.input, numbers.map(record));
}

#[test]
fn a_fenced_producer_cannot_commit_and_can_be_rebuilt() {
    let broker = KafkaBroker::shared();
    let deployment = deployment(broker, 1);
    write(broker, &deployment, 1, 0..10);
    let settings = settings(&deployment);
    let mut first = Session::open(settings.clone()).expect("open");
    let batch = fill(&mut first, 10);
    // Another producer takes over the transactional id while the first holds a batch. It uses
    // another group, so that it does not cause a rebalance.
    let mut other = settings.clone();
    other.consumer.set("group.id", broker.unique("other"));
    let second = Session::open(other).expect("open");
    let failure =
        first.publish(&Transaction::unsealed(&batch, &batch.positions())).expect_err("fenced");
    assert!(matches!(failure, Failure::Fenced(_)), "{failure}");
    assert_eq!(read_committed(broker.bootstrap(), &deployment.quarantine), []);
    let committed = broker.committed(&deployment.group, &deployment.input);
    assert_eq!(committed, BTreeMap::new());
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
    first.publish(&Transaction::unsealed(&again, &again.positions())).expect("commits");
    let seen = read_committed(broker.bootstrap(), &deployment.quarantine);
    assert_eq!(seen.len(), 10);
    assert_eq!(broker.committed(&deployment.group, &deployment.input), BTreeMap::from([(0, 10)]));
}

#[test]
fn after_an_abort_reading_resumes_at_the_committed_position() {
    let broker = KafkaBroker::shared();
    let deployment = deployment(broker, 2);
    write(broker, &deployment, 2, 0..20);
    let mut session = Session::open(settings(&deployment)).expect("open");
    let first = fill(&mut session, 20);
    session.publish(&Transaction::unsealed(&first, &first.positions())).expect("commits");
    write(broker, &deployment, 2, 20..30);
    let second = fill(&mut session, 10);
    let mut impossible = second.positions();
    impossible[0].metadata = "x".repeat(5_000);
    let failure = session
        .publish(&Transaction::unsealed(&second, &impossible))
        .expect_err("metadata too large");
    assert!(matches!(failure, Failure::Aborted(_)), "{failure}");
    session.abort().expect("abort");
    let partitions: Vec<_> = second.partitions().keys().copied().collect();
    session.rewind(&partitions).expect("rewind");
    let again = fill(&mut session, 10);
    assert_eq!(again.positions(), second.positions());
    session.publish(&Transaction::unsealed(&again, &again.positions())).expect("commits");
    assert_eq!(read_committed(broker.bootstrap(), &deployment.quarantine).len(), 30);
}

/// A partition that cannot be rewound is reported, and not treated as rewound.
#[test]
fn rewinding_an_unowned_partition_fails_without_affecting_others() {
    let broker = KafkaBroker::shared();
    let deployment = deployment(broker, 1);
    write(broker, &deployment, 1, 0..10);
    let mut session = Session::open(settings(&deployment)).expect("open");
    let batch = fill(&mut session, 10);
    let asked = [Partition(0), Partition(7)];
    let rewound = session.rewind(&asked).expect("the group says where it is");
    assert_eq!(rewound.len(), 2, "{rewound:?}");
    let place_of = |partition| {
        let mut found = rewound.iter().filter(|it| it.partition == partition);
        found.next().expect("said").place.clone()
    };
    assert_eq!(place_of(Partition(0)), Ok(ResumePoint::Beginning));
    let unplaced = place_of(Partition(7)).expect_err("there is no such partition");
    assert!(
        matches!(&unplaced, PartitionFault::Unplaced { cause } if cause.starts_with("seek: ")),
        "{unplaced}"
    );
    let again = fill(&mut session, 10);
    assert_eq!(again.positions(), batch.positions());
}

/// How long a worker waits between two attempts while it recovers, and events pile up.
const PAUSE: Duration = Duration::from_secs(3);

/// A worker that recovers polls once in seconds, and the client reports its statistics every
/// second. A rebalance behind them must not wait for as many polls: the whole group waits for it.
#[test]
fn a_poll_after_a_pause_serves_a_rebalance_behind_other_events() {
    let broker = KafkaBroker::shared();
    let deployment = deployment(broker, 2);
    write(broker, &deployment, 2, 0..10);
    let settings = settings(&deployment);
    let mut first = Session::open(settings.clone()).expect("open");
    fill(&mut first, 10);
    std::thread::sleep(2 * PAUSE);
    let mut other = settings;
    other.producer.set("transactional.id", broker.unique("other"));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut second = Session::open(other).expect("open");
            while !stop.load(Ordering::Relaxed) {
                second.poll(Duration::from_millis(100), 10, &mut |_| {}).expect("poll");
            }
        });
        // More than the member needs to learn of the other, and fewer than the events that wait.
        let polls = 0..4;
        let mut revoked = polls.map(|_| {
            std::thread::sleep(PAUSE);
            let mut is_revoked = false;
            let polled = first.poll(Duration::ZERO, 1, &mut |polled| {
                is_revoked |= matches!(polled, Polled::Group(GroupEvent::Revoked(_)));
            });
            polled.expect("poll");
            is_revoked
        });
        let is_served = revoked.any(|revoked| revoked);
        stop.store(true, Ordering::Relaxed);
        assert!(is_served, "no poll served the rebalance");
    });
}
