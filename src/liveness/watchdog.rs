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
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// Longest time without a heartbeat, beside the wait for the tables: more than the limits of all
/// calls that publish or recover, one after the other.
const HANG_MAX: Duration = Duration::from_secs(150);
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
    /// What hangs or stalls; empty for nothing.
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
    /// Aborting, replacing the producer, rewinding.
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

/// The heartbeat of one worker. Sending and reading it never blocks.
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
    /// Sends a heartbeat: the worker is alive and begins this activity.
    pub fn beat(&self, activity: Activity) {
        self.activity.store(activity as u8, Ordering::Relaxed);
        self.beats.fetch_add(1, Ordering::Release);
    }

    /// Returns the activity that the worker reported last.
    pub fn activity(&self) -> Activity {
        let activity = self.activity.load(Ordering::Relaxed);
        let found = Activity::ALL.into_iter().find(|known| *known as u8 == activity);
        found.unwrap_or(Activity::Ended)
    }
}

/// Detects workers without heartbeats.
#[derive(Debug)]
pub struct HangDetector {
    /// For each worker the beats seen last, and the number of samples without a new one.
    seen: Vec<(u64, u32)>,
    samples_max: u32,
}

impl HangDetector {
    /// A detector for this many workers, which may wait for their tables for up to `barrier_limit`.
    pub fn new(workers: usize, barrier_limit: Duration) -> Self {
        let limit = HANG_MAX + barrier_limit;
        HangDetector {
            seen: vec![(0, 0); workers],
            samples_max: u32::try_from(limit.as_secs()).unwrap_or(u32::MAX),
        }
    }

    /// Samples the heartbeats, and returns the longest hang. Must be called every
    /// [`HEARTBEAT_INTERVAL`].
    pub fn sample<'a>(&mut self, heartbeats: impl Iterator<Item = &'a Heartbeat>) -> Stall {
        let mut longest = Stall::default();
        for (worker, (heartbeat, (beats, samples))) in heartbeats.zip(&mut self.seen).enumerate() {
            let now = heartbeat.beats.load(Ordering::Acquire);
            let activity = heartbeat.activity();
            *samples = if now == *beats && activity != Activity::Ended { *samples + 1 } else { 0 };
            *beats = now;
            let time = HEARTBEAT_INTERVAL * *samples;
            if time > longest.time {
                longest = Stall {
                    time,
                    is_over: *samples > self.samples_max,
                    what: format!("worker {worker} has sent no heartbeat while {activity}"),
                };
            }
        }
        longest
    }
}

/// Detects partitions that have data and make no progress.
#[derive(Debug)]
pub struct StallDetector {
    seen: BTreeMap<Partition, Sample>,
    samples_max: u32,
}

/// A partition as it was last sampled.
#[derive(Debug, Clone, Copy)]
struct Sample {
    moves: u64,
    end: i64,
    /// Whether the log grew while the partition made no progress: then there is something to read,
    /// even if the client does not know.
    grew: bool,
    /// The number of samples in a row without progress.
    stalled: u32,
}

impl StallDetector {
    /// A detector for workers that may wait for their tables for up to `barrier_limit`.
    pub fn new(barrier_limit: Duration) -> Self {
        let limit = STALL_MAX + barrier_limit;
        let samples_max = limit.as_secs() / STALL_INTERVAL.as_secs();
        StallDetector {
            seen: BTreeMap::new(),
            samples_max: u32::try_from(samples_max).unwrap_or(u32::MAX),
        }
    }

    /// Samples the partitions, and returns the longest stall. Must be called every
    /// [`STALL_INTERVAL`], with the owned partitions whose workers know of no error, and with the
    /// end offsets that the brokers have just returned.
    ///
    /// The count of a partition that is in only one of the two starts again: its worker holds or
    /// recovers, which has no time limit, or its broker does not answer, which is waited for.
    pub fn sample(
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
            let sample = Sample::after(before.get(&partition), view, end);
            let time = STALL_INTERVAL * sample.stalled;
            if time > longest.time {
                let (worker, activity) = (view.worker, activity(view.worker));
                longest = Stall {
                    time,
                    is_over: sample.stalled > self.samples_max,
                    what: format!(
                        "partition {partition} has data before offset {end} and its broker responds, but worker {worker} has made no progress while {activity}"
                    ),
                };
            }
            self.seen.insert(partition, sample);
        }
        longest
    }
}

