//! The life cycle of instances: each is started, takes turns, ends cleanly or not, and is restarted
//! as a supervisor would do it.

use std::cell::Cell;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::broker::SimulatedBroker;
use super::client::ClientId;
use super::context::Scheduler;
use super::faults::Probe;
use super::seam::{Relay, StopRequest};
use super::tables::Tables;
use super::world::World;

/// A process, or a slot in which one will be started.
pub(super) struct Instance {
    pub(super) name: String,
    /// Absent during its turn and while it is down.
    pub(super) relay: Option<Relay>,
    pub(super) client: ClientId,
    pub(super) crashed: Rc<Cell<bool>>,
    pub(super) stop: StopRequest,
    pub(super) is_up: bool,
    /// When it is started, or continues after a freeze.
    pub(super) not_before: Duration,
    pub(super) is_frozen: bool,
    /// Its successor runs already, so it will not be restarted.
    pub(super) is_replaced: bool,
    pub(super) starts: u32,
}

impl World {
    pub(super) fn add_instance(&self, name: Option<String>) {
        let mut instances = self.instances.borrow_mut();
        let name = name.unwrap_or_else(|| format!("relay-{}", instances.len()));
        instances.push(Instance {
            name,
            relay: None,
            client: 0,
            crashed: Rc::default(),
            stop: StopRequest::default(),
            is_up: false,
            not_before: Duration::ZERO,
            is_frozen: false,
            is_replaced: false,
            starts: 0,
        });
    }

    pub(super) fn run_one_turn(&self) {
        let now = self.now();
        let able = |instance: &Instance| {
            let free = !instance.is_up || instance.relay.is_some();
            free && instance.not_before <= now && (instance.is_up || !instance.is_replaced)
        };
        let instances = self.instances.borrow();
        let able: Vec<usize> = (0..instances.len()).filter(|i| able(&instances[*i])).collect();
        drop(instances);
        let Some(index) = self.random().pick(&able) else {
            // Every instance waits.
            self.context.cluster.borrow_mut().now += Duration::from_millis(100);
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
        if self.settings.renames && instance.starts > 1 {
            instance.name = format!("relay-{index}-{}", instance.starts);
        }
        let name = instance.name.clone();
        drop(instances);
        let crashed = Rc::new(Cell::new(false));
        let scheduler: Weak<dyn Scheduler> = self.me.clone();
        let opened = SimulatedBroker::open(
            self.context.clone(),
            scheduler.clone(),
            &name,
            self.settings.is_static,
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
                let tables = Tables::new(self.context.clone(), scheduler, broker.client());
                let (limits, stop) = (self.settings.limits, instance.stop.clone());
                instance.relay = Some(Relay::new(&self.context, broker, tables, limits, stop));
            }
            Err(_) => instance.not_before = retry_at,
        }
    }

    fn turn(&self, index: usize) {
        let mut instances = self.instances.borrow_mut();
        let instance = &mut instances[index];
        let Some(mut relay) = instance.relay.take() else {
            return;
        };
        if std::mem::take(&mut instance.is_frozen) {
            let client = instance.client;
            self.context.cluster.borrow_mut().group.thaw(client);
        }
        let stop = instance.stop.is_requested();
        let crashed = instance.crashed.clone();
        drop(instances);
        self.depth.set(self.depth.get() + 1);
        let ended = if stop {
            Some(relay.finish())
        } else {
            let failed = relay.turn().err().map(Err);
            if failed.is_none() {
                self.instances.borrow_mut()[index].relay = Some(relay);
            }
            failed
        };
        self.depth.set(self.depth.get() - 1);
        if let Some(result) = ended {
            self.ended(index, result.is_ok(), crashed.get());
        }
    }

    fn ended(&self, index: usize, cleanly: bool, crashed: bool) {
        let (client, name) = {
            let instance = &self.instances.borrow()[index];
            (instance.client, instance.name.clone())
        };
        let mut cluster = self.context.cluster.borrow_mut();
        let now = cluster.now;
        if cleanly && !crashed {
            self.context.faults.hit(Probe::LeftCleanly);
            cluster.group.leave(client, now);
        } else if !crashed {
            self.context.faults.hit(Probe::GaveUp);
            if cluster.group.is_expelled_unnoticed(client) {
                self.context.faults.hit(Probe::StaleMemberGaveUp);
            }
            if self.has_twin(index) {
                self.context.faults.hit(Probe::TwinGaveUp);
            }
        }
        drop(cluster);
        let how = (cleanly, crashed);
        self.context.faults.log(|| format!("{:>6} {name}#{client} ended {how:?}", now.as_millis()));
        self.end(index, now + Duration::from_millis(self.random().below(4_000)));
    }

    /// Whether another process of the same name runs.
    fn has_twin(&self, index: usize) -> bool {
        let instances = self.instances.borrow();
        let mut others = instances.iter().enumerate();
        others.any(|(i, other)| i != index && other.is_up && other.name == instances[index].name)
    }

    /// Ends the process and restarts it at `again`.
    pub(super) fn end(&self, index: usize, again: Duration) {
        let mut instances = self.instances.borrow_mut();
        let instance = &mut instances[index];
        if instance.is_up {
            let mut cluster = self.context.cluster.borrow_mut();
            let now = cluster.now;
            cluster.group.die(instance.client, now);
            self.context.faults.client_ended(instance.client);
        }
        instance.relay = None;
        instance.is_up = false;
        instance.not_before = again;
    }

    pub(super) fn resume(&self, index: usize) {
        let instance = &mut self.instances.borrow_mut()[index];
        instance.not_before = Duration::ZERO;
        instance.is_frozen = false;
        if instance.is_up {
            self.context.cluster.borrow_mut().group.thaw(instance.client);
        }
    }
}
