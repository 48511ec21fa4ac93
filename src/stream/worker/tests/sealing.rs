//! What the loop does with a sealer: it drops and holds what must not be continued, and commits
//! idle partitions that are due.

use super::holding::{BAD, GOOD, RECORDS, TwoPartitions, turns, worker};
use super::*;
use crate::stream::batch::Batch;
use crate::stream::{Proof, ResumePoint, SealLog, SealedBatch, Sealer};

/// Refuses one partition, and wants each partition to be committed once in a while.
#[derive(Debug, Default)]
struct Strict {
    refused: Option<Partition>,
    known: Vec<Partition>,
    committed_at: Option<Duration>,
    is_always_due: bool,
    proof: Proof,
}

impl Sealer for Strict {
    fn placed(&mut self, partition: Partition, _: &ResumePoint) {
        self.known.push(partition);
    }

    fn due(&self, now: Duration) -> Vec<Partition> {
        let is_due = self.is_always_due
            || self.committed_at.is_some_and(|at| at + Duration::from_secs(60) <= now);
        self.known.iter().filter(|_| is_due).copied().collect()
    }

    fn seal(&mut self, batch: &Batch, _: Option<&mut dyn SealLog>) -> Result<SealedBatch, Failure> {
        let refused = self.refused.filter(|refused| batch.partitions().contains_key(refused));
        Ok(match refused {
            Some(refused) => {
                let cause = "a fork".to_string();
                SealedBatch::Refused(vec![(refused, PartitionFault::Unsealable { cause })])
            }
            None => {
                let mut positions = batch.positions();
                positions.iter_mut().for_each(|it| it.metadata = "sealed".to_string());
                SealedBatch::Positions(positions)
            }
        })
    }

    fn proof(&self) -> Option<&Proof> {
        Some(&self.proof)
    }

    fn committed(&mut self, now: Duration) {
        self.committed_at = Some(now);
    }
}

#[test]
fn a_partition_that_must_not_be_continued_is_held_and_the_others_go_on() {
    let strict = Strict { refused: Some(BAD), ..Strict::default() };
    let mut worker = worker(TwoPartitions::default()).with_sealer(Box::new(strict));
    turns(&mut worker, 200);
    assert_eq!((worker.broker.offset(GOOD), worker.broker.offset(BAD)), (RECORDS, 0));
    let held = &worker.observer.held;
    assert!(held.len() > 2 && held.iter().all(|it| *it == (BAD, "unsealable")), "{held:?}");
    assert!(worker.observer.failed.is_empty(), "{:?}", worker.observer.failed);
}

#[test]
fn an_idle_partition_is_committed_where_it_stands() {
    let mut worker = worker(TwoPartitions::default()).with_sealer(Box::new(Strict::default()));
    turns(&mut worker, 200);
    let (commits, offsets) =
        (worker.broker.commits, [GOOD, BAD].map(|it| worker.broker.offset(it)));
    assert_eq!(offsets, [RECORDS, RECORDS]);
    // Each empty poll takes 100 ms, so a minute passes in 600 turns.
    turns(&mut worker, 1_500);
    assert_eq!(worker.broker.commits, commits + 2);
    assert_eq!([GOOD, BAD].map(|it| worker.broker.offset(it)), offsets);
    assert_eq!(worker.broker.last_metadata, "sealed");
    assert_eq!(worker.broker.proofs, worker.broker.commits);
}

#[test]
fn a_partition_that_is_due_is_committed_behind_what_was_read_of_it() {
    let strict = Strict { is_always_due: true, ..Strict::default() };
    let mut worker = worker(TwoPartitions::default()).with_sealer(Box::new(strict));
    turns(&mut worker, 200);
    assert_eq!([GOOD, BAD].map(|it| worker.broker.offset(it)), [RECORDS, RECORDS]);
}

#[test]
fn a_partition_with_records_that_must_be_read_again_is_not_committed_behind_them() {
    let strict = Strict { is_always_due: true, ..Strict::default() };
    let mut worker = worker(TwoPartitions::default()).with_sealer(Box::new(strict));
    turns(&mut worker, 200);
    worker.missed.insert(GOOD);
    worker.touch_idle_partitions();
    let touched: Vec<Partition> = worker.batch.partitions().keys().copied().collect();
    assert_eq!(touched, [BAD]);
}
