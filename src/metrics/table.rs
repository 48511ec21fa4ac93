//! The definition of every metric: name, type, labels and help. The registration and the table in
//! the reference are generated from it. It holds no values.

use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts};

/// The types of metrics that the relay has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MetricType {
    /// Only increases, from 0 at the start of the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations in buckets with these upper bounds.
    Histogram(&'static [f64]),
}

impl MetricType {
    /// Returns the name that Prometheus uses for it.
    pub const fn name(self) -> &'static str {
        match self {
            Counter => "counter",
            Gauge => "gauge",
            Histogram(_) => "histogram",
        }
    }
}

/// The definition of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Its name, which ends with the unit.
    pub name: &'static str,
    /// Its type.
    pub metric_type: MetricType,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// The help text: one or two sentences.
    pub help: &'static str,
}

/// Declares each metric as a constant, and all of them as [`METRICS`].
macro_rules! metrics {
    ($($constant:ident = $name:literal, $type:expr, [$($label:literal),*], $help:literal;)+) => {
        $(
            #[doc = $help]
            pub(super) const $constant: Metric = Metric {
                name: $name,
                metric_type: $type,
                labels: &[$($label),*],
                help: $help,
            };
        )+

        /// Every metric, in the order of the documentation.
        pub const METRICS: &[Metric] = &[$($constant),+];
    };
}

use MetricType::{Counter, Gauge, Histogram};

/// Seconds: fine around the targets of 45 and 130 ms, up to a minute of lag.
const LATENCY_BUCKETS: &[f64] =
    &[0.005, 0.01, 0.02, 0.03, 0.045, 0.07, 0.1, 0.13, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Records, up to twice the default limit of a batch.
const BATCH_BUCKETS: &[f64] =
    &[1.0, 10.0, 100.0, 1_000.0, 5_000.0, 10_000.0, 20_000.0, 50_000.0, 100_000.0];
/// Seconds, up to the time limit of one step of a transaction.
const DURATION_BUCKETS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0];

