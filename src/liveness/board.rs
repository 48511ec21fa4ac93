//! How far each owned partition is: what lag and progress are computed from, at the time of a
//! scrape, so that the lag of a worker that hangs grows. It counts no records.
//!
//! Offsets alone do not tell the lag: behind the last record of a transactional topic lies a
//! control record that nobody ever commits. So the end of a partition counts as reached when the
//! client said so after the last committed record, whatever the end offset is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::stream::Partition;
use crate::stream::batch::{Batch, PartitionTally};

/// The partitions that the workers of this process own.
#[derive(Debug, Default)]
pub struct PartitionBoard(Mutex<Owned>);

#[derive(Debug, Default)]
struct Owned {
    workers: BTreeSet<usize>,
    standings: BTreeMap<Partition, Standing>,
}

/// Where an owned partition stands. Times are milliseconds since 1970.
#[derive(Debug)]
struct Standing {
    worker: usize,
    assigned_ms: i64,
    progress_ms: i64,
    /// How often it was committed or reported to be at its end.
    moves: u64,
    /// When nothing was waiting for the last time, if that is known.
    clear_ms: Option<i64>,
    /// Timestamp of the last record that was committed since the assignment.
    committed_timestamp_ms: Option<i64>,
    /// The offset after that record.
    next_offset: Option<i64>,
    end_offset: Option<i64>,
    /// Records in a batch that is being published, or that could not be.
    unpublished: u64,
    /// Whether the end was reached and no record has been seen since.
    at_end: bool,
    /// Why it is held while the others go on.
    held: Option<&'static str>,
}

/// What a scrape shows of a partition.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionView {
    /// The partition.
    pub partition: Partition,
    /// The worker that owns it.
    pub worker: usize,
    /// How often it was committed or found to be at its end since it was assigned.
    pub moves: u64,
    /// Records that are not committed yet, as far as is known.
    pub lag_records: i64,
    /// For how long the oldest of them may have been waiting.
    pub lag_seconds: f64,
    /// When the partition last moved, in seconds since 1970.
    pub last_progress_seconds: f64,
    /// Why it is held while the others go on, if it is.
    pub held: Option<&'static str>,
}

impl PartitionBoard {
    fn lock(&self) -> MutexGuard<'_, Owned> {
        // Each change leaves the table whole, even if its holder panics afterwards.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a worker known, so that it shows with no partition at all.
    pub fn enrol(&self, worker: usize) {
        self.lock().workers.insert(worker);
    }

    /// A worker owns these partitions from now on, whoever had them before.
    pub fn assigned(&self, worker: usize, partitions: &[Partition], now_ms: i64) {
        let mut owned = self.lock();
        for partition in partitions {
            let standing = Standing::new(worker, now_ms);
            owned.standings.insert(*partition, standing);
        }
    }

    /// A worker owns these partitions no more. If another one has them already, that stays so.
    pub fn released(&self, worker: usize, partitions: &[Partition]) {
        let given_up = |partition: &Partition, standing: &Standing| {
            standing.worker == worker && partitions.contains(partition)
        };
        self.lock().standings.retain(|partition, standing| !given_up(partition, standing));
    }

    /// A worker is gone, and with it all that it owned.
    pub fn dismiss(&self, worker: usize) {
        let mut owned = self.lock();
        owned.standings.retain(|_, standing| standing.worker != worker);
        owned.workers.remove(&worker);
    }

    /// The records of this batch wait until they are committed or the partition goes.
    pub fn publishing(&self, worker: usize, batch: &Batch) {
        self.each_of(worker, batch, |standing, tally| {
            standing.unpublished = tally.read;
            standing.at_end = false;
        });
    }

    /// This batch was committed.
    pub fn committed(&self, worker: usize, batch: &Batch, now_ms: i64) {
        self.each_of(worker, batch, |standing, tally| {
            standing.committed(tally, now_ms);
        });
    }

    /// The end of a partition was reached, and nothing of it waits to be committed.
    pub fn caught_up(&self, worker: usize, partition: Partition, now_ms: i64) {
        self.with(worker, partition, |standing| {
            standing.moves += 1;
            standing.clear(now_ms);
        });
    }

    /// These are the ends of the partitions.
    pub fn ends(&self, worker: usize, ends: &[(Partition, i64)], now_ms: i64) {
        for (partition, end_offset) in ends {
            self.with(worker, *partition, |standing| {
                standing.end_offset = Some(*end_offset);
                if standing.at_end {
                    standing.clear(now_ms);
                }
            });
        }
    }

