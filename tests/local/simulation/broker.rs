//! One worker's connection to the simulated cluster. It does, call by call, what
//! `src/kafka/session.rs` does with the real client, and keeps in memory what that keeps. Before
//! every step it lets the rest of the world move on, and asks whether a fault strikes. Reading is
//! in `consuming.rs`, writing in `producing.rs`; the trait that the loop asks for is in `seam.rs`.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::client::{ClientId, Membership};
use super::consuming::Rewound;
use super::faults::{Fault, Moment, Sight};
use super::oracle::Violation;
use super::producing::{Producer, Step};
use super::sabotage::Sabotage;
use super::seam::{Failure, Partition, Position};
use super::stage::{Scheduler, Stage};
use super::transactions::Draft;

/// So long a client may believe itself a member and be none, before its session ends.
const DECEIT_MAX: Duration = Duration::from_secs(16);
/// Longest time, in milliseconds, for which something cannot be read or written.
const TROUBLE_MS_MAX: u64 = 20_000;
/// A worker that paused so often without publishing anything repairs without end.
const PAUSES_MAX: usize = 500;

pub struct SimulatedBroker {
    pub(super) stage: Rc<Stage>,
    pub(super) scheduler: Weak<dyn Scheduler>,
    pub(super) id: String,
    pub(super) client: ClientId,
    pub(super) producer: Option<Producer>,
    /// For whom a commit speaks: taken when the partitions were assigned.
    pub(super) membership: Option<Membership>,
    /// Partitions of the records that were handed over since the last publication: only to see
    /// whether news ever comes while a batch is being filled.
    pub(super) handed_over: BTreeSet<Partition>,
    /// Polls that still hand over records which were fetched before the news that wait.
    pub(super) polls_before_news: usize,
    pub(super) rewind_failed: bool,
    /// Partitions that were assigned and of which nothing came yet.
    pub(super) unplaced: BTreeSet<Partition>,
    /// What was confirmed to be committed of each partition since it was assigned: before the last
    /// commit, and with it.
    pub(super) confirmed: BTreeMap<Partition, (i64, i64)>,
    pub(super) troubles: Troubles,
    /// Since when the client believes itself a member and is none.
    deceived_since: Option<Duration>,
    /// Pauses since the last publication was begun.
    pauses: usize,
    pub(super) crashed: Rc<Cell<bool>>,
}

/// What lasts for a while in this connection, and until when.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    /// A partition that cannot be read.
    pub(super) unreadable: Option<(Partition, Duration)>,
    /// More outputs than this do not get through.
    pub(super) most_outputs: Option<(usize, Duration)>,
    /// The output of this record is not accepted.
    pub(super) refused: Option<(Partition, i64, Duration)>,
}

impl SimulatedBroker {
    /// Whether a trouble lasts until then; none outlasts the time of faults.
    pub(super) fn lasts(&self, until: Duration) -> bool {
        self.stage.faults.are_on() && self.stage.now() < until
    }

    /// When a trouble that begins now is over.
    pub(super) fn some_time(&self) -> Duration {
        self.stage.now() + Duration::from_millis(self.stage.random.below(TROUBLE_MS_MAX))
    }

    /// Takes over the transactional id, then joins the group, as the real session does.
    pub fn open(
        stage: Rc<Stage>,
        scheduler: Weak<dyn Scheduler>,
        instance: &str,
        is_static: bool,
        crashed: Rc<Cell<bool>>,
    ) -> Result<Self, Failure> {
        let client = stage.cluster.borrow_mut().group.create(instance, is_static);
        stage.faults.begins(client);
        let mut broker = SimulatedBroker {
            stage,
            scheduler,
            id: instance.to_string(),
            client,
            producer: None,
            membership: None,
            handed_over: BTreeSet::new(),
            polls_before_news: 0,
            rewind_failed: false,
            unplaced: BTreeSet::new(),
            confirmed: BTreeMap::new(),
            troubles: Troubles::default(),
            deceived_since: None,
            pauses: 0,
            crashed,
        };
        let opened = broker.open_producer();
        if let Err(failure) = opened {
            broker.stage.faults.ends(client);
            return Err(failure);
        }
        let mut cluster = broker.stage.cluster.borrow_mut();
        cluster.group.client(client).is_subscribed = true;
        drop(cluster);
        Ok(broker)
    }

    pub fn client(&self) -> ClientId {
        self.client
    }

    pub(super) fn strikes(&self, fault: Fault) -> bool {
        self.stage.strikes(fault, self.client)
    }

    pub(super) fn saw(&self, sight: Sight) {
        self.stage.faults.saw(sight);
    }

