//! One run: builds the world, injects the planned faults, waits for recovery, and judges the
//! result.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use serde_json::json;

use crate::coverage::{Coverage, least_faults};
use crate::diagnosis::DIAGNOSIS_LIMIT;
use crate::injection::ActiveFault;
use crate::journal::Journal;
use crate::plan::PlannedFault;
use crate::report::Report;
use crate::scrapes;
use crate::violations::Violation;
use crate::world::World;

/// Time before the first fault in which everything must work.
const WARM_UP: Duration = Duration::from_secs(2);
/// Maximum number of faults in force at once.
const AT_ONCE_MAX: usize = 3;

/// Longest wait for a commit that meets an ambush, while other faults are cleared and the world
/// recovers from them.
const AMBUSH_LIMIT: Duration = Duration::from_secs(240);

/// The settings of a run.
pub struct Settings {
    pub seed: u64,
    pub faults: usize,
    /// Time after which no fault is injected any more, once the minimum number is reached.
    pub time: Duration,
    pub per_second: u64,
    /// Folder for the logs.
    pub folder: PathBuf,
    pub verbose: bool,
    /// Whether the relays seal the trail.
    pub is_sealed: bool,
}

struct Run {
    world: World,
    journal: Journal,
    active: Vec<ActiveFault>,
    by_kind: BTreeMap<String, usize>,
    ambushes: u64,
    recoveries: Vec<Duration>,
    /// Number of recoveries, including the final one.
    recovered: usize,
    offsets_checked: bool,
}

/// Why the injection of faults ended.
enum InjectionEnd {
    /// The time is over.
    Time,
    /// The plan has no more faults.
    Plan,
    /// The world has stalled.
    Stalled,
}

/// Executes a run. An error means that the world could not be built, that a fault could not be
/// injected or cleared, or that the relays cannot run at all.
pub fn run(
    settings: &Settings,
    plan: impl Iterator<Item = PlannedFault>,
) -> anyhow::Result<Report> {
    std::fs::create_dir_all(&settings.folder).context("create the folder for logs")?;
    let journal = Journal::create(&settings.folder.join("faults.jsonl"), settings.verbose)?;
    let begun = Instant::now();
    let world = World::build(settings)?;
    let mut run = Run {
        world,
        journal,
        active: Vec::new(),
        by_kind: BTreeMap::new(),
        ambushes: 0,
        recoveries: Vec::new(),
        recovered: 0,
        offsets_checked: false,
    };
    let result = run.go(settings, plan);
    // The brokers' logs are deleted with the brokers.
    let kept = run.keep_logs(&settings.folder);
    let coverage = result.and_then(|coverage| kept.map(|()| coverage))?;
    Ok(run.report(settings, coverage, begun.elapsed()))
}

impl Run {
    fn go(
        &mut self,
        settings: &Settings,
        plan: impl Iterator<Item = PlannedFault>,
    ) -> anyhow::Result<Coverage> {
        self.world.wait(WARM_UP)?;
        self.recover("the first records")?;
        let least = least_faults(settings.time);
        let over = self.inject_all(settings, plan, least)?;
        self.clear_all()?;
        self.world.end_load()?;
        self.recovered += self.recoveries.len();
        self.recovered += usize::from(self.recover("the end")?.is_some());
        let least_faults = match over {
            InjectionEnd::Time => least,
            InjectionEnd::Plan => 1,
            InjectionEnd::Stalled => 0,
        };
        self.judge(least_faults)
    }

    fn inject_all(
        &mut self,
        settings: &Settings,
        plan: impl Iterator<Item = PlannedFault>,
        least: usize,
    ) -> anyhow::Result<InjectionEnd> {
        let since = Instant::now();
        for (injected, planned) in plan.take(settings.faults).enumerate() {
            if self.has_stalled() {
                return Ok(InjectionEnd::Stalled);
            }
            if since.elapsed() > settings.time && injected >= least {
                return Ok(InjectionEnd::Time);
            }
            self.inject_planned(&planned)?;
        }
        Ok(InjectionEnd::Plan)
    }

    /// A stalled world will not recover; more faults would only hide the cause.
    fn has_stalled(&self) -> bool {
        self.world.ledger.violations().count(Violation::Stalled) > 0
    }

    fn inject_planned(&mut self, planned: &PlannedFault) -> anyhow::Result<()> {
        self.pass(Duration::from_millis(planned.pause_ms))?;
        while self.active.len() >= AT_ONCE_MAX || self.conflicts_with_active(planned) {
            self.pass(Duration::from_millis(100))?;
        }
        self.journal.write("strike", serde_json::to_value(planned)?)?;
        let mut injected = self.world.inject(planned.number, &planned.fault)?;
        *self.by_kind.entry(planned.fault.name()).or_default() += 1;
        self.await_commit(&mut injected)?;
        self.await_diagnosis(&mut injected)?;
        self.active.push(injected);
        if planned.overlaps {
            return Ok(());
        }
        self.clear_all()?;
        let took = self.recover(&format!("fault {}", planned.number))?;
        self.recoveries.extend(took);
        Ok(())
    }