    /// A partition is held for this reason, or for none any more. What of it was to be published is
    /// read again.
    pub fn hold(&self, worker: usize, partition: Partition, reason: Option<&'static str>) {
        self.with(worker, partition, |standing| {
            standing.held = reason;
            if reason.is_some() {
                standing.unpublished = 0;
                standing.at_end = false;
            }
        });
    }

    /// Whether records of this worker could not be published, or are just being.
    pub fn has_unpublished(&self, worker: usize) -> bool {
        let owned = self.lock();
        let mut of_worker = owned.standings.values().filter(|s| s.worker == worker);
        of_worker.any(|standing| standing.unpublished > 0)
    }

    /// How many partitions each worker owns.
    pub fn owners(&self) -> BTreeMap<usize, usize> {
        let owned = self.lock();
        let mut owners: BTreeMap<usize, usize> = owned.workers.iter().map(|w| (*w, 0)).collect();
        for standing in owned.standings.values() {
            *owners.entry(standing.worker).or_default() += 1;
        }
        owners
    }

    /// All owned partitions as they stand at this time.
    pub fn view(&self, now_ms: i64) -> Vec<PartitionView> {
        let owned = self.lock();
        let standings = owned.standings.iter();
        standings.map(|(partition, standing)| standing.view(*partition, now_ms)).collect()
    }

    fn with(&self, worker: usize, partition: Partition, change: impl FnOnce(&mut Standing)) {
        let mut owned = self.lock();
        let standing = owned.standings.get_mut(&partition);
        // What a worker still says of a partition that it lost to another one is out of date.
        if let Some(standing) = standing.filter(|standing| standing.worker == worker) {
            change(standing);
        }
    }

    fn each_of(
        &self,
        worker: usize,
        batch: &Batch,
        change: impl Fn(&mut Standing, &PartitionTally),
    ) {
        for (partition, tally) in batch.partitions() {
            self.with(worker, *partition, |standing| change(standing, tally));
        }
    }
}

impl Standing {
    fn new(worker: usize, now_ms: i64) -> Self {
        Standing {
            worker,
            assigned_ms: now_ms,
            progress_ms: now_ms,
            moves: 0,
            clear_ms: None,
            committed_timestamp_ms: None,
            next_offset: None,
            end_offset: None,
            unpublished: 0,
            at_end: false,
            held: None,
        }
    }

    fn committed(&mut self, tally: &PartitionTally, now_ms: i64) {
        self.next_offset = Some(tally.next_offset);
        self.committed_timestamp_ms = tally.last_timestamp_ms.or(self.committed_timestamp_ms);
        self.progress_ms = now_ms;
        self.moves += 1;
        self.unpublished = 0;
        self.at_end = false;
        if tally.at_end {
            self.clear(now_ms);
        }
    }

    fn clear(&mut self, now_ms: i64) {
        self.at_end = true;
        self.unpublished = 0;
        self.clear_ms = Some(now_ms);
        self.progress_ms = now_ms;
    }

    /// How many records wait, as far as is known: the end offset is one that was once reported, and
    /// before the first commit since the assignment it is not known where the partition stands.
    fn lag_records(&self) -> i64 {
        if self.at_end {
            return 0;
        }
        let seen = i64::try_from(self.unpublished).unwrap_or(i64::MAX);
        match (self.next_offset, self.end_offset) {
            (Some(next), Some(end)) => seen.max(end - next),
            (Some(_), None) => seen,
            (None, _) => seen.max(1),
        }
    }

    /// The oldest record that waits came after the last one that was committed, and after the time
    /// when nothing waited. Without either it may have waited since the assignment, or for longer.
    fn waiting_since_ms(&self) -> i64 {
        self.clear_ms.max(self.committed_timestamp_ms).unwrap_or(self.assigned_ms)
    }

    fn view(&self, partition: Partition, now_ms: i64) -> PartitionView {
        let lag_records = self.lag_records();
        let waiting_ms = (now_ms - self.waiting_since_ms()).max(0);
        PartitionView {
            partition,
            worker: self.worker,
            moves: self.moves,
            lag_records,
            lag_seconds: if lag_records > 0 { seconds(waiting_ms) } else { 0.0 },
            last_progress_seconds: seconds(self.progress_ms),
            held: self.held,
        }
    }
}

/// Milliseconds as seconds. Exact enough for any time of this era.
pub(crate) fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1_000.0
}
