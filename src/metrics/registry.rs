//! All metrics of a process, registered with their names.

use std::sync::Arc;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::{self, MetricFamily};
use prometheus::{Gauge, GaugeVec, Histogram, IntCounter, IntCounterVec, Registry, TextEncoder};

use crate::sealing::AnchorSink;
use crate::stream::{Failure, Partition};
use crate::tables::TableStore;
use audit_judge::fate::{FateKind, QuarantineReason, SkipReason};

use super::table::Metric;
use super::unlisted::{Unlisted, UnlistedView};
use super::{anchors, scrape, table, tables};
use crate::liveness::board::{PartitionBoard, PartitionView};

/// All metrics of a process.
#[derive(Debug)]
pub struct Metrics {
    pub(super) registry: Registry,
    pub(super) board: Arc<PartitionBoard>,
    pub(super) records_read: IntCounterVec,
    pub(super) records: IntCounterVec,
    pub(super) stubs: IntCounterVec,
    pub(super) deleted: IntCounterVec,
    pub(super) passed_over: IntCounterVec,
    pub(super) unlisted: Unlisted,
    /// One for each output region, by its index.
    pub(super) events: Vec<IntCounter>,
    pub(super) latency: Histogram,
    pub(super) batch_records: Histogram,
    pub(super) batch_duration: Histogram,
    pub(super) transactions: IntCounterVec,
    pub(super) producer_rebuilds: IntCounterVec,
    pub(super) rebalances: IntCounterVec,
    pub(super) barriers: IntCounterVec,
    pub(super) barrier_duration: Histogram,
    pub(super) input_info: GaugeVec,
    pub(super) input_partitions: Gauge,
    pub(super) workers: Gauge,
    pub(super) ready: Gauge,
    pub(super) standstill: Gauge,
}

/// The input records and audit events that this process has committed, over all partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// All records, counted apart from their fates.
    pub read: u64,
    /// One for each kind of fate, by its [`FateKind::index`].
    fates: [u64; FateKind::COUNT],
    /// The audit events of each output region, by its index.
    pub events: Vec<u64>,
}

impl Counts {
    /// Returns the number of records with this fate.
    pub fn fate(&self, kind: FateKind) -> u64 {
        self.fates.get(kind.index()).copied().unwrap_or_default()
    }

    /// Returns the number of records that became an audit event.
    pub fn audited(&self) -> u64 {
        self.fate(FateKind::Audited)
    }

    /// Returns the number of records that do not belong in the audit trail.
    pub fn skipped(&self) -> u64 {
        SkipReason::ALL.iter().map(|reason| self.fate(FateKind::Skipped(*reason))).sum()
    }

    /// Returns the number of records that went to the quarantine topic.
    pub fn quarantined(&self) -> u64 {
        let reasons = QuarantineReason::ALL.iter();
        reasons.map(|reason| self.fate(FateKind::Quarantined(*reason))).sum()
    }
}

/// The counters of one partition, looked up once.
#[derive(Debug)]
pub(super) struct PartitionCounters {
    pub(super) read: IntCounter,
    /// Quarantined records that were written as stubs.
    pub(super) stubs: IntCounter,
    /// Offsets that were deleted before they were read.
    pub(super) deleted: IntCounter,
    /// Offsets that could not be read and were skipped.
    pub(super) passed_over: IntCounter,
    /// One for each kind of fate, by its [`FateKind::index`].
    pub(super) fates: Vec<IntCounter>,
}

const NO_LABELS: &[&str] = &[];
pub(super) const COMMITTED: &str = "committed";
const MET: &str = "met";
const FAILED: &str = "failed";

