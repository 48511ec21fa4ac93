//! Logs the reading of a table's topic: progress, rejected records, blocked partitions. It decides
//! nothing.

use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use crate::kafka::native::NativeRecord;
use crate::tables::{EndOffsets, TableCounts, TableName, TableOffsets};
use audit_judge::reference::RecordProblem;
use audit_judge::reference::versions::{VERSIONS_BYTES_MAX, VERSIONS_MAX};

/// How often progress is logged while a topic is read for the first time.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(3);
/// Most rejected records that are logged in [`REJECT_INTERVAL`]; all are counted.
const REJECTS_MAX: u32 = 10;
const REJECT_INTERVAL: Duration = Duration::from_secs(10);

/// Logs the progress of the first reading.
pub(in crate::kafka) struct Progress {
    table: TableName,
    started: Instant,
    logged: Instant,
}

impl Progress {
    pub(super) fn start(table: TableName, topic: &str) -> Self {
        info!(table = table.name(), topic, "reading the table");
        let now = Instant::now();
        Progress { table, started: now, logged: now }
    }

    pub(super) fn log(
        &mut self,
        counts: &TableCounts,
        positions: &TableOffsets,
        target: Option<&EndOffsets>,
    ) {
        if self.logged.elapsed() < PROGRESS_INTERVAL {
            return;
        }
        self.logged = Instant::now();
        let read: i64 = positions.values().sum();
        let all: i64 = target.map_or(0, |target| target.ends.values().sum());
        // Compacted offsets count as read as soon as the next record is.
        let percent = (read * 100).checked_div(all).map(|percent| percent.min(100));
        info!(
            table = self.table.name(),
            records = counts.records,
            bytes = counts.bytes,
            percent,
            "reading the table"
        );
    }

    pub(super) fn log_ready(&self, counts: &TableCounts, entries: usize) {
        info!(
            table = self.table.name(),
            records = counts.records,
            bytes = counts.bytes,
            entries,
            seconds = self.started.elapsed().as_secs_f64(),
            "the table is ready"
        );
    }
}

/// Logs what blocks the reading of a table, or that nothing blocks it any more.
pub(in crate::kafka) fn log_blocked(table: TableName, cause: Option<&str>) {
    let table = table.name();
    match cause {
        Some(cause) => error!(table, "{cause}; retrying from that offset"),
        None => info!(table, "no partition of the table is blocked any more"),
    }
}

/// Logs rejected records, at a limited rate.
pub(in crate::kafka) struct RejectLog {
    since: Instant,
    count: u32,
    has_logged_dropped: bool,
}

impl RejectLog {
    pub(super) fn new() -> Self {
        RejectLog { since: Instant::now(), count: 0, has_logged_dropped: false }
    }

    /// Logs once that versions were dropped: a key with too many versions has one more with each
    /// record.
    pub(super) fn log_dropped(&mut self, table: TableName, topic: &str, key: &[u8]) {
        if !std::mem::replace(&mut self.has_logged_dropped, true) {
            warn!(
                table = table.name(),
                topic,
                key = %String::from_utf8_lossy(key),
                most_versions = VERSIONS_MAX,
                most_bytes = VERSIONS_BYTES_MAX,
                "a key has too many versions within tables.history_hours; the oldest are dropped, and earlier actions are judged without them. This is logged once; audit_relay_table_versions_dropped_total counts all. Publish this key less often, or reduce tables.history_hours"
            );
        }
    }

    pub(super) fn log(
        &mut self,
        table: TableName,
        topic: &str,
        record: &NativeRecord<'_>,
        problem: &RecordProblem,
    ) {
        if self.since.elapsed() >= REJECT_INTERVAL {
            self.since = Instant::now();
            self.count = 0;
        }
        self.count += 1;
        if self.count > REJECTS_MAX {
            return;
        }
        warn!(
            table = table.name(),
            topic,
            partition = record.partition(),
            offset = record.offset(),
            reason = problem.reason.name(),
            last_of_these = self.count == REJECTS_MAX,
            "bad table record: the entry of its key is unknown from the record's time on, and actions that need it go to quarantine until a valid record follows: {problem}"
        );
    }
}
