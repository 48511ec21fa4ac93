//! A loop on a bounded broker ends exactly when everything before the ends is committed, whatever
//! fails meanwhile.

use std::cell::RefCell;
use std::collections::BTreeSet;

use audit_judge::fate::{Fate, SkipReason};

use super::*;
use crate::stream::batch::BatchLimits;
use crate::stream::scripts::{assigned, at, end, failed, placed, record, revoked};
use crate::stream::worker::Worker;
use crate::stream::{Observer, WorkerEvent};

const A: Partition = Partition(0);
const B: Partition = Partition(1);
/// A partition that was added later.
const NEW: Partition = Partition(2);

/// Three logs, each with these offsets: those of markers are missing, also at the end.
const LOG: [i64; 6] = [0, 1, 2, 4, 5, 7];
const LOG_END: i64 = 9;

/// A cluster with faults that are struck once.
#[derive(Debug, Default)]
struct Logs {
    at: BTreeMap<Partition, i64>,
    committed: BTreeMap<Partition, i64>,
    metadata: BTreeSet<String>,
    parked: BTreeSet<Partition>,
    is_assigned: bool,
    /// From this attempt on, publishing fails so often.
    failing: (u32, u32),
    attempts: u32,
    parks: u32,
    /// Records of the first partition that were brought.
    brought: usize,
    /// This offset of the second partition cannot be read so often.
    unreadable: Option<(i64, u32)>,
    /// After so many polls the second partition goes and comes again.
    leaves: Option<u32>,
    polls: u32,
    is_recreated: bool,
    now: Duration,
    /// What was asked of it beside reading and publishing.
    calls: Vec<String>,
}

impl Logs {
    fn next(&self, partition: Partition) -> i64 {
        self.committed.get(&partition).copied().unwrap_or(0)
    }