impl Metrics {
    /// Registers all metrics. The regions are those of the output, in the order of their indexes.
    ///
    /// # Errors
    /// Fails if two metrics have the same name, which a test rules out.
    pub fn new(
        regions: &[String],
        librdkafka_version: &str,
    ) -> Result<Arc<Metrics>, prometheus::Error> {
        let registry = Registry::new();
        let board = Arc::new(PartitionBoard::default());
        let counter = |metric: Metric| register(&registry, metric.counter()?);
        let gauge = |metric: Metric| register(&registry, metric.gauge()?);
        let histogram = |metric: Metric| {
            register(&registry, metric.histogram()?)?.get_metric_with_label_values(NO_LABELS)
        };
        let events = counter(table::EVENTS)?;
        let build_info = gauge(table::BUILD_INFO)?;
        let versions = [env!("CARGO_PKG_VERSION"), librdkafka_version];
        build_info.get_metric_with_label_values(&versions)?.set(1.0);
        let metrics = Metrics {
            records_read: counter(table::RECORDS_READ)?,
            records: counter(table::RECORDS)?,
            stubs: counter(table::STUBS)?,
            deleted: counter(table::DELETED)?,
            passed_over: counter(table::PASSED_OVER)?,
            unlisted: Unlisted::new(
                counter(table::UNLISTED_NAMES)?.get_metric_with_label_values(NO_LABELS)?,
            ),
            events: regions
                .iter()
                .map(|region| events.get_metric_with_label_values(&[region]))
                .collect::<Result<_, _>>()?,
            latency: histogram(table::LATENCY)?,
            batch_records: histogram(table::BATCH_RECORDS)?,
            batch_duration: histogram(table::BATCH_DURATION)?,
            transactions: counter(table::TRANSACTIONS)?,
            producer_rebuilds: counter(table::PRODUCER_REBUILDS)?,
            rebalances: counter(table::REBALANCES)?,
            barriers: counter(table::TABLE_BARRIERS)?,
            barrier_duration: histogram(table::TABLE_BARRIER)?,
            input_info: gauge(table::INPUT_INFO)?,
            input_partitions: gauge(table::INPUT_PARTITIONS)?
                .get_metric_with_label_values(NO_LABELS)?,
            workers: gauge(table::WORKERS)?.get_metric_with_label_values(NO_LABELS)?,
            ready: gauge(table::READY)?.get_metric_with_label_values(NO_LABELS)?,
            standstill: gauge(table::STANDSTILL)?.get_metric_with_label_values(NO_LABELS)?,
            board: Arc::clone(&board),
            registry: registry.clone(),
        };
        registry.register(Box::new(scrape::BoardCollector::new(board)?))?;
        registry.register(Box::new(ProcessCollector::for_self()))?;
        metrics.init_labels()?;
        Ok(Arc::new(metrics))
    }

    /// Sets the counters with fixed label values to zero: a counter that first appears with the
    /// value 1 shows no increase.
    fn init_labels(&self) -> Result<(), prometheus::Error> {
        for result in [COMMITTED, "aborted", "broken", "fenced", "fatal"] {
            self.transactions.get_metric_with_label_values(&[result])?;
        }
        for result in [MET, FAILED] {
            self.barriers.get_metric_with_label_values(&[result])?;
        }
        for reason in ["broken", "fenced", "spent", "unabortable"] {
            self.producer_rebuilds.get_metric_with_label_values(&[reason])?;
        }
        for kind in ["assigned", "revoked", "lost"] {
            self.rebalances.get_metric_with_label_values(&[kind])?;
        }
        Ok(())
    }

    /// Registers the metrics of these reference tables.
    ///
    /// # Errors
    /// Fails if tables are registered already.
    pub fn show_tables(&self, tables: Arc<TableStore>) -> Result<(), prometheus::Error> {
        let collector = tables::TablesCollector::new(tables)?;
        self.registry.register(Box::new(collector))
    }

