//! The limits of the loop, on a broker that fails by script: when a worker gives up, when it stops,
//! and how large and how old a batch gets. Scripts end, so that a broken limit shows as a wrong
//! result and not as a hang.

mod holding;
mod sealing;
mod taking;

use std::cell::Cell;
use std::collections::VecDeque;
use std::iter::repeat_n;

use super::*;
use crate::stream::retry_budget::{BROKEN_IN_A_ROW_MAX, FENCE_RESET_COMMITS, FENCED_MAX};
use crate::stream::scripts::{self, assigned, at, end, placed};
use crate::stream::{PartitionFault, Polled, Rewound, SourceRecord};
use audit_judge::fate::{Fate, SkipReason};

const INPUT: Partition = Partition(0);
const ONE_BY_ONE: BatchLimits = limits(1);

const fn limits(max_records: usize) -> BatchLimits {
    BatchLimits { max_records, max_bytes: 1 << 20, max_age: Duration::from_secs(1) }
}

type Answer = Result<(), Failure>;

fn aborted() -> Answer {
    Err(Failure::Aborted("as planned".to_string()))
}

fn broken() -> Answer {
    Err(Failure::Broken("as planned".to_string()))
}

fn fenced() -> Answer {
    Err(Failure::Fenced("as planned".to_string()))
}

fn times(count: u32, answer: Answer) -> impl Iterator<Item = Answer> {
    repeat_n(answer, count as usize)
}

/// A broker with one partition. Time passes only while a poll waits and gets no record.
#[derive(Debug, Default)]
struct Scripted {
    /// The results of `publish`. After the last one, every call succeeds.
    publishing: VecDeque<Answer>,
    /// The results of `abort` and `rebuild`, in the same way.
    recovering: VecDeque<Answer>,
    /// How many records a poll brings at most, and how many there are.
    fetched: usize,
    records: i64,
    read: i64,
    is_assigned: bool,
    now: Duration,
    /// How long publishing takes.
    takes: Duration,
    /// The interval at which records arrive; without it, all are there from the beginning.
    every: Option<Duration>,
    /// Requests a stop in the pause with this number, counted from one.
    stop_in_pause: Option<(usize, StopRequest)>,
    published: Vec<i64>,
    published_at: Vec<Duration>,
    recoveries: usize,
    pauses: Vec<Duration>,
}

impl Scripted {
    /// A broker with these results of `publish`, and more records than any test reads.
    fn publishing(answers: impl IntoIterator<Item = Answer>) -> Self {
        Scripted {
            publishing: answers.into_iter().collect(),
            fetched: 1,
            records: 1_000,
            ..Scripted::default()
        }
    }

    /// Returns how many records have arrived by now.
    fn arrived(&self) -> i64 {
        let count = |every: Duration| self.now.as_nanos() / every.as_nanos();
        let count = self.every.map(count).map(i64::try_from);
        count.map_or(self.records, |count| self.records.min(count.unwrap_or(i64::MAX)))
    }

    fn recover(&mut self) -> Answer {
        self.recoveries += 1;
        self.recovering.pop_front().unwrap_or(Ok(()))
    }
}

