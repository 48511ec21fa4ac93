//! The configuration as finished values, section by section.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use audit_chain::name::Origin;
use audit_judge::rules::crn::CrnTemplates;
use audit_judge::rules::policy::Policy;
use sha2::{Digest as _, Sha256};

use super::http_url::HttpUrl;
use super::kafka_properties::KafkaProperties;
use crate::stream::PassOver;
use crate::stream::batch::BatchLimits;

/// Everything that an operator can configure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Names this process: at most 200 characters of `[a-zA-Z0-9._-]`, which leaves room to build
    /// ids from it.
    pub instance: String,
    /// How the consumers are members of the group.
    pub membership: Membership,
    /// Threads, each with its own consumer and producer. Fewer are started if the input has fewer
    /// partitions.
    pub workers: NonZeroUsize,
    /// librdkafka's properties.
    pub kafka: KafkaProperties,
    /// Where state changes come from.
    pub input: InputSettings,
    /// What one transaction may hold.
    pub batch: BatchLimits,
    /// Where audit events and quarantined records go.
    pub output: OutputSettings,
    /// Which records are audited, skipped or quarantined.
    pub policy: Policy,
    /// Which actions are audited.
    pub catalog: CatalogSettings,
    /// Which data center lies in which region.
    pub locations: LocationSettings,
    /// The templates of CRNs.
    pub crn: CrnTemplates,
    /// Who has access.
    pub principals: TableSource,
    /// Which device is where; none if every message says so itself.
    pub devices: Option<TableSource>,
    /// How tables are followed, and when they count as stale.
    pub tables: TableSettings,
    /// How the trail proves itself; none if it does not.
    pub integrity: Option<IntegritySettings>,
    /// Metrics and health.
    pub admin: AdminSettings,
    /// How long stopping may take.
    pub shutdown: ShutdownSettings,
    /// How the log is written.
    pub log: LogSettings,
}

impl Config {
    /// Returns what tells apart configurations that judge or write differently: the first 64 bits
    /// of a hash. It is the same in one version of the program only.
    pub fn fingerprint(&self) -> u64 {
        let Config { input, output, policy, catalog, locations, crn, principals, devices, .. } =
            self;
        let version = env!("CARGO_PKG_VERSION");
        let parts = (version, input, output, policy, catalog, locations, crn, principals, devices);
        let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = Sha256::digest(format!("{parts:?}")).into();
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// Returns the configuration of a replay of the input into topics of its own, which begin with
    /// a prefix: it judges alike, reads as another group, and seals nothing. Wherever it runs it is
    /// the same member with the same transactional id, so that one replay fences another.
    #[must_use]
    pub fn replayed_into(&self, prefix: &str) -> Config {
        let mut config = self.clone();
        config.input.group = format!("{}-replay-{prefix}", self.input.group);
        config.instance = "replay".to_string();
        config.membership = Membership::Static;
        config.workers = NonZeroUsize::MIN;
        config.output.topic_prefix = prefix.to_string();
        config.output.quarantine_topic = format!("{prefix}quarantine");
        config.integrity = None;
        config
    }
}

/// How the consumers are members of the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// A consumer that stops leaves the group, and the others take its partitions at once.
    Dynamic,
    /// A consumer keeps its place, by the name of the instance, until the session times out: a
    /// restart in that time moves no partitions.
    Static,
}

/// The topic and the group that reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputSettings {
    /// A legal topic name.
    pub topic: String,
    /// 1 to 249 of `[a-zA-Z0-9._-]`.
    pub group: String,
    /// Offsets that can never be read, and are not waited for. The ranges do not overlap.
    pub pass_over: Vec<PassOver>,
}

/// Topics that are written, and what is written to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputSettings {
    /// Precedes the region's name.
    pub topic_prefix: String,
    /// For records that could not be judged; neither the input nor an output topic.
    pub quarantine_topic: String,
    /// Regions that have a topic. Empty: all regions of the location profile.
    pub regions: Vec<String>,
    /// Whether audit events carry headers.
    pub headers: bool,
    /// Maximum size of an audit event, in bytes.
    pub max_message_bytes: usize,
}

impl OutputSettings {
    /// Returns the topic of a region.
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
    /// The list of permission names. None: the built-in list.
    pub permissions: Option<PathBuf>,
}

/// The table of data centers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocationSettings {
    /// None: the built-in table.
    pub file: Option<PathBuf>,
    /// A profile of the table; `six` or `all` for the built-in table.
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

/// How the reference tables are followed, and when they count as stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableSettings {
    /// How long superseded versions are kept.
    pub history: Duration,
    /// How long a follower may be cut off from its topic before the relay stops judging.
    pub staleness_limit: Duration,
    /// How long a batch waits at most for the tables to catch up.
    pub barrier_limit: Duration,
    /// The minimum time between two snapshots, unless a batch waits.
    pub publish_interval: Duration,
    /// The percentage of a table's keys that may be missing when its file is read again.
    pub reload_loss_limit_percent: u8,
}

/// How the trail proves itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntegritySettings {
    /// The name of the trail, and of the keys that sign it.
    pub origin: Origin,
    /// The file with the private key that signs.
    pub key: PathBuf,
    /// The file with the key that signed before, while it is being replaced.
    pub previous_key: Option<PathBuf>,
    /// The file that anchors are appended to, besides the log.
    pub anchor_file: Option<PathBuf>,
    /// The endpoint that anchors are sent to.
    pub anchor_url: Option<HttpUrl>,
}

/// The last part of the name of the topic with the seals, after the prefix of the output topics.
pub const CHECKPOINTS: &str = "checkpoints";

/// The admin server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminSettings {
    /// Port 0 lets the system choose a port.
    pub listen: SocketAddr,
}

/// Shutdown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShutdownSettings {
    /// The time from the signal until the process exits without waiting any longer.
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
