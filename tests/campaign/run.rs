//! One run: the world is built, broken in turn for as long as is asked for, left alone, and judged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::json;

use crate::complaints::Wrong;
use crate::fleet::Counted;
use crate::journal::Journal;
use crate::naming::NAMED_LIMIT;
use crate::plan::Step;
use crate::report::Report;
use crate::strike::Struck;
use crate::world::World;

/// Before the first fault everything must work.
const WARM_UP: Duration = Duration::from_secs(2);
/// Most faults that are in force at once.
const MOST_AT_ONCE: usize = 3;

/// What a run is to be.
pub struct Settings {
    pub seed: u64,
    pub faults: usize,
    /// No fault begins later than this after the first.
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
    recoveries: Vec<Duration>,
}

/// Runs; an error means that the world could not be built or broken as planned, or that the relays cannot run in it.
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
        recoveries: Vec::new(),
    };
    let result = run.go(settings, steps);
    // The brokers' logs go with the brokers.
    let kept = run.keep_logs(&settings.folder);
    let counted = result.and_then(|counted| kept.map(|()| counted))?;
    Ok(run.report(settings, counted, begun.elapsed()))
}

impl Run {
    fn go(
        &mut self,
        settings: &Settings,
        steps: impl Iterator<Item = Step>,
    ) -> anyhow::Result<Counted> {
        self.world.wait(WARM_UP)?;
        self.recover("the first records", false)?;
        let since = Instant::now();
        for step in steps.take(settings.faults) {
            if since.elapsed() > settings.time || self.is_hopeless() {
                break;
            }
            self.step(&step)?;
        }
        self.lift_all()?;
        self.world.end_load()?;
        self.recover("the end", false)?;
        self.judge()
    }

    /// What stands still will not move again; more faults would only hide why.
    fn is_hopeless(&self) -> bool {
        self.world.ledger.complaints().count(Wrong::Stalled) > 0
    }

    fn step(&mut self, step: &Step) -> anyhow::Result<()> {
        self.pass(Duration::from_millis(step.pause_ms))?;
        while self.active.len() >= MOST_AT_ONCE || self.is_in_the_way(step) {
            self.pass(Duration::from_millis(100))?;
        }
        self.journal.write("strike", serde_json::to_value(step)?)?;
        *self.by_kind.entry(step.fault.name()).or_default() += 1;
        let mut struck = self.world.strike(step.number, &step.fault)?;
        self.await_named(&mut struck)?;
        self.active.push(struck);
        if step.overlaps {
            return Ok(());
        }
        self.lift_all()?;
        self.recover(&format!("fault {}", step.number), true)
    }

    /// Meanwhile the other faults end as planned: a relay that reaches nobody does not know what it cannot write.
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
        self.journal
            .write("others_go_on", json!({ "held": held, "committed": offset }))
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
            let due = self
                .active
                .iter()
                .position(|struck| struck.until <= Instant::now());
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

    fn recover(&mut self, from: &str, counts: bool) -> anyhow::Result<()> {
        let took = self.world.await_recovery()?;
        let took_ms = took.map(|took| took.as_millis() as u64);
        self.journal
            .write("recovered", json!({ "from": from, "after_ms": took_ms }))?;
        self.recoveries.extend(took.filter(|_| counts));
        Ok(())
    }

    /// After the last fault, when everything is committed.
    fn judge(&mut self) -> anyhow::Result<Counted> {
        let world = &mut self.world;
        let counted = world.fleet.counted();
        world.fleet.check_accounts();
        for name in world.fleet.names() {
            world.fleet.stop(&name)?;
        }
        world.read_to_the_end()?;
        let (ends, ledger) = (world.ledger.ends(), &world.ledger);
        ledger.complain_of_missing(&ends, Wrong::Lost);
        let (tally, (records, _)) = (ledger.tally(), ledger.records());
        let gone = ledger.count_gone() as f64;
        // A commit whose answer was lost is counted by nobody, but nothing is counted twice.
        if counted.read > records as f64 || counted.audited > tally.audited as f64 + gone {
            let what = format!("{counted:?}, but {records} records and {tally:?}");
            ledger.complain(Wrong::Unaccounted, what);
        }
        if tally.audited == 0 {
            let what = format!("nothing was audited of {records} records");
            ledger.complain(Wrong::Lost, what);
        }
        if counted.deleted > 0.0 {
            let what = format!("{} offsets are said to be deleted", counted.deleted);
            ledger.complain(Wrong::Unaccounted, what);
        }
        let log_ends = world
            .cluster
            .kafka()
            .try_end_offsets(&world.deployment.input)?;
        if log_ends != ends {
            let what = format!("the load itself: the input ends at {log_ends:?}, not {ends:?}");
            ledger.complain(Wrong::Unexpected, what);
        }
        Ok(counted)
    }

    fn keep_logs(&self, folder: &Path) -> anyhow::Result<()> {
        for (number, log) in (1..).zip(self.world.cluster.logs()) {
            let kept = folder.join(format!("broker-{number}.log"));
            std::fs::copy(log, kept).context("keep a broker's log")?;
        }
        Ok(())
    }

    fn report(self, settings: &Settings, counted: Counted, took: Duration) -> Report {
        let ledger = &self.world.ledger;
        Report::new(
            settings,
            took,
            self.by_kind,
            self.recoveries,
            ledger,
            counted,
            self.world.cluster.rules().sprung(),
            self.world.fleet.exits().to_vec(),
        )
    }
}
