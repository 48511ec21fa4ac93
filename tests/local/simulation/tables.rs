//! Reference tables that lag: the entry that a record needs to be audited is written to its table
//! just before the record, and each process receives it at a time of its own. So without a barrier
//! a worker would skip records that it must audit. A table can also be silent or stuck for a while.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::client::ClientId;
use super::context::{Context, Scheduler};
use super::faults::{Fault, Moment, Probe};
use super::oracle::{self, ExpectedFate, Violation};

/// A table that has been silent for longer is not trusted.
const STALE_LIMIT: Duration = Duration::from_secs(5);
/// Longest wait for a table to catch up.
const BARRIER_LIMIT: Duration = Duration::from_secs(2);
/// Longest time, in milliseconds, for which a table is silent or stuck.
const LASTING_MS_MAX: u64 = 20_000;
/// Number of holds without a commit in between that counts as long.
const HELD_LONG: u32 = 3;

/// The tables of one process, as far as it has received them.
pub struct Tables {
    context: Rc<Context>,
    scheduler: Weak<dyn Scheduler>,
    client: ClientId,
    /// Number of records whose entries have arrived, by partition.
    known: RefCell<Vec<usize>>,
    heard_at: Cell<Duration>,
    silent_until: Cell<Duration>,
    stuck_until: Cell<Duration>,
    was_stale_at_publishing: Cell<bool>,
    /// Number of holds since the last commit.
    held: Cell<u32>,
    barrier_failed: Cell<bool>,
}

impl Tables {
    pub fn new(context: Rc<Context>, scheduler: Weak<dyn Scheduler>, client: ClientId) -> Self {
        let now = context.now();
        Tables {
            context,
            scheduler,
            client,
            known: RefCell::default(),
            heard_at: Cell::new(now),
            silent_until: Cell::default(),
            stuck_until: Cell::default(),
            was_stale_at_publishing: Cell::default(),
            held: Cell::default(),
            barrier_failed: Cell::default(),
        }
    }

    /// The oracle's decision, made from what these tables know so far.
    pub fn decide(&self, number: u64) -> ExpectedFate {
        let injects = |fault| self.context.injects_one_in(10, fault, self.client);
        if injects(Fault::TableSilent) {
            self.silent_until.set(self.context.now() + self.some_time());
        }
        self.listen();
        if !self.is_silent() && self.context.random.below(4) == 0 {
            *self.known.borrow_mut() = self.ends();
        }
        match oracle::judge(number) {
            ExpectedFate::Audited { .. } if !self.knows(number) => {
                self.context.faults.hit(Probe::TableLagged);
                ExpectedFate::NoAccess
            }
            expected => expected,
        }
    }

    pub fn trusted(&self) -> Result<(), String> {
        self.listen();
        if self.is_stale() {
            self.context.faults.hit(Probe::TableStale);
            return Err(self.hold("the table has been silent for too long"));
        }
        if self.is_silent() {
            self.context.faults.hit(Probe::TableSilentAndTrusted);
        }
        Ok(())
    }

    /// Asks for the current ends of the tables' topics, and waits until everything before them has
    /// arrived.
    pub fn catch_up(&self) -> Result<(), String> {
        let ends = self.ends();
        let wait = self.context.random.below(20);
        self.context.advance(Duration::from_millis(wait));
        if let Some(scheduler) = self.scheduler.upgrade() {
            let moment = Moment::AwaitingTables;
            self.context.moment(self.client, moment, &*scheduler);
        }
        let injected = self.context.injects(Fault::TableStuck, self.client);
        if injected && self.context.random.per_mille(500) {
            self.stuck_until.set(self.context.now() + self.some_time());
        }
        if injected || self.is_silent() || self.lasts(self.stuck_until.get()) {
            self.context.advance(BARRIER_LIMIT);
            self.barrier_failed.set(true);
            return Err(self.hold("the table does not catch up"));
        }
        *self.known.borrow_mut() = ends;
        if self.barrier_failed.take() {
            self.context.faults.hit(Probe::BarrierMetAfterRetry);
        }
        Ok(())
    }

    /// Notes whether the tables are stale when a batch is about to be published.
    pub fn publishing(&self) {
        self.listen();
        self.was_stale_at_publishing.set(self.is_stale());
    }

    /// Checks, when the batch is committed, that its tables were not stale.
    pub fn committed(&self) {
        self.held.set(0);
        self.barrier_failed.set(false);
        if self.was_stale_at_publishing.get() {
            let mut cluster = self.context.cluster.borrow_mut();
            cluster.ledger.add_violation(Violation::StaleTables(self.client));
        }
    }

    /// Notes that partitions were taken away from the process.
    pub fn taken_away(&self) {
        if self.held.get() > 0 {
            self.context.faults.hit(Probe::HeldThenRevoked);
        }
    }

    fn hold(&self, why: &str) -> String {
        self.held.set(self.held.get() + 1);
        if self.held.get() == HELD_LONG {
            self.context.faults.hit(Probe::HeldForLong);
        }
        why.to_string()
    }

    /// The tables are followed beside the worker: one that is not silent is up to date now.
    fn listen(&self) {
        if !self.is_silent() {
            self.heard_at.set(self.context.now());
        }
    }

    fn some_time(&self) -> Duration {
        Duration::from_millis(self.context.random.below(LASTING_MS_MAX))
    }

    fn lasts(&self, until: Duration) -> bool {
        self.context.faults.are_on() && self.context.now() < until
    }

    fn is_silent(&self) -> bool {
        self.lasts(self.silent_until.get())
    }

    fn is_stale(&self) -> bool {
        self.context.now().saturating_sub(self.heard_at.get()) > STALE_LIMIT
    }

    fn ends(&self) -> Vec<usize> {
        let cluster = self.context.cluster.borrow();
        cluster.input.iter().map(Vec::len).collect()
    }

    fn knows(&self, number: u64) -> bool {
        let (partition, offset) = oracle::partition_and_offset(number);
        let known = self.known.borrow().get(partition).copied();
        offset < known.unwrap_or(0)
    }
}
