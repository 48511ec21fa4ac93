//! The state of each owned partition, from which lag and progress are computed at the time of a
//! scrape, so that the lag of a worker that hangs grows. It counts no records.
//!
//! Offsets alone do not give the lag: a transactional topic ends with a control record, whose
//! offset is never committed. So a partition counts as being at its end if the client reported the
//! end after the last committed record, whatever the end offset is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

use crate::lock::lock;
use crate::stream::Partition;
use crate::stream::batch::{Batch, PartitionTally};

/// The partitions that the workers of this process own.
#[derive(Debug, Default)]
pub struct PartitionBoard(Mutex<Owned>);

#[derive(Debug, Default)]
struct Owned {
    workers: BTreeSet<usize>,
    partitions: BTreeMap<Partition, PartitionState>,
}

/// The state of an owned partition. Times are milliseconds since 1970.
#[derive(Debug)]
struct PartitionState {
    worker: usize,
    assigned_ms: i64,
    progress_ms: i64,
    /// The number of commits and of reports that it is at its end.
    moves: u64,
    /// When it was last known that no record waited.
    clear_ms: Option<i64>,
    /// Timestamp of the last record that was committed since the assignment.
    committed_timestamp_ms: Option<i64>,
    /// The offset after that record.
    next_offset: Option<i64>,
    end_offset: Option<i64>,
    /// Records in a batch that is being published, or could not be published.
    unpublished: u64,
    /// Whether the end was reached and no record has been read since.
    at_end: bool,
    /// Why it is held while the others continue.
    held: Option<&'static str>,
}

/// A partition as a scrape shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionView {
    /// The partition.
    pub partition: Partition,
    /// The worker that owns it.
    pub worker: usize,
    /// When it was assigned, in milliseconds since 1970.
    pub assigned_ms: i64,
    /// The number of commits and of reports that it is at its end, since the assignment.
    pub moves: u64,
    /// The offset after the last record that was committed since the assignment.
    pub next_offset: Option<i64>,
    /// The end offset of the partition, as it was last reported.
    pub end_offset: Option<i64>,
    /// Records that are not committed yet, as far as is known.
    pub lag_records: i64,
    /// How long the oldest of them may have waited.
    pub lag_seconds: f64,
    /// When the partition last made progress, in milliseconds since 1970.
    pub last_progress_ms: i64,
    /// Why it is held while the others continue, if it is.
    pub held: Option<&'static str>,
}

