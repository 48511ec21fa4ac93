//! What the rest of the process sees of a table: its name, its counts and its state. Plain data.

use std::collections::BTreeMap;
use std::time::Duration;

/// A reference table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TableName {
    /// Who may act.
    Principals,
    /// What is acted upon.
    Devices,
}

impl TableName {
    /// Returns the name that the configuration, metrics and logs use.
    pub const fn name(self) -> &'static str {
        match self {
            TableName::Principals => "principals",
            TableName::Devices => "devices",
        }
    }
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The counts of a table since the start of the process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableCounts {
    /// Records read from its topic.
    pub records: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// Rejected records, by reason.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Versions dropped although they were within the history, because their key had too many.
    pub versions_dropped: u64,
    /// Successful reloads of its file.
    pub reloads: u64,
    /// Failed reloads of its file.
    pub failed_reloads: u64,
}

/// The state of a table, for metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct TableView {
    /// The table.
    pub table: TableName,
    /// Whether it is fed by a topic.
    pub followed: bool,
    /// Whether it was read completely.
    pub ready: bool,
    /// How long that took; only for tables from topics, once they are ready.
    pub load: Option<Duration>,
    /// Time since it was last known to be complete; zero for tables from files.
    pub staleness: Duration,
    /// Whether its current file was rejected, so that an older table stays in use.
    pub refused: bool,
    /// Its counts.
    pub counts: TableCounts,
}
