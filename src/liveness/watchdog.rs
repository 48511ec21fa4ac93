//! Detects hangs and stalls: a worker without a heartbeat, and a partition that has data and makes
//! no progress although no error is known. It repairs nothing: it ends the process with a message,
//! and the next one resumes from the committed offsets.
//!
//! Time is counted in samples, not read from a clock, so that a process that was suspended, or a
//! machine that slept, is not taken for one that hangs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use crate::liveness::board::PartitionView;
use crate::stream::Partition;

/// How often the workers' heartbeats are sampled.
pub const SILENCE_INTERVAL: Duration = Duration::from_secs(1);
/// Longest time without a heartbeat, beside the wait for the tables: more than the limits of all
/// calls that publish or recover, one after the other.
const SILENCE_MAX: Duration = Duration::from_secs(150);
/// How often the partitions are sampled.
pub const STALL_INTERVAL: Duration = Duration::from_secs(10);
/// Longest time without progress, beside the wait for the tables: by then a client has given up any
/// dead connection.
const STALL_MAX: Duration = Duration::from_secs(120);

/// The longest hang or stall.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stall {
    /// How long it has lasted.
    pub time: Duration,
    /// Whether that is over the limit.
    pub is_over: bool,
    /// What hangs, in words; empty for nothing.
    pub what: String,
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {:?}", self.what, self.time)
    }
}

/// What a worker does between two heartbeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Activity {
    /// Connecting, for the first time.
    Opening,
    /// Polling and judging.
    Reading,
    /// Waiting for the tables, writing, committing.
    Publishing,
    /// Aborting, building a new producer, going back.
    Recovering,
    /// Leaving the group and closing the clients.
    Closing,
    /// Nothing any more.
    Ended,
}

impl Activity {
    const ALL: [Activity; 6] = [
        Activity::Opening,
        Activity::Reading,
        Activity::Publishing,
        Activity::Recovering,
        Activity::Closing,
        Activity::Ended,
    ];
}

impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Activity::Opening => "connecting to the cluster",
            Activity::Reading => "polling for records",
            Activity::Publishing => "publishing a batch",
            Activity::Recovering => "recovering from a failure (abort, new producer or rewind)",
            Activity::Closing => "closing its clients",
            Activity::Ended => "done",
        })
    }
}

/// The signs of life of one worker; given without waiting for anybody.
#[derive(Debug)]
pub struct Heartbeat {
    beats: AtomicU64,
    activity: AtomicU8,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Heartbeat { beats: AtomicU64::new(0), activity: AtomicU8::new(Activity::Opening as u8) }
    }
}

impl Heartbeat {
    /// The worker lives, and does this from now on.
    pub fn beat(&self, activity: Activity) {
        self.activity.store(activity as u8, Ordering::Relaxed);
        self.beats.fetch_add(1, Ordering::Release);
    }

    /// What the worker said last that it does.
    pub fn activity(&self) -> Activity {
        let activity = self.activity.load(Ordering::Relaxed);
        let found = Activity::ALL.into_iter().find(|known| *known as u8 == activity);
        found.unwrap_or(Activity::Ended)
    }
}

/// Looks for silent workers.
#[derive(Debug)]
pub struct HangDetector {
    /// For each worker the beats that were seen last, and for how many looks they have been the
    /// same.
    seen: Vec<(u64, u32)>,
    most_looks: u32,
}

impl HangDetector {
    /// A watch over so many workers, which may wait for their tables for as long as
    /// `barrier_limit`.
    pub fn new(workers: usize, barrier_limit: Duration) -> Self {
        let limit = SILENCE_MAX + barrier_limit;
        HangDetector {
            seen: vec![(0, 0); workers],
            most_looks: u32::try_from(limit.as_secs()).unwrap_or(u32::MAX),
        }
    }

    /// Looks once; to be called every [`SILENCE_INTERVAL`]. Tells of the most silent worker.
    pub fn look<'a>(&mut self, heartbeats: impl Iterator<Item = &'a Heartbeat>) -> Stall {
        let mut longest = Stall::default();
        for (worker, (heartbeat, (beats, looks))) in heartbeats.zip(&mut self.seen).enumerate() {
            let now = heartbeat.beats.load(Ordering::Acquire);
            let activity = heartbeat.activity();
            *looks = if now == *beats && activity != Activity::Ended { *looks + 1 } else { 0 };
            *beats = now;
            let time = SILENCE_INTERVAL * *looks;
            if time > longest.time {
                longest = Stall {
                    time,
                    is_over: *looks > self.most_looks,
                    what: format!("worker {worker} has given no sign of life while {activity}"),
                };
            }
        }
        longest
    }
}

/// Looks for partitions that stand still.
#[derive(Debug)]
pub struct StallDetector {
    seen: BTreeMap<Partition, Look>,
    most_looks: u32,
}

/// A partition when it was looked at last.
#[derive(Debug, Clone, Copy)]
struct Look {
    moves: u64,
    end: i64,
    /// Whether the log grew while the partition did not move: then there is something to read,
    /// even if the client does not know.
    grew: bool,
    looks: u32,
}

impl StallDetector {
    /// A watch over workers which may wait for their tables for as long as `barrier_limit`.
    pub fn new(barrier_limit: Duration) -> Self {
        let limit = STALL_MAX + barrier_limit;
        let most_looks = limit.as_secs() / STALL_INTERVAL.as_secs();
        StallDetector {
            seen: BTreeMap::new(),
            most_looks: u32::try_from(most_looks).unwrap_or(u32::MAX),
        }
    }

