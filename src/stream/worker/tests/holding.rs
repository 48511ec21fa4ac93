//! What one faulty partition, one bad record or a moment of unreliable tables may block: a worker
//! with two partitions, on a broker with scripted faults.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::stream::scripts::failed;
use crate::stream::{Content, Gap, GapCause, Output, PartitionFault, PassOver};
use audit_judge::fate::Quarantine;

pub(super) const GOOD: Partition = Partition(0);
pub(super) const BAD: Partition = Partition(1);
/// The time that a poll with records takes.
const POLL: Duration = Duration::from_millis(10);
/// Records of each partition.
pub(super) const RECORDS: i64 = 40;

/// A broker with two partitions. All faults are in the second.
#[derive(Debug, Default)]
pub(super) struct TwoPartitions {
    positions: BTreeMap<Partition, i64>,
    parked: BTreeSet<Partition>,
    committed: BTreeMap<Partition, i64>,
    /// A record that cannot be read; the client then returns to the beginning, as the real one
    /// does.
    unreadable: Option<i64>,
    /// A record whose output is never accepted.
    refused: Option<i64>,
    /// The offsets of records with this value, and the largest value that is accepted, in bytes.
    large: Option<(Vec<i64>, &'static [u8], usize)>,
    /// Offsets that were written as stubs.
    stubs: Vec<i64>,
    /// The most outputs that are accepted at a time.
    most_outputs: Option<usize>,
    /// Whether the next seek past unreadable offsets fails.
    is_skip_refused: bool,
    judged_twice: Vec<(Partition, i64)>,
    now: Duration,
    is_assigned: bool,
    failed: usize,
    pub(super) commits: usize,
    pub(super) last_metadata: String,
    /// Commits that were proved.
    pub(super) proofs: usize,
}

impl TwoPartitions {
    fn position(&self, partition: Partition) -> i64 {
        self.positions.get(&partition).copied().unwrap_or(0)
    }

    pub(super) fn offset(&self, partition: Partition) -> i64 {
        self.committed.get(&partition).copied().unwrap_or(0)
    }