    fn place(&mut self, partition: Partition, receive: &mut dyn FnMut(Polled<'_>)) {
        let next = self.next(partition);
        self.at.insert(partition, next);
        self.parked.remove(&partition);
        receive(placed(partition, next));
    }

    /// Brings the next record of a partition, or its end.
    fn read(&mut self, partition: Partition, receive: &mut dyn FnMut(Polled<'_>)) {
        let at = self.at[&partition];
        if self.parked.contains(&partition) || at > LOG_END {
            return;
        }
        let Some(offset) = LOG.into_iter().find(|offset| *offset >= at) else {
            self.at.insert(partition, LOG_END + 1);
            receive(end(partition, LOG_END));
            return;
        };
        self.at.insert(partition, offset + 1);
        if let (B, Some((bad, times @ 1..))) = (partition, &mut self.unreadable)
            && *bad == offset
        {
            *times -= 1;
            let cause = "bad CRC".to_string();
            receive(failed(partition, PartitionFault::Unreadable { offset, cause }));
            return;
        }
        self.brought += usize::from(partition == A);
        receive(Polled::Record(record(partition, offset)));
    }
}

impl Broker for Logs {
    fn poll(
        &mut self,
        wait: Duration,
        _: usize,
        receive: &mut dyn FnMut(Polled<'_>),
    ) -> Result<(), Failure> {
        self.polls += 1;
        self.now += wait;
        if !std::mem::replace(&mut self.is_assigned, true) {
            receive(assigned(&[A, B, NEW]));
            for partition in [A, B, NEW] {
                self.place(partition, receive);
            }
        }
        if self.is_recreated {
            receive(Polled::Partition(A, PartitionEvent::Placed(ResumePoint::NewLog)));
        }
        if self.leaves == Some(self.polls) {
            receive(revoked(&[B]));
            receive(assigned(&[B]));
            self.place(B, receive);
        }
        for partition in [A, B, NEW] {
            self.read(partition, receive);
        }
        Ok(())
    }

    fn publish(&mut self, transaction: &Transaction<'_>) -> Result<(), Failure> {
        self.attempts += 1;
        let (first, times) = self.failing;
        if (first..first + times).contains(&self.attempts) {
            return Err(Failure::Aborted("not accepted".to_string()));
        }
        for position in transaction.positions {
            self.committed.insert(position.partition, position.next_offset);
            self.metadata.insert(format!("{} {}", position.partition, position.metadata));
        }
        Ok(())
    }

    fn abort(&mut self) -> Result<(), Failure> {
        self.calls.push("abort".to_string());
        Ok(())
    }

    fn rebuild(&mut self) -> Result<(), Failure> {
        self.calls.push("rebuild".to_string());
        Ok(())
    }

    fn rewind(&mut self, partitions: &[Partition]) -> Result<Vec<Rewound>, Failure> {
        let rewound = partitions.iter().map(|partition| {
            let next = self.next(*partition);
            self.at.insert(*partition, next);
            self.parked.remove(partition);
            let place = Ok(at(*partition, next));
            Rewound { partition: *partition, place }
        });
        Ok(rewound.collect())
    }

    fn skip_to(
        &mut self,
        partition: Partition,
        offset: i64,
    ) -> Result<Result<i64, PartitionFault>, Failure> {
        self.calls.push(format!("skip partition {partition} to {offset}"));
        Ok(Ok(offset))
    }

    fn park(&mut self, partitions: &[Partition]) -> Result<(), Failure> {
        self.parks += 1;
        self.calls.push(format!("park {partitions:?}"));
        for partition in partitions {
            // The end is fetched once more, as by the real client.
            self.at.insert(*partition, LOG_END);
            self.parked.insert(*partition);
        }
        Ok(())
    }

    fn pause(&mut self, time: Duration) {
        self.now += time;
    }

    fn now(&self) -> Duration {
        self.now
    }
}

struct Quiet;

impl Observer for Quiet {
    fn on_event(&mut self, _: WorkerEvent<'_>) {}
}

/// Reads to these ends of the two partitions, in at most a thousand turns. Returns the logs, and
/// how many records were judged.
#[track_caller]
fn read(logs: Logs, ends: [i64; 2]) -> (Logs, usize) {
    let ends = [A, B].into_iter().zip(ends).map(|(partition, offset)| {
        (partition, ReadingEnd { offset, metadata: format!("to {offset}") })
    });
    let stop = StopRequest::default();
    let bounded = Bounded::new(logs, ends.collect(), stop.clone());
    assert!(!bounded.is_complete());
    let judged = RefCell::new(0);
    let judge = |_: Option<&[u8]>| {
        *judged.borrow_mut() += 1;
        Fate::Skipped(SkipReason::UnlistedAction.into())
    };
    let limits =
        BatchLimits { max_records: 3, max_bytes: 1_000, max_age: Duration::from_millis(300) };
    let mut worker = Worker::new(bounded, judge, Quiet, limits, stop.clone());
    for _ in 0..1_000 {
        if stop.is_requested() {
            let bounded = worker.run().expect("nothing is left to do");
            assert!(bounded.is_complete());
            return (bounded.broker, judged.into_inner());
        }
        worker.turn().expect("a turn");
    }
    panic!("it does not end");
}

/// Fails unless the commits end with the last records before the ends.
#[track_caller]
fn assert_committed(logs: &Logs, ends: [i64; 2]) {
    for (partition, end) in [A, B].into_iter().zip(ends) {
        let last = LOG.into_iter().rfind(|offset| *offset < end);
        assert_eq!(logs.next(partition), last.map_or(0, |last| last + 1), "{partition} {end}");
    }
    assert_eq!(logs.next(NEW), 0);
}

#[test]
fn every_end_is_met_exactly() {
    for end in 0..=LOG_END {
        for ends in [[end, LOG_END], [5, end], [end, end]] {
            if ends == [0, 0] {
                continue;
            }
            let (logs, judged) = read(Logs::default(), ends);
            assert_committed(&logs, ends);
            let expected: usize =
                ends.iter().map(|end| LOG.iter().filter(|offset| *offset < end).count()).sum();
            assert_eq!(judged, expected, "{ends:?}");
        }
    }
}

#[test]
fn what_is_committed_says_where_it_ends() {
    let (logs, _) = read(Logs::default(), [5, 8]);
    assert_eq!(logs.metadata, BTreeSet::from(["0 to 5".to_string(), "1 to 8".to_string()]));
}

#[test]
fn it_goes_on_where_it_was_killed() {
    let committed = BTreeMap::from([(A, 5), (B, 2)]);
    let (logs, judged) = read(Logs { committed, ..Logs::default() }, [5, 8]);
    assert_committed(&logs, [5, 8]);
    assert_eq!(judged, 4);
}

#[test]
fn it_does_not_end_before_everything_is_committed() {
    for first in 1..10 {
        for times in 1..8 {
            // At the second of these ends one record is left after a batch that was committed.
            for ends in [[5, 8], [6, 8]] {
                let (logs, _) = read(Logs { failing: (first, times), ..Logs::default() }, ends);
                assert_committed(&logs, ends);
            }
        }
    }
    for offset in LOG {
        let unreadable = Some((offset, 3));
        let (logs, _) = read(Logs { unreadable, ..Logs::default() }, [5, 8]);
        assert_committed(&logs, [5, 8]);
    }
    for poll in 2..20 {
        let (logs, _) =
            read(Logs { leaves: Some(poll), failing: (1, 1), ..Logs::default() }, [8, 8]);
        assert_committed(&logs, [8, 8]);
    }
}

#[test]
fn a_partition_that_is_done_is_parked_once_and_not_read_on() {
    let (logs, _) = read(Logs::default(), [2, 8]);
    assert_eq!((logs.parks, logs.parked.contains(&A)), (1, true));
    assert!(logs.brought < LOG.len(), "{logs:?}");
}

/// The loop parks what it must not read now: the client is at the end then.
#[test]
fn the_end_of_a_parked_partition_does_not_count() {
    let end = ReadingEnd { offset: 5, metadata: String::new() };
    let ends = BTreeMap::from([(A, end)]);
    let mut bounded = Bounded::new(Logs::default(), ends, StopRequest::default());
    let poll = |bounded: &mut Bounded<Logs>| {
        bounded.poll(Duration::ZERO, 10, &mut |_| {}).expect("polled");
    };
    poll(&mut bounded);
    bounded.broker.committed.insert(A, 1);
    bounded.rewind(&[A]).expect("rewound");
    bounded.park(&[A]).expect("parked");
    bounded.broker.parked.clear();
    poll(&mut bounded);
    assert!(!bounded.is_complete());
    bounded.rewind(&[A]).expect("rewound");
    for _ in 0..10 {
        poll(&mut bounded);
    }
    assert!(!bounded.is_complete(), "nothing is committed");
}

#[test]
fn another_log_is_not_read() {
    let logs = Logs { is_recreated: true, ..Logs::default() };
    let end = ReadingEnd { offset: 5, metadata: String::new() };
    let mut bounded = Bounded::new(logs, BTreeMap::from([(A, end)]), StopRequest::default());
    match bounded.poll(Duration::ZERO, 10, &mut |_| {}) {
        Err(Failure::Fatal(why)) => assert!(why.contains("created again"), "{why}"),
        other => panic!("{other:?}"),
    }
}

/// What lies behind the end, and was deleted perhaps, is not the loop's to account for.
#[test]
fn the_loop_is_told_of_the_log_s_end_up_to_the_reading_end() {
    let end_of_reading = ReadingEnd { offset: 5, metadata: String::new() };
    let mut partitions = BTreeMap::from([(A, Progress::new(end_of_reading))]);
    assert!(is_taken(&mut partitions, &placed(A, 0)));
    for (offset, expected) in [(3, true), (5, true), (6, false)] {
        assert_eq!(is_taken(&mut partitions, &end(A, offset)), expected, "{offset}");
    }
    partitions.get_mut(&A).expect("A").is_finished = true;
    assert!(!is_taken(&mut partitions, &end(A, 5)));
}

#[test]
fn what_the_loop_asks_for_reaches_the_broker() {
    let mut bounded = Bounded::new(Logs::default(), BTreeMap::new(), StopRequest::default());
    bounded.abort().expect("aborted");
    bounded.rebuild().expect("rebuilt");
    assert_eq!(bounded.skip_to(B, 7), Ok(Ok(7)));
    bounded.park(&[B]).expect("parked");
    bounded.pause(Duration::from_secs(2));
    assert_eq!(bounded.now(), Duration::from_secs(2));
    let expected = ["abort", "rebuild", "skip partition 1 to 7", &format!("park {:?}", [B])]
        .map(str::to_string);
    assert_eq!(bounded.broker.calls, expected);
}

#[test]
fn a_record_that_was_read_is_not_yet_committed() {
    let mut progress = Progress::new(ReadingEnd { offset: 6, metadata: String::new() });
    progress.placed(&at(A, 5));
    assert!(progress.takes(&record(A, 5)));
    for (committed, expected) in [(5, false), (6, true)] {
        progress.committed = committed;
        progress.finish();
        assert_eq!(progress.is_finished, expected, "{committed}");
    }
}
