//! What others are told of a table: its name, what was counted, how it stands. Plain data.

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
    /// As configuration, metrics and logs say it.
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

/// What was counted of a table since the process began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableCounts {
    /// Records that were read from its topic.
    pub records: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// Records that could not be used, by reason.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Versions within the history that were dropped, since a key had too many.
    pub versions_dropped: u64,
    /// Times that its file was read again: with success.
    pub reloads: u64,
    /// And without.
    pub failed_reloads: u64,
}

/// How a table stands, for metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct TableView {
    /// The table.
    pub table: TableName,
    /// Whether it is fed by a topic.
    pub followed: bool,
    /// Whether it was read completely.
    pub ready: bool,
    /// How long that took; for tables from topics, once they are ready.
    pub load: Option<Duration>,
    /// Age of the moment up to which it is known to be complete; zero for tables from files.
    pub staleness: Duration,
    /// Whether its file, as it is now, was not taken, so that an older table stays.
    pub refused: bool,
    /// What was counted.
    pub counts: TableCounts,
}
