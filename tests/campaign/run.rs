//! One run: the world is built, broken in turn for as long as is asked for, left alone, and judged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use serde_json::json;

use crate::complaints::Wrong;
use crate::evidence::{Observed, least_faults};
use crate::hearing;
use crate::journal::Journal;
use crate::naming::NAMED_LIMIT;
use crate::plan::Step;
use crate::report::Report;
use crate::strike::Struck;
use crate::world::World;

/// Before the first fault everything must work.
const WARM_UP: Duration = Duration::from_secs(2);
/// Most faults that are in force at once.
const AT_ONCE_MAX: usize = 3;

/// Longest time in which a fault lies in wait for a commit, while others end and the world recovers
/// from them.
const AMBUSH_LIMIT: Duration = Duration::from_secs(240);

/// What a run is to be.
pub struct Settings {
    pub seed: u64,
    pub faults: usize,
    /// No fault begins later than this after the first, but for those that there must be at least.
    pub time: Duration,
    pub per_second: u64,
    /// Where logs go.
    pub folder: PathBuf,
    pub aloud: bool,
}

struct Run {
    world: World,
    journal: Journal,
    active: Vec<Struck>,
    by_kind: BTreeMap<String, usize>,
    ambushes: u64,
    recoveries: Vec<Duration>,
    /// Recoveries, the last one among them.
    recovered: usize,
    offsets_checked: bool,
}

/// Why no more faults came.
enum Over {
    /// The time was over.
    Time,
    /// The plan had no more.
    Plan,
    /// Something stood still.
    Hopeless,
}

/// Runs; an error means that the world could not be built or broken as planned, or that the relays
/// cannot run in it.
pub fn run(settings: &Settings, steps: impl Iterator<Item = Step>) -> anyhow::Result<Report> {
    std::fs::create_dir_all(&settings.folder).context("create the folder for logs")?;
    let journal = Journal::create(&settings.folder.join("faults.jsonl"), settings.aloud)?;
    let begun = Instant::now();
    let world = World::build(settings.seed, settings.per_second, &settings.folder)?;
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
    let result = run.go(settings, steps);
    // The brokers' logs go with the brokers.
    let kept = run.keep_logs(&settings.folder);
    let observed = result.and_then(|observed| kept.map(|()| observed))?;
    Ok(run.report(settings, observed, begun.elapsed()))
}

impl Run {
    fn go(
        &mut self,
        settings: &Settings,
        steps: impl Iterator<Item = Step>,
    ) -> anyhow::Result<Observed> {
        self.world.wait(WARM_UP)?;
        self.recover("the first records")?;
        let least = least_faults(settings.time);
        let over = self.strike_all(settings, steps, least)?;
        self.lift_all()?;
        self.world.end_load()?;
        self.recovered += self.recoveries.len();
        self.recovered += usize::from(self.recover("the end")?.is_some());
        let least_faults = match over {
            Over::Time => least,
            Over::Plan => 1,
            Over::Hopeless => 0,
        };
        self.judge(least_faults)
    }

    fn strike_all(
        &mut self,
        settings: &Settings,
        steps: impl Iterator<Item = Step>,
        least: usize,
    ) -> anyhow::Result<Over> {
        let since = Instant::now();
        for (struck, step) in steps.take(settings.faults).enumerate() {
            if self.is_hopeless() {
                return Ok(Over::Hopeless);
            }
            if since.elapsed() > settings.time && struck >= least {
                return Ok(Over::Time);
            }
            self.step(&step)?;
        }
        Ok(Over::Plan)
    }

    /// What stands still will not move again; more faults would only hide why.
    fn is_hopeless(&self) -> bool {
        self.world.ledger.complaints().count(Wrong::Stalled) > 0
    }

    fn step(&mut self, step: &Step) -> anyhow::Result<()> {
        self.pass(Duration::from_millis(step.pause_ms))?;
        while self.active.len() >= AT_ONCE_MAX || self.is_in_the_way(step) {
            self.pass(Duration::from_millis(100))?;
        }
        self.journal.write("strike", serde_json::to_value(step)?)?;
        let mut struck = self.world.strike(step.number, &step.fault)?;
        *self.by_kind.entry(step.fault.name()).or_default() += 1;
        self.await_commit(&mut struck)?;
        self.await_named(&mut struck)?;
        self.active.push(struck);
        if step.overlaps {
            return Ok(());
        }
        self.lift_all()?;
        let took = self.recover(&format!("fault {}", step.number))?;
        self.recoveries.extend(took);
        Ok(())
    }