    /// Registers the metric of the anchors that are kept here.
    ///
    /// # Errors
    /// Fails if anchors are registered already.
    pub fn show_anchors(&self, sink: Arc<AnchorSink>) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(anchors::AnchorsCollector::new(sink)?))
    }

    /// Counts a read barrier: whether the tables caught up, and how long the batch waited.
    pub fn count_barrier(&self, met: bool, took: Duration) {
        let result = if met { MET } else { FAILED };
        self.barriers.with_label_values(&[result]).inc();
        self.barrier_duration.observe(took.as_secs_f64());
    }

    /// Counts the replacement of a producer for this reason.
    pub fn count_rebuild(&self, reason: &str) {
        self.producer_rebuilds.with_label_values(&[reason]).inc();
    }

    /// Returns the event names from customers that match no row of the catalogue.
    pub fn unlisted_names(&self) -> UnlistedView {
        self.unlisted.view()
    }

    /// Sets whether the process is ready. The caller of [`Metrics::render`] must set it before.
    pub fn set_ready(&self, ready: bool) {
        self.ready.set(if ready { 1.0 } else { 0.0 });
    }

    /// Sets what the process reads.
    pub fn set_input(&self, group: &str, topic: &str) {
        self.input_info.with_label_values(&[group, topic]).set(1.0);
    }

    /// Sets how many partitions the input has.
    pub fn set_input_partitions(&self, count: usize) {
        self.input_partitions.set(count as f64);
    }

    /// Sets how many workers the process has.
    pub fn set_workers(&self, count: usize) {
        self.workers.set(count as f64);
    }

    /// Returns how many partitions the input has; zero if it is not known yet.
    pub fn input_partitions(&self) -> usize {
        self.input_partitions.get() as usize
    }

    /// Returns how many workers the process has; zero before they are started.
    pub fn workers(&self) -> usize {
        self.workers.get() as usize
    }

    /// Sets the time of the longest hang or stall.
    pub fn set_standstill(&self, time: Duration) {
        self.standstill.set(time.as_secs_f64());
    }

    /// Returns the partitions that the workers own, as they are now.
    pub fn partitions(&self) -> Vec<PartitionView> {
        self.board.view(scrape::now_ms())
    }

    /// Renders all metrics in the text format of Prometheus, version 0.0.4.
    pub fn render(&self) -> String {
        let mut text = String::new();
        let families = self.registry.gather();
        // Fails only for a family without metrics, and the registry omits those.
        if let Err(error) = TextEncoder::new().encode_utf8(&families, &mut text) {
            tracing::error!(%error, "cannot render the metrics");
        }
        text
    }

    /// Returns the sums over all partitions since the start.
    pub fn counts(&self) -> Counts {
        let mut fates = [0; FateKind::COUNT];
        for_each(&self.records, |metric, count| {
            let (fate, reason) = (label(metric, "fate"), label(metric, "reason"));
            let is_meant =
                |kind: &FateKind| fate == Some(kind.fate()) && reason == Some(kind.reason());
            if let Some(kind) = FateKind::all().find(is_meant)
                && let Some(sum) = fates.get_mut(kind.index())
            {
                *sum += count;
            }
        });
        let mut read = 0;
        for_each(&self.records_read, |_, count| read += count);
        Counts { read, fates, events: self.events.iter().map(IntCounter::get).collect() }
    }

    pub(super) fn partition_counters(&self, partition: Partition) -> PartitionCounters {
        let partition = partition.to_string();
        let fate = |kind: FateKind| {
            let labels = [partition.as_str(), kind.fate(), kind.reason()];
            self.records.with_label_values(&labels)
        };
        PartitionCounters {
            read: self.records_read.with_label_values(&[&partition]),
            stubs: self.stubs.with_label_values(&[&partition]),
            deleted: self.deleted.with_label_values(&[&partition]),
            passed_over: self.passed_over.with_label_values(&[&partition]),
            fates: FateKind::all().map(fate).collect(),
        }
    }
}

fn register<C>(registry: &Registry, collector: C) -> Result<C, prometheus::Error>
where
    C: Collector + Clone + 'static,
{
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

/// Calls `visit` with each counter and its value.
fn for_each(counters: &IntCounterVec, mut visit: impl FnMut(&proto::Metric, u64)) {
    let families = counters.collect();
    for metric in families.iter().flat_map(MetricFamily::get_metric) {
        // Counts of records stay far below 2^53, up to which a double is exact.
        visit(metric, metric.get_counter().get_value() as u64);
    }
}

fn label<'a>(metric: &'a proto::Metric, name: &str) -> Option<&'a str> {
    let pair = metric.get_label().iter().find(|pair| pair.name() == name)?;
    Some(pair.value())
}

/// Returns the label value of a transaction that failed in this way, or `None` if none was begun.
pub(super) fn result_of(failure: &Failure) -> Option<&'static str> {
    match failure {
        Failure::Aborted(_) | Failure::TooLarge(_) => Some("aborted"),
        Failure::Broken(_) => Some("broken"),
        Failure::Fenced(_) => Some("fenced"),
        Failure::Fatal(_) => Some("fatal"),
        Failure::Held(_) | Failure::ConsumerDead(_) | Failure::Unreleased(_) => None,
    }
}
