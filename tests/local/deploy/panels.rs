//! The panels of the dashboard, row by row. `dashboard.rs` makes the file from them.
//!
//! In an expression, `of(…)` limits what it encloses to the relays that are chosen on the
//! dashboard, and `known(…)` to those that were there within the last day. What is absent on a
//! healthy relay has a zero beside it: an empty panel looks like a broken one.

use audit_relay::metrics::{METRICS, Metric};

/// How a panel looks.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// A number, and from which value on it is colored as a warning.
    Number(Option<f64>),
    /// A line for each series, and where a line marks the threshold of an alert.
    Lines(Option<f64>),
    /// Areas on top of each other.
    Stacked,
    /// A band over time for each series: 1 is good and 0 is bad.
    Good,
    /// The opposite: 0 is good.
    Bad,
}

/// A panel. Its id stays what it is for as long as the panel answers the same question.
pub(super) struct Panel {
    pub(super) id: u32,
    pub(super) title: &'static str,
    pub(super) kind: Kind,
    pub(super) unit: &'static str,
    /// Width, in twenty-fourths of the dashboard.
    pub(super) width: u32,
    /// Expressions, each with the legend of its series.
    pub(super) queries: Vec<(String, String)>,
    /// What it tells.
    pub(super) tells: String,
    /// When to worry.
    pub(super) worry: &'static str,
    /// The alerts about the same, whose sections of the runbook help.
    pub(super) alerts: &'static [&'static str],
}

pub(super) fn metric(name: &str) -> &'static Metric {
    let found = METRICS.iter().find(|metric| metric.name == name);
    found.unwrap_or_else(|| panic!("there is no metric {name}"))
}

impl Panel {
    fn new(id: u32, title: &'static str, kind: Kind, unit: &'static str) -> Panel {
        let width = if matches!(kind, Kind::Number(_)) { 4 } else { 8 };
        let (queries, tells) = (Vec::new(), String::new());
        Panel { id, title, kind, unit, width, queries, tells, worry: "", alerts: &[] }
    }

    fn width(self, width: u32) -> Panel {
        Panel { width, ..self }
    }

    fn query(mut self, expression: &str, legend: &str) -> Panel {
        self.queries.push((expression.to_string(), legend.to_string()));
        self
    }

    /// Quantiles of a histogram, zero while nothing is observed.
    fn quantiles(mut self, name: &str, quantiles: &[f64]) -> Panel {
        for quantile in quantiles {
            let expression = format!(
                "histogram_quantile({quantile}, sum by (le) (of(rate({name}_bucket[$__rate_interval])))) >= 0 \
                 or 0 * sum(of({name}_count))"
            );
            self = self.query(&expression, &format!("{:.0} %", quantile * 100.0));
        }
        self.help(name)
    }

    /// Tells what the metric's own help says.
    fn help(self, name: &str) -> Panel {
        self.tells(metric(name).help)
    }

    fn tells(mut self, text: &str) -> Panel {
        self.tells = text.to_string();
        self
    }

    fn worry(self, worry: &'static str) -> Panel {
        Panel { worry, ..self }
    }

    fn alerts(self, alerts: &'static [&'static str]) -> Panel {
        Panel { alerts, ..self }
    }
}

fn number(id: u32, title: &'static str, unit: &'static str, warning: Option<f64>) -> Panel {
    Panel::new(id, title, Kind::Number(warning), unit)
}

fn lines(id: u32, title: &'static str, unit: &'static str) -> Panel {
    Panel::new(id, title, Kind::Lines(None), unit)
}

fn stacked(id: u32, title: &'static str, unit: &'static str) -> Panel {
    Panel::new(id, title, Kind::Stacked, unit)
}

/// The rows: an id, a question, and the panels that answer it.
pub(super) fn rows() -> Vec<(u32, &'static str, Vec<Panel>)> {
    vec![
        (100, "Is it well?", well()),
        (200, "Is it behind?", behind()),
        (300, "What becomes of the records?", records()),
        (400, "Are the reference tables complete?", tables()),
        (500, "Transactions and the process", process()),
    ]
}

