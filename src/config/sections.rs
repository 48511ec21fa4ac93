//! The configuration as finished values, section by section.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use audit_judge::rules::crn::CrnTemplates;
use audit_judge::rules::policy::Policy;

use super::kafka_properties::KafkaProperties;
use crate::stream::PassOver;
use crate::stream::batch::BatchLimits;

/// Everything an operator can say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Who this process is.
    pub instance: Instance,
    /// Threads, each with its own consumer and producer.
    pub workers: NonZeroUsize,
    /// What librdkafka is told.
    pub kafka: KafkaProperties,
    /// Where state changes come from.
    pub input: Input,
    /// What one transaction may hold.
    pub batch: BatchLimits,
    /// Where audit events and quarantined records go.
    pub output: Output,
    /// Choices about fates.
    pub policy: Policy,
    /// Which actions are audited.
    pub catalog: CatalogSettings,
    /// Which data center lies in which region.
    pub locations: LocationSettings,
    /// How CRNs are written.
    pub crn: CrnTemplates,
    /// Who has access.
    pub principals: TableSource,
    /// Which device is where; none when every message says so itself.
    pub devices: Option<TableSource>,
    /// How tables are followed and trusted.
    pub tables: Tables,
    /// Metrics and health.
    pub admin: Admin,
    /// How long stopping may take.
    pub shutdown: Shutdown,
    /// How the log is written.
    pub log: LogSettings,
}

/// Names this process among the members of the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// At most 200 of `[a-zA-Z0-9._-]`, which leaves room to make ids from it.
    pub name: String,
    /// Whether the operator gave it. If not it is the host's name, which need not come back after
    /// a restart, so that static group membership must not rest on it.
    pub configured: bool,
}

/// The topic and the group that reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// A legal topic name.
    pub topic: String,
    /// 1 to 249 of `[a-zA-Z0-9._-]`.
    pub group: String,
    /// What can never be read, and is not waited for. They do not overlap.
    pub pass_over: Vec<PassOver>,
}

/// Topics that are written, and what is written to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Goes before the region.
    pub topic_prefix: String,
    /// For records that could not be judged; neither the input nor an output topic.
    pub quarantine_topic: String,
    /// Regions that have a topic; empty: all of the location profile.
    pub regions: Vec<String>,
    /// Whether audit events carry headers.
    pub headers: bool,
    /// Largest audit event, in bytes.
    pub max_message_bytes: usize,
}

impl Output {
    /// The topic of a region.
    pub fn topic(&self, region: &str) -> String {
        format!("{}{region}", self.topic_prefix)
    }
}

/// Catalogue files and changes to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogSettings {
    /// Empty: the built-in catalogue.
    pub files: Vec<PathBuf>,
    /// Action names, or a prefix ending in `.*`.
    pub enable: Vec<String>,
    /// The same; no entry stands in both.
    pub disable: Vec<String>,
    /// What permissions mean. None: the built-in list.
    pub permissions: Option<PathBuf>,
}

/// The table of data centers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocationSettings {
    /// None: the built-in table.
    pub file: Option<PathBuf>,
    /// One that the table has; `six` or `all` of the built-in one.
    pub profile: String,
}

/// Where a reference table is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableSource {
    /// One JSON object a line.
    File(PathBuf),
    /// A compacted topic, one record a version of a key.
    Topic(String),
}

/// How the reference tables are followed and trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tables {
    /// For how long superseded versions are kept.
    pub history: Duration,
    /// For how long a follower may be out of touch with its topic before the relay holds.
    pub staleness_limit: Duration,
    /// Longest wait of a batch until the tables have caught up.
    pub barrier_limit: Duration,
    /// Between two snapshots at least, unless a batch waits.
    pub publish_interval: Duration,
    /// Of the keys of a table, how many of a hundred may be missing in its file when it is read
    /// again.
    pub reload_loss_limit_percent: u8,
}

/// The admin server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Port 0 lets the system choose.
    pub listen: SocketAddr,
}

/// The end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shutdown {
    /// From the signal to leaving without further waiting.
    pub deadline: Duration,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// The log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// How a line looks.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
}