impl Broker for Scripted {
    fn poll(
        &mut self,
        wait: Duration,
        most: usize,
        receive: &mut dyn FnMut(Polled<'_>),
    ) -> Result<(), Failure> {
        if !std::mem::replace(&mut self.is_assigned, true) {
            receive(assigned(&[INPUT]));
            receive(placed(INPUT, 0));
        }
        let from = self.read;
        if self.arrived() == from {
            // At most until the next record arrives.
            let next = self.every.map(|every| every * (from as u32 + 1));
            self.now += next.map_or(wait, |next| wait.min(next - self.now));
        }
        let brought = i64::try_from(most.min(self.fetched)).unwrap_or(i64::MAX);
        self.read = self.arrived().min(from.saturating_add(brought));
        for offset in from..self.read {
            receive(Polled::Record(record(offset)));
        }
        if from < self.read && self.read == self.arrived() {
            receive(end(INPUT, self.read));
        }
        Ok(())
    }

    fn publish(&mut self, transaction: &Transaction<'_>) -> Result<(), Failure> {
        self.publishing.pop_front().unwrap_or(Ok(()))?;
        let ends = transaction.positions.iter().map(|position| position.next_offset);
        self.published.extend(ends);
        self.now += self.takes;
        self.published_at.push(self.now);
        Ok(())
    }

    fn abort(&mut self) -> Result<(), Failure> {
        self.recover()
    }

    fn rebuild(&mut self) -> Result<(), Failure> {
        self.recover()
    }

    fn rewind(&mut self, partitions: &[Partition]) -> Result<Vec<Rewound>, Failure> {
        self.read = self.published.last().copied().unwrap_or(0);
        let rewound = |partition: &Partition| Rewound {
            partition: *partition,
            place: Ok(at(*partition, self.read)),
        };
        Ok(partitions.iter().map(rewound).collect())
    }

    fn skip_to(&mut self, _: Partition, _: i64) -> Result<Result<i64, PartitionFault>, Failure> {
        Err(Failure::Fatal("nothing may be skipped".to_string()))
    }

    fn park(&mut self, _: &[Partition]) -> Result<(), Failure> {
        Ok(())
    }

    fn pause(&mut self, time: Duration) {
        self.pauses.push(time);
        if let Some((number, stop)) = &self.stop_in_pause
            && *number == self.pauses.len()
        {
            stop.request();
        }
    }

    fn now(&self) -> Duration {
        self.now
    }
}

/// Counts failures and recoveries.
#[derive(Debug, Default, PartialEq, Eq)]
struct Reported {
    failed: usize,
    recovered: usize,
}

impl Observer for Reported {
    fn on_event(&mut self, event: WorkerEvent<'_>) {
        match event {
            WorkerEvent::Failed(_) => self.failed += 1,
            WorkerEvent::Recovered => self.recovered += 1,
            _ => {}
        }
    }
}

fn record(offset: i64) -> SourceRecord<'static> {
    scripts::record(INPUT, offset)
}

fn skip(_: Option<&[u8]>) -> Fate {
    Fate::Skipped(SkipReason::UnlistedAction.into())
}

type Tested = Worker<Scripted, fn(Option<&[u8]>) -> Fate, Reported>;

fn worker(broker: Scripted, limits: BatchLimits) -> Tested {
    let stop = StopRequest::default();
    Worker::new(broker, skip, Reported::default(), limits, stop)
}

#[track_caller]
fn completes(worker: &mut Tested, turns: u32) {
    for turn in 1..=turns {
        assert_eq!(worker.turn(), Ok(()), "turn {turn} of {turns}");
    }
}

#[track_caller]
fn gives_up(worker: &mut Tested, because: &str) {
    match worker.turn() {
        Err(Failure::Fatal(why)) => assert!(why.contains(because), "{why}"),
        other => panic!("{other:?} is not fatal, expected: {because}"),
    }
}

#[test]
fn a_worker_that_is_fenced_too_often_ends() {
    let mut worker = worker(Scripted::publishing(times(FENCED_MAX + 1, fenced())), ONE_BY_ONE);
    completes(&mut worker, FENCED_MAX);
    gives_up(&mut worker, "another process");
}

#[test]
fn fencings_are_forgotten_only_after_enough_commits() {
    let too_few = FENCE_RESET_COMMITS - 1;
    let answers = times(FENCED_MAX, fenced())
        .chain(times(FENCE_RESET_COMMITS, Ok(())))
        .chain(times(FENCED_MAX, fenced()))
        .chain(times(too_few, Ok(())))
        .chain([fenced()]);
    let mut worker = worker(Scripted::publishing(answers), ONE_BY_ONE);
    completes(&mut worker, 2 * FENCED_MAX + FENCE_RESET_COMMITS + too_few);
    gives_up(&mut worker, "another process");
}

#[test]
fn a_producer_that_breaks_too_often_in_a_row_ends_the_worker() {
    let answers = times(BROKEN_IN_A_ROW_MAX, broken())
        .chain([Ok(())])
        .chain(times(BROKEN_IN_A_ROW_MAX + 1, broken()));
    let mut worker = worker(Scripted::publishing(answers), ONE_BY_ONE);
    completes(&mut worker, 2 * BROKEN_IN_A_ROW_MAX + 1);
    gives_up(&mut worker, "rebuild the producer");
}

#[test]
fn a_producer_that_cannot_be_rebuilt_ends_the_worker() {
    let broker = Scripted {
        recovering: times(2 * BROKEN_IN_A_ROW_MAX, broken()).collect(),
        ..Scripted::publishing([broken()])
    };
    let mut worker = worker(broker, ONE_BY_ONE);
    gives_up(&mut worker, "rebuild the producer");
    let Scripted { recoveries, pauses, .. } = &worker.broker;
    assert_eq!(*recoveries, BROKEN_IN_A_ROW_MAX as usize);
    let millis = Duration::from_millis;
    let first = [50, 100, 200, 400, 800, 1_600, 3_200, 5_000].map(millis);
    assert_eq!(pauses[..first.len()], first);
    assert!(pauses[first.len()..].iter().all(|it| *it == millis(5_000)));
}

