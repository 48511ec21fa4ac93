//! The life of instances: one is started, takes turns, ends in order or otherwise, and is started
//! again, as a supervisor would.

use std::cell::Cell;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::broker::SimulatedBroker;
use super::client::ClientId;
use super::faults::Sight;
use super::seam::{Relay, StopRequest};
use super::stage::Scheduler;
use super::tables::Tables;
use super::world::World;

/// One process, or the place where one will be started.
pub(super) struct Instance {
    pub(super) name: String,
    /// Absent while it takes its turn, and while it is down.
    pub(super) relay: Option<Relay>,
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
            stands_still: false,
            is_ghost: false,
            starts: 0,
        });
    }

    pub(super) fn turn_of_one(&self) {
        let now = self.now();
        let able = |instance: &Instance| {
            let free = !instance.is_up || instance.relay.is_some();
            free && instance.not_before <= now && (instance.is_up || !instance.is_ghost)
        };
        let instances = self.instances.borrow();
        let able: Vec<usize> = (0..instances.len()).filter(|i| able(&instances[*i])).collect();
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
            scheduler.clone(),
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
                let tables = Tables::new(self.stage.clone(), scheduler, broker.client());
                let (limits, stop) = (self.deployment.limits, instance.stop.clone());
                instance.relay = Some(Relay::new(&self.stage, broker, tables, limits, stop));
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
        if std::mem::take(&mut instance.stands_still) {
            let client = instance.client;
            self.stage.cluster.borrow_mut().group.thaw(client);
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
            if cluster.group.is_deceived(client) {
                self.stage.faults.saw(Sight::StaleMemberGaveUp);
            }
            if self.has_twin(index) {
                self.stage.faults.saw(Sight::TwinGaveUp);
            }
        }
        drop(cluster);
        let how = (in_order, crashed);
        self.stage.faults.log(|| format!("{:>6} {name}#{client} ended {how:?}", now.as_millis()));
        self.end(index, now + Duration::from_millis(self.random().below(4_000)));
    }

    /// Whether another process of the same name runs.
    fn has_twin(&self, index: usize) -> bool {
        let instances = self.instances.borrow();
        let mut others = instances.iter().enumerate();
        others.any(|(i, other)| i != index && other.is_up && other.name == instances[index].name)
    }

    /// The process is gone; it is started again then.
    pub(super) fn end(&self, index: usize, again: Duration) {
        let mut instances = self.instances.borrow_mut();
        let instance = &mut instances[index];
        if instance.is_up {
            let mut cluster = self.stage.cluster.borrow_mut();
            let now = cluster.now;
            cluster.group.die(instance.client, now);
            self.stage.faults.ends(instance.client);
        }
        instance.relay = None;
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
