//! One worker's connection to the simulated cluster. It does, call by call, what `src/kafka/session.rs`
//! does with the real client, and keeps in memory what that keeps. Before every step it lets the rest of
//! the world move on, and asks whether a fault strikes.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::{Rc, Weak};
use std::time::Duration;

use audit_relay::stream::{Arrival, Broker, Failure, Output, Partition, Position};

use super::client::{ClientId, Membership};
use super::cluster::Cluster;
use super::consuming::source_record;
use super::faults::{Fault, Faults, Sight};
use super::producing::{Producer, Step};
use super::random::Random;

/// What all parts of a run share.
#[derive(Debug)]
pub struct Stage {
    pub random: Random,
    pub faults: Faults,
    pub cluster: RefCell<Cluster>,
}

/// Lets others act in the middle of a worker's turn.
pub trait Scheduler {
    fn interleave(&self);

    /// Others act for longer than any time-out while this client stands still.
    fn stand_still(&self, client: ClientId);
}

pub struct SimulatedBroker {
    pub(super) stage: Rc<Stage>,
    pub(super) scheduler: Weak<dyn Scheduler>,
    pub(super) id: String,
    pub(super) client: ClientId,
    pub(super) producer: Option<Producer>,
    pub(super) membership: Option<Membership>,
    /// Partitions of the records that were handed over since the last publication: only to see whether
    /// news ever comes while a batch is being filled.
    pub(super) handed_over: BTreeSet<Partition>,
    pub(super) crashed: Rc<Cell<bool>>,
    /// A planted fault: the membership is taken from a client that knows that it has lost it.
    pub(super) trusts_lost_membership: bool,
}

impl SimulatedBroker {
    /// Takes over the transactional id, then joins the group, as the real session does.
    pub fn open(
        stage: Rc<Stage>,
        scheduler: Weak<dyn Scheduler>,
        instance: &str,
        is_static: bool,
        crashed: Rc<Cell<bool>>,
    ) -> Result<Self, Failure> {
        let mut broker = SimulatedBroker {
            stage,
            scheduler,
            id: instance.to_string(),
            client: 0,
            producer: None,
            membership: None,
            handed_over: BTreeSet::new(),
            crashed,
            trusts_lost_membership: false,
        };
        broker.open_producer()?;
        let mut cluster = broker.stage.cluster.borrow_mut();
        broker.client = cluster.group.subscribe(instance, is_static);
        drop(cluster);
        Ok(broker)
    }

    /// A planted fault of the edge, which no wrapper could plant: the broker takes a commit without a
    /// member id for one from outside any group.
    pub fn trusting_lost_membership(mut self) -> Self {
        self.trusts_lost_membership = true;
        self
    }

    pub fn client(&self) -> ClientId {
        self.client
    }

    pub(super) fn strikes(&self, fault: Fault) -> bool {
        let struck = self.stage.faults.strikes(fault, &self.stage.random);
        if struck {
            self.log(|| format!("{fault:?}"));
        }
        struck
    }

    /// As [`Self::strikes`], at a place that is passed very often.
    pub(super) fn strikes_rarely(&self, fault: Fault) -> bool {
        let struck = self
            .stage
            .faults
            .strikes_one_in(20, fault, &self.stage.random);
        if struck {
            self.log(|| format!("{fault:?}"));
        }
        struck
    }

    pub(super) fn log(&self, what: impl FnOnce() -> String) {
        let line = || {
            let now = self.stage.cluster.borrow().now;
            format!(
                "{:>6} {}#{} {}",
                now.as_millis(),
                self.id,
                self.client,
                what()
            )
        };
        self.stage.faults.log(line);
    }

    /// The moment between two calls: others act, the process may stand still, or die.
    pub(super) fn breathe(&mut self) -> Result<(), Failure> {
        if self.crashed.get() || self.strikes_rarely(Fault::Crash) {
            self.crashed.set(true);
            return Err(Failure::Fatal("crashed".to_string()));
        }
        if let Some(scheduler) = self.scheduler.upgrade() {
            if self.strikes_rarely(Fault::StandstillInTurn) {
                scheduler.stand_still(self.client);
            }
            scheduler.interleave();
        }
        Ok(())
    }

