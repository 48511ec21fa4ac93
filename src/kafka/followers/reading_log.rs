//! What is said in the log while a table's topic is read: how far it is, and what was bad. It
//! decides nothing.

use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use crate::kafka::native::NativeRecord;
use crate::tables::{EndOffsets, Offsets, TableCounts, TableName};
use audit_judge::reference::RecordProblem;
use audit_judge::reference::versions::{MOST_VERSIONS, MOST_VERSIONS_BYTES};

/// How often progress is logged while a topic is read for the first time.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(3);
/// So many bad records are logged at most in [`COMPLAINT_INTERVAL`]; all are counted.
const COMPLAINTS_MAX: u32 = 10;
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

/// Says how far the first reading is.
pub(in crate::kafka) struct Progress {
    table: TableName,
    began: Instant,
    logged: Instant,
}

impl Progress {
    pub(super) fn begin(table: TableName, topic: &str) -> Self {
        info!(table = table.name(), topic, "reading the table");
        let now = Instant::now();
        Progress { table, began: now, logged: now }
    }

    pub(super) fn log(
        &mut self,
        counts: &TableCounts,
        positions: &Offsets,
        target: Option<&EndOffsets>,
    ) {
        if self.logged.elapsed() < PROGRESS_INTERVAL {
            return;
        }
        self.logged = Instant::now();
        let read: i64 = positions.values().sum();
        let all: i64 = target.map_or(0, |target| target.ends.values().sum());
        // Offsets that were compacted away count as read when the next record is.
        let percent = (read * 100).checked_div(all).map(|percent| percent.min(100));
        info!(
            table = self.table.name(),
            records = counts.records,
            bytes = counts.bytes,
            percent,
            "reading the table"
        );
    }

    pub(super) fn log_end(&self, counts: &TableCounts, entries: usize) {
        info!(
            table = self.table.name(),
            records = counts.records,
            bytes = counts.bytes,
            entries,
            seconds = self.began.elapsed().as_secs_f64(),
            "the table is ready"
        );
    }
}

/// Says what keeps a table from being read, or that nothing does any more.
pub(in crate::kafka) fn log_obstacle(table: TableName, cause: Option<&str>) {
    let table = table.name();
    match cause {
        Some(cause) => error!(table, "{cause}; trying again from there"),
        None => info!(table, "all partitions of the table are read on"),
    }
}

/// Logs bad records, but not all of a flood.
pub(in crate::kafka) struct Complaints {
    since: Instant,
    count: u32,
    dropping: bool,
}

impl Complaints {
    pub(super) fn new() -> Self {
        Complaints { since: Instant::now(), count: 0, dropping: false }
    }

    /// Said once: a key that has too many versions has one more with each record.
    pub(super) fn log_dropped(&mut self, table: TableName, topic: &str, key: &[u8]) {
        if !std::mem::replace(&mut self.dropping, true) {
            warn!(
                table = table.name(),
                topic,
                key = %String::from_utf8_lossy(key),
                most_versions = MOST_VERSIONS,
                most_bytes = MOST_VERSIONS_BYTES,
                "a key has too many versions within tables.history_hours, the oldest are dropped: earlier actions are judged without them. Said once; audit_relay_table_versions_dropped_total counts all. Publish this key less often, or shorten the history"
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
        if self.since.elapsed() >= COMPLAINT_INTERVAL {
            self.since = Instant::now();
            self.count = 0;
        }
        self.count += 1;
        if self.count > COMPLAINTS_MAX {
            return;
        }
        warn!(
            table = table.name(),
            topic,
            partition = record.partition(),
            offset = record.offset(),
            reason = problem.reason.name(),
            last_of_these = self.count == COMPLAINTS_MAX,
            "bad table record: what it says of its key is not known from its time on, and actions that need it go to quarantine until a good record comes: {problem}"
        );
    }
}
