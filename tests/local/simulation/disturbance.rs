//! What happens in the world besides turns: records arrive, members come, go, stand still or are
//! thrown out, delayed requests arrive. It can happen between turns and, by way of the broker,
//! inside them.

use std::time::Duration;

use super::client::ClientId;
use super::faults::{Fault, Whom};
use super::stage::Scheduler;
use super::world::World;

/// Most turns inside turns.
const DEEPEST: u32 = 3;
/// Most instances, dead ones included, so that a run stays short.
const INSTANCES_MAX: usize = 7;
const PARTITIONS_MAX: usize = 5;
/// Most records of a partition: their payloads number them within a thousand.
const RECORDS_MAX: usize = 120;

impl Scheduler for World {
    fn interleave(&self) {
        match self.random().below(100) {
            0..5 => self.act(),
            5..15 => self.disturb(),
            15..30 => self.pass(),
            _ => {}
        }
    }

    fn stand_still(&self, client: ClientId) {
        let now = self.now();
        self.stage.cluster.borrow_mut().group.freeze(client, now);
        for _ in 0..self.random().count(5, 30) {
            self.time_passes();
            self.act();
        }
        self.stage.cluster.borrow_mut().group.thaw(client);
    }
}

impl World {
    /// A step inside a worker's turn, unless turns are nested too deep already.
    fn act(&self) {
        if self.depth.get() <= DEEPEST {
            self.step();
        } else {
            self.pass();
        }
    }

    fn time_passes(&self) {
        let time = Duration::from_millis(self.random().below(1_000));
        self.stage.cluster.borrow_mut().now += time;
    }

    /// Something happens that is no turn.
    pub(super) fn disturb(&self) {
        match self.random().below(10) {
            0..2 => self.records_arrive(),
            2..4 => self.delayed_request_arrives(),
            4 => self.time_passes(),
            _ => {
                let fault = self.random().pick(Fault::WORLDLY);
                if let Some(fault) = fault.filter(|fault| self.is_due(*fault)) {
                    let line = || format!("{:>6} {fault:?}", self.now().as_millis());
                    self.stage.faults.log(line);
                    if let Some(whom) = self.strike(fault) {
                        self.stage.faults.struck(fault, whom);
                    }
                }
            }
        }
    }

    fn records_arrive(&self) {
        let mut cluster = self.stage.cluster.borrow_mut();
        let partition = self.random().index(cluster.input.len());
        for _ in 0..self.random().count(1, 4) {
            if self.stage.faults.are_on() && cluster.input[partition].len() < RECORDS_MAX {
                cluster.append(partition);
            }
        }
    }

    fn delayed_request_arrives(&self) {
        let mut cluster = self.stage.cluster.borrow_mut();
        let delayed = cluster.delayed_requests();
        if delayed > 0 {
            let seen = cluster.deliver_delayed(self.random().index(delayed));
            seen.into_iter().for_each(|sight| self.stage.faults.saw(sight));
        }
    }

    /// Whether there is room for the fault and it is to strike.
    fn is_due(&self, fault: Fault) -> bool {
        let has_room = match fault {
            Fault::Joined | Fault::StartedTwice => self.instances.borrow().len() < INSTANCES_MAX,
            Fault::PartitionAdded => self.stage.cluster.borrow().input.len() < PARTITIONS_MAX,
            _ => true,
        };
        let faults = &self.stage.faults;
        has_room && faults.strikes_one_in(1, fault, self.random())
    }

    /// Returns whom it struck, if anybody.
    fn strike(&self, fault: Fault) -> Option<Whom> {
        let some = self.some_instance(fault)?;
        match fault {
            Fault::StandstillBetweenTurns => self.freeze(some),
            Fault::AskedToStop => self.ask_to_stop(some),
            Fault::Joined => {
                self.add_instance(None);
                Some(Whom::Everybody)
            }
            Fault::StartedTwice => self.start_again(some),
            _ => self.strike_cluster(fault, some),
        }
    }

    /// The one that is struck: one that runs, and for a standstill one that is not in its turn.
    fn some_instance(&self, fault: Fault) -> Option<usize> {
        let instances = self.instances.borrow();
        let fits = |index: &usize| match fault {
            Fault::StandstillBetweenTurns => instances[*index].relay.is_some(),
            Fault::AskedToStop | Fault::StartedTwice | Fault::StaleMember => {
                instances[*index].is_up
            }
            _ => true,
        };
        let fitting: Vec<usize> = (0..instances.len()).filter(fits).collect();
        self.random().pick(&fitting)
    }

    fn strike_cluster(&self, fault: Fault, some: usize) -> Option<Whom> {
        let (id, client) = {
            let instance = &self.instances.borrow()[some];
            (instance.name.clone(), instance.client)
        };
        let mut cluster = self.stage.cluster.borrow_mut();
        let now = cluster.now;
        match fault {
            Fault::Expelled => {
                let expelled = cluster.group.expel_any(now, self.random());
                return expelled.map(Whom::Client);
            }
            Fault::StaleMember => {
                return cluster.group.make_stale(client).then_some(Whom::Client(client));
            }
            Fault::IdTaken => {
                cluster.init_producer(&id, None);
                return Some(Whom::Client(client));
            }
            Fault::Rebalanced => cluster.group.call_rebalance(now),
            Fault::PartitionAdded => cluster.add_partition(),
            other => panic!("{other:?} strikes in the broker"),
        }
        Some(Whom::Everybody)
    }

    fn ask_to_stop(&self, index: usize) -> Option<Whom> {
        let instance = &self.instances.borrow()[index];
        instance.stop.request();
        instance.is_up.then_some(Whom::Client(instance.client))
    }

    fn freeze(&self, index: usize) -> Option<Whom> {
        let now = self.now();
        let instance = &mut self.instances.borrow_mut()[index];
        instance.relay.as_ref()?;
        let time = self.random().within(1_000, 15_000);
        instance.not_before = now + Duration::from_millis(time);
        instance.stands_still = true;
        let mut cluster = self.stage.cluster.borrow_mut();
        cluster.group.freeze(instance.client, now);
        Some(Whom::Client(instance.client))
    }

    /// The same name once more, beside the one that still runs.
    fn start_again(&self, index: usize) -> Option<Whom> {
        let mut instances = self.instances.borrow_mut();
        let instance = &mut instances[index];
        if !instance.is_up || instance.is_ghost {
            return None;
        }
        instance.is_ghost = true;
        let (name, client) = (instance.name.clone(), instance.client);
        drop(instances);
        self.add_instance(Some(name));
        Some(Whom::Client(client))
    }
}
