//! A partition that leaves a session and comes back to it: the session must forget what it knew of
//! it, since another member may have read it meanwhile, and retention may have deleted part of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use audit_relay::kafka::session::Session;
use audit_relay::kafka::settings::SessionSettings;
use audit_relay::stream::{Broker, GroupEvent, Partition, PartitionEvent, Polled, ResumePoint};

use crate::ledger::change;
use crate::sessions::{deployment, fill, settings};
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::relay::TestDeployment;
use audit_testkit::topics::{TestRecord, produce};

const LIMIT: Duration = Duration::from_secs(180);
const PARTITIONS: i32 = 2;

/// What a session says of one partition.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Assigned,
    Revoked,
    /// The group's committed offset and its metadata.
    Placed(i64, String),
    /// The group has committed nothing.
    Beginning,
    /// A record's offset, and where the client says that the log begins.
    Record(i64, Option<i64>),
}

/// What a poll tells of this partition.
fn told(polled: &Polled<'_>, of: Partition) -> Option<Told> {
    match polled {
        Polled::Record(record) => {
            (record.partition == of).then(|| Told::Record(record.offset, record.log.first_offset()))
        }
        Polled::Partition(partition, event) => match event {
            PartitionEvent::Failed(fault) => panic!("partition {partition}: {fault}"),
            PartitionEvent::Placed(place) if *partition == of => Some(match place {
                ResumePoint::At(position) => {
                    Told::Placed(position.next_offset, position.metadata.clone())
                }
                ResumePoint::Beginning => Told::Beginning,
                ResumePoint::NewLog => panic!("the topic is the same"),
            }),
            PartitionEvent::Placed(_) | PartitionEvent::End { .. } => None,
        },
        Polled::Group(event) => match event {
            GroupEvent::Assigned(partitions) => partitions.contains(&of).then_some(Told::Assigned),
            GroupEvent::Revoked(partitions) => partitions.contains(&of).then_some(Told::Revoked),
            GroupEvent::Lost(partitions) => panic!("{partitions:?} were lost"),
            GroupEvent::Statistics(_) => None,
        },
    }
}

/// Polls until all is said that is waited for; only what is said of this partition counts.
#[track_caller]
fn listen(session: &mut Session, of: Partition, done: impl Fn(&[Told]) -> bool) -> Vec<Told> {
    let since = Instant::now();
    let mut all = Vec::new();
    while !done(&all) {
        assert!(since.elapsed() < LIMIT, "no more than {all:?}");
        let polled = session.poll(Duration::from_millis(50), 1, &mut |polled| {
            all.extend(told(&polled, of));
        });
        polled.expect("poll");
    }
    all
}

/// A session, and another member of its group to which its partitions can be lent.
struct Lender {
    broker: &'static KafkaBroker,
    deployment: TestDeployment,
    session: Session,
}

impl Lender {
    /// A session that has read ten records of each partition; nothing is committed.
    fn with_ten_of_each() -> Self {
        let broker = KafkaBroker::shared();
        let deployment = deployment(broker, PARTITIONS);
        let session = Session::open(member(&deployment, "lender")).expect("open");
        let lender = Lender { broker, deployment, session };
        lender.write(10);
        lender
    }

    /// Writes so many records to each partition.
    fn write(&self, count: u64) {
        let record = |number: u64| TestRecord {
            partition: Some((number % PARTITIONS as u64) as i32),
            ..change(number)
        };
        let records = (0..count * PARTITIONS as u64).map(record);
        produce(self.broker.bootstrap(), &self.deployment.input, records);
    }

    /// Another member comes. Returns it, and the partition that it was given.
    #[track_caller]
    fn lend(&mut self) -> (Session, Partition) {
        let borrower = member(&self.deployment, "borrower");
        let mut borrower = Session::open(borrower).expect("open");
        let since = Instant::now();
        let mut lent = Vec::new();
        while lent.is_empty() {
            assert!(since.elapsed() < LIMIT, "nothing was given up");
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

    /// The other member leaves. What is said of the partition, up to its first record.
    #[track_caller]
    fn comes_back(&mut self, borrower: Session, partition: Partition) -> Vec<Told> {
        drop(borrower);
        let is_record = |told: &Told| matches!(told, Told::Record(..));
        listen(&mut self.session, partition, |all| all.iter().any(is_record))
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

/// Nothing is committed: as far as the group knows nothing was read, and so nothing was missed.
#[test]
fn what_was_read_and_not_committed_before_a_partition_left_is_no_place_to_go_on_from() {
    let mut lender = Lender::with_ten_of_each();
    fill(&mut lender.session, 20);
    let (borrower, partition) = lender.lend();
    lender.write(5);
    lender.cut(partition, 13);
    let all = lender.comes_back(borrower, partition);
    assert_eq!(all, [Told::Assigned, Told::Beginning, Told::Record(13, Some(13))]);
}

/// The place where the partition goes on is the one where it was left. Still its floor must be
/// told.
#[test]
fn a_partition_that_comes_back_unchanged_is_placed_anew() {
    let mut lender = Lender::with_ten_of_each();
    let batch = fill(&mut lender.session, 20);
    let mut positions = batch.positions();
    positions.iter_mut().for_each(|position| position.metadata = "head é".to_string());
    lender.session.publish(batch.outputs(), &positions).expect("commits");
    let (borrower, partition) = lender.lend();
    lender.write(1);
    let all = lender.comes_back(borrower, partition);
    let placed = Told::Placed(10, "head é".to_string());
    assert_eq!(all, [Told::Assigned, placed, Told::Record(10, Some(0))]);
    let rewound = lender.session.rewind(&[partition]).expect("the group says where it is");
    let place = rewound[0].place.as_ref().expect("it is there");
    let expected = positions.iter().find(|position| position.partition == partition);
    assert_eq!(place, &ResumePoint::At(expected.expect("it was committed").clone()));
}

/// What is deleted behind the group's offset while the partition is away was read by nobody.
#[test]
fn what_is_deleted_while_a_partition_is_away_is_said_when_it_is_back() {
    let mut lender = Lender::with_ten_of_each();
    let batch = fill(&mut lender.session, 20);
    let published = lender.session.publish(batch.outputs(), &batch.positions());
    published.expect("commits");
    // Read on, so that the session's own place is another one than the group's.
    lender.write(2);
    fill(&mut lender.session, 4);
    let (borrower, partition) = lender.lend();
    lender.write(5);
    lender.cut(partition, 15);
    let all = lender.comes_back(borrower, partition);
    let placed = Told::Placed(10, String::new());
    assert_eq!(all, [Told::Assigned, placed, Told::Record(15, Some(15))]);
}
