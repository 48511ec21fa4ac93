//! The world of one run: instances that come and go on a shared cluster, and a scheduler that, step
//! by step, lets one of them take a turn or something else happen. All that is random follows from
//! the seed. First faults strike; then they stop, and everything must drain.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::cluster::Cluster;
use super::coverage::Coverage;
use super::faults::{Faults, Sight};
use super::instance::Instance;
use super::oracle::Violation;
use super::plan::Plan;
use super::sabotage::Sabotage;
use super::seam::{BatchLimits, draw_limits};
use super::stage::Stage;
use audit_testkit::random::Random;

/// Steps in which everything must have been drained once faults have stopped.
const STEPS_TO_DRAIN_MAX: usize = 6_000;

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    pub violations: Vec<Violation>,
    pub coverage: Coverage,
    pub log: Vec<String>,
}

/// Runs a seed, with a fault planted in the relay if one is named.
pub fn run(seed: u64, planted: Option<Sabotage>, logged: bool) -> Outcome {
    let world = World::new(seed, planted, logged);
    world.suffer();
    world.drain();
    let faults = &world.stage.faults;
    let mut cluster = world.stage.cluster.borrow_mut();
    cluster.check_end();
    faults.saw_so_often(Sight::CommitUnreported, cluster.unreported().count() as u64);
    let replaced = cluster.group.static_replacements;
    faults.saw_so_often(Sight::StaticMemberReplaced, replaced);
    faults.saw_so_often(Sight::IdAlternated, cluster.alternations);
    Outcome {
        violations: std::mem::take(&mut cluster.ledger.violations),
        coverage: faults.coverage(),
        log: faults.take_log(),
    }
}

/// What a deployment decides: drawn once for a run.
#[derive(Debug)]
pub(super) struct Deployment {
    pub(super) limits: BatchLimits,
    pub(super) is_static: bool,
    /// Whether a restarted instance has a new name, as where host names are not stable.
    pub(super) renames: bool,
    /// Whether two processes of one name are left to settle between them which one gives up.
    twins_stay: bool,
}

pub(super) struct World {
    pub(super) stage: Rc<Stage>,
    pub(super) instances: RefCell<Vec<Instance>>,
    pub(super) deployment: Deployment,
    pub(super) depth: Cell<u32>,
    pub(super) me: Weak<World>,
}

impl World {
    fn new(seed: u64, planted: Option<Sabotage>, logged: bool) -> Rc<Self> {
        let random = Random::new(seed);
        let plan = Plan::draw(seed, &random);
        let title = format!("seed {seed}: {plan}");
        let faults = Faults::new(plan, logged);
        faults.log(|| title);
        let is_static = random.per_mille(400);
        let deployment = Deployment {
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
        let stage = Rc::new(Stage { random, faults, cluster: RefCell::new(cluster), planted });
        let world = Rc::new_cyclic(|me| World {
            stage,
            instances: RefCell::default(),
            deployment,
            depth: Cell::new(0),
            me: me.clone(),
        });
        (0..instances).for_each(|_| world.add_instance(None));
        world
    }

    pub(super) fn random(&self) -> &Random {
        &self.stage.random
    }

    pub(super) fn now(&self) -> Duration {
        self.stage.cluster.borrow().now
    }

    /// The time of faults.
    fn suffer(&self) {
        for _ in 0..self.random().count(60, 200) {
            self.step();
        }
    }

    /// No fault from here on, and everything must be drained. Predecessors that still run are
    /// ended, unless they are to settle that with their successors.
    fn drain(&self) {
        self.stage.faults.stop();
        self.stage.faults.log(|| "faults stop".to_string());
        let instances = self.instances.borrow().len();
        for index in 0..instances {
            self.go_on(index);
            let is_ghost = self.instances.borrow()[index].is_ghost;
            if is_ghost && !self.deployment.twins_stay {
                self.end(index, Duration::MAX);
            }
        }
        for _ in 0..STEPS_TO_DRAIN_MAX {
            if self.stage.cluster.borrow().is_drained() {
                return;
            }
            self.step();
        }
    }

    pub(super) fn step(&self) {
        self.pass();
        if self.random().per_mille(700) {
            self.turn_of_one();
        } else {
            self.disturb();
        }
    }

    /// What time alone does.
    pub(super) fn pass(&self) {
        let mut cluster = self.stage.cluster.borrow_mut();
        cluster.now += Duration::from_millis(1);
        for _ in 0..cluster.expire_transactions() {
            self.stage.faults.saw(Sight::TransactionTimedOut);
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