fn well() -> Vec<Panel> {
    vec![
        number(101, "Relays that answer", "none", None)
            .query("count(of(audit_relay_ready))", "relays")
            .tells("Relays of this deployment that Prometheus can scrape.")
            .worry("Worry if it is less than you run.")
            .alerts(&["AuditRelayNotScraped", "AuditRelayRestarting"]),
        number(102, "Relays that do not answer", "none", Some(1.0))
            .query("sum(known(up == bool 0))", "down")
            .tells("Targets that were relays of this deployment within the last day and cannot be scraped.")
            .worry("Worry if it lasts longer than a restart.")
            .alerts(&["AuditRelayDown"]),
        number(103, "Relays that are not ready", "none", Some(1.0))
            .query("count(of(audit_relay_ready)) - sum(of(audit_relay_ready))", "not ready")
            .tells("They run but wait for something; /readyz of each says for what. Nothing is lost: the input waits.")
            .worry("Worry if it lasts longer than a start.")
            .alerts(&["AuditRelayNotReady"]),
        number(104, "Partitions without an owner", "none", Some(1.0))
            .query(
                "max(of(audit_relay_input_partitions)) - \
                 (count(count by (partition) (of(audit_relay_partition_lag_records))) or 0 * max(of(audit_relay_input_partitions)))",
                "not read",
            )
            .tells("Input partitions that no relay reads. They have no lag either: only their owner knows it.")
            .worry("Worry if it lasts longer than a rebalance.")
            .alerts(&["AuditRelayPartitionUnowned"]),
        number(105, "Partitions held", "none", Some(1.0))
            .query("count(of(audit_relay_partition_held == 1)) or 0 * count(of(audit_relay_ready))", "held")
            .tells("Partitions that cannot go on while the others do. /readyz and the log name offsets and remedy.")
            .worry("Worry if it lasts longer than a minute.")
            .alerts(&["AuditRelayPartitionHeld"]),
        number(106, "Relays by version", "none", None)
            .query("count by (version, librdkafka) (of(audit_relay_build_info))", "{{version}} / {{librdkafka}}")
            .tells("Relays by the versions of audit-relay and of librdkafka.")
            .worry("Worry if there are two long after a rollout.")
            .alerts(&["AuditRelayVersionsDiffer"]),
        Panel::new(107, "Ready", Kind::Good, "none")
            .query("min by (instance) (of(audit_relay_ready))", "{{instance}}")
            .help("audit_relay_ready")
            .worry("A gap is a time without scrapes.")
            .alerts(&["AuditRelayNotReady"]),
        Panel::new(108, "Held partitions by reason", Kind::Bad, "none")
            .query(
                "max by (partition, reason) (of(audit_relay_partition_held)) \
                 or label_replace(label_replace(0 * count(of(audit_relay_ready)), \"reason\", \"held\", \"\", \"\"), \"partition\", \"none\", \"\", \"\")",
                "{{partition}} {{reason}}",
            )
            .help("audit_relay_partition_held")
            .worry("Worry about each.")
            .alerts(&["AuditRelayPartitionHeld"]),
        lines(109, "Workers and partitions", "none")
            .query("sum(of(audit_relay_workers))", "workers")
            .query("max(of(audit_relay_input_partitions))", "partitions of the input")
            .query("sum(of(audit_relay_assigned_partitions))", "partitions owned")
            .tells("Threads that read, partitions of the input, and how many of them have an owner.")
            .worry("Workers beyond the partitions are spares. Owned partitions dip in a rebalance, and a relay that hung counts its own until it notices.")
            .alerts(&["AuditRelayIdleWorkers", "AuditRelayPartitionUnowned"]),
    ]
}

fn behind() -> Vec<Panel> {
    vec![
        Panel::new(201, "Lag in seconds by partition", Kind::Lines(Some(60.0)), "s")
            .width(12)
            .query("max by (partition) (of(audit_relay_partition_lag_seconds))", "{{partition}}")
            .help("audit_relay_partition_lag_seconds")
            .worry("All partitions: too little capacity. One: a busy device, or a partition that stands still.")
            .alerts(&["AuditRelayLagging", "AuditRelayStalled"]),
        stacked(202, "Lag in records by partition", "short")
            .width(12)
            .query("max by (partition) (of(audit_relay_partition_lag_records))", "{{partition}}")
            .help("audit_relay_partition_lag_records")
            .worry("Worry if it grows.")
            .alerts(&["AuditRelayLagging", "AuditRelayStalled"]),
        lines(203, "Records read per second", "short")
            .query("sum by (instance) (of(rate(audit_relay_records_read_total[$__rate_interval])))", "{{instance}}")
            .tells("Input records read and committed, by relay.")
            .worry("Worry if it is zero while there is lag.")
            .alerts(&["AuditRelayStalled"]),
        lines(204, "Time from record to event", "s")
            .quantiles("audit_relay_end_to_end_latency_seconds", &[0.5, 0.9, 0.99])
            .worry("It includes the time that records waited before they were read. 0 while there are no events."),
        Panel::new(205, "Time since progress by partition", Kind::Lines(Some(60.0)), "s")
            .query("time() - max by (partition) (of(audit_relay_last_progress_timestamp_seconds))", "{{partition}}")
            .help("audit_relay_last_progress_timestamp_seconds")
            .worry("Worry if it grows while the partition has lag.")
            .alerts(&["AuditRelayStalled"]),
    ]
}

