//! Observes one worker: counts what it commits, updates the board and the health, and logs what an
//! operator needs to know. It never changes what the worker does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{debug, error, info, warn};

use super::held::{HeldPartitions, InputName};
use super::registry::{COMMITTED, Metrics, PartitionCounters, result_of};
use super::scrape::now_ms;
use crate::liveness::board::seconds;
use crate::liveness::health::Health;
use crate::liveness::watchdog::{Activity, Heartbeat};
use crate::logging::quiet::Quiet;
use crate::stream::batch::Batch;
use crate::stream::{
    Content, Failure, Gap, GapCause, GroupEvent, GroupStatistics, Observer, Partition,
    PartitionFault, WorkerEvent,
};

/// The observer of one worker.
#[derive(Debug)]
pub struct WorkerObserver {
    worker: usize,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    heartbeat: Arc<Heartbeat>,
    partitions: BTreeMap<Partition, PartitionCounters>,
    /// Whether a transaction was begun whose result is not counted yet.
    in_transaction: bool,
    recovery: Option<Recovery>,
    held: HeldPartitions,
    stubs: Quiet,
}

/// Failures in a row, until the failed batch is committed or its partitions belong to another
/// member.
#[derive(Debug)]
struct Recovery {
    since: Instant,
    attempts: u32,
    /// Whether the worker reads again. It may still be unable to commit.
    is_reading: bool,
}

impl WorkerObserver {
    /// An observer of the worker with this number.
    pub fn new(
        worker: usize,
        input: InputName,
        metrics: Arc<Metrics>,
        health: Arc<Health>,
    ) -> Self {
        metrics.board.add_worker(worker);
        WorkerObserver {
            worker,
            metrics,
            heartbeat: health.heartbeat(worker),
            health,
            partitions: BTreeMap::new(),
            in_transaction: false,
            recovery: None,
            held: HeldPartitions::new(input),
            stubs: Quiet::default(),
        }
    }

    fn group(&mut self, event: &GroupEvent) {
        match event {
            GroupEvent::Assigned(partitions) => self.assigned(partitions),
            GroupEvent::Revoked(partitions) => self.released("revoked", partitions),
            GroupEvent::Lost(partitions) => {
                self.released("lost", partitions);
                self.health.joining(self.worker);
            }
            GroupEvent::Statistics(statistics) => self.statistics(statistics),
        }
    }

    fn assigned(&mut self, partitions: &[Partition]) {
        let Metrics { rebalances, board, .. } = &*self.metrics;
        rebalances.with_label_values(&["assigned"]).inc();
        board.assigned(self.worker, partitions, now_ms());
        for partition in partitions {
            counters(&mut self.partitions, &self.metrics, *partition);
        }
        self.health.working(self.worker);
        info!(worker = self.worker, partitions = %list(partitions), "partitions assigned");
    }

    fn held(&mut self, partition: Partition, fault: &PartitionFault, attempt: u32) {
        let text = self.held.hold(self.worker, partition, fault, attempt);
        self.metrics.board.hold(self.worker, partition, Some(fault.reason()));
        self.health.hold_partition(self.worker, partition, &text);
    }

    fn resumed(&mut self, partition: Partition) {
        if self.held.release(partition) {
            info!(worker = self.worker, %partition, "partition resumed");
        }
        self.metrics.board.hold(self.worker, partition, None);
        self.health.release_partition(self.worker, partition);
    }

    fn released(&mut self, kind: &str, partitions: &[Partition]) {
        let Metrics { rebalances, board, .. } = &*self.metrics;
        rebalances.with_label_values(&[kind]).inc();
        board.released(self.worker, partitions);
        self.held.forget(partitions);
        for partition in partitions {
            self.health.release_partition(self.worker, *partition);
        }
        info!(worker = self.worker, partitions = %list(partitions), "partitions {kind}");
    }

