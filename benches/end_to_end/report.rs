//! Reports the figures as Markdown tables and as one JSON document.

use std::path::Path;

use anyhow::Context;
use rdkafka::util::get_rdkafka_version;
use serde::Serialize;

use super::comparison::ComparisonResult;
use super::cost::OtherCosts;
use super::latency::{LatencyResult, Times};
use super::runs::Contestant;
use super::single::{MemoryResult, StartResult};

/// The result of a scenario.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The JSON keeps this name: reports of different months are compared.
    #[serde(rename = "race")]
    Comparison(ComparisonResult),
    Latency(LatencyResult),
    Memory(MemoryResult),
    Start(Vec<StartResult>),
}

/// A finished scenario.
#[derive(Debug, Serialize)]
pub struct Entry {
    pub name: &'static str,
    pub what: &'static str,
    pub goal: &'static str,
    pub outcome: Outcome,
}

/// All finished scenarios.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The version of librdkafka in this build, which the yardsticks use.
    pub librdkafka: String,
    pub rounds: usize,
    /// Load average of the last minute, before and after the run: shows whether the machine was
    /// busy.
    pub load_average: Vec<String>,
    pub entries: Vec<Entry>,
}

impl Report {
    /// Creates a report without scenarios.
    pub fn new(rounds: usize) -> Report {
        let (_, librdkafka) = get_rdkafka_version();
        Report { librdkafka, rounds, load_average: Vec::new(), entries: Vec::new() }
    }

    /// Prints all tables.
    pub fn print(&self) {
        self.comparisons();
        self.other_costs();
        self.times();
        self.alone();
    }

    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
    }

    fn comparisons(&self) {
        self.table(
            "| scenario | us of CPU a record | us of CPU a record | ratio | of the least | goal | thousand records a second | peak MiB |",
            |Entry { name, what, goal, outcome }| {
                let Outcome::Comparison(result) = outcome else {
                    return Vec::new();
                };
                let (left, right) = (&result.left, &result.right);
                vec![format!(
                    "| `{name}`: {what} | {} {} | {} {} | {} | {:.2} | {goal} | {:.0} / {:.0} | {:.0} / {:.0} |",
                    left.contestant.name,
                    left.cpu_us.text(2),
                    right.contestant.name,
                    right.cpu_us.text(2),
                    result.ratio.text(2),
                    result.ratio_of_least,
                    left.records_a_second.median / 1e3,
                    right.records_a_second.median / 1e3,
                    left.peak_mib.max,
                    right.peak_mib.max,
                )]
            },
        );
    }

    /// What stands beside each CPU figure of the comparisons and the latency scenarios.
    fn other_costs(&self) {
        self.table(
            "| scenario | | page faults per 1,000 records | context switches per 1,000 records | us of the broker's CPU a record | bytes of output on its disk a record |",
            |Entry { name, outcome, .. }| {
                let row = |contestant: &Contestant, other: &OtherCosts| {
                    format!(
                        "| `{name}` | {} | {} | {} | {} | {} |",
                        contestant.name,
                        other.faults_per_thousand.text(1),
                        other.switches_per_thousand.text(1),
                        other.broker_cpu_us.text(2),
                        other.stored_bytes.text(0),
                    )
                };
                match outcome {
                    Outcome::Comparison(ComparisonResult { left, right, .. }) => vec![
                        row(&left.contestant, &left.other),
                        row(&right.contestant, &right.other),
                    ],
                    Outcome::Latency(LatencyResult { left, right, .. }) => vec![
                        row(&left.contestant, &left.other),
                        row(&right.contestant, &right.other),
                    ],
                    Outcome::Memory(_) | Outcome::Start(_) => Vec::new(),
                }
            },
        );
    }

    fn times(&self) {
        self.table(
            "| scenario | | p50 ms | p99 ms | p99.9 ms | us of CPU a record | ratio of p99 | goal |",
            |Entry { name, what, goal, outcome }| {
                let Outcome::Latency(result) = outcome else {
                    return Vec::new();
                };
                let row = |side: &Times| {
                    format!(
                        "| `{name}`: {what} | {} | {} | {} | {} | {} | {} | {goal} |",
                        side.contestant.name,
                        side.p50.text(0),
                        side.p99.text(0),
                        side.p999.text(0),
                        side.cpu_us.text(1),
                        result.ratio_p99.text(2),
                    )
                };
                vec![row(&result.left), row(&result.right)]
            },
        );
    }

    fn alone(&self) {
        self.table(
            "| scenario | | seen | goal |",
            |Entry { name, what, goal, outcome }| match outcome {
                Outcome::Memory(result) => {
                    let tenths = result.tenths_mib.iter().map(|mib| format!("{mib:.0}"));
                    let tenths: Vec<String> = tenths.collect();
                    vec![format!(
                        "| `{name}`: {what}, {} records | {} | peak {:.0} MiB; resident in each tenth of the records: {} | {goal} |",
                        result.records,
                        result.contestant.name,
                        result.peak_mib,
                        tenths.join(", "),
                    )]
                }
                Outcome::Start(results) => {
                    let row = |result: &StartResult| {
                        format!(
                            "| `{name}`: {what} | {} | {} ms | {goal} |",
                            result.contestant.name,
                            result.milliseconds.text(0),
                        )
                    };
                    results.iter().map(row).collect()
                }
                Outcome::Comparison(_) | Outcome::Latency(_) => Vec::new(),
            },
        );
    }

    /// Prints a table with the rows of all entries; nothing without rows.
    fn table(&self, head: &str, rows: impl Fn(&Entry) -> Vec<String>) {
        let rows: Vec<String> = self.entries.iter().flat_map(rows).collect();
        if rows.is_empty() {
            return;
        }
        let columns = head.matches('|').count() - 1;
        println!("\n{head}\n|{}", "---|".repeat(columns));
        for row in rows {
            println!("{row}");
        }
    }
}
