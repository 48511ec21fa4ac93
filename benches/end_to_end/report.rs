//! The figures as tables for people, in Markdown, and as one JSON document.

use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use super::latency::LatencyResult;
use super::race::RaceResult;
use super::single::{MemoryResult, StartResult};

/// What a scenario brought.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Race(RaceResult),
    Latency(LatencyResult),
    Memory(MemoryResult),
    Start(Vec<StartResult>),
}

/// A scenario that has run.
#[derive(Debug, Serialize)]
pub struct Entry {
    pub name: &'static str,
    pub what: &'static str,
    pub goal: &'static str,
    pub outcome: Outcome,
}

/// Everything that has run so far.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub rounds: usize,
    /// How many processes wanted the CPU in the last minute, before and after: whether the machine was busy with other things.
    pub load_average: Vec<String>,
    pub entries: Vec<Entry>,
}

impl Report {
    /// All tables.
    pub fn print(&self) {
        self.races();
        self.times();
        self.alone();
    }

    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
    }

    fn races(&self) {
        let mut lines = Vec::new();
        for Entry {
            name,
            what,
            goal,
            outcome,
        } in &self.entries
        {
            let Outcome::Race(result) = outcome else {
                continue;
            };
            let (left, right) = (&result.left, &result.right);
            lines.push(format!(
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
            ));
        }
        table(
            "| scenario | us of CPU a record | us of CPU a record | ratio | of the least | goal | thousand records a second | peak MiB |",
            &lines,
        );
    }

    fn times(&self) {
        let mut lines = Vec::new();
        for Entry {
            name,
            what,
            goal,
            outcome,
        } in &self.entries
        {
            let Outcome::Latency(result) = outcome else {
                continue;
            };
            for side in [&result.left, &result.right] {
                lines.push(format!(
                    "| `{name}`: {what} | {} | {} | {} | {} | {} | {} | {goal} |",
                    side.contestant.name,
                    side.p50.text(0),
                    side.p99.text(0),
                    side.p999.text(0),
                    side.cpu_us.text(1),
                    result.ratio_p99.text(2),
                ));
            }
        }
        table(
            "| scenario | | p50 ms | p99 ms | p99.9 ms | us of CPU a record | ratio of p99 | goal |",
            &lines,
        );
    }

    fn alone(&self) {
        let mut lines = Vec::new();
        for Entry {
            name,
            what,
            goal,
            outcome,
        } in &self.entries
        {
            match outcome {
                Outcome::Memory(result) => {
                    let tenths: Vec<String> = result
                        .tenths_mib
                        .iter()
                        .map(|mib| format!("{mib:.0}"))
                        .collect();
                    lines.push(format!(
                        "| `{name}`: {what}, {} records | {} | peak {:.0} MiB; resident in each tenth of the records: {} | {goal} |",
                        result.records,
                        result.contestant.name,
                        result.peak_mib,
                        tenths.join(", "),
                    ));
                }
                Outcome::Start(results) => lines.extend(results.iter().map(|result| {
                    format!(
                        "| `{name}`: {what} | {} | {} ms | {goal} |",
                        result.contestant.name,
                        result.milliseconds.text(0),
                    )
                })),
                Outcome::Race(_) | Outcome::Latency(_) => {}
            }
        }
        table("| scenario | | seen | goal |", &lines);
    }
}

fn table(head: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let columns = head.matches('|').count() - 1;
    println!("\n{head}\n|{}", "---|".repeat(columns));
    for line in lines {
        println!("{line}");
    }
}
