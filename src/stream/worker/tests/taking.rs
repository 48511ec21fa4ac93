//! What a worker accepts of what polls bring, and what it reports: tests on a broker with scripted
//! polls.

use super::*;
use crate::stream::scripts::{failed, lost, revoked};
use crate::stream::{Gap, GapCause, PartitionEvent, PartitionFault, ResumePoint, SourceLog};
use audit_judge::fate::Quarantine;

const OTHER: Partition = Partition(1);
const BOTH: &[Partition] = &[INPUT, OTHER];

/// A broker with scripted polls.
#[derive(Debug, Default)]
struct ScriptedPolls {
    polls: VecDeque<Vec<Polled<'static>>>,
    most: Vec<usize>,
    /// How many of the first publications fail.
    failures: usize,
    /// The published positions, and below the sources of the outputs.
    published: Vec<(Partition, i64)>,
    published_at: Vec<Duration>,
    outputs: Vec<(Partition, i64)>,
    now: Duration,
}

impl Broker for ScriptedPolls {
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

    fn publish(&mut self, transaction: &Transaction<'_>) -> Result<(), Failure> {
        let Transaction { outputs, positions, .. } = *transaction;
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

/// The names of the reported events, and the gaps that were committed.
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

/// Plays these polls and publishes what they bring. Returns the broker and the reported events.
fn played<const N: usize>(polls: [Vec<Polled<'static>>; N]) -> (ScriptedPolls, Vec<&'static str>) {
    let (broker, Words(words, _)) =
        run(ScriptedPolls { polls: polls.into(), ..ScriptedPolls::default() });
    (broker, words)
}

fn played_gaps<const N: usize>(polls: [Vec<Polled<'static>>; N]) -> (ScriptedPolls, Vec<Gap>) {
    let (broker, Words(_, gaps)) =
        run(ScriptedPolls { polls: polls.into(), ..ScriptedPolls::default() });
    (broker, gaps)
}

fn run(broker: ScriptedPolls) -> (ScriptedPolls, Words) {
    let stop = StopRequest::default();
    let mut worker = Worker::new(broker, quarantine, Words::default(), limits(10), stop);
    for _ in 0..20 {
        worker.turn().expect("the turn succeeds");
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
fn records_of_a_revoked_or_lost_partition_are_not_published() {
    for gone in [revoked(&[INPUT]), lost(&[INPUT])] {
        // The client may still return records that it had fetched before.
        let (broker, _) = played([begin(), vec![gone, of(INPUT, 1), of(OTHER, 1)]]);
        assert_eq!(broker.published, [(OTHER, 2)]);
        assert_eq!(broker.outputs, [(OTHER, 0), (OTHER, 1)]);
    }
}

#[test]
fn a_partition_that_is_assigned_again_begins_at_its_new_floor() {
    let (broker, words) = played([
        begin(),
        vec![revoked(&[INPUT]), assigned(&[INPUT]), placed(INPUT, 0), of(INPUT, 0)],
    ]);
    assert_eq!(broker.published, [(INPUT, 1), (OTHER, 1)]);
    assert!(!words.contains(&"held"), "{words:?}");
}

/// Records and ends that follow deleted offsets.
#[test]
fn deleted_offsets_are_committed_with_what_follows_them() {
    const LOG: &dyn SourceLog = &Some(5);
    let of_log =
        |offset| Polled::Record(SourceRecord { partition: INPUT, log: LOG, ..record(offset) });
    let end = |offset| Polled::Partition(INPUT, PartitionEvent::End { offset, log: LOG });
    let gap = Gap { offsets: 0..5, cause: GapCause::Deleted };
    let (broker, gaps) = played_gaps([both_assigned(), vec![of_log(5)]]);
    assert_eq!((broker.published, gaps), (vec![(INPUT, 6)], vec![gap.clone()]));
    let (broker, gaps) = played_gaps([both_assigned(), vec![of_log(7), of_log(9)]]);
    assert_eq!((broker.published, gaps), (vec![(INPUT, 10)], vec![gap.clone()]), "once");
    // Even if no record ever follows.
    let (broker, gaps) = played_gaps([both_assigned(), vec![end(6), end(6)]]);
    assert_eq!((broker.published, gaps), (vec![(INPUT, 5)], vec![gap]));
    // Offsets that are missing within the log were control records, or compacted away.
    let (_, gaps) = played_gaps([both_assigned(), vec![of(INPUT, 7), of(INPUT, 9)]]);
    assert_eq!(gaps, []);
    // A group without committed offsets has missed nothing.
    let beginning = Polled::Partition(INPUT, PartitionEvent::Placed(ResumePoint::Beginning));
    let (broker, gaps) = played_gaps([vec![assigned(&[INPUT]), beginning, of_log(7)]]);
    assert_eq!((broker.published, gaps), (vec![(INPUT, 8)], vec![]));
    // Records of a held partition are not trusted.
    let damaged = PartitionFault::Unreadable { offset: 0, cause: "bad CRC".to_string() };
    let (broker, _) = played([both_assigned(), vec![failed(INPUT, damaged), of_log(5)]]);
    assert_eq!(broker.published, []);
}

#[test]
fn the_end_of_a_partition_is_reported_only_if_no_record_of_it_waits() {
    let mut first = begin();
    first.push(end(INPUT, 1));
    let (_, words) = played([first, Vec::new()]);
    assert_eq!(words, ["group", "publishing", "committed"]);
    // The batch holds records of the other partition only.
    let (_, words) = played([both_assigned(), vec![of(OTHER, 0), end(INPUT, 0)]]);
    assert_eq!(words, ["group", "end", "publishing", "committed"]);
}

#[test]
fn an_end_before_a_judged_record_holds_the_partition() {
    let (_, words) = played([begin(), Vec::new(), vec![end(INPUT, 0)]]);
    assert_eq!(words[..4], ["group", "publishing", "committed", "held"]);
    assert!(!words.contains(&"end"), "{words:?}");
}

#[test]
fn a_held_partition_is_released_when_its_end_is_reached() {
    let damaged = PartitionFault::Unreadable { offset: 0, cause: "bad CRC".to_string() };
    let (_, words) = played([
        both_assigned(),
        vec![failed(INPUT, damaged)],
        Vec::new(),
        Vec::new(),
        vec![end(INPUT, 0)],
    ]);
    assert_eq!(words, ["group", "held", "end", "released"]);
}

/// Plays this many records followed by the end of their partition: they are published when they
/// have waited for a second. After this many empty polls another record arrives. Returns when that
/// one is published.
fn published_after(records: i64, failures: usize, empty_polls: usize) -> Duration {
    let mut first = both_assigned();
    first.extend((0..records).map(|offset| of(INPUT, offset)));
    first.push(end(INPUT, records));
    let mut polls = VecDeque::from([first]);
    // Each takes 100 ms, so after ten of them the first batch is due.
    polls.extend((0..10 + empty_polls).map(|_| Vec::new()));
    let next = if failures > 0 { 0 } else { records };
    polls.push_back(vec![of(INPUT, next)]);
    let (broker, _) = run(ScriptedPolls { polls, failures, ..ScriptedPolls::default() });
    broker.published_at.last().copied().unwrap_or_default()
}

/// A batch is filled for a second, minus the time for which its first record may have waited.
#[test]
fn only_records_that_may_have_arrived_while_the_worker_published_have_waited() {
    let ms = Duration::from_millis;
    assert_eq!(published_after(1, 0, 0), ms(2_100), "a publication began at 1,100 ms");
    assert_eq!(published_after(1, 0, 1), ms(2_300), "nothing arrived during it");
    // After a failure the same records are read again, half of them in one batch.
    assert_eq!(published_after(4, 1, 0), ms(2_250), "there is a pause of 50 ms");
}

#[test]
fn a_poll_never_asks_for_more_records_than_fit_into_the_batch() {
    let some = |offsets: std::ops::Range<i64>| offsets.map(|it| of(INPUT, it)).collect();
    let (broker, _) = played([both_assigned(), some(0..4), some(4..9), some(9..10), Vec::new()]);
    assert_eq!(broker.most[..5], [10, 10, 6, 1, 10]);
}
