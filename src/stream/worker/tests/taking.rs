//! What a worker takes of all that polls bring, and what it tells of it: a broker that brings what
//! is written down.

use super::*;
use crate::stream::scripts::{failed, lost, revoked};
use crate::stream::{Gap, GapCause, PartitionEvent, PartitionFault, Place, SourceLog};
use audit_judge::fate::Quarantine;

const OTHER: Partition = Partition(1);
const BOTH: &[Partition] = &[INPUT, OTHER];

/// Brings these, poll by poll.
#[derive(Debug, Default)]
struct Bringing {
    polls: VecDeque<Vec<Polled<'static>>>,
    most: Vec<usize>,
    /// How many publications fail, at first.
    failures: usize,
    /// What was published, with the sources of its outputs.
    published: Vec<(Partition, i64)>,
    published_at: Vec<Duration>,
    outputs: Vec<(Partition, i64)>,
    now: Duration,
}

impl Broker for Bringing {
    fn poll(
        &mut self,
        wait: Duration,
        most: usize,
        receive: &mut dyn FnMut(Polled<'_>),
    ) -> Result<(), Failure> {
        self.most.push(most);
        self.now += wait;
        let brought = self.polls.pop_front();
        brought.into_iter().flatten().for_each(receive);
        Ok(())
    }

    fn publish(&mut self, outputs: &Outputs, positions: &[Position]) -> Result<(), Failure> {
        if self.failures > 0 {
            self.failures -= 1;
            return aborted();
        }
        self.published_at.push(self.now);
        let sources = outputs.iter().map(|it| (it.source_partition, it.source_offset));
        self.outputs.extend(sources);
        let ends = positions.iter().map(|it| (it.partition, it.next_offset));
        self.published.extend(ends);
        Ok(())
    }

    fn abort(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    fn rebuild(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    fn rewind(&mut self, partitions: &[Partition]) -> Result<Vec<Rewound>, Failure> {
        let rewound =
            |partition: &Partition| Rewound { partition: *partition, place: Ok(at(*partition, 0)) };
        Ok(partitions.iter().map(rewound).collect())
    }

    fn skip_to(&mut self, _: Partition, _: i64) -> Result<Result<i64, PartitionFault>, Failure> {
        Err(Failure::Fatal("nothing may be skipped".to_string()))
    }

    fn park(&mut self, _: &[Partition]) -> Result<(), Failure> {
        Ok(())
    }

    fn pause(&mut self, time: Duration) {
        self.now += time;
    }

    fn now(&self) -> Duration {
        self.now
    }
}

/// What was noticed, in words, and the gaps that were committed.
#[derive(Debug, Default)]
struct Words(Vec<&'static str>, Vec<Gap>);

impl Observer for Words {
    fn on_event(&mut self, event: WorkerEvent<'_>) {
        if let WorkerEvent::Committed(batch, _) = event {
            self.1.extend(batch.partitions().values().flat_map(|tally| tally.gaps.clone()));
        }
        self.0.push(match event {
            WorkerEvent::EndReached(_) => "end",
            WorkerEvent::Group(_) => "group",
            WorkerEvent::Publishing(_) => "publishing",
            WorkerEvent::Committed(..) => "committed",
            WorkerEvent::Held(..) => "held",
            WorkerEvent::Released(_) => "released",
            WorkerEvent::Failed(_) => "failed",
            WorkerEvent::Recovered => "recovered",
        });
    }
}

fn of(partition: Partition, offset: i64) -> Polled<'static> {
    Polled::Record(SourceRecord { partition, ..record(offset) })
}

fn quarantine(_: Option<&[u8]>) -> Fate {
    Fate::Quarantined(Quarantine::malformed("test"))
}

/// What comes of these polls, once all of them are over and what they brought is published.
fn brought<const N: usize>(polls: [Vec<Polled<'static>>; N]) -> (Bringing, Vec<&'static str>) {
    let (broker, Words(words, _)) = worked(Bringing { polls: polls.into(), ..Bringing::default() });
    (broker, words)
}

fn brought_gaps<const N: usize>(polls: [Vec<Polled<'static>>; N]) -> (Bringing, Vec<Gap>) {
    let (broker, Words(_, gaps)) = worked(Bringing { polls: polls.into(), ..Bringing::default() });
    (broker, gaps)
}

fn worked(broker: Bringing) -> (Bringing, Words) {
    let stop = StopRequest::default();
    let mut worker = Worker::new(broker, quarantine, Words::default(), limits(10), stop);
    for _ in 0..20 {
        worker.turn().expect("goes on");
    }
    assert!(worker.broker.polls.is_empty());
    (worker.broker, worker.observer)
}

fn both_assigned() -> Vec<Polled<'static>> {
    vec![assigned(BOTH), placed(INPUT, 0), placed(OTHER, 0)]
}

fn begin() -> Vec<Polled<'static>> {
    let mut arrivals = both_assigned();
    arrivals.extend([of(INPUT, 0), of(OTHER, 0)]);
    arrivals
}

#[test]
fn nothing_of_a_partition_that_was_taken_away_is_published() {
    for gone in [revoked(&[INPUT]), lost(&[INPUT])] {
        // The client may still hand out what it had fetched.
        let (broker, _) = brought([begin(), vec![gone, of(INPUT, 1), of(OTHER, 1)]]);
        assert_eq!(broker.published, [(OTHER, 2)]);
        assert_eq!(broker.outputs, [(OTHER, 0), (OTHER, 1)]);
    }
}

#[test]
fn a_partition_that_comes_back_begins_at_its_new_floor() {
    let (broker, words) = brought([
        begin(),
        vec![revoked(&[INPUT]), assigned(&[INPUT]), placed(INPUT, 0), of(INPUT, 0)],
    ]);
    assert_eq!(broker.published, [(INPUT, 1), (OTHER, 1)]);
    assert!(!words.contains(&"held"), "{words:?}");
}

/// Where a log begins, and what came behind the offsets that it has lost.
#[test]
fn deleted_offsets_are_committed_with_what_follows_them() {
    const LOG: &dyn SourceLog = &Some(5);
    let of_log =
        |offset| Polled::Record(SourceRecord { partition: INPUT, log: LOG, ..record(offset) });
    let end = |offset| Polled::Partition(INPUT, PartitionEvent::End { offset, log: LOG });
    let gap = Gap { offsets: 0..5, cause: GapCause::Deleted };
    let (broker, gaps) = brought_gaps([both_assigned(), vec![of_log(5)]]);
    assert_eq!((broker.published, gaps), (vec![(INPUT, 6)], vec![gap.clone()]));
    let (broker, gaps) = brought_gaps([both_assigned(), vec![of_log(7), of_log(9)]]);
    assert_eq!((broker.published, gaps), (vec![(INPUT, 10)], vec![gap.clone()]), "once");
    // No record may ever follow.
    let (broker, gaps) = brought_gaps([both_assigned(), vec![end(6), end(6)]]);
    assert_eq!((broker.published, gaps), (vec![(INPUT, 5)], vec![gap]));
    // What the log still holds was left out by a transaction or by compaction.
    let (_, gaps) = brought_gaps([both_assigned(), vec![of(INPUT, 7), of(INPUT, 9)]]);
    assert_eq!(gaps, []);
    // A group that has committed nothing has missed nothing.
    let beginning = Polled::Partition(INPUT, PartitionEvent::Placed(Place::Beginning));
    let (broker, gaps) = brought_gaps([vec![assigned(&[INPUT]), beginning, of_log(7)]]);
    assert_eq!((broker.published, gaps), (vec![(INPUT, 8)], vec![]));
    // What comes of a held partition is not to be trusted.
    let damaged = PartitionFault::Unreadable { offset: 0, cause: "bad CRC".to_string() };
    let (broker, _) = brought([both_assigned(), vec![failed(INPUT, damaged), of_log(5)]]);
    assert_eq!(broker.published, []);
}

#[test]
fn the_end_of_a_partition_is_told_only_if_nothing_of_it_waits() {
    let mut first = begin();
    first.push(end(INPUT, 1));
    let (_, words) = brought([first, Vec::new()]);
    assert_eq!(words, ["group", "publishing", "committed"]);
    // The batch holds records of the other partition only.
    let (_, words) = brought([both_assigned(), vec![of(OTHER, 0), end(INPUT, 0)]]);
    assert_eq!(words, ["group", "end", "publishing", "committed"]);
}

#[test]
fn an_end_before_what_was_judged_holds_its_partition() {
    let (_, words) = brought([begin(), Vec::new(), vec![end(INPUT, 0)]]);
    assert_eq!(words[..4], ["group", "publishing", "committed", "held"]);
    assert!(!words.contains(&"end"), "{words:?}");
}

#[test]
fn a_partition_that_was_held_goes_on_when_its_end_is_reached() {
    let damaged = PartitionFault::Unreadable { offset: 0, cause: "bad CRC".to_string() };
    let (_, words) = brought([
        both_assigned(),
        vec![failed(INPUT, damaged)],
        Vec::new(),
        Vec::new(),
        vec![end(INPUT, 0)],
    ]);
    assert_eq!(words, ["group", "held", "end", "released"]);
}

/// The end of the first partition is reached behind these records, which are published when they
/// have waited for a second; so many polls later it brings another one. Returns when that is
/// published, after the first poll of that batch.
fn waits(records: i64, failures: usize, empty_polls: usize) -> Duration {
    let mut first = both_assigned();
    first.extend((0..records).map(|offset| of(INPUT, offset)));
    first.push(end(INPUT, records));
    let mut polls = VecDeque::from([first]);
    // Each takes 100 ms, so ten of them fill the first batch.
    polls.extend((0..10 + empty_polls).map(|_| Vec::new()));
    let next = if failures > 0 { 0 } else { records };
    polls.push_back(vec![of(INPUT, next)]);
    let (broker, _) = worked(Bringing { polls, failures, ..Bringing::default() });
    broker.published_at.last().copied().unwrap_or_default()
}

/// A batch is filled for a second, less the time for which its first record may have waited.
#[test]
fn only_what_may_have_come_while_nobody_looked_has_waited() {
    let ms = Duration::from_millis;
    assert_eq!(waits(1, 0, 0), ms(2_100), "a publication began at 1,100 ms");
    assert_eq!(waits(1, 0, 1), ms(2_300), "nothing had come during it");
    // After a failure the same records come again, half of them as a batch.
    assert_eq!(waits(4, 1, 0), ms(2_250), "there is a pause of 50 ms");
}

#[test]
fn a_poll_is_asked_for_no_more_records_than_there_is_room_for() {
    let some = |offsets: std::ops::Range<i64>| offsets.map(|it| of(INPUT, it)).collect();
    let (broker, _) = brought([both_assigned(), some(0..4), some(4..9), some(9..10), Vec::new()]);
    assert_eq!(broker.most[..5], [10, 10, 6, 1, 10]);
}
