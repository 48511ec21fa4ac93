//! The context that all parts of a run share: randomness, faults, the cluster, the planted fault.
//! Also the moments between two calls of a worker, in which the rest of the world acts.

use std::cell::RefCell;
use std::time::Duration;

use super::client::ClientId;
use super::cluster::Cluster;
use super::faults::{Fault, Faults, Moment, Target};
use super::planted::PlantedFault;
use audit_testkit::random::Random;

/// The shared context of a run.
#[derive(Debug)]
pub struct Context {
    pub random: Random,
    pub faults: Faults,
    pub cluster: RefCell<Cluster>,
    pub planted: Option<PlantedFault>,
    /// Whether the relays seal what they write.
    pub is_sealed: bool,
}

/// Lets others act in the middle of a worker's turn.
pub trait Scheduler {
    fn interleave(&self);

    /// Lets others act for longer than any time-out while this client is frozen.
    fn freeze_in_turn(&self, client: ClientId);
}

impl Context {
    pub fn is_planted(&self, fault: PlantedFault) -> bool {
        self.planted == Some(fault)
    }

    pub fn now(&self) -> Duration {
        self.cluster.borrow().now
    }

    pub fn advance(&self, time: Duration) {
        self.cluster.borrow_mut().now += time;
    }

    /// Decides whether to inject the fault into this client here; if so, counts and logs it.
    pub fn injects(&self, fault: Fault, client: ClientId) -> bool {
        self.injects_one_in(1, fault, client)
    }

    /// As [`Self::injects`], at an injection point that is passed very often.
    pub fn injects_one_in(&self, places: usize, fault: Fault, client: ClientId) -> bool {
        let injected = self.faults.is_due(places, fault, &self.random);
        if injected {
            self.faults.injected(fault, Target::Client(client));
            self.log(client, || format!("{fault:?}"));
        }
        injected
    }

    /// The moment between two calls: others act, and the process may freeze.
    pub fn moment(&self, client: ClientId, moment: Moment, scheduler: &dyn Scheduler) {
        self.faults.set_moment(client, Some(moment));
        if self.injects_one_in(20, Fault::FrozenInTurn, client) {
            scheduler.freeze_in_turn(client);
        }
        scheduler.interleave();
        self.faults.set_moment(client, None);
    }

    pub fn log(&self, client: ClientId, what: impl FnOnce() -> String) {
        self.faults.log(|| {
            let mut cluster = self.cluster.borrow_mut();
            let now = cluster.now.as_millis();
            let instance = &cluster.group.client(client).instance;
            format!("{now:>6} {instance}#{client} {}", what())
        });
    }
}