    fn read(&mut self, partition: Partition, receive: &mut dyn FnMut(Polled<'_>)) -> bool {
        let at = self.position(partition);
        if at >= RECORDS || self.parked.contains(&partition) {
            return false;
        }
        if partition == BAD && self.unreadable == Some(at) {
            self.positions.insert(partition, 0);
            let cause = "bad CRC".to_string();
            receive(failed(partition, PartitionFault::Unreadable { offset: at, cause }));
            return true;
        }
        self.positions.insert(partition, at + 1);
        let large = self.large.as_ref();
        let large = large.filter(|(offsets, ..)| partition == BAD && offsets.contains(&at));
        receive(Polled::Record(SourceRecord {
            partition,
            payload: large.map(|(_, value, _)| *value),
            ..record(at)
        }));
        true
    }

    /// Returns whether a value is larger than its topic accepts.
    fn refuses(&self, output: &Output<'_>) -> bool {
        let Content::Quarantined(kept) = output.content else {
            return false;
        };
        let bytes = kept.original.payload.as_ref().map_or(0, Vec::len);
        self.large.as_ref().is_some_and(|(.., most)| bytes > *most)
    }
}

impl Broker for TwoPartitions {
    fn poll(
        &mut self,
        wait: Duration,
        most: usize,
        receive: &mut dyn FnMut(Polled<'_>),
    ) -> Result<(), Failure> {
        if !std::mem::replace(&mut self.is_assigned, true) {
            receive(assigned(&[GOOD, BAD]));
            receive(placed(GOOD, 0));
            receive(placed(BAD, 0));
        }
        // The bad partition comes first, as the rest of a client's queue may.
        let mut brought = 0;
        for partition in [BAD, GOOD] {
            while brought < most && self.read(partition, receive) {
                brought += 1;
            }
        }
        self.now += if brought == 0 { wait } else { wait.min(POLL) };
        Ok(())
    }

    fn publish(&mut self, transaction: &Transaction<'_>) -> Result<(), Failure> {
        let Transaction { outputs, positions, proof, .. } = *transaction;
        let is_refused = outputs.iter().any(|output| {
            output.source_partition == BAD && Some(output.source_offset) == self.refused
        });
        let is_large = self.most_outputs.is_some_and(|most| outputs.len() > most);
        if is_refused || is_large {
            self.failed += 1;
            return Err(Failure::Aborted("not accepted".to_string()));
        }
        if outputs.iter().any(|output| self.refuses(&output)) {
            self.failed += 1;
            return Err(Failure::TooLarge("not accepted".to_string()));
        }
        let is_stub = |output: &Output<'_>| matches!(output.content, Content::Quarantined(kept) if kept.original.stub.is_some());
        let stubs = outputs.iter().filter(is_stub);
        self.stubs.extend(stubs.map(|output| output.source_offset));
        self.commits += 1;
        self.proofs += usize::from(proof.is_some());
        for position in positions {
            self.last_metadata.clone_from(&position.metadata);
            let before = self.offset(position.partition);
            for output in outputs.iter().filter(|it| it.source_partition == position.partition) {
                if output.source_offset < before {
                    self.judged_twice.push((position.partition, output.source_offset));
                }
            }
            self.committed.insert(position.partition, position.next_offset);
        }
        Ok(())
    }

    fn abort(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    fn rebuild(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    fn rewind(&mut self, partitions: &[Partition]) -> Result<Vec<Rewound>, Failure> {
        let rewind = |partition: &Partition| {
            let offset = self.offset(*partition);
            self.positions.insert(*partition, offset);
            self.parked.remove(partition);
            Rewound { partition: *partition, place: Ok(at(*partition, offset)) }
        };
        Ok(partitions.iter().map(rewind).collect())
    }

    fn skip_to(
        &mut self,
        partition: Partition,
        offset: i64,
    ) -> Result<Result<i64, PartitionFault>, Failure> {
        if std::mem::take(&mut self.is_skip_refused) {
            return Ok(Err(PartitionFault::Unplaced { cause: "the seek failed".to_string() }));
        }
        let next = offset.min(RECORDS);
        self.positions.insert(partition, next);
        Ok(Ok(next))
    }

    fn park(&mut self, partitions: &[Partition]) -> Result<(), Failure> {
        self.parked.extend(partitions);
        Ok(())
    }

    fn pause(&mut self, time: Duration) {
        self.now += time;
    }

    fn now(&self) -> Duration {
        self.now
    }
}

/// Which partitions were held and why, and which were released.
#[derive(Debug, Default)]
pub(super) struct Holds {
    pub(super) held: Vec<(Partition, &'static str)>,
    released: Vec<Partition>,
    pub(super) failed: Vec<String>,
    gaps: Vec<(Partition, Gap)>,
}

impl Observer for Holds {
    fn on_event(&mut self, event: WorkerEvent<'_>) {
        match event {
            WorkerEvent::Held(partition, fault, _) => self.held.push((partition, fault.reason())),
            WorkerEvent::Released(partition) => self.released.push(partition),
            WorkerEvent::Failed(failure) => self.failed.push(failure.to_string()),
            WorkerEvent::Committed(batch, _) => {
                for (partition, tally) in batch.partitions() {
                    self.gaps.extend(tally.gaps.iter().map(|gap| (*partition, gap.clone())));
                }
            }
            _ => {}
        }
    }
}

pub(super) fn quarantine(_: Option<&[u8]>) -> Fate {
    Fate::Quarantined(Quarantine::malformed("test"))
}

pub(super) type Held = Worker<TwoPartitions, fn(Option<&[u8]>) -> Fate, Holds>;

pub(super) fn worker(broker: TwoPartitions) -> Held {
    let stop = StopRequest::default();
    Worker::new(broker, quarantine, Holds::default(), limits(16), stop)
}

pub(super) fn turns(worker: &mut Held, turns: usize) {
    for _ in 0..turns {
        worker.turn().expect("the turn succeeds");
    }
}

#[test]
fn an_unreadable_record_holds_only_its_partition_and_doubles_nothing() {
    let mut worker = worker(TwoPartitions { unreadable: Some(10), ..TwoPartitions::default() });
    turns(&mut worker, 200);
    let broker = &worker.broker;
    assert_eq!((broker.offset(GOOD), broker.offset(BAD)), (RECORDS, 10));
    assert_eq!(broker.judged_twice, []);
    let Holds { held, released, failed, .. } = &worker.observer;
    assert!(held.len() > 2 && held.iter().all(|it| *it == (BAD, "unreadable")), "{held:?}");
    assert!(failed.is_empty() && !released.contains(&BAD), "{failed:?} {released:?}");
    // A transient error is gone on the next read.
    worker.broker.unreadable = None;
    turns(&mut worker, 200);
    assert_eq!(worker.broker.offset(BAD), RECORDS);
    assert_eq!(worker.observer.released, [BAD]);
}

/// Listed offsets are skipped once everything before them is committed, and are counted once.
/// Others hold their partition.
#[test]
fn listed_offsets_that_cannot_be_read_are_passed_over() {
    let pass_over = |offsets| vec![PassOver { partition: BAD, offsets }];
    for (offsets, expected, refused) in [
        (8..12, RECORDS, false),
        (10..11, RECORDS, false),
        (10..15, RECORDS, true),
        (11..15, 10, false),
        (10..99, RECORDS, false),
    ] {
        let broker = TwoPartitions {
            unreadable: Some(10),
            is_skip_refused: refused,
            ..TwoPartitions::default()
        };
        let mut worker = worker(broker).with_pass_over(pass_over(offsets.clone()));
        turns(&mut worker, 200);
        let broker = &worker.broker;
        assert_eq!((broker.offset(GOOD), broker.offset(BAD)), (RECORDS, expected), "{offsets:?}");
        assert_eq!(broker.judged_twice, []);
        let gap = Gap { offsets: 10..offsets.end.min(RECORDS), cause: GapCause::PassedOver };
        let expected = if expected == RECORDS { vec![(BAD, gap)] } else { Vec::new() };
        assert_eq!(worker.observer.gaps, expected, "{offsets:?}");
    }
}

#[test]
fn batches_shrink_until_they_are_accepted() {
    let mut worker = worker(TwoPartitions { most_outputs: Some(3), ..TwoPartitions::default() });
    turns(&mut worker, 200);
    let broker = &worker.broker;
    assert_eq!((broker.offset(GOOD), broker.offset(BAD)), (RECORDS, RECORDS));
    assert_eq!(worker.observer.held, [], "the batch size was the cause, not a record");
    assert!(broker.failed < 15, "smaller batches are kept for a while: {}", broker.failed);
}

#[test]
fn a_record_that_is_never_accepted_holds_only_its_partition() {
    let mut worker = worker(TwoPartitions { refused: Some(5), ..TwoPartitions::default() });
    turns(&mut worker, 400);
    let broker = &worker.broker;
    assert_eq!((broker.offset(GOOD), broker.offset(BAD)), (RECORDS, 5));
    let held = &worker.observer.held;
    assert!(!held.is_empty() && held.iter().all(|it| *it == (BAD, "unpublishable")), "{held:?}");
    worker.broker.refused = None;
    turns(&mut worker, 400);
    assert_eq!(worker.broker.offset(BAD), RECORDS);
    assert_eq!(worker.observer.released, [BAD]);
}

/// The limit of the topic is lower than the worker assumes.
#[test]
fn records_that_are_too_large_become_stubs_and_hold_nothing() {
    let value: &'static [u8] = Box::leak(vec![b'v'; 600_000].into_boxed_slice());
    let mut worker = worker(TwoPartitions {
        large: Some((vec![5, 6, 20, 39], value, 500_000)),
        ..TwoPartitions::default()
    });
    turns(&mut worker, 400);
    let broker = &worker.broker;
    assert_eq!((broker.offset(GOOD), broker.offset(BAD)), (RECORDS, RECORDS));
    assert_eq!(broker.stubs, [5, 6, 20, 39]);
    assert_eq!(worker.observer.held, [], "none blocks its partition");
    assert!(broker.failed <= 3, "{}: the worker remembers the limit", broker.failed);
}

#[test]
fn a_stub_that_its_topic_refuses_holds_the_partition() {
    let value: &'static [u8] = Box::leak(vec![b'v'; 600_000].into_boxed_slice());
    let mut worker =
        worker(TwoPartitions { large: Some((vec![5], value, 500)), ..TwoPartitions::default() });
    turns(&mut worker, 400);
    assert_eq!(worker.broker.offset(BAD), 5);
    let held = &worker.observer.held;
    assert!(!held.is_empty() && held.iter().all(|it| *it == (BAD, "unpublishable")), "{held:?}");
}

/// Tables that cannot be relied on when a batch is judged, but can just before it is published.
#[derive(Debug, Default)]
struct LateTables {
    checks: Cell<usize>,
    judged: RefCell<Vec<usize>>,
}

impl Judge for &LateTables {
    fn judge(&self, _: Option<&[u8]>) -> Fate {
        self.judged.borrow_mut().push(self.checks.get());
        quarantine(None)
    }

    fn is_final(&self, _: &Fate) -> bool {
        true
    }

    fn trusted(&self) -> Result<(), String> {
        self.checks.set(self.checks.get() + 1);
        match self.checks.get() {
            1 => Err("stale".to_string()),
            _ => Ok(()),
        }
    }

    fn catch_up(&self) -> Result<(), String> {
        Ok(())
    }
}

#[test]
fn nothing_is_judged_by_unreliable_tables() {
    let tables = LateTables::default();
    let broker = TwoPartitions::default();
    let stop = StopRequest::default();
    let mut worker = Worker::new(broker, &tables, Holds::default(), limits(16), stop);
    worker.turn().expect("the turn succeeds");
    assert!(tables.judged.borrow().is_empty(), "the first check failed");
    assert_eq!(worker.observer.failed, ["held: stale"]);
    for _ in 0..20 {
        worker.turn().expect("the turn succeeds");
    }
    let broker = &worker.broker;
    assert_eq!((broker.offset(GOOD), broker.offset(BAD)), (RECORDS, RECORDS));
    assert!(tables.judged.borrow().iter().all(|checks| *checks > 1));
}
