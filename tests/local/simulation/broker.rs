//! One worker's connection to the simulated cluster. It does, call by call, what
//! `src/kafka/session.rs` does with the real client, and keeps the same state. Before every step it
//! lets the rest of the world act, and asks whether to inject a fault. Reading is in
//! `consuming.rs`, writing in `producing.rs`; `seam.rs` implements the trait that the loop expects.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::client::{ClientId, Membership};
use super::consuming::Rewound;
use super::context::{Context, Scheduler};
use super::faults::{Fault, Moment, Probe};
use super::oracle::Violation;
use super::planted::PlantedFault;
use super::producing::{Producer, Step};
use super::seam::{Failure, Partition, Position};
use super::transactions::Draft;

/// How long an expelled stale member is tolerated before its session ends.
const UNNOTICED_MAX: Duration = Duration::from_secs(16);
/// Longest duration of a lasting fault, in milliseconds.
const LASTING_MS_MAX: u64 = 20_000;
/// A worker that pauses more often than this without publishing is livelocked.
const PAUSES_MAX: usize = 500;

pub struct SimulatedBroker {
    pub(super) context: Rc<Context>,
    pub(super) scheduler: Weak<dyn Scheduler>,
    pub(super) id: String,
    pub(super) client: ClientId,
    pub(super) producer: Option<Producer>,
    /// The membership that a commit claims: read when the partitions were assigned.
    pub(super) membership: Option<Membership>,
    /// Partitions of the records handed over since the last publication, only to detect news that
    /// arrive while a batch is being filled.
    pub(super) handed_over: BTreeSet<Partition>,
    /// Number of further polls that hand over records fetched before the pending news.
    pub(super) polls_before_news: usize,
    pub(super) rewind_failed: bool,
    /// Assigned partitions of which nothing has arrived yet.
    pub(super) unplaced: BTreeSet<Partition>,
    /// The confirmed committed offsets of each partition since it was assigned: before the last
    /// commit, and after it.
    pub(super) confirmed: BTreeMap<Partition, (i64, i64)>,
    pub(super) lasting: LastingFaults,
    /// Since when the client is an expelled stale member.
    expelled_since: Option<Duration>,
    /// Pauses since the last publication was begun.
    pauses: usize,
    pub(super) crashed: Rc<Cell<bool>>,
}

/// Faults of this connection that last for a while, and until when.
#[derive(Debug, Default)]
pub(super) struct LastingFaults {
    /// A partition that cannot be read.
    pub(super) unreadable: Option<(Partition, Duration)>,
    /// A transaction with more outputs than this fails.
    pub(super) most_outputs: Option<(usize, Duration)>,
    /// The output of this record is not accepted.
    pub(super) refused: Option<(Partition, i64, Duration)>,
}

impl SimulatedBroker {
    /// Whether a fault that lasts until then is in force; none is after injection has stopped.
    pub(super) fn lasts(&self, until: Duration) -> bool {
        self.context.faults.are_on() && self.context.now() < until
    }

    /// Draws the end of a fault that begins now.
    pub(super) fn some_time(&self) -> Duration {
        self.context.now() + Duration::from_millis(self.context.random.below(LASTING_MS_MAX))
    }

    /// Takes over the transactional id, then joins the group, as the real session does.
    pub fn open(
        context: Rc<Context>,
        scheduler: Weak<dyn Scheduler>,
        instance: &str,
        is_static: bool,
        crashed: Rc<Cell<bool>>,
    ) -> Result<Self, Failure> {
        let client = context.cluster.borrow_mut().group.create(instance, is_static);
        context.faults.client_started(client);
        let mut broker = SimulatedBroker {
            context,
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
            lasting: LastingFaults::default(),
            expelled_since: None,
            pauses: 0,
            crashed,
        };
        let opened = broker.open_producer();
        if let Err(failure) = opened {
            broker.context.faults.client_ended(client);
            return Err(failure);
        }
        let mut cluster = broker.context.cluster.borrow_mut();
        cluster.group.client(client).is_subscribed = true;
        drop(cluster);
        Ok(broker)
    }

    pub fn client(&self) -> ClientId {
        self.client
    }

    pub(super) fn injects(&self, fault: Fault) -> bool {
        self.context.injects(fault, self.client)
    }

    pub(super) fn hit(&self, probe: Probe) {
        self.context.faults.hit(probe);
    }