fn records() -> Vec<Panel> {
    vec![
        stacked(301, "Records by fate per second", "short")
            .query("sum by (fate) (of(rate(audit_relay_records_total[$__rate_interval])))", "{{fate}}")
            .help("audit_relay_records_total"),
        stacked(302, "Skipped by reason per second", "short")
            .query(
                "sum by (reason) (of(rate(audit_relay_records_total{fate=\"skipped\"}[$__rate_interval])))",
                "{{reason}}",
            )
            .tells("Records that do not belong in the audit trail.")
            .worry("A reason that rises at once may be a changed producer or table: `audit-relay explain` a record."),
        stacked(303, "Quarantined by reason per second", "short")
            .query(
                "sum by (reason) (of(rate(audit_relay_records_total{fate=\"quarantined\"}[$__rate_interval])))",
                "{{reason}}",
            )
            .tells("Records that could not be judged. They are not in the audit trail.")
            .worry("Worry about each: schemas/README.md has a remedy for every reason.")
            .alerts(&["AuditRelayQuarantine"]),
        stacked(304, "Audit events by region per second", "short")
            .width(12)
            .query("sum by (region) (of(rate(audit_relay_events_total[$__rate_interval])))", "{{region}}")
            .help("audit_relay_events_total")
            .worry("Worry if a region that is used falls silent."),
        number(305, "Unaccounted", "short", Some(1.0))
            .query("abs(sum(of(audit_relay_records_read_total)) - sum(of(audit_relay_records_total)))", "records")
            .tells("Records read less records with a fate, since the relays started.")
            .worry("Worry if it is not 0 twice in a row: a scrape may fall between the two counters."),
        number(306, "Not in the trail", "short", Some(1.0))
            .width(8)
            .query("sum(of(audit_relay_unlisted_names_total))", "unlisted names")
            .query("sum(of(audit_relay_quarantine_stubs_total))", "stubs")
            .query("sum(of(audit_relay_deleted_offsets_total))", "deleted offsets")
            .query("sum(of(audit_relay_passed_over_offsets_total))", "passed over")
            .tells(
                "Since the relays started. Unlisted names: records of customers whose event no row of the catalogue names; /status \
                 lists the names. Stubs: quarantined records that the quarantine topic does not take whole. Deleted and passed over: \
                 input that was never read.",
            )
            .worry("Worry about each.")
            .alerts(&["AuditRelayInputDeleted", "AuditRelayQuarantineStubs"]),
    ]
}

fn tables() -> Vec<Panel> {
    vec![
        lines(401, "Entries by table", "short")
            .query("max by (table) (of(audit_relay_table_entries))", "{{table}}")
            .help("audit_relay_table_entries")
            .worry("Worry if it falls at once."),
        Panel::new(402, "Complete by table", Kind::Good, "none")
            .query("min by (table) (of(audit_relay_table_ready))", "{{table}}")
            .help("audit_relay_table_ready")
            .worry("No record is judged before all are complete.")
            .alerts(&["AuditRelayNotReady"]),
        lines(403, "Staleness and load time by table", "s")
            .query("max by (table) (of(audit_relay_table_staleness_seconds))", "staleness of {{table}}")
            .query("max by (table) (of(audit_relay_table_load_seconds))", "load of {{table}}")
            .help("audit_relay_table_staleness_seconds")
            .worry("The relay holds above tables.staleness_limit_ms. The load is what a start waits for."),
        lines(404, "Table records per second", "short")
            .query(
                "sum by (table) (of(rate(audit_relay_table_records_total[$__rate_interval]))) or 0 * max by (table) (of(audit_relay_table_ready))",
                "{{table}}",
            )
            .help("audit_relay_table_records_total")
            .worry("Each relay reads every record. 0 for files."),
        lines(405, "Table bytes per second", "Bps")
            .query(
                "sum by (table) (of(rate(audit_relay_table_bytes_total[$__rate_interval]))) or 0 * max by (table) (of(audit_relay_table_ready))",
                "{{table}}",
            )
            .help("audit_relay_table_bytes_total")
            .worry("0 for files."),
        lines(406, "Wait for the tables", "s")
            .quantiles("audit_relay_table_barrier_seconds", &[0.5, 0.99])
            .worry("Worry above a second: the tables lag. 0 while no batch waits."),
        lines(407, "Batches that waited for the tables per second", "short")
            .query("sum by (result) (of(rate(audit_relay_table_barriers_total[$__rate_interval])))", "{{result}}")
            .help("audit_relay_table_barriers_total")
            .worry("A failed batch is tried again. Worry if failures last."),
        Panel::new(408, "Files refused", Kind::Bad, "none")
            .query(
                "max by (table) (of(audit_relay_table_reload_refused)) or 0 * max by (table) (of(audit_relay_table_ready))",
                "{{table}}",
            )
            .help("audit_relay_table_reload_refused")
            .worry("Worry about each.")
            .alerts(&["AuditRelayTableNotTaken"]),
        number(409, "Rejected, dropped, not reloaded", "short", Some(1.0))
            .width(8)
            .query(
                "max by (table) (sum by (instance, table) (of(audit_relay_table_rejected_total))) or 0 * max by (table) (of(audit_relay_table_ready))",
                "{{table}} rejected",
            )
            .query(
                "max by (table) (of(audit_relay_table_versions_dropped_total)) or 0 * max by (table) (of(audit_relay_table_ready))",
                "{{table}} dropped",
            )
            .query(
                "max by (table) (of(audit_relay_table_reloads_total{result=\"failed\"})) or 0 * max by (table) (of(audit_relay_table_ready))",
                "{{table}} not reloaded",
            )
            .tells(
                "Since the relays started, of the relay with the most. Rejected: the key is unknown until a good record comes. Dropped: \
                 versions within the history, of a key that has too many. Not reloaded: the old table stays in use.",
            )
            .worry("Worry about each.")
            .alerts(&["AuditRelayTableRecordsRejected", "AuditRelayTableNotTaken"]),
    ]
}

