//! Sees what stands still without saying so: a worker that is silent in the middle of something, and a partition that has data and
//! makes no progress although nothing is known to be wrong. It mends nothing: what it finds ends the process with a message, so that
//! a fresh one begins at the committed positions.
//!
//! Time is counted in looks, not read from a clock: a process that was stopped for a while, or a machine that slept, has not
//! stood still on its own account.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use crate::metrics::PartitionView;
use crate::stream::Partition;

/// How often a worker's signs of life are looked for.
pub const SILENCE_INTERVAL: Duration = Duration::from_secs(1);
/// Longest silence beside the wait for the tables: more than all limits of the calls that publish or mend, one after the other.
const SILENCE_LIMIT: Duration = Duration::from_secs(150);
/// How often partitions are looked at.
pub const STALL_INTERVAL: Duration = Duration::from_secs(10);
/// So many looks without progress in a row end the process: two minutes, in which a client gives up any connection that is dead.
const MOST_LOOKS: u32 = 12;

/// What a worker does between two signs of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Doing {
    /// Connecting, for the first time.
    Opening,
    /// Polling and judging.
    Reading,
    /// Waiting for the tables, writing, committing.
    Publishing,
    /// Aborting, building a new producer, going back.
    Mending,
    /// Leaving the group and closing the clients.
    Closing,
    /// Nothing any more.
    Ended,
}

impl Doing {
    const ALL: [Doing; 6] = [
        Doing::Opening,
        Doing::Reading,
        Doing::Publishing,
        Doing::Mending,
        Doing::Closing,
        Doing::Ended,
    ];
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Doing::Opening => "connecting to the cluster",
            Doing::Reading => "polling for records",
            Doing::Publishing => "publishing a batch",
            Doing::Mending => "mending a failure (abort, new producer, or going back)",
            Doing::Closing => "closing its clients",
            Doing::Ended => "done",
        })
    }
}

/// The signs of life of one worker; given without waiting for anybody.
#[derive(Debug)]
pub struct Pulse {
    beats: AtomicU64,
    doing: AtomicU8,
}

impl Default for Pulse {
    fn default() -> Self {
        Pulse {
            beats: AtomicU64::new(0),
            doing: AtomicU8::new(Doing::Opening as u8),
        }
    }
}

impl Pulse {
    /// The worker lives, and does this from now on.
    pub fn beat(&self, doing: Doing) {
        self.doing.store(doing as u8, Ordering::Relaxed);
        self.beats.fetch_add(1, Ordering::Release);
    }

    fn doing(&self) -> Doing {
        let doing = self.doing.load(Ordering::Relaxed);
        let found = Doing::ALL.into_iter().find(|known| *known as u8 == doing);
        found.unwrap_or(Doing::Ended)
    }
}

/// Looks for silent workers.
#[derive(Debug)]
pub struct SilenceWatch {
    /// For each worker the beats that were seen last, and for how many looks they have been the same.
    seen: Vec<(u64, u32)>,
    most_looks: u32,
}

impl SilenceWatch {
    /// A watch over so many workers, which may wait for their tables for as long as `barrier_limit`.
    pub fn new(workers: usize, barrier_limit: Duration) -> Self {
        let limit = SILENCE_LIMIT + barrier_limit;
        SilenceWatch {
            seen: vec![(0, 0); workers],
            most_looks: u32::try_from(limit.as_secs()).unwrap_or(u32::MAX),
        }
    }

    /// Looks once; to be called every [`SILENCE_INTERVAL`]. Says for how long the most silent worker has been so.
    ///
    /// # Errors
    /// Which worker has been silent for too long, and what it was doing.
    pub fn look<'a>(
        &mut self,
        pulses: impl Iterator<Item = &'a Pulse>,
    ) -> Result<Duration, String> {
        let mut longest = 0;
        for (worker, (pulse, (beats, looks))) in pulses.zip(&mut self.seen).enumerate() {
            let now = pulse.beats.load(Ordering::Acquire);
            let doing = pulse.doing();
            *looks = if now == *beats && doing != Doing::Ended {
                *looks + 1
            } else {
                0
            };
            *beats = now;
            if *looks > self.most_looks {
                return Err(format!(
                    "worker {worker} has given no sign of life for {looks} s while {doing}: a call of the Kafka client does not return"
                ));
            }
            longest = longest.max(*looks);
        }
        Ok(SILENCE_INTERVAL * longest)
    }
}

/// Looks for partitions that stand still.
#[derive(Debug, Default)]
pub struct StallWatch(BTreeMap<Partition, Look>);

/// A partition when it was looked at last.
#[derive(Debug, Clone, Copy)]
struct Look {
    moves: u64,
    end: i64,
    /// Whether the log grew while the partition did not move: then there is something to read, even if the client does not know.
    grew: bool,
    looks: u32,
}

