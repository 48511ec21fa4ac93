//! A partition that leaves a session and returns. The session must forget its state: another member
//! may have read the partition meanwhile, and retention may have deleted part of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use audit_relay::kafka::session::Session;
use audit_relay::kafka::settings::SessionSettings;
use audit_relay::stream::{
    Broker, GroupEvent, Partition, PartitionEvent, Polled, ResumePoint, Transaction,
};

use crate::ledger::change;
use crate::sessions::{deployment, fill, settings};
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::relay::TestDeployment;
use audit_testkit::topics::{TestRecord, produce};

const WAIT_MAX: Duration = Duration::from_secs(180);
const PARTITIONS: i32 = 2;

/// What a session reports about one partition.
#[derive(Debug, PartialEq, Eq)]
enum Observed {
    Assigned,
    Revoked,
    /// The group's committed offset and its metadata.
    Placed(i64, String),
    /// The group has committed nothing.
    Beginning,
    /// A record's offset, and the log start offset that the client reports.
    Record(i64, Option<i64>),
}

/// Returns what a poll reports about this partition.
fn observed(polled: &Polled<'_>, of: Partition) -> Option<Observed> {
    match polled {
        Polled::Record(record) => (record.partition == of)
            .then(|| Observed::Record(record.offset, record.log.first_offset())),
        Polled::Partition(partition, event) => match event {
            PartitionEvent::Failed(fault) => panic!("partition {partition}: {fault}"),
            PartitionEvent::Placed(place) if *partition == of => Some(match place {
                ResumePoint::At(position) => {
                    Observed::Placed(position.next_offset, position.metadata.clone())
                }
                ResumePoint::Beginning => Observed::Beginning,
                ResumePoint::NewLog => panic!("the topic is the same"),
            }),
            PartitionEvent::Placed(_) | PartitionEvent::End { .. } => None,
        },
        Polled::Group(event) => match event {
            GroupEvent::Assigned(partitions) => {
                partitions.contains(&of).then_some(Observed::Assigned)
            }
            GroupEvent::Revoked(partitions) => {
                partitions.contains(&of).then_some(Observed::Revoked)
            }
            GroupEvent::Lost(partitions) => panic!("{partitions:?} were lost"),
            GroupEvent::Statistics(_) => None,
        },
    }
}

/// Polls until the reports about this partition satisfy `done`.
#[track_caller]
fn poll_until(
    session: &mut Session,
    of: Partition,
    done: impl Fn(&[Observed]) -> bool,
) -> Vec<Observed> {
    let since = Instant::now();
    let mut all = Vec::new();
    while !done(&all) {
        assert!(since.elapsed() < WAIT_MAX, "only {all:?} was reported");
        let polled = session.poll(Duration::from_millis(50), 1, &mut |polled| {
            all.extend(observed(&polled, of));
        });
        polled.expect("poll");
    }
    all
}

/// A session that can hand a partition to another member of its group and get it back.
struct Lender {
    broker: &'static KafkaBroker,
    deployment: TestDeployment,
    session: Session,
}

impl Lender {
    /// Creates a session and writes ten records to each partition; nothing is committed.
    fn with_ten_of_each() -> Self {
        let broker = KafkaBroker::shared();
        let deployment = deployment(broker, PARTITIONS);
        let session = Session::open(member(&deployment, "lender")).expect("open");
        let lender = Lender { broker, deployment, session };
        lender.write(10);
        lender
    }

    /// Writes `count` records to each partition.
    fn write(&self, count: u64) {
        let record = |number: u64| TestRecord {
            partition: Some((number % PARTITIONS as u64) as i32),
            ..change(number)
        };
        let records = (0..count * PARTITIONS as u64).map(record);
        produce(self.broker.bootstrap(), &self.deployment.input, records);
    }

