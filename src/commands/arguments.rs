//! The command line, turned once into finished values. What the commands do is in
//! [`crate::commands`].

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::exit::exits_help;
use crate::kafka::inspect::RecordAddress;

/// The name, with the library that decides what Kafka features there are.
fn version() -> &'static str {
    static VERSION: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    VERSION.get_or_init(|| {
        format!("{} (librdkafka {})", env!("CARGO_PKG_VERSION"), crate::kafka::librdkafka_version())
    })
}

/// Turns infrastructure state changes on Kafka into Activity Tracker audit events: exactly once,
/// every record accounted for.
#[derive(Debug, Parser)]
#[command(name = "audit-relay", version = version(), arg_required_else_help = true, after_help = exits_help())]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the relay until SIGTERM or SIGINT.
    Run(ConfigArgs),
    /// Show the whole thing on a broker inside this process, with sample data.
    Demo(DemoArgs),
    /// Print an example configuration, or the values that count.
    Config(ShowConfigArgs),
    /// Check the configuration and, on request, the cluster. Never joins the consumer group.
    Check(CheckArgs),
    /// Say why a message was audited, skipped or quarantined.
    Explain(ExplainArgs),
    /// Look into a reference table; a running relay is not needed.
    Table(TableArgs),
}

/// Where the configuration is.
#[derive(Debug, Clone, Args)]
pub struct ConfigArgs {
    /// Configuration file (TOML). Without it, everything comes from AUDIT_RELAY_… variables.
    #[arg(short, long, value_name = "FILE", env = "AUDIT_RELAY_CONFIG", global = true)]
    pub config: Option<PathBuf>,
}

/// Arguments of `demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Keep running, and keep producing, until interrupted.
    #[arg(long)]
    pub keep: bool,
    /// How many state changes to produce.
    #[arg(long, value_name = "N", default_value_t = 300,
          value_parser = clap::value_parser!(u32).range(60..=1_000_000))]
    pub records: u32,
    /// Address of /metrics, /livez and /readyz; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: std::net::SocketAddr,
}

/// Arguments of `config`.
#[derive(Debug, Clone, Args)]
pub struct ShowConfigArgs {
    /// Where the configuration is, for --effective.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Every value that counts and where it came from (default, file and line, environment
    /// variable), instead of the commented example. Secrets are not shown.
    #[arg(long)]
    pub effective: bool,
    /// One JSON object for each key instead of text.
    #[arg(long, requires = "effective")]
    pub json: bool,
}

/// Arguments of `check`.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Also ask the cluster: topics, partitions, access, transactions.
    #[arg(long)]
    pub connect: bool,
    /// Also write a record to each output topic, in a transaction that is aborted: this proves the
    /// right to write. Readers with isolation.level=read_committed never see it; others do.
    #[arg(long, requires = "connect")]
    pub write: bool,
    /// One JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `explain`.
#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// Where the configuration is: the tables and rules to judge by.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// File whose bytes are one record, judged as `run` judges the value of a message; `-` is
    /// standard input.
    #[arg(value_name = "FILE", required_unless_present = "from", conflicts_with = "from")]
    pub file: Option<PathBuf>,
    /// A record on the cluster instead, e.g. `infrastructure.state-changes/3/1200`.
    #[arg(long, value_name = "TOPIC/PARTITION/OFFSET")]
    pub from: Option<RecordAddress>,
    /// Each line of the file is a record; blank lines are left out.
    #[arg(long, conflicts_with = "from")]
    pub lines: bool,
    /// Fail (exit code 1) unless this is the fate of every record.
    #[arg(long, value_enum, value_name = "FATE")]
    pub expect: Option<ExpectedFate>,
    /// As if the action had happened at this time, e.g. `2024-05-01T12:00:00Z`.
    #[arg(long, value_name = "TIME")]
    pub at: Option<jiff::Timestamp>,
    /// One JSON object for each record instead of text.
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

/// Arguments of `table`.
#[derive(Debug, Clone, Args)]
pub struct TableArgs {
    /// What to show.
    #[command(subcommand)]
    pub show: TableShow,
    /// Where the configuration is: it names the tables.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Which table.
    #[arg(long, value_enum, default_value_t = TableName::Principals, global = true)]
    pub table: TableName,
    /// JSON, one object a line, instead of text.
    #[arg(long, global = true)]
    pub json: bool,
}

/// What `table` shows.
#[derive(Debug, Clone, Subcommand)]
pub enum TableShow {
    /// All keys, in order, with the newest version of each.
    List,
    /// All versions of one key, newest first.
    Get {
        /// `accountId/userId`, `accountId/iamId`, or the id of a device.
        key: String,
    },
    /// How many keys and versions there are, of which times, and what they take.
    Stats,
}

/// The reference tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum TableName {
    /// Who may act.
    Principals,
    /// What is acted upon.
    Devices,
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
