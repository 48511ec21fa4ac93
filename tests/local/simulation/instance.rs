//! The life of instances: one is started, takes turns, ends in order or otherwise, and is started again,
//! as a supervisor would.

use std::cell::Cell;
use std::rc::{Rc, Weak};
use std::time::Duration;

use audit_relay::stream::Broker;
use audit_relay::stream::worker::{Notice, Observer, StopRequest, Worker};

use super::broker::{Scheduler, SimulatedBroker, Stage};
use super::client::ClientId;
use super::faults::Sight;
use super::tables::LaggingJudge;
use super::world::World;

pub(super) type RelayWorker<B> = Worker<B, LaggingJudge, Recorder>;

/// One process, or the place where one will be started.
pub(super) struct Instance<B> {
    pub(super) name: String,
    /// Absent while it takes its turn, and while it is down.
    pub(super) worker: Option<RelayWorker<B>>,
    pub(super) client: ClientId,
    pub(super) crashed: Rc<Cell<bool>>,
    pub(super) stop: StopRequest,
    pub(super) is_up: bool,
    /// When it is started, or goes on after standing still.
    pub(super) not_before: Duration,
    pub(super) stands_still: bool,
    /// Its successor runs already: it will not be started again.
    pub(super) is_ghost: bool,
    pub(super) starts: u32,
}

impl<B: Broker + 'static> World<B> {
    pub(super) fn add_instance(&self, name: Option<String>) {
        let mut instances = self.instances.borrow_mut();
        let name = name.unwrap_or_else(|| format!("relay-{}", instances.len()));
        instances.push(Instance {
            name,
            worker: None,
            client: 0,
            crashed: Rc::default(),
            stop: StopRequest::default(),
            is_up: false,
            not_before: Duration::ZERO,
            stands_still: false,
            is_ghost: false,
            starts: 0,
        });
    }

    pub(super) fn turn_of_one(&self) {
        let now = self.now();
        let able = |instance: &Instance<B>| {
            let free = !instance.is_up || instance.worker.is_some();
            free && instance.not_before <= now && (instance.is_up || !instance.is_ghost)
        };
        let instances = self.instances.borrow();
        let able: Vec<usize> = (0..instances.len())
            .filter(|i| able(&instances[*i]))
            .collect();
        drop(instances);
        let Some(index) = self.random().pick(&able) else {
            // Everybody waits.
            self.stage.cluster.borrow_mut().now += Duration::from_millis(100);
            return;
        };
        if self.instances.borrow()[index].is_up {
            self.turn(index);
        } else {
            self.start(index);
        }
    }

    fn start(&self, index: usize) {
        let mut instances = self.instances.borrow_mut();
        let instance = &mut instances[index];
        instance.starts += 1;
        if self.deployment.renames && instance.starts > 1 {
            instance.name = format!("relay-{index}-{}", instance.starts);
        }
        let name = instance.name.clone();
        drop(instances);
        let crashed = Rc::new(Cell::new(false));
        let scheduler: Weak<dyn Scheduler> = self.me.clone();
        let opened = SimulatedBroker::open(
            self.stage.clone(),
            scheduler,
            &name,
            self.deployment.is_static,
            crashed.clone(),
        );
        let retry_at = self.now() + Duration::from_millis(500);
        let mut instances = self.instances.borrow_mut();
        let instance = &mut instances[index];
        match opened {
            Ok(broker) => {
                instance.is_up = true;
                instance.crashed = crashed;
                instance.client = broker.client();
                instance.stop = StopRequest::default();
                instance.worker = Some(Worker::new(
                    (self.wrap)(broker),
                    LaggingJudge::new(self.stage.clone(), self.deployment.holds),
                    Recorder(self.stage.clone()),
                    self.deployment.limits,
                    instance.stop.clone(),
                ));
            }
            Err(_) => instance.not_before = retry_at,
        }
    }

    fn turn(&self, index: usize) {
        let mut instances = self.instances.borrow_mut();
        let instance = &mut instances[index];
        let Some(mut worker) = instance.worker.take() else {
            return;
        };
        if std::mem::take(&mut instance.stands_still) {
            let client = instance.client;
            self.stage.cluster.borrow_mut().group.thaw(client);
        }
        let stop = instance.stop.is_requested();
        let crashed = instance.crashed.clone();
        drop(instances);
        self.depth.set(self.depth.get() + 1);
        let ended = if stop {
            Some(worker.run().map(drop))
        } else {
            let failed = worker.turn().err().map(Err);
            if failed.is_none() {
                self.instances.borrow_mut()[index].worker = Some(worker);
            }
            failed
        };
        self.depth.set(self.depth.get() - 1);
        if let Some(result) = ended {
            self.ended(index, result.is_ok(), crashed.get());
        }
    }

    fn ended(&self, index: usize, in_order: bool, crashed: bool) {
        let (client, name) = {
            let instance = &self.instances.borrow()[index];
            (instance.client, instance.name.clone())
        };
        let mut cluster = self.stage.cluster.borrow_mut();
        let now = cluster.now;
        if in_order && !crashed {
            self.stage.faults.saw(Sight::LeftInOrder);
            cluster.group.leave(client, now);
        } else if !crashed {
            self.stage.faults.saw(Sight::GaveUp);
        }
        drop(cluster);
        let how = (in_order, crashed);
        self.stage
            .faults
            .log(|| format!("{:>6} {name}#{client} ended {how:?}", now.as_millis()));
        self.end(
            index,
            now + Duration::from_millis(self.random().below(4_000) as u64),
        );
    }

    /// The process is gone; it is started again then.
    pub(super) fn end(&self, index: usize, again: Duration) {
        let mut instances = self.instances.borrow_mut();
        let instance = &mut instances[index];
        if instance.is_up {
            let mut cluster = self.stage.cluster.borrow_mut();
            let now = cluster.now;
            cluster.group.die(instance.client, now);
        }
        instance.worker = None;
        instance.is_up = false;
        instance.not_before = again;
    }

    pub(super) fn go_on(&self, index: usize) {
        let instance = &mut self.instances.borrow_mut()[index];
        instance.not_before = Duration::ZERO;
        instance.stands_still = false;
        if instance.is_up {
            self.stage.cluster.borrow_mut().group.thaw(instance.client);
        }
    }
}

/// Writes down what a worker says that it committed.
pub struct Recorder(Rc<Stage>);

impl Observer for Recorder {
    fn notice(&mut self, notice: Notice<'_>) {
        if let Notice::Committed(batch, _) = notice {
            let cluster = &mut *self.0.cluster.borrow_mut();
            cluster.ledger.noticed(batch, &cluster.input);
        }
    }
}