impl StallWatch {
    /// Looks once; to be called every [`STALL_INTERVAL`] with the owned partitions whose workers know of no trouble, and with the ends
    /// of those that the brokers were just asked for. Says for how long the one that stands longest has done so.
    ///
    /// A partition that is in either list only begins anew: its worker holds or mends, which may take as long as it takes, or its
    /// broker does not answer, which is waited for.
    ///
    /// # Errors
    /// Which partition has stood still for too long.
    pub fn look(
        &mut self,
        views: &[PartitionView],
        ends: &BTreeMap<Partition, i64>,
    ) -> Result<Duration, String> {
        let before = std::mem::take(&mut self.0);
        let mut longest = 0;
        for view in views {
            let Some(end) = ends.get(&view.partition).copied() else {
                continue;
            };
            let look = Look::after(before.get(&view.partition), view, end);
            if look.looks > MOST_LOOKS {
                let partition = view.partition;
                let time = STALL_INTERVAL * look.looks;
                return Err(format!(
                    "partition {partition} of worker {} has data before offset {end} and has made no progress for {time:?}, although its broker answers",
                    view.worker
                ));
            }
            longest = longest.max(look.looks);
            self.0.insert(view.partition, look);
        }
        Ok(STALL_INTERVAL * longest)
    }
}

impl Look {
    fn after(before: Option<&Look>, view: &PartitionView, end: i64) -> Look {
        let still = before.filter(|before| before.moves == view.moves);
        // What grew before the last move may be nothing but control records, of which no record tells.
        let grew = still.is_some_and(|before| before.grew || end > before.end);
        let stands = still.filter(|_| grew || view.lag_records > 0);
        Look {
            moves: view.moves,
            end,
            grew,
            looks: stands.map_or(0, |before| before.looks + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(pulse: &Pulse, watch: &mut SilenceWatch, looks: u32) -> Result<Duration, String> {
        let mut last = Ok(Duration::ZERO);
        for _ in 0..looks {
            last = watch.look(std::iter::once(pulse));
            last.clone()?;
        }
        last
    }

    #[test]
    fn a_silent_worker_is_named_with_what_it_does() {
        let pulse = Pulse::default();
        let mut silence = SilenceWatch::new(1, Duration::from_secs(10));
        pulse.beat(Doing::Publishing);
        assert_eq!(
            watch(&pulse, &mut silence, 161),
            Ok(Duration::from_secs(160))
        );
        pulse.beat(Doing::Publishing);
        assert_eq!(
            watch(&pulse, &mut silence, 161),
            Ok(Duration::from_secs(160))
        );
        let found = watch(&pulse, &mut silence, 1).expect_err("too long");
        assert!(
            found.contains("worker 0") && found.contains("publishing a batch"),
            "{found}"
        );
    }

    #[test]
    fn a_worker_that_has_ended_may_be_silent() {
        let pulse = Pulse::default();
        let mut silence = SilenceWatch::new(1, Duration::ZERO);
        pulse.beat(Doing::Ended);
        assert_eq!(watch(&pulse, &mut silence, 1_000), Ok(Duration::ZERO));
    }

    fn view(moves: u64, lag_records: i64) -> PartitionView {
        PartitionView {
            partition: Partition(3),
            worker: 1,
            moves,
            lag_records,
            lag_seconds: 0.0,
            last_progress_seconds: 0.0,
        }
    }

    /// Looks so often at a partition that stands like this, while its log ends there.
    fn look(
        stall: &mut StallWatch,
        view: &PartitionView,
        end: i64,
        times: u32,
    ) -> Result<Duration, String> {
        let ends = BTreeMap::from([(view.partition, end)]);
        let mut last = Ok(Duration::ZERO);
        for _ in 0..times {
            last = stall.look(std::slice::from_ref(view), &ends);
            last.clone()?;
        }
        last
    }

    #[test]
    fn a_partition_with_data_and_no_progress_is_named() {
        let mut stall = StallWatch::default();
        assert_eq!(
            look(&mut stall, &view(7, 5), 100, 13),
            Ok(Duration::from_secs(120))
        );
        assert_eq!(
            look(&mut stall, &view(8, 5), 100, 13),
            Ok(Duration::from_secs(120))
        );
        let found = look(&mut stall, &view(8, 5), 100, 1).expect_err("too long");
        assert!(found.contains("partition 3 of worker 1"), "{found}");
    }

    #[test]
    fn a_log_that_grows_where_the_client_sees_nothing_is_a_stall() {
        let mut stall = StallWatch::default();
        // A marker of a transaction behind the last record, say.
        assert_eq!(look(&mut stall, &view(7, 0), 100, 50), Ok(Duration::ZERO));
        assert_eq!(
            look(&mut stall, &view(7, 0), 101, 12),
            Ok(Duration::from_secs(120))
        );
        assert!(look(&mut stall, &view(7, 0), 101, 1).is_err());
    }

    #[test]
    fn what_holds_or_cannot_be_reached_begins_anew() {
        let mut stall = StallWatch::default();
        let stands = view(7, 5);
        assert!(look(&mut stall, &stands, 100, 13).is_ok());
        assert_eq!(
            stall.look(&[], &BTreeMap::from([(Partition(3), 100)])),
            Ok(Duration::ZERO)
        );
        assert!(look(&mut stall, &stands, 100, 13).is_ok());
        assert_eq!(
            stall.look(std::slice::from_ref(&stands), &BTreeMap::new()),
            Ok(Duration::ZERO)
        );
        assert!(look(&mut stall, &stands, 100, 13).is_ok());
    }
}
