//! The world of one run: instances that start and end on a shared cluster, and a scheduler that at
//! each step runs one turn of one of them or triggers an outside event. All randomness follows from
//! the seed. A run first injects faults; then it stops injecting, and everything must drain.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::cluster::Cluster;
use super::context::Context;
use super::coverage::Coverage;
use super::faults::{Faults, Probe};
use super::instance::Instance;
use super::oracle::Violation;
use super::plan::Plan;
use super::planted::PlantedFault;
use super::seam::{BatchLimits, draw_limits};
use super::trail;
use audit_testkit::random::Random;

/// Number of steps within which everything must drain after the last fault.
const STEPS_TO_DRAIN_MAX: usize = 6_000;
/// One run of so many is sealed. Signing and verifying take longer than all the rest.
const SEALED_EVERY: u64 = 8;

/// The result of a run.
#[derive(Debug)]
pub struct Outcome {
    pub violations: Vec<Violation>,
    pub coverage: Coverage,
    pub log: Vec<String>,
}

/// Runs a seed, with a fault planted in the relay if one is given.
pub fn run(seed: u64, planted: Option<PlantedFault>, logged: bool) -> Outcome {
    let world = World::new(seed, planted, logged);
    world.inject_faults();
    world.drain();
    let faults = &world.context.faults;
    let mut cluster = world.context.cluster.borrow_mut();
    cluster.check_end();
    if world.context.is_sealed {
        let findings = trail::verify(&cluster);
        findings.into_iter().for_each(|it| cluster.ledger.add_violation(Violation::Unproven(it)));
    }
    faults.hit_times(Probe::CommitUnreported, cluster.unreported().count() as u64);
    let replaced = cluster.group.static_replacements;
    faults.hit_times(Probe::StaticMemberReplaced, replaced);
    faults.hit_times(Probe::IdAlternated, cluster.alternations);
    Outcome {
        violations: std::mem::take(&mut cluster.ledger.violations),
        coverage: faults.coverage(),
        log: faults.take_log(),
    }
}

/// The settings of the relays, drawn once for a run.
#[derive(Debug)]
pub(super) struct RunSettings {
    pub(super) limits: BatchLimits,
    pub(super) is_static: bool,
    /// Whether a restarted instance gets a new name, as with host names that change.
    pub(super) renames: bool,
    /// Whether two processes of one name keep running until one of them gives up by itself.
    twins_stay: bool,
}

pub(super) struct World {
    pub(super) context: Rc<Context>,
    pub(super) instances: RefCell<Vec<Instance>>,
    pub(super) settings: RunSettings,
    pub(super) depth: Cell<u32>,
    pub(super) me: Weak<World>,
}

impl World {
    fn new(seed: u64, planted: Option<PlantedFault>, logged: bool) -> Rc<Self> {
        let random = Random::new(seed);
        let plan = Plan::draw(seed, &random);
        let title = format!("seed {seed}: {plan}");
        let faults = Faults::new(plan, logged);
        faults.log(|| title);
        let is_static = random.per_mille(400);
        let settings = RunSettings {
            limits: draw_limits(&random),
            is_static,
            renames: !is_static && random.per_mille(500),
            twins_stay: random.per_mille(500),
        };
        let mut cluster = Cluster {
            quota: random.per_mille(200).then(|| random.count(1, 4)),
            is_damaged: random.per_mille(250),
            ..Cluster::default()
        };
        for partition in 0..random.count(1, 4) {
            cluster.add_partition();
            (0..random.index(30)).for_each(|_| cluster.append(partition));
        }
        let instances = random.count(2, 4);
        let is_sealed = match planted {
            Some(planted) => planted.needs_seals(),
            None => seed.is_multiple_of(SEALED_EVERY),
        };
        let cluster = RefCell::new(cluster);
        let context = Rc::new(Context { random, faults, cluster, planted, is_sealed });
        let world = Rc::new_cyclic(|me| World {
            context,
            instances: RefCell::default(),
            settings,
            depth: Cell::new(0),
            me: me.clone(),
        });
        (0..instances).for_each(|_| world.add_instance(None));
        world
    }

    pub(super) fn random(&self) -> &Random {
        &self.context.random
    }

    pub(super) fn now(&self) -> Duration {
        self.context.cluster.borrow().now
    }

    /// Runs the steps in which faults are injected.
    fn inject_faults(&self) {
        for _ in 0..self.random().count(60, 200) {
            self.step();
        }
    }

    /// Stops injecting faults and runs until everything is drained. Ends replaced instances that
    /// still run, unless the settings let twins stay.
    fn drain(&self) {
        self.context.faults.stop();
        self.context.faults.log(|| "faults stop".to_string());
        let instances = self.instances.borrow().len();
        for index in 0..instances {
            self.resume(index);
            let is_replaced = self.instances.borrow()[index].is_replaced;
            if is_replaced && !self.settings.twins_stay {
                self.end(index, Duration::MAX);
            }
        }
        for _ in 0..STEPS_TO_DRAIN_MAX {
            if self.context.cluster.borrow().is_drained() {
                return;
            }
            self.step();
        }
    }

    pub(super) fn step(&self) {
        self.tick();
        if self.random().per_mille(700) {
            self.run_one_turn();
        } else {
            self.outside_event();
        }
    }

    /// Advances time, and with it transactions, the group and transaction markers.
    pub(super) fn tick(&self) {
        let mut cluster = self.context.cluster.borrow_mut();
        cluster.now += Duration::from_millis(1);
        for _ in 0..cluster.expire_transactions() {
            self.context.faults.hit(Probe::TransactionTimedOut);
        }
        let now = cluster.now;
        if self.random().per_mille(300) {
            cluster.group.advance(now, self.random());
        }
        if self.random().per_mille(100) {
            cluster.write_markers();
        }
    }
}
