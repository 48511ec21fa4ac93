//! What all parts of a run share: chance, faults, the cluster, the fault that is planted. And the
//! moments between two calls of a worker, in which the rest of the world moves on.

use std::cell::RefCell;
use std::time::Duration;

use super::client::ClientId;
use super::cluster::Cluster;
use super::faults::{Fault, Faults, Moment, Whom};
use super::sabotage::Sabotage;
use audit_testkit::random::Random;

/// What all parts of a run share.
#[derive(Debug)]
pub struct Stage {
    pub random: Random,
    pub faults: Faults,
    pub cluster: RefCell<Cluster>,
    pub planted: Option<Sabotage>,
}

/// Lets others act in the middle of a worker's turn.
pub trait Scheduler {
    fn interleave(&self);

    /// Others act for longer than any time-out while this client stands still.
    fn stand_still(&self, client: ClientId);
}

impl Stage {
    pub fn planted(&self, sabotage: Sabotage) -> bool {
        self.planted == Some(sabotage)
    }

    pub fn now(&self) -> Duration {
        self.cluster.borrow().now
    }

    pub fn pass(&self, time: Duration) {
        self.cluster.borrow_mut().now += time;
    }

    /// Whether the fault strikes this client here and now.
    pub fn strikes(&self, fault: Fault, client: ClientId) -> bool {
        self.strikes_one_in(1, fault, client)
    }

    /// As [`Self::strikes`], at a place that is passed very often.
    pub fn strikes_one_in(&self, places: usize, fault: Fault, client: ClientId) -> bool {
        let struck = self.faults.strikes_one_in(places, fault, &self.random);
        if struck {
            self.faults.struck(fault, Whom::Client(client));
            self.log(client, || format!("{fault:?}"));
        }
        struck
    }

    /// The moment between two calls: others act, the process may stand still.
    pub fn moment(&self, client: ClientId, moment: Moment, scheduler: &dyn Scheduler) {
        self.faults.is_in(client, Some(moment));
        if self.strikes_one_in(20, Fault::StandstillInTurn, client) {
            scheduler.stand_still(client);
        }
        scheduler.interleave();
        self.faults.is_in(client, None);
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
