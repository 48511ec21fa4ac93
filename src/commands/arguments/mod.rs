//! The arguments of the command line. [`crate::commands`] implements the commands.

mod input_replay;
mod integrity;
mod quarantine;

use std::path::PathBuf;

use clap::builder::PossibleValue;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands::exit::exits_help;
use crate::kafka::inspect::RecordAddress;
use crate::tables::TableName;

pub use self::input_replay::{Edge, InputReplayArgs, OffsetRanges};
use self::integrity::VERIFY_EXITS;
pub use self::integrity::{
    ClusterArgs, ExportArgs, KeyCommand, OriginArgs, ResumeArgs, TopicArgs, VerifyArgs,
};
pub use self::quarantine::{
    ClosingArgs, DoneArgs, GroupBy, GroupsArgs, ListArgs, QuarantineCommand, ReplayArgs,
    SelectionArgs, ShowArgs,
};

/// Returns the version, with that of librdkafka, which determines the available Kafka features.
fn version() -> &'static str {
    static VERSION: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    VERSION.get_or_init(|| {
        format!("{} (librdkafka {})", env!("CARGO_PKG_VERSION"), crate::kafka::librdkafka_version())
    })
}

/// Turns infrastructure state changes on Kafka into Activity Tracker audit events: exactly once,
/// with every record accounted for.
#[derive(Debug, Parser)]
#[command(name = "audit-relay", version = version(), arg_required_else_help = true, after_help = exits_help())]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the relay until SIGTERM or SIGINT.
    Run(ConfigArgs),
    /// Run the relay with sample data, on a broker inside this process.
    Demo(DemoArgs),
    /// Print an example configuration, or the effective values.
    Config(ShowConfigArgs),
    /// Check the configuration and, on request, the cluster. Never joins the consumer group.
    Check(CheckArgs),
    /// Explain why a message is audited, skipped or quarantined.
    Explain(ExplainArgs),
    /// Print what the cluster must have: topics with their settings, and access rights.
    Manifest(ManifestArgs),
    /// Show a reference table. Needs no running relay.
    Table(TableArgs),
    /// Show running relays: what they read, how far they are behind, and what holds.
    Top(TopArgs),
    /// Show what could not be judged, and judge it again once its cause is corrected.
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// Judge the input again: into other topics, or only to compare with what is in the outputs.
    /// The relays and their group are not touched.
    Replay(InputReplayArgs),
    /// Make or show the keys that sign the seals of the trail.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Prove that the trail is what the relay has signed. Needs no configuration, only public keys
    /// and the right to read.
    #[command(after_help = VERIFY_EXITS)]
    Verify(VerifyArgs),
    /// Copy a trail into files, to be kept and verified elsewhere.
    Export(ExportArgs),
    /// Continue a sealed trail on purpose, after its state was lost. Without --partition, only
    /// shows what each partition needs.
    Resume(ResumeArgs),
    /// Write man pages and shell completions into a folder, for packages.
    Generate(GenerateArgs),
}

/// The configuration file.
#[derive(Debug, Clone, Args)]
pub struct ConfigArgs {
    /// Configuration file (TOML). Without it, all values come from AUDIT_RELAY_… variables.
    #[arg(short, long, value_name = "FILE", env = "AUDIT_RELAY_CONFIG", global = true)]
    pub config: Option<PathBuf>,
}

/// Arguments of `demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Keep running, and keep producing, until interrupted.
    #[arg(long)]
    pub keep: bool,
    /// Number of state changes to produce.
    #[arg(long, value_name = "N", default_value_t = 300,
          value_parser = clap::value_parser!(u32).range(60..=1_000_000))]
    pub records: u32,
    /// Address of the page, the metrics and health; port 0 picks a free port.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: std::net::SocketAddr,
}

/// Arguments of `config`.
#[derive(Debug, Clone, Args)]
pub struct ShowConfigArgs {
    /// The configuration, for --effective.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Print every effective value and its origin (default, file and line, environment variable)
    /// instead of the commented example. Secrets are not shown.
    #[arg(long)]
    pub effective: bool,
    /// Print one JSON object for each key instead of text.
    #[arg(long, requires = "effective")]
    pub json: bool,
}

/// Arguments of `check`.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Also check the cluster: topics, partitions, access, transactions.
    #[arg(long)]
    pub connect: bool,
    /// Also write a record to each output topic, in a transaction that is aborted, to prove the
    /// right to write. Readers with isolation.level=read_committed never see it; others do.
    #[arg(long, requires = "connect")]
    pub write: bool,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `explain`.