    /// The moment between two calls: others act, the process may stand still, or die.
    pub(super) fn breathe(&mut self, moment: Moment) -> Result<(), Failure> {
        if self.crashed.get() || self.stage.strikes_one_in(20, Fault::Crash, self.client) {
            self.crashed.set(true);
            return Err(Failure::Fatal("crashed".to_string()));
        }
        if let Some(scheduler) = self.scheduler.upgrade() {
            self.stage.moment(self.client, moment, &*scheduler);
        }
        if moment != Moment::Polling {
            self.may_poll_too_seldom();
        }
        let in_transaction = matches!(self.producer, Some(p) if p.step == Step::InTransaction);
        if in_transaction && self.knows_of_loss() {
            self.saw(Sight::LostInTransaction);
        }
        Ok(())
    }

    fn may_poll_too_seldom(&self) {
        if self.stage.strikes_one_in(10, Fault::PollsTooSeldom, self.client) {
            let mut cluster = self.stage.cluster.borrow_mut();
            let now = cluster.now;
            cluster.group.polls_too_seldom(self.client, now);
        }
    }

    fn knows_of_loss(&self) -> bool {
        let mut cluster = self.stage.cluster.borrow_mut();
        cluster.group.client(self.client).lost
    }

    pub(super) fn current_membership(&self) -> Option<Membership> {
        let lost = self.knows_of_loss();
        if lost {
            self.saw(Sight::LossKnownToClientOnly);
        }
        let mut cluster = self.stage.cluster.borrow_mut();
        let membership = cluster.group.client(self.client).membership();
        (!lost || self.stage.planted(Sabotage::NobodysMembership)).then_some(membership)
    }

    /// Whether the client itself knows that another process has its place in the group.
    pub(super) fn is_fenced(&self) -> bool {
        let mut cluster = self.stage.cluster.borrow_mut();
        cluster.group.client(self.client).is_fenced
    }

    /// Whether the session has seen for long enough that the client is a stale member.
    pub(super) fn is_over(&mut self) -> bool {
        let cluster = self.stage.cluster.borrow();
        if cluster.group.is_deceived(self.client) {
            let since = *self.deceived_since.get_or_insert(cluster.now);
            return cluster.now.saturating_sub(since) > DECEIT_MAX;
        }
        self.deceived_since = None;
        false
    }

    /// A consumer that can never read again must not throw its successor's producer out.
    pub(super) fn check_consumer(&self) -> Result<(), Failure> {
        if self.is_fenced() && !self.stage.planted(Sabotage::ConsumerUnchecked) {
            self.saw(Sight::ConsumerFencedUntold);
            return Err(Failure::Fatal("the consumer can read no more".to_string()));
        }
        Ok(())
    }

    pub fn publish(&mut self, drafts: &[Draft], positions: &[Position]) -> Result<(), Failure> {
        self.handed_over.clear();
        self.pauses = 0;
        let result = self.transact(drafts, positions);
        self.stage.log(self.client, || {
            let moves = positions.iter();
            let moves: Vec<String> =
                moves.map(|p| format!("{}->{}", p.partition, p.next_offset)).collect();
            let (drafts, moves) = (drafts.len(), moves.join(" "));
            format!("publish {drafts} outputs, {moves}: {result:?}")
        });
        self.stage.cluster.borrow_mut().reported(result?);
        for position in positions {
            let before = self.confirmed.get(&position.partition).map_or(0, |(_, last)| *last);
            let confirmed = (before, position.next_offset);
            self.confirmed.insert(position.partition, confirmed);
        }
        let resent = self.producer.is_some_and(|producer| producer.resent);
        self.stage.faults.heals(self.client, resent);
        if drafts.is_empty() {
            self.saw(Sight::OnlyPositionsCommitted);
        }
        Ok(())
    }

    pub fn abort(&mut self) -> Result<(), Failure> {
        self.breathe(Moment::Aborting)?;
        self.abort_transaction()?;
        self.breathe(Moment::Aborting)?;
        self.membership = self.current_membership();
        Ok(())
    }

    pub fn rebuild(&mut self) -> Result<(), Failure> {
        self.breathe(Moment::Rebuilding)?;
        self.check_consumer()?;
        self.open_producer()?;
        self.membership = self.current_membership();
        Ok(())
    }

    pub fn rewind(&mut self, partitions: &[Partition]) -> Result<Vec<Rewound>, Failure> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        self.check_consumer()?;
        let result = self.go_back(partitions);
        let all_moved = |rewound: &Vec<Rewound>| rewound.iter().all(|(_, at)| at.is_ok());
        let succeeded = result.as_ref().is_ok_and(all_moved);
        if self.rewind_failed && succeeded {
            self.saw(Sight::RewindSucceededLater);
        }
        self.rewind_failed = !succeeded;
        result
    }

    pub fn pause(&mut self, time: Duration) {
        self.pauses += 1;
        if self.pauses > PAUSES_MAX {
            let mut cluster = self.stage.cluster.borrow_mut();
            cluster.ledger.violated(Violation::Endless(self.client));
            self.crashed.set(true);
        }
        self.stage.pass(time);
        if let Some(scheduler) = self.scheduler.upgrade() {
            for _ in 0..4 {
                self.stage.moment(self.client, Moment::Pausing, &*scheduler);
                self.may_poll_too_seldom();
            }
        }
    }
}
