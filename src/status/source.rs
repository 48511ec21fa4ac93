//! Where the status comes from: the metrics, the health and the tables of this process.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use audit_judge::fate::FateKind;
use jiff::Timestamp;

use super::rates::{Rates, Sample, Samples};
use super::{FateCount, Flow, Input, Lag, PartitionStatus, RegionCount, Status, TableStatus};
use crate::liveness::health::Health;
use crate::lock::lock;
use crate::metrics::{Counts, Metrics, PartitionView};
use crate::tables::{TableStore, TableView};

/// How often [`StatusSource::sample`] must be called.
pub const SAMPLE_INTERVAL: Duration = Duration::from_secs(2);

/// What a status names that does not change.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// The configured `instance`.
    pub instance: String,
    /// The input topic.
    pub topic: String,
    /// The consumer group.
    pub group: String,
    /// The output regions, in the order of their indexes.
    pub regions: Vec<String>,
    /// The version of librdkafka.
    pub librdkafka: String,
}

/// Returns the status of this process at any time.
#[derive(Debug)]
pub struct StatusSource {
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The health.
    pub health: Arc<Health>,
    tables: Arc<TableStore>,
    names: Names,
    started: Timestamp,
    samples: Mutex<Samples>,
}

impl StatusSource {
    /// Begins now.
    pub fn new(
        names: Names,
        metrics: Arc<Metrics>,
        health: Arc<Health>,
        tables: Arc<TableStore>,
    ) -> Self {
        StatusSource {
            metrics,
            health,
            tables,
            names,
            started: to_milliseconds(Timestamp::now()),
            samples: Mutex::default(),
        }
    }

    /// Takes a sample for the rates.
    pub fn sample(&self) {
        let sample = self.look();
        lock(&self.samples).add(sample);
    }

    fn look(&self) -> Sample {
        Sample {
            at: Instant::now(),
            counts: self.metrics.counts(),
            partitions: self.metrics.partitions(),
        }
    }

    /// Returns the current status.
    pub fn status(&self) -> Status {
        let now = self.look();
        let samples = lock(&self.samples);
        let rates = samples.until(&now);
        let Names { instance, topic, group, librdkafka, .. } = self.names.clone();
        let reasons = self.health.reasons();
        Status {
            version: env!("CARGO_PKG_VERSION").to_string(),
            librdkafka,
            instance,
            started: self.started,
            time: to_milliseconds(Timestamp::now()),
            ready: reasons.is_empty(),
            reasons,
            warnings: self.health.warnings.lines(),
            input: Input { topic, group, partitions: self.metrics.input_partitions() },
            workers: self.metrics.workers(),
            lag: lag(&now.partitions, &rates),
            flow: self.flow(&rates),
            partitions: now.partitions.iter().map(partition).collect(),
            tables: self.tables.views().iter().map(|view| self.table(view)).collect(),
            unlisted_names: self.metrics.unlisted_names(),
        }
    }

    fn flow(&self, rates: &Rates<'_>) -> Flow {
        let reasons = FateKind::all().filter(|kind| !kind.reason().is_empty());
        let reasons = reasons.map(|kind| FateCount {
            fate: kind.fate().to_string(),
            reason: kind.reason().to_string(),
            count: rates.count(|counts| counts.fate(kind)),
        });
        let regions = self.names.regions.iter().enumerate().map(|(index, region)| RegionCount {
            region: region.clone(),
            count: rates.count(|counts| counts.events.get(index).copied().unwrap_or_default()),
        });
        Flow {
            read: rates.count(|counts| counts.read),
            audited: rates.count(Counts::audited),
            skipped: rates.count(Counts::skipped),
            quarantined: rates.count(Counts::quarantined),
            reasons: reasons.filter(|reason| reason.count.total > 0).collect(),
            regions: regions.collect(),
        }
    }

    fn table(&self, view: &TableView) -> TableStatus {
        TableStatus {
            table: view.table.name().to_string(),
            followed: view.followed,
            ready: view.ready,
            entries: self.tables.entries(view.table),
            staleness_seconds: view.staleness.as_secs_f64(),
            refused: view.refused,
        }
    }
}

fn lag(partitions: &[PartitionView], rates: &Rates<'_>) -> Lag {
    Lag {
        records: partitions.iter().map(|view| view.lag_records.max(0).unsigned_abs()).sum(),
        seconds: partitions.iter().map(|view| view.lag_seconds).fold(0.0, f64::max),
        caught_up_in_seconds: rates.caught_up_in(),
    }
}

fn partition(view: &PartitionView) -> PartitionStatus {
    PartitionStatus {
        partition: view.partition.0,
        worker: view.worker,
        offset: view.next_offset,
        // The client's report may be older than the last commit.
        end: view.end_offset.max(view.next_offset),
        lag_records: view.lag_records.max(0).unsigned_abs(),
        lag_seconds: view.lag_seconds,
        last_progress: Timestamp::from_millisecond(view.last_progress_ms).unwrap_or_default(),
        held: view.held.map(str::to_string),
    }
}

/// Nobody reads nanoseconds.
fn to_milliseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}