#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// The configuration, with the tables and rules to judge by.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// File that contains the value of one message; `-` reads standard input.
    #[arg(value_name = "FILE", required_unless_present = "from", conflicts_with = "from")]
    pub file: Option<PathBuf>,
    /// Read a record from the cluster instead, e.g. `infrastructure.state-changes/3/1200`.
    #[arg(long, value_name = "TOPIC/PARTITION/OFFSET")]
    pub from: Option<RecordAddress>,
    /// Treat each line of the file as a record; blank lines are ignored.
    #[arg(long, conflicts_with = "from")]
    pub lines: bool,
    /// Fail (exit code 1) unless this is the fate of every record.
    #[arg(long, value_enum, value_name = "FATE")]
    pub expect: Option<ExpectedFate>,
    /// Judge as if the action had happened at this time, e.g. `2024-05-01T12:00:00Z`.
    #[arg(long, value_name = "TIME")]
    pub at: Option<jiff::Timestamp>,
    /// Print one JSON object for each record instead of text.
    #[arg(long)]
    pub json: bool,
}

/// A fate, for `explain --expect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ExpectedFate {
    /// An audit event was written.
    Audited,
    /// Nothing is written; the reason is counted.
    Skipped,
    /// The record goes to the quarantine topic.
    Quarantined,
}

/// Arguments of `manifest`.
#[derive(Debug, Clone, Args)]
pub struct ManifestArgs {
    /// The configuration, which names the topics and the group.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The form in which it is printed.
    #[arg(long, value_enum, default_value_t = ManifestFormat::Kafka)]
    pub format: ManifestFormat,
    /// Only this part.
    #[arg(long, value_enum)]
    pub only: Option<ManifestPart>,
    /// Also what `quarantine replay` and `quarantine done` need.
    #[arg(long)]
    pub replay: bool,
    /// Instead what `replay --into PREFIX` needs: outputs with this prefix, and its own group.
    #[arg(long, value_name = "PREFIX", conflicts_with = "replay")]
    pub into: Option<String>,
    /// Partitions of the input: the upper limit for workers of all relays together.
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..))]
    pub partitions: u32,
    /// Partitions of each output and of the quarantine; a divisor of the input's.
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..))]
    pub output_partitions: u32,
    /// Replicas of every topic. With three or more, all but one must have a record before it
    /// counts.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub replicas: u32,
    /// The relay's principal, as the broker names it.
    #[arg(long, default_value = "User:audit-relay")]
    pub principal: String,
    /// Name of the Kafka cluster, for --format strimzi.
    #[arg(long, value_name = "NAME", default_value = "kafka")]
    pub cluster: String,
}

/// The form of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ManifestFormat {
    /// A shell script for kafka-topics.sh and kafka-acls.sh.
    Kafka,
    /// KafkaTopic and KafkaUser resources of the Strimzi operator.
    Strimzi,
}

/// A part of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ManifestPart {
    /// The topics.
    Topics,
    /// The access rights.
    Rights,
}

/// Arguments of `generate`.
#[derive(Debug, Clone, Args)]
pub struct GenerateArgs {
    /// Folder to write to: `man1/` with the man pages, and `completions/` for bash, fish and zsh.
    pub folder: PathBuf,
}

/// Arguments of `top`.
#[derive(Debug, Clone, Args)]
pub struct TopArgs {
    /// Admin addresses of the relays, e.g. `relay-0:9464`. Default: `admin.listen` of the
    /// configuration.
    #[arg(value_name = "ADDRESS")]
    pub addresses: Vec<String>,
    /// The configuration, for the default address.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Pause between two looks, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub interval: u32,
    /// Look once and end, as always when the output is not a terminal. Exit code 1 if a relay does
    /// not answer.
    #[arg(long)]
    pub once: bool,
}

/// Arguments of `table`.
#[derive(Debug, Clone, Args)]
pub struct TableArgs {
    /// What to show.
    #[command(subcommand)]
    pub show: TableShow,
    /// The configuration, which names the tables.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The table.
    #[arg(long, value_enum, default_value_t = TableName::Principals, global = true)]
    pub table: TableName,
    /// Print JSON, one object per line, instead of text.
    #[arg(long, global = true)]
    pub json: bool,
}

/// What `table` shows.
#[derive(Debug, Clone, Subcommand)]
pub enum TableShow {
    /// List all keys, in order, with the newest version of each.
    List,
    /// Show all versions of one key, newest first.
    Get {
        /// `accountId/userId`, `accountId/iamId`, or the id of a device.
        key: String,
    },
    /// Count keys and versions, and show their time range and memory.
    Stats,
}

impl ValueEnum for TableName {
    fn value_variants<'a>() -> &'a [Self] {
        &[TableName::Principals, TableName::Devices]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            TableName::Principals => "Who may act",
            TableName::Devices => "What is acted upon",
        };
        Some(PossibleValue::new(self.name()).help(help))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
        assert!(version().contains("librdkafka 2."));
        let help = Cli::command().render_help().to_string();
        assert!(help.contains("\n  78  The configuration"), "{help}");
    }
}