    /// Waits until a commit has met the ambush of the fault. Other faults are cleared as planned
    /// meanwhile, since they may keep the relay from committing. The final judgement checks that
    /// each ambush was met.
    fn await_commit(&mut self, injected: &mut ActiveFault) -> anyhow::Result<()> {
        let Some(before) = injected.ambushed_before else {
            return Ok(());
        };
        self.ambushes += 1;
        let since = Instant::now();
        while self.world.cluster.rules().sprung() == before && since.elapsed() < AMBUSH_LIMIT {
            self.pass(Duration::from_millis(20))?;
        }
        injected.begin();
        let sprung = self.world.cluster.rules().sprung() - before;
        let after_ms = since.elapsed().as_millis() as u64;
        let what = json!({ "number": injected.number, "commits": sprung, "after_ms": after_ms });
        self.journal.write("ambushed", what)
    }

    /// Waits until a relay has reported the diagnosis. Other faults are cleared as planned
    /// meanwhile, since a relay that reaches no broker cannot know what it cannot write.
    fn await_diagnosis(&mut self, injected: &mut ActiveFault) -> anyhow::Result<()> {
        let Some(diagnosis) = injected.diagnosis.take() else {
            return Ok(());
        };
        let since = Instant::now();
        while !self.world.is_reported(&diagnosis) {
            if since.elapsed() > DIAGNOSIS_LIMIT {
                self.world.add_undiagnosed(&diagnosis);
                break;
            }
            self.pass(Duration::from_millis(200))?;
        }
        if let Some(held) = diagnosis.held {
            self.await_others(held)?;
        }
        injected.begin();
        Ok(())
    }

    /// Waits until all partitions but the held one have made progress.
    fn await_others(&mut self, held: i32) -> anyhow::Result<()> {
        let (since, target) = (Instant::now(), self.world.ledger.ends());
        while !self.world.is_delivered_but(held, &target) {
            if since.elapsed() > DIAGNOSIS_LIMIT {
                self.world.add_blocked_others(held, &target);
                break;
            }
            self.pass(Duration::from_millis(200))?;
        }
        let offset = self.world.committed().unwrap_or_default();
        self.journal.write("others_go_on", json!({ "held": held, "committed": offset }))
    }

    /// Whether an active fault excludes this one: two of a kind would be cleared together, and only
    /// one broker may be down.
    fn conflicts_with_active(&self, planned: &PlannedFault) -> bool {
        if planned.fault.begins_alone() {
            return !self.active.is_empty();
        }
        let mut active = self.active.iter();
        active.any(|injected| {
            injected.fault.name() == planned.fault.name()
                || injected.fault.needs_whole_cluster() && planned.fault.needs_whole_cluster()
                || injected.fault.relay().is_some()
                    && injected.fault.relay() == planned.fault.relay()
        })
    }

    /// Waits, and clears the faults that are due.
    fn pass(&mut self, time: Duration) -> anyhow::Result<()> {
        let since = Instant::now();
        loop {
            let due = self.active.iter().position(|injected| injected.until <= Instant::now());
            if let Some(due) = due {
                let injected = self.active.remove(due);
                self.journal.write("lift", json!(injected.number))?;
                self.world.clear(injected)?;
            } else if since.elapsed() < time {
                self.world.wait(Duration::from_millis(50))?;
            } else {
                return Ok(());
            }
        }
    }

    fn clear_all(&mut self) -> anyhow::Result<()> {
        while !self.active.is_empty() {
            self.pass(Duration::from_millis(50))?;
        }
        Ok(())
    }

    fn recover(&mut self, from: &str) -> anyhow::Result<Option<Duration>> {
        let took = self.world.await_recovery()?;
        // Only the last check counts in the report.
        let checked = match took {
            Some(_) => self.world.check_for_torn_output(),
            None => Err(anyhow!("the world has not recovered")),
        };
        self.offsets_checked = checked.is_ok();
        let took_ms = took.map(|took| took.as_millis() as u64);
        let offsets = checked.map_or_else(|error| format!("{error:#}"), |()| "good".to_string());
        self.journal
            .write("recovered", json!({ "from": from, "after_ms": took_ms, "offsets": offsets }))?;
        Ok(took)
    }

    /// Judges the run after the last fault, when everything is committed.
    fn judge(&mut self, least_faults: usize) -> anyhow::Result<Coverage> {
        let world = &mut self.world;
        let answers = world.await_answers()?;
        let counted = world.fleet.counted();
        let partitions_read = scrapes::judge_final_answers(&answers, &world.ledger);
        for name in world.fleet.names() {
            world.fleet.stop(&name)?;
        }
        world.read_to_the_end()?;
        world.verify_trail()?;
        let (ends, ledger) = (world.ledger.ends(), &world.ledger);
        ledger.add_missing(&ends, Violation::Lost);
        let kafka = world.cluster.kafka();
        let coverage = Coverage {
            faults: self.by_kind.values().sum(),
            least_faults,
            ambushes: self.ambushes,
            ambushed: world.cluster.rules().sprung(),
            recoveries: self.recovered,
            offsets_checked: self.offsets_checked,
            counted,
            partitions_read,
            log_ends: kafka.try_end_offsets(&world.deployment.input)?,
        };
        coverage.judge(ledger);
        Ok(coverage)
    }

    fn keep_logs(&self, folder: &Path) -> anyhow::Result<()> {
        for (number, log) in (1..).zip(self.world.cluster.logs()) {
            let kept = folder.join(format!("broker-{number}.log"));
            std::fs::copy(log, kept).context("keep a broker's log")?;
        }
        Ok(())
    }

    fn report(self, settings: &Settings, coverage: Coverage, took: Duration) -> Report {
        let exits = self.world.fleet.exits().to_vec();
        let ledger = &self.world.ledger;
        Report::new(settings, took, self.by_kind, self.recoveries, ledger, coverage, exits)
    }
}