    fn statistics(&self, statistics: &GroupStatistics) {
        let ends = &statistics.end_offsets;
        self.metrics.board.ends(self.worker, ends, now_ms());
        if statistics.steady {
            self.health.working(self.worker);
        }
    }

    fn committed(&mut self, batch: &Batch, age: Duration) {
        let now_ms = now_ms();
        self.in_transaction = false;
        let metrics = &self.metrics;
        metrics.transactions.with_label_values(&[COMMITTED]).inc();
        if batch.records() > 0 {
            metrics.batch_records.observe(batch.records() as f64);
            metrics.batch_duration.observe(age.as_secs_f64());
        }
        count_events(metrics, batch, now_ms);
        note_stubs(self.worker, batch, &mut self.stubs);
        for (partition, tally) in batch.partitions() {
            let counters = counters(&mut self.partitions, metrics, *partition);
            counters.read.inc_by(tally.read);
            counters.stubs.inc_by(tally.stubs);
            for (counter, count) in counters.fates.iter().zip(tally.fates) {
                counter.inc_by(count);
            }
            for gap in &tally.gaps {
                note_gap(self.worker, *partition, gap, counters);
            }
            for name in metrics.unlisted.note(&tally.unlisted) {
                warn!(
                    %name,
                    "events with this name, from customers, match no row of the catalogue and are not in the trail: \
                     add the name to a row if they should be (/status lists all such names)"
                );
            }
        }
        metrics.board.committed(self.worker, batch, now_ms);
    }

    fn failed(&mut self, failure: &Failure) {
        let metrics = &self.metrics;
        // A failure during recovery is not another failed transaction.
        let was_open = std::mem::take(&mut self.in_transaction);
        if let Some(result) = result_of(failure).filter(|_| was_open) {
            metrics.transactions.with_label_values(&[result]).inc();
        }
        if matches!(failure, Failure::Broken(_) | Failure::Fenced(_)) {
            metrics.count_rebuild(result_of(failure).unwrap_or("broken"));
        }
        let recovery = self.recovery.get_or_insert_with(|| Recovery {
            since: Instant::now(),
            attempts: 0,
            is_reading: false,
        });
        recovery.attempts += 1;
        recovery.is_reading = false;
        self.health.recovering(self.worker, &failure.to_string());
        if matches!(failure, Failure::ConsumerDead(_) | Failure::Unreleased(_)) {
            // The worker's thread logs these when it opens the next session.
            return;
        }
        // Not rate-limited: the pauses between the attempts grow.
        warn!(worker = self.worker, attempt = recovery.attempts, cause = %failure, "recovering");
    }

    /// Reports that the worker has recovered: once it reads again, and what it failed to publish is
    /// committed or belongs to another member. Without the second condition a worker that can never
    /// publish would be ready half of the time.
    fn note_recovered(&mut self) {
        let is_reading = self.recovery.as_ref().is_some_and(|recovery| recovery.is_reading);
        if !is_reading || self.metrics.board.has_unpublished(self.worker) {
            return;
        }
        if let Some(Recovery { since, attempts, .. }) = self.recovery.take() {
            info!(worker = self.worker, attempts, "recovered after {:.1?}", since.elapsed());
        }
        self.health.recovered(self.worker);
    }
}

impl Observer for WorkerObserver {
    fn on_event(&mut self, event: WorkerEvent<'_>) {
        self.heartbeat.beat(activity_after(&event));
        match event {
            WorkerEvent::Group(event) => self.group(event),
            WorkerEvent::EndReached(partition) => {
                self.metrics.board.caught_up(self.worker, partition, now_ms());
            }
            WorkerEvent::Publishing(batch) => {
                self.in_transaction = true;
                self.metrics.board.publishing(self.worker, batch);
            }
            WorkerEvent::Committed(batch, age) => self.committed(batch, age),
            WorkerEvent::Failed(failure) => self.failed(failure),
            WorkerEvent::Held(partition, fault, attempt) => self.held(partition, fault, attempt),
            WorkerEvent::Released(partition) => self.resumed(partition),
            WorkerEvent::Recovered => {
                debug!(worker = self.worker, "reading again");
                if let Some(recovery) = &mut self.recovery {
                    recovery.is_reading = true;
                }
            }
        }
        self.note_recovered();
    }
}

