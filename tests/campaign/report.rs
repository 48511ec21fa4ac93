//! The report of a run: as JSON for programs, as text for people.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::counters::Counted;
use crate::coverage::Coverage;
use crate::fleet::Exit;
use crate::ledger::Ledger;
use crate::run::Settings;
use crate::violations::Violation;

/// The report of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub seed: u64,
    pub minutes: f64,
    pub faults: usize,
    pub faults_by_kind: BTreeMap<String, usize>,
    /// Minimum number of faults for a run of this length and plan.
    pub least_faults: usize,
    /// Faults that ambush a commit, and commits that met one.
    pub ambushes: u64,
    pub commits_ambushed: u64,
    /// Including the final recovery.
    pub recoveries: usize,
    /// Input partitions read by the relays that ran at the end.
    pub partitions_read: usize,
    pub records: Records,
    pub recovery_ms: Recovery,
    pub relays: Counted,
    pub exits: Vec<Exit>,
    // The two fields keep their names in JSON, for programs that read existing reports.
    #[serde(rename = "complaints")]
    pub violations: BTreeMap<&'static str, u64>,
    #[serde(rename = "told")]
    pub descriptions: Vec<String>,
    pub logs: PathBuf,
}

#[derive(Clone, Debug, Serialize)]
pub struct Records {
    pub input: usize,
    pub audited: u64,
    pub quarantined: u64,
    pub skipped: u64,
    /// Audited although a revocation had just been written; skipping would be right as well.
    pub audited_before_revocation: u64,
    /// Deleted with the topic that a fault deleted.
    pub gone_with_their_topic: usize,
}

/// Times from clearing a fault until everything written by then was delivered.
#[derive(Clone, Debug, Serialize)]
pub struct Recovery {
    pub measured: usize,
    pub p50: u64,
    pub p99: u64,
    pub max: u64,
}

impl Recovery {
    fn of(mut times: Vec<Duration>) -> Recovery {
        times.sort_unstable();
        let at = |per_cent: usize| {
            let rank = (times.len() * per_cent).div_ceil(100).saturating_sub(1);
            times.get(rank).map_or(0, |time| time.as_millis() as u64)
        };
        Recovery { measured: times.len(), p50: at(50), p99: at(99), max: at(100) }
    }
}

impl Report {
    #[allow(clippy::too_many_arguments, reason = "one of each thing that is reported")]
    pub fn new(
        settings: &Settings,
        took: Duration,
        faults_by_kind: BTreeMap<String, usize>,
        recoveries: Vec<Duration>,
        ledger: &Ledger,
        coverage: Coverage,
        exits: Vec<Exit>,
    ) -> Report {
        let (violations, tally, (input, _)) =
            (ledger.violations(), ledger.tally(), ledger.records());
        let gone = ledger.count_gone();
        let counted = |violation: &Violation| (violation.name(), violations.count(*violation));
        Report {
            seed: settings.seed,
            minutes: (took.as_secs_f64() / 6.0).round() / 10.0,
            faults: coverage.faults,
            faults_by_kind,
            least_faults: coverage.least_faults,
            ambushes: coverage.ambushes,
            commits_ambushed: coverage.ambushed,
            recoveries: coverage.recoveries,
            partitions_read: coverage.partitions_read,
            records: Records {
                input,
                audited: tally.audited,
                quarantined: tally.quarantined,
                skipped: ledger.count_skipped(),
                audited_before_revocation: tally.before_revocation,
                gone_with_their_topic: gone,
            },
            recovery_ms: Recovery::of(recoveries),
            relays: coverage.counted,
            exits,
            violations: Violation::ALL.iter().map(counted).collect(),
            descriptions: violations.descriptions(),
            logs: settings.folder.clone(),
        }
    }

    /// All descriptions of violations, those of missing coverage first.
    pub fn verdict(&self) -> String {
        let (untested, others): (Vec<&String>, Vec<&String>) = (self.descriptions.iter())
            .partition(|text| text.starts_with(Violation::Untested.name()));
        let descriptions: Vec<&str> =
            untested.into_iter().chain(others).map(String::as_str).collect();
        descriptions.join("\n")
    }

    /// Whether there is no violation.
    pub fn is_clean(&self) -> bool {
        self.violations.values().all(|count| *count == 0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Records { input, audited, quarantined, skipped, .. } = self.records;
        let Recovery { measured, p50, p99, max } = self.recovery_ms;
        let relays = &self.relays;
        writeln!(
            f,
            "seed {}, {} faults (at least {} are required) in {:.1} minutes",
            self.seed, self.faults, self.least_faults, self.minutes
        )?;
        writeln!(
            f,
            "records: {input}, of which audited {audited}, skipped {skipped}, quarantined {quarantined}"
        )?;
        writeln!(
            f,
            "         audited while their revocation was on its way {}, gone with a deleted topic {}",
            self.records.audited_before_revocation, self.records.gone_with_their_topic
        )?;
        writeln!(
            f,
            "recovery: p50 {p50} ms, p99 {p99} ms, max {max} ms, measured {measured} times; recovered {} times in all",
            self.recoveries
        )?;
        writeln!(
            f,
            "counted by relays: read {}, audited {}, skipped {}, quarantined {}; {} partitions had been read at the end",
            relays.read, relays.audited, relays.skipped, relays.quarantined, self.partitions_read
        )?;
        writeln!(
            f,
            "relays: {} processes; transactions committed {}, aborted {}, broken {}, fenced {}; producers rebuilt {}; barriers {}; peak {:.0} MiB; ended by themselves {}",
            relays.processes,
            relays.committed,
            relays.aborted,
            relays.broken,
            relays.fenced,
            relays.rebuilds,
            relays.barriers,
            relays.peak_resident_bytes / 1_048_576.0,
            self.exits.len()
        )?;
        writeln!(f, "faults (commits ambushed: {} of {}):", self.commits_ambushed, self.ambushes)?;
        for (kind, count) in &self.faults_by_kind {
            writeln!(f, "  {count:>4} {kind}")?;
        }
        writeln!(f, "ledger:")?;
        for (kind, count) in &self.violations {
            writeln!(f, "  {count:>4} {kind}")?;
        }
        for description in &self.descriptions {
            writeln!(f, "  {description}")?;
        }
        Ok(())
    }
}