#[test]
fn a_worker_that_cannot_recover_stops_when_asked() {
    const ASKED_IN: usize = 3;
    let broker = Scripted {
        recovering: times(50, aborted()).collect(),
        ..Scripted::publishing([aborted()])
    };
    let mut worker = worker(broker, ONE_BY_ONE);
    worker.broker.stop_in_pause = Some((ASKED_IN, worker.stop.clone()));
    completes(&mut worker, 1);
    let expected = Reported { failed: ASKED_IN + 1, recovered: 0 };
    assert_eq!(worker.observer, expected);
    assert_eq!(worker.broker.recoveries, ASKED_IN);
    let broker = worker.run().expect("nothing is left to do");
    assert!(broker.published.is_empty());
}

#[test]
fn no_batch_has_more_records_than_it_may() {
    let broker = Scripted { fetched: 4, records: 20, ..Scripted::default() };
    let mut worker = worker(broker, limits(6));
    completes(&mut worker, 4);
    assert_eq!(worker.broker.published, [6, 12, 18, 20]);
}

/// Returns the longest time that a record waits to be committed, after the first batches have shown
/// how long publishing takes.
fn longest_wait(max_age: Duration, takes: Duration) -> Duration {
    let every = Duration::from_millis(1);
    let broker = Scripted {
        fetched: 10,
        records: i64::MAX,
        every: Some(every),
        takes,
        ..Scripted::default()
    };
    let limits = BatchLimits { max_age, ..limits(1_000) };
    let mut worker = worker(broker, limits);
    completes(&mut worker, 300);
    let Scripted { published, published_at, .. } = &worker.broker;
    let commits = published.iter().zip(published_at);
    let first_offsets = published.iter().map(|end| u32::try_from(*end).expect("few"));
    let waits = first_offsets.zip(commits.skip(1)).skip(100);
    waits.map(|(first, (_, committed))| *committed - every * (first + 1)).max().expect("commits")
}

#[test]
fn a_record_that_arrives_during_a_publication_waits_no_longer_than_others() {
    let ms = Duration::from_millis;
    assert!(longest_wait(ms(100), ms(20)) <= ms(101));
    assert!(longest_wait(ms(100), ms(40)) <= ms(101));
    let slow = longest_wait(ms(10), ms(20));
    assert!(slow <= ms(2 * 20 + 1), "as often as publishing allows: {slow:?}");
}

/// It may have been the broker's fault: a smaller batch is tried first.
#[test]
fn a_batch_that_happens_to_have_one_record_is_tried_again_before_its_partition_is_held() {
    let broker = Scripted::publishing([aborted(), aborted()]);
    let (reported, stop) = (Reported::default(), StopRequest::default());
    let mut worker: Tested = Worker::new(broker, holding::quarantine, reported, ONE_BY_ONE, stop);
    completes(&mut worker, 1);
    assert!(!worker.cursors.is_held(INPUT));
    completes(&mut worker, 1);
    assert!(worker.cursors.is_held(INPUT));
}

/// Nothing is final before it has caught up.
#[derive(Default)]
struct Lagging {
    caught_up: Cell<u32>,
    judged: Cell<u32>,
}

impl Judge for &Lagging {
    fn judge(&self, _: Option<&[u8]>) -> Fate {
        self.judged.set(self.judged.get() + 1);
        skip(None)
    }

    fn is_final(&self, _: &Fate) -> bool {
        self.caught_up.get() > 0
    }

    fn trusted(&self) -> Result<(), String> {
        Ok(())
    }

    fn catch_up(&self) -> Result<(), String> {
        self.caught_up.set(self.caught_up.get() + 1);
        Ok(())
    }
}

#[test]
fn what_is_not_final_is_judged_again_behind_the_barrier_before_it_is_published() {
    let judge = Lagging::default();
    let broker = Scripted::publishing([]);
    let (reported, stop) = (Reported::default(), StopRequest::default());
    let mut worker = Worker::new(broker, &judge, reported, ONE_BY_ONE, stop);
    assert_eq!(worker.turn(), Ok(()));
    assert_eq!((judge.judged.get(), judge.caught_up.get()), (2, 1));
    assert_eq!(worker.broker.published, [1]);
    assert_eq!(worker.turn(), Ok(()));
    assert_eq!((judge.judged.get(), judge.caught_up.get()), (3, 1), "final at once");
}
