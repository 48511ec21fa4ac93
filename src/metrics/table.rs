//! Every metric of the relay: its name, type, labels and help, in this one place. What is
//! registered and what the README says are both made from it. It holds no values.

use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts};

/// The three kinds of metrics that the relay has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MetricType {
    /// Only grows, from 0 at the start of the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by size; these are the upper bounds of the buckets.
    Histogram(&'static [f64]),
}

impl MetricType {
    /// The word that Prometheus has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Counter => "counter",
            Gauge => "gauge",
            Histogram(_) => "histogram",
        }
    }
}

/// What is to be known of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Its name, with the unit last.
    pub name: &'static str,
    /// Its type.
    pub metric_type: MetricType,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// One or two sentences.
    pub help: &'static str,
}

/// Declares each metric once, as a constant, and all of them as [`METRICS`].
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

/// Seconds, around the goals of 45 and 130 ms and up to a minute of lag.
const LATENCY_BUCKETS: &[f64] =
    &[0.005, 0.01, 0.02, 0.03, 0.045, 0.07, 0.1, 0.13, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Records, up to twice the default limit of a batch.
const BATCH_BUCKETS: &[f64] =
    &[1.0, 10.0, 100.0, 1_000.0, 5_000.0, 10_000.0, 20_000.0, 50_000.0, 100_000.0];
/// Seconds, up to the longest wait for one step of a transaction.
const DURATION_BUCKETS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0];

metrics! {
    RECORDS_READ = "audit_relay_records_read_total", Counter, ["partition"],
        "Input records read and committed. Equals the sum of audit_relay_records_total over fates and reasons.";
    RECORDS = "audit_relay_records_total", Counter, ["partition", "fate", "reason"],
        "Input records by fate (audited, skipped, quarantined) and reason (empty for audited), counted when committed.";
    STUBS = "audit_relay_quarantine_stubs_total", Counter, ["partition"],
        "Quarantined records that the quarantine topic does not take whole: a stub with size, SHA-256 and first 1,000 bytes stands for each, and the original is in the input topic alone.";
    UNLISTED_NAMES = "audit_relay_unlisted_names_total", Counter, [],
        "Skipped records of customers about objects of an audited class whose event name no row of the catalogue has: what they did is not in the trail. The names are at /status.";
    DELETED = "audit_relay_deleted_offsets_total", Counter, ["partition"],
        "Input offsets that were deleted before they were read, by retention or by hand: what they held is not in the trail.";
    PASSED_OVER = "audit_relay_passed_over_offsets_total", Counter, ["partition"],
        "Input offsets that could not be read and were passed over, as input.pass_over says: what they held is not in the trail.";
    PARTITION_HELD = "audit_relay_partition_held", Gauge, ["partition", "reason"],
        "1 while a partition is held and the others go on (unreadable, behind_end, went_back, unpublishable, unplaced); /readyz says more.";
    EVENTS = "audit_relay_events_total", Counter, ["region"],
        "Audit events committed to the output topic of a region.";
    LAG_RECORDS = "audit_relay_partition_lag_records", Gauge, ["partition"],
        "Input records of an owned partition that are not committed yet; at least 1 until a new owner has committed or found the end. 0 at the end.";
    LAG_SECONDS = "audit_relay_partition_lag_seconds", Gauge, ["partition"],
        "For how long the oldest input record of an owned partition may have been waiting, computed at scrape time. 0 without lag.";
    LATENCY = "audit_relay_end_to_end_latency_seconds", Histogram(LATENCY_BUCKETS), [],
        "From the timestamp of the input record to the commit of its audit event.";
    BATCH_RECORDS = "audit_relay_batch_records", Histogram(BATCH_BUCKETS), [],
        "Input records in a committed transaction.";
    BATCH_DURATION = "audit_relay_batch_duration_seconds", Histogram(DURATION_BUCKETS), [],
        "From the first record of a batch to its commit.";
    TRANSACTIONS = "audit_relay_transactions_total", Counter, ["result"],
        "Transactions by result (committed, aborted, broken, fenced, fatal).";
    PRODUCER_REBUILDS = "audit_relay_producer_rebuilds_total", Counter, ["reason"],
        "Times that a producer was given up to be replaced by a new one, failed attempts included: it was broken or fenced, may have sent a request twice or lost records (spent), or could not abort (unabortable).";
    REBALANCES = "audit_relay_rebalances_total", Counter, ["kind"],
        "Rebalances of the consumer group as the workers saw them (assigned, revoked, lost).";
    ASSIGNED_PARTITIONS = "audit_relay_assigned_partitions", Gauge, ["worker"],
        "Input partitions that a worker owns.";
    LAST_PROGRESS = "audit_relay_last_progress_timestamp_seconds", Gauge, ["partition"],
        "When an owned partition was last assigned, committed, or known to be at its end, in seconds since 1970.";
    TABLE_ENTRIES = "audit_relay_table_entries", Gauge, ["table"],
        "Keys of a reference table (principals, devices), removed ones that are still remembered among them.";
    TABLE_READY = "audit_relay_table_ready", Gauge, ["table"],
        "1 if a reference table was read completely, else 0.";
    TABLE_LOAD = "audit_relay_table_load_seconds", Gauge, ["table"],
        "How long it took to read a table's topic to its end; 0 for files and until it is read.";
    TABLE_STALENESS = "audit_relay_table_staleness_seconds", Gauge, ["table"],
        "Age of the moment up to which a table is known to hold all that its topic holds; 0 for files.";
    TABLE_RECORDS = "audit_relay_table_records_total", Counter, ["table"],
        "Records read from a table's topic, bad ones included.";
    TABLE_BYTES = "audit_relay_table_bytes_total", Counter, ["table"],
        "Bytes of the keys and values of these records.";
    TABLE_REJECTED = "audit_relay_table_rejected_total", Counter, ["table", "reason"],
        "Records of a table's topic that could not be used (malformed, key_mismatch, too_large). Their key, if it can be read, is unknown from then on until a good record comes: its actions go to quarantine.";
    TABLE_VERSIONS_DROPPED = "audit_relay_table_versions_dropped_total", Counter, ["table"],
        "Versions that were dropped within the history because their key has more than 1,000 of them, or more than 1 MiB; actions of their time are judged without them.";
    TABLE_RELOADS = "audit_relay_table_reloads_total", Counter, ["table", "result"],
        "Times that a table's file was read again (ok, failed); after a failure the old table stays.";
    TABLE_RELOAD_REFUSED = "audit_relay_table_reload_refused", Gauge, ["table"],
        "1 while a table's file is not taken as it is now (it cannot be read, is empty, or lacks too many of the table's keys) and the old table stays, else 0; /readyz and the log say why.";
    TABLE_BARRIERS = "audit_relay_table_barriers_total", Counter, ["result"],
        "Times that a batch waited for the tables to catch up with their topics (met, failed).";
    TABLE_BARRIER = "audit_relay_table_barrier_seconds", Histogram(DURATION_BUCKETS), [],
        "How long a batch waited for the tables to catch up.";
    STANDSTILL = "audit_relay_standstill_seconds", Gauge, [],
        "For how long the watchdog has seen a worker give no sign of life, or a partition with data make no progress; the process ends itself at the limit. Near 0 otherwise.";
    READY = "audit_relay_ready", Gauge, [],
        "1 if every worker works, else 0; /readyz says why.";
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

/// The table for the README.
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