impl Drop for WorkerObserver {
    /// Removes the worker from the board.
    fn drop(&mut self) {
        self.metrics.board.remove_worker(self.worker);
    }
}

/// Returns what a worker does after it has reported this event.
fn activity_after(event: &WorkerEvent<'_>) -> Activity {
    match event {
        WorkerEvent::Group(_)
        | WorkerEvent::EndReached(_)
        | WorkerEvent::Committed(..)
        | WorkerEvent::Held(..)
        | WorkerEvent::Released(_)
        | WorkerEvent::Recovered => Activity::Reading,
        WorkerEvent::Publishing(_) => Activity::Publishing,
        WorkerEvent::Failed(_) => Activity::Recovering,
    }
}

fn counters<'a>(
    partitions: &'a mut BTreeMap<Partition, PartitionCounters>,
    metrics: &Metrics,
    partition: Partition,
) -> &'a PartitionCounters {
    partitions.entry(partition).or_insert_with(|| metrics.partition_counters(partition))
}

/// Counts and logs offsets that were not read. They are part of a commit, so they are counted once,
/// however often the commit was tried.
fn note_gap(worker: usize, partition: Partition, gap: &Gap, counters: &PartitionCounters) {
    let (from, to) = (gap.offsets.start, gap.offsets.end);
    let count = u64::try_from(to.saturating_sub(from)).unwrap_or_default();
    match gap.cause {
        GapCause::Deleted => {
            counters.deleted.inc_by(count);
            error!(
                worker, %partition, from, to,
                "input records were deleted before they were read and are not in the trail: \
                 set the topic's retention longer than any time without a running relay"
            );
        }
        GapCause::PassedOver => {
            counters.passed_over.inc_by(count);
            error!(
                worker, %partition, from, to,
                "input records could not be read, were skipped as listed in input.pass_over, and are not in the trail"
            );
        }
    }
}

/// Logs quarantined records that were written as stubs: once per burst, with the partition of one
/// of them.
fn note_stubs(worker: usize, batch: &Batch, quiet: &mut Quiet) {
    let mut tallies = batch.partitions().iter();
    let Some((partition, _)) = tallies.find(|(_, tally)| tally.stubs > 0) else {
        return;
    };
    let count = batch.partitions().values().map(|tally| tally.stubs).sum();
    if let Some(stubs) = quiet.happened(count, Instant::now()) {
        warn!(
            worker, %partition, stubs,
            "quarantined records are larger than their topic accepts: each was written as a stub, and its original is only in the input \
             topic; raise max.message.bytes of the quarantine topic, allow the relay to read it (DescribeConfigs), and restart"
        );
    }
}

/// Counts events and latencies locally and publishes the sums, since other threads read the
/// metrics.
fn count_events(metrics: &Metrics, batch: &Batch, now_ms: i64) {
    let latency = metrics.latency.local();
    let mut regions = vec![0; metrics.events.len()];
    for output in batch.outputs().iter() {
        let Content::Event { envelope, .. } = output.content else {
            continue;
        };
        if let Some(region) = regions.get_mut(envelope.region.0) {
            *region += 1;
        }
        if let Some(timestamp_ms) = output.timestamp_ms {
            latency.observe(seconds((now_ms - timestamp_ms).max(0)));
        }
    }
    latency.flush();
    for (counter, count) in metrics.events.iter().zip(regions) {
        counter.inc_by(count);
    }
}

fn list(partitions: &[Partition]) -> String {
    let numbers: Vec<String> = partitions.iter().map(ToString::to_string).collect();
    numbers.join(",")
}
