//! The command line. The subcommands are the yardsticks: the benchmark starts itself once more with
//! one of them, so that each is a process of its own.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// End-to-end benchmark of audit-relay on a real Apache Kafka, which it starts itself.
#[derive(Debug, Parser)]
#[command(name = "end_to_end", args_conflicts_with_subcommands = true)]
pub struct Options {
    /// Scenarios to run, by name; none: the main ones.
    pub scenarios: Vec<String>,
    /// Run every scenario.
    #[arg(long)]
    pub all: bool,
    /// List the scenarios and end.
    #[arg(long)]
    pub list: bool,
    /// Input records of a run; of those of 4 KiB a quarter.
    #[arg(long, default_value_t = 500_000)]
    pub records: usize,
    /// Rounds; in each, both sides run once.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// Records a second in the scenarios of end-to-end time.
    #[arg(long, default_value_t = 2_000)]
    pub rate: usize,
    /// Seconds that are measured in these.
    #[arg(long, default_value_t = 15)]
    pub seconds: usize,
    /// Input records of the memory scenario.
    #[arg(long, default_value_t = 10_000_000)]
    pub behind: usize,
    /// Another relay program than the one of this build.
    #[arg(long, value_name = "FILE")]
    pub relay: Option<PathBuf>,
    /// Race against this relay program instead of the yardsticks: what did a change bring?
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// Write all figures there.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// `cargo bench` passes it to every benchmark.
    #[arg(long, hide = true)]
    pub bench: bool,
    #[command(subcommand)]
    pub yardstick: Option<Yardstick>,
}

/// What the benchmark starts itself as.
#[derive(Debug, Subcommand)]
pub enum Yardstick {
    /// Writes what the relay would write, and does nothing else.
    #[command(hide = true)]
    RawCopy {
        /// The relay's configuration.
        config: PathBuf,
        /// What to write.
        plan: PathBuf,
    },
    /// Polls and commits.
    #[command(hide = true)]
    PollOnly {
        /// The relay's configuration.
        config: PathBuf,
    },
}