    /// The moment between two calls: others act, and the process may freeze or crash.
    pub(super) fn preempt(&mut self, moment: Moment) -> Result<(), Failure> {
        if self.crashed.get() || self.context.injects_one_in(20, Fault::Crash, self.client) {
            self.crashed.set(true);
            return Err(Failure::Fatal("crashed".to_string()));
        }
        if let Some(scheduler) = self.scheduler.upgrade() {
            self.context.moment(self.client, moment, &*scheduler);
        }
        if moment != Moment::Polling {
            self.may_poll_too_seldom();
        }
        let in_transaction = matches!(self.producer, Some(p) if p.step == Step::InTransaction);
        if in_transaction && self.knows_of_loss() {
            self.hit(Probe::LostInTransaction);
        }
        Ok(())
    }

    fn may_poll_too_seldom(&self) {
        if self.context.injects_one_in(10, Fault::PollsTooSeldom, self.client) {
            let mut cluster = self.context.cluster.borrow_mut();
            let now = cluster.now;
            cluster.group.polls_too_seldom(self.client, now);
        }
    }

    fn knows_of_loss(&self) -> bool {
        let mut cluster = self.context.cluster.borrow_mut();
        cluster.group.client(self.client).lost
    }

    pub(super) fn current_membership(&self) -> Option<Membership> {
        let lost = self.knows_of_loss();
        if lost {
            self.hit(Probe::LossNotYetDelivered);
        }
        let mut cluster = self.context.cluster.borrow_mut();
        let membership = cluster.group.client(self.client).membership();
        (!lost || self.context.is_planted(PlantedFault::MembershipAfterLoss)).then_some(membership)
    }

    /// Whether the client knows that another process has taken its place in the group.
    pub(super) fn is_fenced(&self) -> bool {
        let mut cluster = self.context.cluster.borrow_mut();
        cluster.group.client(self.client).is_fenced
    }

    /// Whether the client has been an expelled stale member for long enough to end the session.
    pub(super) fn is_over(&mut self) -> bool {
        let cluster = self.context.cluster.borrow();
        if cluster.group.is_expelled_unnoticed(self.client) {
            let since = *self.expelled_since.get_or_insert(cluster.now);
            return cluster.now.saturating_sub(since) > UNNOTICED_MAX;
        }
        self.expelled_since = None;
        false
    }

    /// A consumer that can never read again must not fence its successor's producer.
    pub(super) fn check_consumer(&self) -> Result<(), Failure> {
        if self.is_fenced() && !self.context.is_planted(PlantedFault::ConsumerNotChecked) {
            self.hit(Probe::ConsumerFencedBeforePoll);
            return Err(Failure::Fatal("the consumer is fenced".to_string()));
        }
        Ok(())
    }

    pub fn publish(&mut self, drafts: &[Draft], positions: &[Position]) -> Result<(), Failure> {
        self.handed_over.clear();
        self.pauses = 0;
        let result = self.transact(drafts, positions);
        self.context.log(self.client, || {
            let moves = positions.iter();
            let moves: Vec<String> =
                moves.map(|p| format!("{}->{}", p.partition, p.next_offset)).collect();
            let (drafts, moves) = (drafts.len(), moves.join(" "));
            format!("publish {drafts} outputs, {moves}: {result:?}")
        });
        self.context.cluster.borrow_mut().reported(result?);
        for position in positions {
            let before = self.confirmed.get(&position.partition).map_or(0, |(_, last)| *last);
            let confirmed = (before, position.next_offset);
            self.confirmed.insert(position.partition, confirmed);
        }
        let resent = self.producer.is_some_and(|producer| producer.resent);
        self.context.faults.recovered(self.client, resent);
        if drafts.is_empty() {
            self.hit(Probe::OnlyPositionsCommitted);
        }
        Ok(())
    }

    pub fn abort(&mut self) -> Result<(), Failure> {
        self.preempt(Moment::Aborting)?;
        self.abort_transaction()?;
        self.preempt(Moment::Aborting)?;
        self.membership = self.current_membership();
        Ok(())
    }

    pub fn rebuild(&mut self) -> Result<(), Failure> {
        self.preempt(Moment::Rebuilding)?;
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
            self.hit(Probe::RewindSucceededLater);
        }
        self.rewind_failed = !succeeded;
        result
    }

    pub fn pause(&mut self, time: Duration) {
        self.pauses += 1;
        if self.pauses > PAUSES_MAX {
            let mut cluster = self.context.cluster.borrow_mut();
            cluster.ledger.add_violation(Violation::Livelocked(self.client));
            self.crashed.set(true);
        }
        self.context.advance(time);
        if let Some(scheduler) = self.scheduler.upgrade() {
            for _ in 0..4 {
                self.context.moment(self.client, Moment::Pausing, &*scheduler);
                self.may_poll_too_seldom();
            }
        }
    }
}