    /// Looks once; to be called every [`STALL_INTERVAL`] with the owned partitions whose workers
    /// know of no trouble, and with the ends of those that the brokers were just asked for.
    /// Tells of the one that stands longest.
    ///
    /// A partition that is in one of the two only begins anew: its worker holds or mends, which may
    /// take as long as it takes, or its broker does not answer, which is waited for.
    pub fn look(
        &mut self,
        views: &[PartitionView],
        ends: &BTreeMap<Partition, i64>,
        activity: impl Fn(usize) -> Activity,
    ) -> Stall {
        let before = std::mem::take(&mut self.seen);
        let mut longest = Stall::default();
        for view in views {
            let partition = view.partition;
            let Some(end) = ends.get(&partition).copied() else {
                continue;
            };
            let look = Look::after(before.get(&partition), view, end);
            let time = STALL_INTERVAL * look.looks;
            if time > longest.time {
                let (worker, activity) = (view.worker, activity(view.worker));
                longest = Stall {
                    time,
                    is_over: look.looks > self.most_looks,
                    what: format!(
                        "partition {partition} has data before offset {end}, its broker answers, and worker {worker} makes no progress while {activity}"
                    ),
                };
            }
            self.seen.insert(partition, look);
        }
        longest
    }
}

impl Look {
    fn after(before: Option<&Look>, view: &PartitionView, end: i64) -> Look {
        let still = before.filter(|before| before.moves == view.moves);
        // What grew before the last move may be nothing but control records, of which no record
        // tells.
        let grew = still.is_some_and(|before| before.grew || end > before.end);
        let stands = still.filter(|_| grew || view.lag_records > 0);
        Look { moves: view.moves, end, grew, looks: stands.map_or(0, |before| before.looks + 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(standstill: &Stall) -> (u64, bool) {
        (standstill.time.as_secs(), standstill.is_over)
    }

    /// Looks so often at a worker that gives no sign of life meanwhile.
    fn listen(watch: &mut HangDetector, heartbeat: &Heartbeat, looks: u32) -> Stall {
        let look = |_| watch.look(std::iter::once(heartbeat));
        (0..looks).map(look).last().unwrap_or_default()
    }

    #[test]
    fn a_silent_worker_is_named_with_what_it_does() {
        let heartbeat = Heartbeat::default();
        let mut watch = HangDetector::new(1, Duration::from_secs(10));
        for _ in 0..2 {
            heartbeat.beat(Activity::Publishing);
            assert_eq!(seconds(&listen(&mut watch, &heartbeat, 161)), (160, false));
        }
        let found = listen(&mut watch, &heartbeat, 1);
        assert_eq!(seconds(&found), (161, true));
        assert_eq!(
            found.to_string(),
            "worker 0 has given no sign of life while publishing a batch for 161s"
        );
    }

    #[test]
    fn a_worker_that_has_ended_may_be_silent() {
        let heartbeat = Heartbeat::default();
        let mut watch = HangDetector::new(1, Duration::ZERO);
        heartbeat.beat(Activity::Ended);
        assert_eq!(listen(&mut watch, &heartbeat, 1_000), Stall::default());
    }

    fn view(moves: u64, lag_records: i64) -> PartitionView {
        PartitionView {
            partition: Partition(3),
            worker: 1,
            moves,
            lag_records,
            lag_seconds: 0.0,
            last_progress_seconds: 0.0,
            held: None,
        }
    }

    /// Looks so often at a partition that stands like this, while its log ends there.
    fn look(watch: &mut StallDetector, view: &PartitionView, end: i64, looks: u32) -> (u64, bool) {
        let ends = BTreeMap::from([(view.partition, end)]);
        let look = |_| watch.look(std::slice::from_ref(view), &ends, |_| Activity::Reading);
        seconds(&(0..looks).map(look).last().unwrap_or_default())
    }

    #[test]
    fn a_partition_with_data_and_no_progress_is_named() {
        let mut watch = StallDetector::new(Duration::ZERO);
        assert_eq!(look(&mut watch, &view(7, 5), 100, 13), (120, false));
        assert_eq!(look(&mut watch, &view(8, 5), 100, 13), (120, false));
        let ends = BTreeMap::from([(Partition(3), 100)]);
        let found = watch.look(&[view(8, 5)], &ends, |_| Activity::Publishing);
        assert_eq!(seconds(&found), (130, true));
        assert!(
            found.what.contains("partition 3 ")
                && found.what.contains("worker 1 makes no progress while publishing"),
            "{found}"
        );
    }

    #[test]
    fn a_log_that_grows_where_the_client_sees_nothing_is_a_stall() {
        let mut watch = StallDetector::new(Duration::ZERO);
        // A marker of a transaction behind the last record, say.
        assert_eq!(look(&mut watch, &view(7, 0), 100, 50), (0, false));
        assert_eq!(look(&mut watch, &view(7, 0), 101, 12), (120, false));
        assert_eq!(look(&mut watch, &view(7, 0), 101, 1), (130, true));
    }

    #[test]
    fn what_holds_or_cannot_be_reached_begins_anew() {
        let mut watch = StallDetector::new(Duration::ZERO);
        let (stands, nothing) = (view(7, 5), Stall::default());
        assert_eq!(look(&mut watch, &stands, 100, 13), (120, false));
        let ends = BTreeMap::from([(Partition(3), 100)]);
        assert_eq!(watch.look(&[], &ends, |_| Activity::Reading), nothing);
        assert_eq!(look(&mut watch, &stands, 100, 13), (120, false));
        let unanswered = BTreeMap::new();
        assert_eq!(
            watch.look(std::slice::from_ref(&stands), &unanswered, |_| { Activity::Reading }),
            nothing
        );
        assert_eq!(look(&mut watch, &stands, 100, 13), (120, false));
    }
}