impl Sample {
    fn after(before: Option<&Sample>, view: &PartitionView, end: i64) -> Sample {
        let unmoved = before.filter(|before| before.moves == view.moves);
        // Growth before the last move does not count: it may be control records only, which the
        // client passes without reporting them.
        let grew = unmoved.is_some_and(|before| before.grew || end > before.end);
        let stalled = unmoved.filter(|_| grew || view.lag_records > 0);
        let stalled = stalled.map_or(0, |before| before.stalled + 1);
        Sample { moves: view.moves, end, grew, stalled }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(stall: &Stall) -> (u64, bool) {
        (stall.time.as_secs(), stall.is_over)
    }

    /// Samples a worker this many times while it sends no heartbeat.
    fn sample_hang(detector: &mut HangDetector, heartbeat: &Heartbeat, samples: u32) -> Stall {
        let sample = |_| detector.sample(std::iter::once(heartbeat));
        (0..samples).map(sample).last().unwrap_or_default()
    }

    #[test]
    fn a_hanging_worker_is_named_with_its_activity() {
        let heartbeat = Heartbeat::default();
        let mut detector = HangDetector::new(1, Duration::from_secs(10));
        for _ in 0..2 {
            heartbeat.beat(Activity::Publishing);
            assert_eq!(seconds(&sample_hang(&mut detector, &heartbeat, 161)), (160, false));
        }
        let found = sample_hang(&mut detector, &heartbeat, 1);
        assert_eq!(seconds(&found), (161, true));
        assert_eq!(
            found.to_string(),
            "worker 0 has sent no heartbeat while publishing a batch for 161s"
        );
    }

    #[test]
    fn a_worker_that_has_ended_needs_no_heartbeat() {
        let heartbeat = Heartbeat::default();
        let mut detector = HangDetector::new(1, Duration::ZERO);
        heartbeat.beat(Activity::Ended);
        assert_eq!(sample_hang(&mut detector, &heartbeat, 1_000), Stall::default());
    }

    fn view(moves: u64, lag_records: i64) -> PartitionView {
        PartitionView {
            partition: Partition(3),
            worker: 1,
            assigned_ms: 0,
            moves,
            next_offset: None,
            end_offset: None,
            lag_records,
            lag_seconds: 0.0,
            last_progress_ms: 0,
            held: None,
        }
    }

    /// Samples an unchanged partition, with this end of its log, this many times.
    fn sample(
        detector: &mut StallDetector,
        view: &PartitionView,
        end: i64,
        samples: u32,
    ) -> (u64, bool) {
        let ends = BTreeMap::from([(view.partition, end)]);
        let sample = |_| detector.sample(std::slice::from_ref(view), &ends, |_| Activity::Reading);
        seconds(&(0..samples).map(sample).last().unwrap_or_default())
    }

    #[test]
    fn a_partition_with_data_and_no_progress_is_named() {
        let mut detector = StallDetector::new(Duration::ZERO);
        assert_eq!(sample(&mut detector, &view(7, 5), 100, 13), (120, false));
        assert_eq!(sample(&mut detector, &view(8, 5), 100, 13), (120, false));
        let ends = BTreeMap::from([(Partition(3), 100)]);
        let found = detector.sample(&[view(8, 5)], &ends, |_| Activity::Publishing);
        assert_eq!(seconds(&found), (130, true));
        assert!(
            found.what.contains("partition 3 ")
                && found.what.contains("worker 1 has made no progress while publishing"),
            "{found}"
        );
    }

    #[test]
    fn a_log_that_grows_where_the_client_sees_nothing_is_a_stall() {
        let mut detector = StallDetector::new(Duration::ZERO);
        // For example, a transaction marker after the last record.
        assert_eq!(sample(&mut detector, &view(7, 0), 100, 50), (0, false));
        assert_eq!(sample(&mut detector, &view(7, 0), 101, 12), (120, false));
        assert_eq!(sample(&mut detector, &view(7, 0), 101, 1), (130, true));
    }

    #[test]
    fn the_count_restarts_when_a_partition_is_held_or_its_broker_is_silent() {
        let mut detector = StallDetector::new(Duration::ZERO);
        let (stalled, nothing) = (view(7, 5), Stall::default());
        assert_eq!(sample(&mut detector, &stalled, 100, 13), (120, false));
        let ends = BTreeMap::from([(Partition(3), 100)]);
        assert_eq!(detector.sample(&[], &ends, |_| Activity::Reading), nothing);
        assert_eq!(sample(&mut detector, &stalled, 100, 13), (120, false));
        let unanswered = BTreeMap::new();
        assert_eq!(
            detector.sample(std::slice::from_ref(&stalled), &unanswered, |_| { Activity::Reading }),
            nothing
        );
        assert_eq!(sample(&mut detector, &stalled, 100, 13), (120, false));
    }
}
