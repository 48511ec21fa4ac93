//! The configuration as finished values: read once, whole, before anything connects.
//!
//! Who holds a [`Config`] need not check it again: every value is within its limits, every path is
//! resolved, every secret is read. Nothing here opens a socket, reads the reference files or names
//! a Kafka client; whether topics and regions exist is found out by those who use them.

mod assemble;
mod doubts;
mod effective;
mod environment;
mod kafka;
mod kafka_properties;
mod limits;
mod load;
mod names;
mod pass_over;
mod problem;
mod properties;
mod read;
mod settings;
mod tables;
#[cfg(test)]
mod tests;
pub(crate) mod text_file;
mod token_url;
mod tokens;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use crate::stream::batch::BatchLimits;
pub use audit_judge::rules::policy::{AccessRules, Policy};
pub use effective::Effective;
pub use kafka::PropertyCheck;
pub use kafka_properties::{Client, KafkaProperties, PropertyValue, Secret};
pub use pass_over::PassOver;
pub use problem::{Origin, Problem, Problems};
pub use settings::{DefaultValue, SETTINGS, Setting, settings_markdown};
pub use token_url::TokenUrl;

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

/// Templates that begin with `crn:` and hold only `{service}`, `{location}`, `{account}`,
/// `{resource_type}`, `{id}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrnTemplates {
    /// Of `target.id`.
    pub target: String,
    /// Of `logSourceCRN`.
    pub log_source: String,
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

/// A configuration as far as it could be read. Where something is wrong it holds a stand-in, so
/// that the rest can be used to look for more problems: those in the files that the configuration
/// names.
#[derive(Debug)]
pub struct Draft {
    config: Config,
    values: Vec<Effective>,
    problems: Vec<Problem>,
}

impl Draft {
    /// The configuration. Of a section that is not [good](Draft::is_good) it may hold stand-ins.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Whether nothing is wrong with a section's keys.
    pub fn is_good(&self, section: &str) -> bool {
        let is_of_it = |key: &str| key.split('.').next() == Some(section);
        !self.problems.iter().any(|problem| is_of_it(&problem.key))
    }

    /// Every value that counts, and where it came from.
    pub fn values(&self) -> &[Effective] {
        &self.values
    }

    /// The configuration, if nothing is wrong.
    ///
    /// # Errors
    /// All problems.
    pub fn finish(self) -> Result<Config, Problems> {
        if self.problems.is_empty() { Ok(self.config) } else { Err(Problems(self.problems)) }
    }
}

impl Config {
    /// Reads the file, if there is one, and lays the environment over it (for a process:
    /// `std::env::vars_os`, without what is not Unicode, at which `vars` panics). librdkafka is not
    /// asked about its properties; see [`Config::load_checked`].
    ///
    /// # Errors
    /// All problems at once; a file that cannot be read or is not TOML is the only one then.
    pub fn load(
        path: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Problems> {
        Self::load_checked(path, environment, &|_, _| Ok(()))
    }

    /// As [`Config::load`], and asks `check` about every librdkafka property.
    ///
    /// # Errors
    /// As [`Config::load`], with `check`'s complaints among the rest.
    pub fn load_checked(
        path: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        check: PropertyCheck<'_>,
    ) -> Result<Self, Problems> {
        Self::draft(path, environment, check)?.finish()
    }

    /// As [`Config::load_checked`], but hands out what could be read although something is wrong.
    ///
    /// # Errors
    /// A file that cannot be read or is not TOML.
    pub fn draft(
        path: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        check: PropertyCheck<'_>,
    ) -> Result<Draft, Problems> {
        let Some(path) = path else {
            return assemble::config("", "", Path::new(""), environment, check);
        };
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            let complaint = format!("cannot be read: {error}; name a readable TOML file");
            Problems(vec![Problem { key: name.clone(), origin: None, complaint }])
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        assemble::config(&text, &name, folder, environment, check)
    }

    /// Reads a text instead of a file, for tests and the demo; relative paths stay as they are.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_toml(
        text: &str,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Problems> {
        assemble::config(text, "configuration", Path::new(""), environment, &|_, _| Ok(()))?
            .finish()
    }

    /// Checks that no region's topic is the input or the quarantine topic, and that its name is
    /// legal. Listed regions were checked on loading; call this with those of the location
    /// profile when the list is empty.
    ///
    /// # Errors
    /// One problem for each topic that will not do.
    pub fn check_output_topics(&self, regions: &[impl AsRef<str>]) -> Result<(), Problems> {
        let complaints = names::output_topic_complaints(&self.input, &self.output, regions);
        let problem =
            |complaint| Problem { key: "output.topic_prefix".to_owned(), origin: None, complaint };
        let problems: Vec<Problem> = complaints.into_iter().map(problem).collect();
        if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
    }
}