    /// Lets another member join. Returns it and the partition that it got.
    #[track_caller]
    fn lend(&mut self) -> (Session, Partition) {
        let borrower = member(&self.deployment, "borrower");
        let mut borrower = Session::open(borrower).expect("open");
        let since = Instant::now();
        let mut lent = Vec::new();
        while lent.is_empty() {
            assert!(since.elapsed() < WAIT_MAX, "no partition was handed over");
            let wait = Duration::from_millis(20);
            self.session.poll(wait, 1, &mut |_| {}).expect("poll");
            let polled = borrower.poll(wait, 1, &mut |polled| {
                if let Polled::Group(GroupEvent::Assigned(partitions)) = polled {
                    lent.extend_from_slice(partitions);
                }
            });
            polled.expect("poll");
        }
        assert_eq!(lent.len(), 1, "{lent:?}");
        (borrower, lent[0])
    }

    /// Lets the other member leave. Returns the reports about the partition up to its first record.
    #[track_caller]
    fn take_back(&mut self, borrower: Session, partition: Partition) -> Vec<Observed> {
        drop(borrower);
        let is_record = |observed: &Observed| matches!(observed, Observed::Record(..));
        poll_until(&mut self.session, partition, |all| all.iter().any(is_record))
    }

    fn cut(&self, partition: Partition, before: i64) {
        let input = &self.deployment.input;
        let before = BTreeMap::from([(partition.0, before)]);
        assert_eq!(self.broker.delete_records(input, &before), before);
    }
}

fn member(deployment: &TestDeployment, name: &str) -> SessionSettings {
    let mut settings = settings(deployment);
    let id = format!("{}-{name}", deployment.group);
    settings.producer.set("transactional.id", id);
    settings
}

/// Nothing is committed: for the group nothing was read, so nothing was missed.
#[test]
fn an_uncommitted_position_is_forgotten_when_a_partition_leaves() {
    let mut lender = Lender::with_ten_of_each();
    fill(&mut lender.session, 20);
    let (borrower, partition) = lender.lend();
    lender.write(5);
    lender.cut(partition, 13);
    let all = lender.take_back(borrower, partition);
    assert_eq!(all, [Observed::Assigned, Observed::Beginning, Observed::Record(13, Some(13))]);
}

/// The partition resumes where it left off, and its floor must still be reported.
#[test]
fn a_returning_partition_is_placed_at_its_committed_offset() {
    let mut lender = Lender::with_ten_of_each();
    let batch = fill(&mut lender.session, 20);
    let mut positions = batch.positions();
    positions.iter_mut().for_each(|position| position.metadata = "head é".to_string());
    lender.session.publish(&Transaction::unsealed(&batch, &positions)).expect("commits");
    let (borrower, partition) = lender.lend();
    lender.write(1);
    let all = lender.take_back(borrower, partition);
    let placed = Observed::Placed(10, "head é".to_string());
    assert_eq!(all, [Observed::Assigned, placed, Observed::Record(10, Some(0))]);
    let rewound = lender.session.rewind(&[partition]).expect("the group says where it is");
    let place = rewound[0].place.as_ref().expect("it is there");
    let expected = positions.iter().find(|position| position.partition == partition);
    assert_eq!(place, &ResumePoint::At(expected.expect("it was committed").clone()));
}

/// Records after the group's offset that are deleted while the partition is away were never read.
#[test]
fn records_deleted_while_a_partition_is_away_are_reported_on_return() {
    let mut lender = Lender::with_ten_of_each();
    let batch = fill(&mut lender.session, 20);
    let published = lender.session.publish(&Transaction::unsealed(&batch, &batch.positions()));
    published.expect("commits");
    // Read on, so that the session's own position differs from the group's.
    lender.write(2);
    fill(&mut lender.session, 4);
    let (borrower, partition) = lender.lend();
    lender.write(5);
    lender.cut(partition, 15);
    let all = lender.take_back(borrower, partition);
    let placed = Observed::Placed(10, String::new());
    assert_eq!(all, [Observed::Assigned, placed, Observed::Record(15, Some(15))]);
}