impl PartitionBoard {
    fn lock(&self) -> MutexGuard<'_, Owned> {
        lock(&self.0)
    }

    /// Adds a worker, so that it is shown even without partitions.
    pub fn add_worker(&self, worker: usize) {
        self.lock().workers.insert(worker);
    }

    /// Notes that a worker owns these partitions from now on, even if another one owned them
    /// before.
    pub fn assigned(&self, worker: usize, partitions: &[Partition], now_ms: i64) {
        let mut owned = self.lock();
        for partition in partitions {
            owned.partitions.insert(*partition, PartitionState::new(worker, now_ms));
        }
    }

    /// Removes partitions that a worker no longer owns, except those that another one owns already.
    pub fn released(&self, worker: usize, partitions: &[Partition]) {
        let is_released = |partition: &Partition, state: &PartitionState| {
            state.worker == worker && partitions.contains(partition)
        };
        self.lock().partitions.retain(|partition, state| !is_released(partition, state));
    }

    /// Removes a worker and all of its partitions.
    pub fn remove_worker(&self, worker: usize) {
        let mut owned = self.lock();
        owned.partitions.retain(|_, state| state.worker != worker);
        owned.workers.remove(&worker);
    }

    /// Notes that the records of this batch wait until they are committed or their partition is
    /// released.
    pub fn publishing(&self, worker: usize, batch: &Batch) {
        self.change_all(worker, batch, |state, tally| {
            if !tally.is_silent() {
                state.unpublished = tally.read;
                state.at_end = false;
            }
        });
    }

    /// Notes that this batch was committed.
    pub fn committed(&self, worker: usize, batch: &Batch, now_ms: i64) {
        self.change_all(worker, batch, |state, tally| state.committed(tally, now_ms));
    }

    /// Notes that the end of a partition was reached, and no record of it waits to be committed.
    pub fn caught_up(&self, worker: usize, partition: Partition, now_ms: i64) {
        self.change(worker, partition, |state| {
            state.moves += 1;
            state.clear(now_ms);
        });
    }

    /// Notes the end offsets of partitions.
    pub fn ends(&self, worker: usize, ends: &[(Partition, i64)], now_ms: i64) {
        for (partition, end_offset) in ends {
            self.change(worker, *partition, |state| {
                state.end_offset = Some(*end_offset);
                if state.at_end {
                    state.clear(now_ms);
                }
            });
        }
    }

    /// Notes that a partition is held for this reason, or not held any more. Its records that were
    /// to be published will be read again.
    pub fn hold(&self, worker: usize, partition: Partition, reason: Option<&'static str>) {
        self.change(worker, partition, |state| {
            state.held = reason;
            if reason.is_some() {
                state.unpublished = 0;
                state.at_end = false;
            }
        });
    }

    /// Returns whether records of this worker are being published, or could not be published.
    pub fn has_unpublished(&self, worker: usize) -> bool {
        let owned = self.lock();
        let mut of_worker = owned.partitions.values().filter(|state| state.worker == worker);
        of_worker.any(|state| state.unpublished > 0)
    }

    /// Returns the number of partitions that each worker owns.
    pub fn owners(&self) -> BTreeMap<usize, usize> {
        let owned = self.lock();
        let mut owners: BTreeMap<usize, usize> = owned.workers.iter().map(|w| (*w, 0)).collect();
        for state in owned.partitions.values() {
            *owners.entry(state.worker).or_default() += 1;
        }
        owners
    }

    /// Returns all owned partitions as they are at this time.
    pub fn view(&self, now_ms: i64) -> Vec<PartitionView> {
        let owned = self.lock();
        let partitions = owned.partitions.iter();
        partitions.map(|(partition, state)| state.view(*partition, now_ms)).collect()
    }

    fn change(
        &self,
        worker: usize,
        partition: Partition,
        change: impl FnOnce(&mut PartitionState),
    ) {
        let mut owned = self.lock();
        let state = owned.partitions.get_mut(&partition);
        // Late reports of a worker that lost the partition to another one are ignored.
        if let Some(state) = state.filter(|state| state.worker == worker) {
            change(state);
        }
    }

    fn change_all(
        &self,
        worker: usize,
        batch: &Batch,
        change: impl Fn(&mut PartitionState, &PartitionTally),
    ) {
        for (partition, tally) in batch.partitions() {
            self.change(worker, *partition, |state| change(state, tally));
        }
    }
}

impl PartitionState {
    fn new(worker: usize, now_ms: i64) -> Self {
        PartitionState {
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
        if tally.is_silent() {
            return;
        }
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

    /// Returns the number of records that wait, as far as is known: the end offset may be old, and
    /// the position is not known before the first commit since the assignment.
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

    /// Returns since when the oldest waiting record may have waited: it arrived after the last
    /// committed one, and after the time when no record waited. If neither is known, the time of
    /// the assignment is returned, although the record may have waited longer.
    fn waiting_since_ms(&self) -> i64 {
        self.clear_ms.max(self.committed_timestamp_ms).unwrap_or(self.assigned_ms)
    }

    fn view(&self, partition: Partition, now_ms: i64) -> PartitionView {
        let lag_records = self.lag_records();
        let waiting_ms = (now_ms - self.waiting_since_ms()).max(0);
        PartitionView {
            partition,
            worker: self.worker,
            assigned_ms: self.assigned_ms,
            moves: self.moves,
            next_offset: self.next_offset,
            end_offset: self.end_offset,
            lag_records,
            lag_seconds: if lag_records > 0 { seconds(waiting_ms) } else { 0.0 },
            last_progress_ms: self.progress_ms,
            held: self.held,
        }
    }
}

/// Converts milliseconds to seconds.
pub(crate) fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1_000.0
}
