//! What a running relay tells people and tools about itself: as JSON, and as a page. Plain data,
//! read by `top` as well, so that it is declared once. `schemas/status.schema.json` describes it.

mod flow;
mod page;
mod rates;
mod source;
#[cfg(test)]
mod tests;
pub mod words;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::liveness::health::Reason;
use crate::metrics::UnlistedView;

pub use page::{PAGE_POLICY, STYLE, page};
pub use source::{Names, SAMPLE_INTERVAL, StatusSource};

/// The state of a relay. Counts begin at the start of the process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The version of the relay.
    pub version: String,
    /// The version of librdkafka.
    pub librdkafka: String,
    /// The configured `instance`.
    pub instance: String,
    /// When the process started.
    pub started: Timestamp,
    /// When this was written.
    pub time: Timestamp,
    /// Whether `/readyz` answers 200.
    pub ready: bool,
    /// Why it is not ready, and since when.
    pub reasons: Vec<Reason>,
    /// What needs attention although nothing is held.
    pub warnings: Vec<String>,
    /// What it reads.
    pub input: Input,
    /// The number of workers; zero until the cluster has been checked.
    pub workers: usize,
    /// How far it is behind.
    pub lag: Lag,
    /// What has become of the records.
    pub flow: Flow,
    /// The partitions that this process owns.
    pub partitions: Vec<PartitionStatus>,
    /// The reference tables.
    pub tables: Vec<TableStatus>,
    /// Event names from customers that match no row of the catalogue.
    pub unlisted_names: UnlistedView,
}

/// What a relay reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// The topic.
    pub topic: String,
    /// The consumer group.
    pub group: String,
    /// The number of partitions of the topic; zero until the cluster has been checked.
    pub partitions: usize,
}

/// How far a relay is behind, over all partitions that it owns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lag {
    /// Records that are not committed yet.
    pub records: u64,
    /// The longest time that one of them may have waited.
    pub seconds: f64,
    /// When the relay has caught up if it goes on as in the last half minute, in seconds from now.
    /// Absent if it is not behind, or does not come closer to the end of each partition.
    pub caught_up_in_seconds: Option<f64>,
}

/// A relay whose lag is below this many seconds keeps up with the input.
const BEHIND_SECONDS: f64 = 5.0;

impl Lag {
    /// Returns whether the relay is behind, rather than following its input.
    pub fn is_behind(&self) -> bool {
        self.seconds >= BEHIND_SECONDS
    }
}

/// A number of records or events, and how many of them a second there were lately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Count {
    /// The number since the start.
    pub total: u64,
    /// The number a second, over the last half minute.
    pub per_second: f64,
}

/// What has become of the records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Flow {
    /// All records.
    pub read: Count,
    /// Those that became an audit event.
    pub audited: Count,
    /// Those that do not belong in the audit trail.
    pub skipped: Count,
    /// Those that went to the quarantine topic.
    pub quarantined: Count,
    /// The skipped and quarantined ones by reason; reasons that have not occurred are left out.
    pub reasons: Vec<FateCount>,
    /// The audit events of each output region.
    pub regions: Vec<RegionCount>,
}

/// The records with a fate, for one reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FateCount {
    /// `skipped` or `quarantined`.
    pub fate: String,
    /// The reason, as in the metrics.
    pub reason: String,
    /// Their number.
    #[serde(flatten)]
    pub count: Count,
}

/// The audit events of a region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegionCount {
    /// The region.
    pub region: String,
    /// Their number.
    #[serde(flatten)]
    pub count: Count,
}

/// A partition that the process owns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartitionStatus {
    /// Its number.
    pub partition: i32,
    /// The worker that reads it.
    pub worker: usize,
    /// The next offset to read; absent until something was committed since the assignment.
    pub offset: Option<i64>,
    /// The end offset as the client last reported it, some seconds ago at most.
    pub end: Option<i64>,
    /// Records that are not committed yet.
    pub lag_records: u64,
    /// The longest time that one of them may have waited.
    pub lag_seconds: f64,
    /// When it last made progress: a commit, or its end.
    pub last_progress: Timestamp,
    /// Why it is held while the others continue.
    pub held: Option<String>,
}

/// A reference table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableStatus {
    /// `principals` or `devices`.
    pub table: String,
    /// Whether a topic feeds it, rather than a file.
    pub followed: bool,
    /// Whether it was read completely.
    pub ready: bool,
    /// The number of its entries.
    pub entries: usize,
    /// Time since it was last known to be complete; zero for a table from a file.
    pub staleness_seconds: f64,
    /// Whether its current file was rejected, so that an older table stays in use.
    pub refused: bool,
}
