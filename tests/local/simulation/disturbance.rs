//! What happens in the world besides turns: records arrive, members come, go, stand still or are thrown
//! out, delayed requests arrive. It can happen between turns and, by way of the broker, inside them.

use std::time::Duration;

use audit_relay::stream::Broker;

use super::broker::Scheduler;
use super::client::ClientId;
use super::faults::{Fault, Sight};
use super::world::World;

/// Most turns inside turns.
const DEEPEST: u32 = 3;
/// Most instances, dead ones included, so that a run stays short.
const MOST_INSTANCES: usize = 7;
const MOST_PARTITIONS: usize = 5;
/// Most records of a partition: their payloads number them within a thousand.
const MOST_RECORDS: usize = 120;

/// Faults that strike the world as a whole.
const WORLDLY: &[Fault] = &[
    Fault::Expelled,
    Fault::StandstillBetweenTurns,
    Fault::AskedToStop,
    Fault::Joined,
    Fault::StartedTwice,
    Fault::IdTaken,
    Fault::Rebalanced,
    Fault::PartitionAdded,
];

impl<B: Broker + 'static> Scheduler for World<B> {
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
        for _ in 0..self.random().within(5, 30) {
            self.time_passes();
            self.act();
        }
        self.stage.cluster.borrow_mut().group.thaw(client);
    }
}

impl<B: Broker + 'static> World<B> {
    /// A step inside somebody's turn, unless turns are nested too deep already.
    fn act(&self) {
        if self.depth.get() <= DEEPEST {
            self.step();
        } else {
            self.pass();
        }
    }

    fn time_passes(&self) {
        let time = Duration::from_millis(self.random().below(1_000) as u64);
        self.stage.cluster.borrow_mut().now += time;
    }

    /// Something happens that is no turn.
    pub(super) fn disturb(&self) {
        match self.random().below(10) {
            0..2 => self.records_arrive(),
            2..4 => self.delayed_commit_arrives(),
            4 => self.time_passes(),
            _ => {
                let fault = self.random().pick(WORLDLY).filter(|fault| self.may(*fault));
                let strikes = |fault: &Fault| self.stage.faults.strikes(*fault, self.random());
                if let Some(fault) = fault.filter(strikes) {
                    self.stage
                        .faults
                        .log(|| format!("{:>6} {fault:?}", self.now().as_millis()));
                    self.strike(fault);
                }
            }
        }
    }

    fn records_arrive(&self) {
        let mut cluster = self.stage.cluster.borrow_mut();
        let partition = self.random().below(cluster.input.len());
        for _ in 0..self.random().within(1, 4) {
            if self.stage.faults.are_on() && cluster.input[partition].len() < MOST_RECORDS {
                cluster.append(partition);
            }
        }
    }

    fn delayed_commit_arrives(&self) {
        let mut cluster = self.stage.cluster.borrow_mut();
        let delayed = cluster.delayed_commits();
        if delayed > 0 && cluster.deliver_delayed(self.random().below(delayed)) {
            self.stage.faults.saw(Sight::StaleEndRefused);
        }
    }

    /// Whether there is room for it.
    fn may(&self, fault: Fault) -> bool {
        match fault {
            Fault::Joined | Fault::StartedTwice => self.instances.borrow().len() < MOST_INSTANCES,
            Fault::PartitionAdded => self.stage.cluster.borrow().input.len() < MOST_PARTITIONS,
            _ => true,
        }
    }

    fn strike(&self, fault: Fault) {
        let some = self.random().below(self.instances.borrow().len());
        match fault {
            Fault::StandstillBetweenTurns => self.freeze(some),
            Fault::AskedToStop => self.instances.borrow()[some].stop.request(),
            Fault::Joined => self.add_instance(None),
            Fault::StartedTwice => self.start_again(some),
            _ => self.strike_cluster(fault, some),
        }
    }

    fn strike_cluster(&self, fault: Fault, some: usize) {
        let id = self.instances.borrow()[some].name.clone();
        let mut cluster = self.stage.cluster.borrow_mut();
        let now = cluster.now;
        match fault {
            Fault::Expelled => cluster.group.expel_any(now, self.random()),
            Fault::IdTaken => drop(cluster.init_producer(&id)),
            Fault::Rebalanced => cluster.group.call_rebalance(now),
            Fault::PartitionAdded => cluster.add_partition(),
            other => unreachable!("{other:?} strikes in the broker"),
        }
    }

    fn freeze(&self, index: usize) {
        let now = self.now();
        let instance = &mut self.instances.borrow_mut()[index];
        if instance.worker.is_some() {
            let time = self.random().within(1_000, 15_000) as u64;
            instance.not_before = now + Duration::from_millis(time);
            instance.stands_still = true;
            self.stage
                .cluster
                .borrow_mut()
                .group
                .freeze(instance.client, now);
        }
    }

    /// The same name once more, beside the one that still runs.
    fn start_again(&self, index: usize) {
        let mut instances = self.instances.borrow_mut();
        let instance = &mut instances[index];
        if instance.is_up && !instance.is_ghost {
            instance.is_ghost = true;
            let name = instance.name.clone();
            drop(instances);
            self.add_instance(Some(name));
        }
    }
}