metrics! {
    RECORDS_READ = "audit_relay_records_read_total", Counter, ["partition"],
        "Input records read and committed. Equals the sum of audit_relay_records_total over all fates and reasons.";
    RECORDS = "audit_relay_records_total", Counter, ["partition", "fate", "reason"],
        "Input records by fate (audited, skipped, quarantined) and reason (empty for audited), counted when committed.";
    STUBS = "audit_relay_quarantine_stubs_total", Counter, ["partition"],
        "Quarantined records that were too large for the quarantine topic and were written as stubs, with size, SHA-256 and the first 1,000 bytes. The original is only in the input topic.";
    UNLISTED_NAMES = "audit_relay_unlisted_names_total", Counter, [],
        "Skipped records from customers, about objects of an audited class, whose event name matches no row of the catalogue: these actions are not in the trail. /status lists the names.";
    DELETED = "audit_relay_deleted_offsets_total", Counter, ["partition"],
        "Input offsets that were deleted before they were read, by retention or by hand: their records are not in the trail.";
    PASSED_OVER = "audit_relay_passed_over_offsets_total", Counter, ["partition"],
        "Input offsets that could not be read and were skipped as listed in input.pass_over: their records are not in the trail.";
    PARTITION_HELD = "audit_relay_partition_held", Gauge, ["partition", "reason"],
        "1 while a partition is held and the others continue (unreadable, behind_end, went_back, unpublishable, unplaced, unsealable); /readyz names the cause.";
    EVENTS = "audit_relay_events_total", Counter, ["region"],
        "Audit events committed to the output topic of a region.";
    LAG_RECORDS = "audit_relay_partition_lag_records", Gauge, ["partition"],
        "Input records of an owned partition that are not committed yet. At least 1 until a new owner has committed or reached the end; 0 at the end.";
    LAG_SECONDS = "audit_relay_partition_lag_seconds", Gauge, ["partition"],
        "Longest possible wait of the oldest uncommitted input record of an owned partition, computed at scrape time. 0 without lag.";
    LATENCY = "audit_relay_end_to_end_latency_seconds", Histogram(LATENCY_BUCKETS), [],
        "Time from the timestamp of the input record to the commit of its audit event.";
    BATCH_RECORDS = "audit_relay_batch_records", Histogram(BATCH_BUCKETS), [],
        "Input records per committed transaction.";
    BATCH_DURATION = "audit_relay_batch_duration_seconds", Histogram(DURATION_BUCKETS), [],
        "Time from the first record of a batch to its commit.";
    TRANSACTIONS = "audit_relay_transactions_total", Counter, ["result"],
        "Transactions by result (committed, aborted, broken, fenced, fatal).";
    PRODUCER_REBUILDS = "audit_relay_producer_rebuilds_total", Counter, ["reason"],
        "Attempts to replace a producer, by reason: it was broken or fenced, it may have sent a request twice or lost records (spent), or it could not abort (unabortable).";
    REBALANCES = "audit_relay_rebalances_total", Counter, ["kind"],
        "Rebalances of the consumer group, as seen by the workers (assigned, revoked, lost).";
    ASSIGNED_PARTITIONS = "audit_relay_assigned_partitions", Gauge, ["worker"],
        "Input partitions that a worker owns.";
    LAST_PROGRESS = "audit_relay_last_progress_timestamp_seconds", Gauge, ["partition"],
        "Time when an owned partition was last assigned, committed, or at its end, in seconds since 1970.";
    TABLE_ENTRIES = "audit_relay_table_entries", Gauge, ["table"],
        "Keys of a reference table (principals, devices), including removed keys that are still remembered.";
    TABLE_READY = "audit_relay_table_ready", Gauge, ["table"],
        "1 if a reference table has been read completely, else 0.";
    TABLE_LOAD = "audit_relay_table_load_seconds", Gauge, ["table"],
        "Time that it took to read a table's topic to its end; 0 for files, and until the end is reached.";
    TABLE_STALENESS = "audit_relay_table_staleness_seconds", Gauge, ["table"],
        "Time since a table was last known to contain everything in its topic; 0 for files.";
    TABLE_RECORDS = "audit_relay_table_records_total", Counter, ["table"],
        "Records read from a table's topic, including rejected ones.";
    TABLE_BYTES = "audit_relay_table_bytes_total", Counter, ["table"],
        "Bytes of keys and values read from a table's topic.";
    TABLE_REJECTED = "audit_relay_table_rejected_total", Counter, ["table", "reason"],
        "Records of a table's topic that were rejected (malformed, key_mismatch, too_large). If the key can be read, it is unknown until a valid record for it arrives: its actions go to quarantine.";
    TABLE_VERSIONS_DROPPED = "audit_relay_table_versions_dropped_total", Counter, ["table"],
        "Versions dropped although they are within the history, because their key has more than 1,000 versions or 1 MiB; actions of their time are judged without them.";
    TABLE_RELOADS = "audit_relay_table_reloads_total", Counter, ["table", "result"],
        "Reloads of a table's file (ok, failed). After a failed reload the old table stays in use.";
    TABLE_RELOAD_REFUSED = "audit_relay_table_reload_refused", Gauge, ["table"],
        "1 while a table's file is rejected (it cannot be read, is empty, or lacks too many of the table's keys) and the old table stays in use, else 0; /readyz and the log give the cause.";
    TABLE_BARRIERS = "audit_relay_table_barriers_total", Counter, ["result"],
        "Batches that waited for the tables to catch up with their topics (met, failed).";
    TABLE_BARRIER = "audit_relay_table_barrier_seconds", Histogram(DURATION_BUCKETS), [],
        "Time that a batch waited for the tables to catch up.";
    ANCHORS = "audit_relay_anchors_total", Counter, ["place", "result"],
        "Anchors of a sealed trail for integrity.anchor_file and integrity.anchor_url, by place (file, endpoint) and result (kept, failed). One that failed is in the log only. Absent if neither is configured.";
    STANDSTILL = "audit_relay_standstill_seconds", Gauge, [],
        "Longest time without a heartbeat from a worker, or without progress of a partition that has data. At the limit the process exits. Near 0 in normal operation.";
    READY = "audit_relay_ready", Gauge, [],
        "1 if the process is ready, else 0; /readyz gives the reasons.";
    INPUT_INFO = "audit_relay_input_info", Gauge, ["group", "topic"],
        "Always 1; the labels are the consumer group and the input topic. Join it to tell deployments apart.";
    INPUT_PARTITIONS = "audit_relay_input_partitions", Gauge, [],
        "Partitions of the input topic, as last seen; 0 until the cluster was asked.";
    WORKERS = "audit_relay_workers", Gauge, [],
        "Workers of this process, each a member of the consumer group; 0 until they start.";
    BUILD_INFO = "audit_relay_build_info", Gauge, ["version", "librdkafka"],
        "Always 1; the labels are the versions of audit-relay and of librdkafka.";
}

impl Metric {
    fn options(&self) -> Opts {
        Opts::new(self.name, self.help)
    }

    pub(super) fn counter(&self) -> Result<IntCounterVec, prometheus::Error> {
        IntCounterVec::new(self.options(), self.labels)
    }

    pub(super) fn gauge(&self) -> Result<GaugeVec, prometheus::Error> {
        GaugeVec::new(self.options(), self.labels)
    }

    pub(super) fn histogram(&self) -> Result<HistogramVec, prometheus::Error> {
        let options = HistogramOpts::from(self.options());
        match self.metric_type {
            Histogram(buckets) => HistogramVec::new(options.buckets(buckets.to_vec()), self.labels),
            Counter | Gauge => Err(prometheus::Error::Msg(format!("{} has no buckets", self.name))),
        }
    }
}

/// Returns the table for the documentation.
pub fn metrics_markdown() -> String {
    let mut table = String::from("| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for metric in METRICS {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        table.push_str(&format!(
            "| `{}` | {} | {} | {} |\n",
            metric.name,
            metric.metric_type.name(),
            labels.join(", "),
            metric.help
        ));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_table_has_a_row_for_each_metric() {
        let table = metrics_markdown();
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(rows.len(), METRICS.len());
        for (row, metric) in rows.iter().zip(METRICS) {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            assert_eq!(cells.len(), 6, "{row}");
            assert_eq!(cells[1], format!("`{}`", metric.name));
            assert_eq!(cells[2], metric.metric_type.name());
            assert_eq!(cells[3].replace('`', ""), metric.labels.join(", "));
            assert_eq!(cells[4], metric.help);
        }
    }

    #[test]
    fn names_follow_the_conventions() {
        for metric in METRICS {
            assert!(metric.name.starts_with("audit_relay_"), "{}", metric.name);
            let total = metric.name.ends_with("_total");
            assert_eq!(total, metric.metric_type == Counter, "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
        }
    }
}