    /// A fault that lies in wait is none until a commit has met it. Meanwhile the other faults end
    /// as planned: they may keep its relay from committing. Whether it was met in the end is
    /// judged with all else.
    fn await_commit(&mut self, struck: &mut Struck) -> anyhow::Result<()> {
        let Some(before) = struck.ambushed_before else {
            return Ok(());
        };
        self.ambushes += 1;
        let since = Instant::now();
        while self.world.cluster.rules().sprung() == before && since.elapsed() < AMBUSH_LIMIT {
            self.pass(Duration::from_millis(20))?;
        }
        struck.begin();
        let sprung = self.world.cluster.rules().sprung() - before;
        let after_ms = since.elapsed().as_millis() as u64;
        let what = json!({ "number": struck.number, "commits": sprung, "after_ms": after_ms });
        self.journal.write("ambushed", what)
    }

    /// Meanwhile the other faults end as planned: a relay that reaches nobody does not know what it
    /// cannot write.
    fn await_named(&mut self, struck: &mut Struck) -> anyhow::Result<()> {
        let Some(unnamed) = struck.unnamed.take() else {
            return Ok(());
        };
        let since = Instant::now();
        while !self.world.is_named(&unnamed) {
            if since.elapsed() > NAMED_LIMIT {
                self.world.complain_of_silence(&unnamed);
                break;
            }
            self.pass(Duration::from_millis(200))?;
        }
        if let Some(held) = unnamed.held {
            self.await_others(held)?;
        }
        struck.begin();
        Ok(())
    }

    /// A partition is held: the others must go on.
    fn await_others(&mut self, held: i32) -> anyhow::Result<()> {
        let (since, target) = (Instant::now(), self.world.ledger.ends());
        while !self.world.is_delivered_but(held, &target) {
            if since.elapsed() > NAMED_LIMIT {
                self.world.complain_of_company(held, &target);
                break;
            }
            self.pass(Duration::from_millis(200))?;
        }
        let offset = self.world.committed().unwrap_or_default();
        self.journal.write("others_go_on", json!({ "held": held, "committed": offset }))
    }

    /// Two of a kind at once would undo each other's undoing; and only one broker may be away.
    fn is_in_the_way(&self, step: &Step) -> bool {
        if step.fault.begins_alone() {
            return !self.active.is_empty();
        }
        let mut active = self.active.iter();
        active.any(|struck| {
            struck.fault.name() == step.fault.name()
                || struck.fault.needs_whole_cluster() && step.fault.needs_whole_cluster()
                || struck.fault.relay().is_some() && struck.fault.relay() == step.fault.relay()
        })
    }

    /// Lets time pass, and undoes what is due.
    fn pass(&mut self, time: Duration) -> anyhow::Result<()> {
        let since = Instant::now();
        loop {
            let due = self.active.iter().position(|struck| struck.until <= Instant::now());
            if let Some(due) = due {
                let struck = self.active.remove(due);
                self.journal.write("lift", json!(struck.number))?;
                self.world.lift(struck)?;
            } else if since.elapsed() < time {
                self.world.wait(Duration::from_millis(50))?;
            } else {
                return Ok(());
            }
        }
    }

    fn lift_all(&mut self) -> anyhow::Result<()> {
        while !self.active.is_empty() {
            self.pass(Duration::from_millis(50))?;
        }
        Ok(())
    }

    fn recover(&mut self, from: &str) -> anyhow::Result<Option<Duration>> {
        let took = self.world.await_recovery()?;
        // An error is for the report only if it is the last one.
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

    /// After the last fault, when everything is committed.
    fn judge(&mut self, least_faults: usize) -> anyhow::Result<Observed> {
        let world = &mut self.world;
        let answers = world.await_answers()?;
        let counted = world.fleet.counted();
        let partitions_read = hearing::judge_last(&answers, &world.ledger);
        for name in world.fleet.names() {
            world.fleet.stop(&name)?;
        }
        world.read_to_the_end()?;
        let (ends, ledger) = (world.ledger.ends(), &world.ledger);
        ledger.complain_of_missing(&ends, Wrong::Lost);
        let kafka = world.cluster.kafka();
        let observed = Observed {
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
        observed.judge(ledger);
        Ok(observed)
    }

    fn keep_logs(&self, folder: &Path) -> anyhow::Result<()> {
        for (number, log) in (1..).zip(self.world.cluster.logs()) {
            let kept = folder.join(format!("broker-{number}.log"));
            std::fs::copy(log, kept).context("keep a broker's log")?;
        }
        Ok(())
    }

    fn report(self, settings: &Settings, observed: Observed, took: Duration) -> Report {
        let exits = self.world.fleet.exits().to_vec();
        let ledger = &self.world.ledger;
        Report::new(settings, took, self.by_kind, self.recoveries, ledger, observed, exits)
    }
}
