//! Injects the faults that come from outside a worker, and triggers the other outside events:
//! records arrive, members join, leave, freeze or are expelled, delayed requests arrive. Both
//! happen between turns and, by way of the broker, inside them.

use std::time::Duration;

use super::client::ClientId;
use super::context::Scheduler;
use super::faults::{Fault, Target};
use super::world::World;

/// Maximum depth of turns inside turns.
const DEPTH_MAX: u32 = 3;
/// Maximum number of instances, dead ones included, to keep a run short.
const INSTANCES_MAX: usize = 7;
const PARTITIONS_MAX: usize = 5;
/// Maximum number of records of a partition; their payloads number them below a thousand.
const RECORDS_MAX: usize = 120;

impl Scheduler for World {
    fn interleave(&self) {
        match self.random().below(100) {
            0..5 => self.act(),
            5..15 => self.outside_event(),
            15..30 => self.tick(),
            _ => {}
        }
    }

    fn freeze_in_turn(&self, client: ClientId) {
        let now = self.now();
        self.context.cluster.borrow_mut().group.freeze(client, now);
        for _ in 0..self.random().count(5, 30) {
            self.advance_time();
            self.act();
        }
        self.context.cluster.borrow_mut().group.thaw(client);
    }
}

impl World {
    /// Takes a step inside a worker's turn, unless turns are nested too deep already.
    fn act(&self) {
        if self.depth.get() <= DEPTH_MAX {
            self.step();
        } else {
            self.tick();
        }
    }

    fn advance_time(&self) {
        let time = Duration::from_millis(self.random().below(1_000));
        self.context.cluster.borrow_mut().now += time;
    }

    /// Triggers an event that is not a worker's turn.
    pub(super) fn outside_event(&self) {
        match self.random().below(10) {
            0..2 => self.records_arrive(),
            2..4 => self.delayed_request_arrives(),
            4 => self.advance_time(),
            _ => {
                let fault = self.random().pick(Fault::EXTERNAL);
                if let Some(fault) = fault.filter(|fault| self.is_due(*fault)) {
                    let line = || format!("{:>6} {fault:?}", self.now().as_millis());
                    self.context.faults.log(line);
                    if let Some(target) = self.inject(fault) {
                        self.context.faults.injected(fault, target);
                    }
                }
            }
        }
    }

    fn records_arrive(&self) {
        let mut cluster = self.context.cluster.borrow_mut();
        let partition = self.random().index(cluster.input.len());
        for _ in 0..self.random().count(1, 4) {
            if self.context.faults.are_on() && cluster.input[partition].len() < RECORDS_MAX {
                cluster.append(partition);
            }
        }
    }

    fn delayed_request_arrives(&self) {
        let mut cluster = self.context.cluster.borrow_mut();
        let delayed = cluster.delayed_requests();
        if delayed > 0 {
            let seen = cluster.deliver_delayed(self.random().index(delayed));
            seen.into_iter().for_each(|probe| self.context.faults.hit(probe));
        }
    }

    /// Decides whether to inject the fault, as far as the limits of the world allow it.
    fn is_due(&self, fault: Fault) -> bool {
        let has_room = match fault {
            Fault::Joined | Fault::StartedTwice => self.instances.borrow().len() < INSTANCES_MAX,
            Fault::PartitionAdded => self.context.cluster.borrow().input.len() < PARTITIONS_MAX,
            _ => true,
        };
        let faults = &self.context.faults;
        has_room && faults.is_due(1, fault, self.random())
    }

    /// Injects the fault and returns its target, or `None` if it could not be injected.
    fn inject(&self, fault: Fault) -> Option<Target> {
        let some = self.pick_instance(fault)?;
        match fault {
            Fault::FrozenBetweenTurns => self.freeze(some),
            Fault::StopRequested => self.request_stop(some),
            Fault::Joined => {
                self.add_instance(None);
                Some(Target::All)
            }
            Fault::StartedTwice => self.start_again(some),
            _ => self.inject_into_cluster(fault, some),
        }
    }

    /// Picks an instance that the fault applies to: it must run, and for a freeze it must not be
    /// in its turn.
    fn pick_instance(&self, fault: Fault) -> Option<usize> {
        let instances = self.instances.borrow();
        let fits = |index: &usize| match fault {
            Fault::FrozenBetweenTurns => instances[*index].relay.is_some(),
            Fault::StopRequested | Fault::StartedTwice | Fault::StaleMember => {
                instances[*index].is_up
            }
            _ => true,
        };
        let fitting: Vec<usize> = (0..instances.len()).filter(fits).collect();
        self.random().pick(&fitting)
    }

    fn inject_into_cluster(&self, fault: Fault, some: usize) -> Option<Target> {
        let (id, client) = {
            let instance = &self.instances.borrow()[some];
            (instance.name.clone(), instance.client)
        };
        let mut cluster = self.context.cluster.borrow_mut();
        let now = cluster.now;
        match fault {
            Fault::Expelled => {
                let expelled = cluster.group.expel_any(now, self.random());
                return expelled.map(Target::Client);
            }
            Fault::StaleMember => {
                return cluster.group.make_stale(client).then_some(Target::Client(client));
            }
            Fault::IdTaken => {
                cluster.init_producer(&id, None);
                return Some(Target::Client(client));
            }
            Fault::Rebalanced => cluster.group.call_rebalance(now),
            Fault::PartitionAdded => cluster.add_partition(),
            other => panic!("{other:?} is injected in the broker"),
        }
        Some(Target::All)
    }

    fn request_stop(&self, index: usize) -> Option<Target> {
        let instance = &self.instances.borrow()[index];
        instance.stop.request();
        instance.is_up.then_some(Target::Client(instance.client))
    }

    fn freeze(&self, index: usize) -> Option<Target> {
        let now = self.now();
        let instance = &mut self.instances.borrow_mut()[index];
        instance.relay.as_ref()?;
        let time = self.random().within(1_000, 15_000);
        instance.not_before = now + Duration::from_millis(time);
        instance.is_frozen = true;
        let mut cluster = self.context.cluster.borrow_mut();
        cluster.group.freeze(instance.client, now);
        Some(Target::Client(instance.client))
    }

    /// Starts a second instance with the name of one that still runs.
    fn start_again(&self, index: usize) -> Option<Target> {
        let mut instances = self.instances.borrow_mut();
        let instance = &mut instances[index];
        if !instance.is_up || instance.is_replaced {
            return None;
        }
        instance.is_replaced = true;
        let (name, client) = (instance.name.clone(), instance.client);
        drop(instances);
        self.add_instance(Some(name));
        Some(Target::Client(client))
    }
}