    pub(super) fn pass(&self, time: Duration) {
        self.stage.cluster.borrow_mut().now += time;
    }

    pub(super) fn current_membership(&self) -> Option<Membership> {
        let mut cluster = self.stage.cluster.borrow_mut();
        let client = cluster.group.client(self.client);
        let lost = client.lost && !self.trusts_lost_membership;
        (!lost).then(|| client.membership())
    }
}

impl Broker for SimulatedBroker {
    fn poll(
        &mut self,
        wait: Duration,
        _: usize,
        receive: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<(), Failure> {
        self.breathe()?;
        self.pass(Duration::from_millis(1));
        if self
            .stage
            .cluster
            .borrow_mut()
            .group
            .client(self.client)
            .is_fenced
        {
            self.stage.faults.saw(Sight::ConsumerFenced);
            return Err(Failure::Fatal(
                "another process has this group instance id".to_string(),
            ));
        }
        let mut news = Vec::new();
        if !self.strikes(Fault::RecordBeforeNews) {
            news = self.serve_news();
        }
        self.resolve_positions();
        let record = self.next_record();
        self.breathe()?;
        self.deliver(news, receive);
        match record {
            Some((partition, offset, payload)) => {
                self.handed_over.insert(partition);
                receive(Arrival::Record(source_record(partition, offset, &payload)));
            }
            None => self.deliver_none(wait, receive),
        }
        Ok(())
    }

    fn publish(&mut self, outputs: &[Output], positions: &[Position]) -> Result<(), Failure> {
        self.handed_over.clear();
        let result = self.transact(outputs, positions);
        self.log(|| {
            let moves = positions
                .iter()
                .map(|p| format!("{}->{}", p.partition, p.next_offset));
            let moves: Vec<String> = moves.collect();
            format!(
                "publish {} outputs, {}: {result:?}",
                outputs.len(),
                moves.join(" ")
            )
        });
        self.stage.cluster.borrow_mut().reported(result?);
        if outputs.is_empty() {
            self.stage.faults.saw(Sight::OnlyPositionsCommitted);
        }
        Ok(())
    }

    fn abort(&mut self) -> Result<(), Failure> {
        self.breathe()?;
        let done = !self.stage.random.happens(500);
        let fails = self.strikes(Fault::AbortFails);
        if fails && !done {
            return Err(self.broken("abort timed out"));
        }
        let producer = self
            .producer
            .filter(|p| matches!(p.step, Step::InTransaction | Step::InDoubt));
        let Some(producer) = producer else {
            return Err(self.broken("no transaction to abort"));
        };
        self.end(producer.epoch, false)?;
        if fails {
            return Err(self.broken("abort got no answer"));
        }
        self.step(Step::Ready);
        self.membership = self.current_membership();
        Ok(())
    }

    fn rebuild(&mut self) -> Result<(), Failure> {
        self.breathe()?;
        self.producer = None;
        self.open_producer()?;
        self.membership = self.current_membership();
        Ok(())
    }

    fn rewind(&mut self, partitions: &[Partition]) -> Result<(), Failure> {
        if self.strikes(Fault::RewindFails) {
            return Err(Failure::Broken("committed offsets timed out".to_string()));
        }
        let offsets = self.committed_offsets(partitions)?;
        for (partition, offset) in partitions.iter().zip(offsets) {
            self.seek(*partition, offset)?;
            if self.strikes(Fault::RewindHalfFails) {
                return Err(Failure::Broken("seek of a partition failed".to_string()));
            }
        }
        Ok(())
    }

    fn pause(&mut self, time: Duration) {
        self.pass(time);
        if let Some(scheduler) = self.scheduler.upgrade() {
            (0..4).for_each(|_| scheduler.interleave());
        }
    }

    fn now(&self) -> Duration {
        self.stage.cluster.borrow().now
    }
}
