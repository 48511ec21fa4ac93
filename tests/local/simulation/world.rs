//! The world of one run: instances that come and go on a shared cluster, and a scheduler that, step by
//! step, lets one of them take a turn or something else happen. All that is random follows from the
//! seed. First faults strike; then they stop, and everything must drain.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use audit_relay::stream::Broker;
use audit_relay::stream::batch::BatchLimits;

use super::broker::{SimulatedBroker, Stage};
use super::cluster::Cluster;
use super::faults::{Coverage, Faults, Sight};
use super::instance::Instance;
use super::oracle::Violation;
use super::random::Random;

/// Steps in which everything must have been drained once faults have stopped.
const MOST_STEPS_TO_DRAIN: usize = 6_000;
/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    pub violations: Vec<Violation>,
    pub coverage: Coverage,
    pub log: Vec<String>,
}

/// Runs a seed, each worker's broker in a wrapper.
pub fn run<B: Broker + 'static>(
    seed: u64,
    logged: bool,
    wrap: impl Fn(SimulatedBroker) -> B + 'static,
) -> Outcome {
    finish(World::new(seed, logged, true, Box::new(wrap)))
}

/// Runs a seed with workers that believe a table that lags.
pub fn run_without_barrier(seed: u64) -> Outcome {
    finish(World::new(seed, false, false, Box::new(|broker| broker)))
}

fn finish<B: Broker + 'static>(world: Rc<World<B>>) -> Outcome {
    world.suffer();
    world.drain();
    let faults = &world.stage.faults;
    let mut cluster = world.stage.cluster.borrow_mut();
    cluster.check_end();
    faults.saw_so_often(Sight::CommitUnreported, cluster.unreported().count() as u64);
    faults.saw_so_often(
        Sight::StaticMemberReplaced,
        cluster.group.static_replacements,
    );
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
    /// Whether fates that rest on absence are held until the tables have caught up.
    pub(super) holds: bool,
}

pub(super) struct World<B: Broker> {
    pub(super) stage: Rc<Stage>,
    pub(super) instances: RefCell<Vec<Instance<B>>>,
    pub(super) deployment: Deployment,
    pub(super) wrap: Box<dyn Fn(SimulatedBroker) -> B>,
    pub(super) depth: Cell<u32>,
    pub(super) me: Weak<World<B>>,
}

impl<B: Broker + 'static> World<B> {
    fn new(
        seed: u64,
        logged: bool,
        holds: bool,
        wrap: Box<dyn Fn(SimulatedBroker) -> B>,
    ) -> Rc<Self> {
        let random = Random::new(seed);
        let faults = Faults::draw(&random, logged);
        let limits = BatchLimits {
            max_records: random.within(1, 12),
            max_bytes: random.within(10, 300),
            max_age: Duration::from_millis(random.pick(&[5, 50, 150, 3_000]).unwrap_or(50)),
        };
        let is_static = random.happens(400);
        let deployment = Deployment {
            limits,
            is_static,
            renames: !is_static && random.happens(500),
            holds,
        };
        let mut cluster = Cluster::default();
        for partition in 0..random.within(1, 4) {
            cluster.add_partition();
            (0..random.below(30)).for_each(|_| cluster.append(partition));
        }
        let instances = random.within(2, 4);
        let stage = Rc::new(Stage {
            random,
            faults,
            cluster: RefCell::new(cluster),
        });
        let world = Rc::new_cyclic(|me| World {
            stage,
            instances: RefCell::default(),
            deployment,
            wrap,
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
        for _ in 0..self.random().within(60, 200) {
            self.step();
        }
    }

    /// No fault from here on; predecessors that still run are ended, and everything must be drained.
    fn drain(&self) {
        self.stage.faults.stop();
        self.stage.faults.log(|| "faults stop".to_string());
        let instances = self.instances.borrow().len();
        for index in 0..instances {
            self.go_on(index);
            let is_ghost = self.instances.borrow()[index].is_ghost;
            if is_ghost {
                self.end(index, Duration::MAX);
            }
        }
        for _ in 0..MOST_STEPS_TO_DRAIN {
            if self.stage.cluster.borrow().is_drained() {
                return;
            }
            self.step();
        }
    }

    pub(super) fn step(&self) {
        self.pass();
        if self.random().happens(800) {
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
        if self.random().happens(300) {
            cluster.group.advance(now, self.random());
        }
        if self.random().happens(100) {
            cluster.write_markers();
        }
    }
}
