//! The command line. The subcommands are the yardsticks: the benchmark runs itself with one of
//! them, so that each is its own process.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// End-to-end benchmark of audit-relay on a real Apache Kafka, which it starts itself.
#[derive(Debug, Parser)]
#[command(name = "end_to_end", args_conflicts_with_subcommands = true)]
pub struct Options {
    /// Scenarios to run, by name; by default the main ones.
    pub scenarios: Vec<String>,
    /// Run every scenario.
    #[arg(long)]
    pub all: bool,
    /// List the scenarios and exit.
    #[arg(long)]
    pub list: bool,
    /// Input records of a run; a quarter as many of 4 KiB.
    #[arg(long, default_value_t = 500_000)]
    pub records: usize,
    /// Rounds; both sides run once in each.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// Records a second in the scenarios with a fixed rate.
    #[arg(long, default_value_t = 2_000)]
    pub rate: usize,
    /// Seconds measured in the scenarios with a fixed rate.
    #[arg(long, default_value_t = 15)]
    pub seconds: usize,
    /// Input records of the memory scenario.
    #[arg(long, default_value_t = 10_000_000)]
    pub behind: usize,
    /// Records before those that count, in the scenarios with Kafka Streams: its JVM compiles
    /// meanwhile.
    #[arg(long, default_value_t = 200_000)]
    pub warm_up: usize,
    /// Relay program to measure instead of this build's.
    #[arg(long, value_name = "FILE")]
    pub relay: Option<PathBuf>,
    /// Compare with this relay program instead of the yardsticks, to measure a change.
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// Write all figures to this file.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// `cargo bench` passes this to every benchmark.
    #[arg(long, hide = true)]
    pub bench: bool,
    #[command(subcommand)]
    pub yardstick: Option<Yardstick>,
}

/// The programs that the benchmark runs itself as.
#[derive(Debug, Subcommand)]
pub enum Yardstick {
    /// Writes the relay's output and does nothing else.
    #[command(hide = true)]
    RawCopy {
        /// The relay's configuration.
        config: PathBuf,
        /// The plan of the output.
        plan: PathBuf,
    },
    /// Polls and commits.
    #[command(hide = true)]
    PollOnly {
        /// The relay's configuration.
        config: PathBuf,
    },
}