fn process() -> Vec<Panel> {
    vec![
        lines(501, "Transactions by result per second", "short")
            .query("sum by (result) (of(rate(audit_relay_transactions_total[$__rate_interval])))", "{{result}}")
            .help("audit_relay_transactions_total")
            .worry("A single abort belongs to a rebalance. Worry about one in ten.")
            .alerts(&["AuditRelayTransactionsFailing"]),
        lines(502, "Batch size in records", "short")
            .quantiles("audit_relay_batch_records", &[0.5, 0.99])
            .worry("Batches grow with the lag, up to batch.max_records."),
        lines(503, "Batch age at its commit", "s")
            .quantiles("audit_relay_batch_duration_seconds", &[0.5, 0.99])
            .worry("At rest it is batch.max_age_ms and the time of a commit. Worry above a second: look at the brokers."),
        Panel::new(504, "Standstill", Kind::Lines(Some(30.0)), "s")
            .query("max by (instance) (of(audit_relay_standstill_seconds))", "{{instance}}")
            .help("audit_relay_standstill_seconds")
            .worry("Worry if it grows. Not ready above 30 seconds.")
            .alerts(&["AuditRelayStalled", "AuditRelayNotReady"]),
        lines(505, "Rebalances per minute", "short")
            .query("60 * sum by (kind) (of(rate(audit_relay_rebalances_total[$__rate_interval])))", "{{kind}}")
            .help("audit_relay_rebalances_total")
            .worry("Normal while relays start and stop. Lost partitions had an owner that was away too long."),
        lines(506, "Producers replaced per minute", "short")
            .query("60 * sum by (reason) (of(rate(audit_relay_producer_rebuilds_total[$__rate_interval])))", "{{reason}}")
            .help("audit_relay_producer_rebuilds_total")
            .worry("Fenced again and again: two processes have the same instance name.")
            .alerts(&["AuditRelayProducerRebuilt"]),
        lines(507, "CPU cores", "short")
            .query("sum by (instance) (of(rate(process_cpu_seconds_total[$__rate_interval])))", "{{instance}}")
            .tells("Processor time per second.")
            .worry("A worker that is behind uses about one core. Lag without CPU: it waits for a broker, or holds."),
        lines(508, "Memory", "bytes")
            .query("max by (instance) (of(process_resident_memory_bytes))", "{{instance}}")
            .tells("Resident memory.")
            .worry("It does not grow with lag. Worry near the limit of the container."),
        lines(509, "Uptime", "s")
            .query("max by (instance) (of(time() - process_start_time_seconds))", "{{instance}}")
            .tells("Time since the process started.")
            .worry("A saw tooth is a process that keeps ending: its last log line says why.")
            .alerts(&["AuditRelayRestarting"]),
        lines(510, "Anchors not kept, per minute", "short")
            .query(
                "60 * sum(of(rate(audit_relay_anchors_total{result=\"failed\"}[$__rate_interval]))) or 0 * count(of(audit_relay_ready))",
                "not kept",
            )
            .tells("Anchors of a sealed trail that could not be written to their file or sent to their endpoint.")
            .worry("The log has them, and the cause.")
            .alerts(&["AuditRelayAnchorsNotKept"]),
    ]
}
