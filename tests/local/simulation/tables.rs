//! Reference tables that lag: what a record needs to be audited is written to its table just before
//! the record, and each process learns of it in its own time. So without a barrier a worker would
//! skip what ought to be audited. A table can also hear nothing for a while, or not catch up for a
//! while.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::client::ClientId;
use super::faults::{Fault, Moment, Sight};
use super::oracle::{self, Verdict, Violation};
use super::stage::{Scheduler, Stage};

/// A table that was not heard of for longer is not relied on.
const STALE_LIMIT: Duration = Duration::from_secs(5);
/// Longest wait for a table to catch up.
const BARRIER_LIMIT: Duration = Duration::from_secs(2);
/// Longest time, in milliseconds, for which a table is silent or stuck.
const TROUBLE_MS_MAX: u64 = 20_000;
/// So many times held without a commit between them are long.
const LONG: u32 = 3;

/// The tables of one process, as far as it knows them.
pub struct Tables {
    stage: Rc<Stage>,
    scheduler: Weak<dyn Scheduler>,
    client: ClientId,
    /// How many records' entries have arrived, by partition.
    known: RefCell<Vec<usize>>,
    heard_at: Cell<Duration>,
    silent_until: Cell<Duration>,
    stuck_until: Cell<Duration>,
    was_stale_at_publishing: Cell<bool>,
    /// Times held since the last commit.
    held: Cell<u32>,
    barrier_failed: Cell<bool>,
}

impl Tables {
    pub fn new(stage: Rc<Stage>, scheduler: Weak<dyn Scheduler>, client: ClientId) -> Self {
        let now = stage.now();
        Tables {
            stage,
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

    /// What the oracle would decide, as far as these tables know.
    pub fn decide(&self, number: u64) -> Verdict {
        let strikes = |fault| self.stage.strikes_one_in(10, fault, self.client);
        if strikes(Fault::TableSilent) {
            self.silent_until.set(self.stage.now() + self.trouble());
        }
        self.listen();
        if !self.is_silent() && self.stage.random.below(4) == 0 {
            *self.known.borrow_mut() = self.ends();
        }
        match oracle::judge(number) {
            Verdict::Audited { .. } if !self.knows(number) => {
                self.stage.faults.saw(Sight::TableLagged);
                Verdict::NoAccess
            }
            verdict => verdict,
        }
    }

    pub fn trusted(&self) -> Result<(), String> {
        self.listen();
        if self.is_stale() {
            self.stage.faults.saw(Sight::TableStale);
            return Err(self.hold("the table has not been heard of"));
        }
        if self.is_silent() {
            self.stage.faults.saw(Sight::TableSilentAndTrusted);
        }
        Ok(())
    }

    /// Asks how far the tables' topics are now, and waits until all up to there has arrived.
    pub fn catch_up(&self) -> Result<(), String> {
        let ends = self.ends();
        let wait = self.stage.random.below(20);
        self.stage.pass(Duration::from_millis(wait));
        if let Some(scheduler) = self.scheduler.upgrade() {
            let moment = Moment::AwaitingTables;
            self.stage.moment(self.client, moment, &*scheduler);
        }
        let struck = self.stage.strikes(Fault::TableStuck, self.client);
        if struck && self.stage.random.per_mille(500) {
            self.stuck_until.set(self.stage.now() + self.trouble());
        }
        if struck || self.is_silent() || self.lasts(self.stuck_until.get()) {
            self.stage.pass(BARRIER_LIMIT);
            self.barrier_failed.set(true);
            return Err(self.hold("the table does not catch up"));
        }
        *self.known.borrow_mut() = ends;
        if self.barrier_failed.take() {
            self.stage.faults.saw(Sight::BarrierMetAtLast);
        }
        Ok(())
    }

    /// A batch is about to be published, by these tables.
    pub fn publishing(&self) {
        self.listen();
        self.was_stale_at_publishing.set(self.is_stale());
    }

    /// It is committed: then its tables must have been fit to be relied on.
    pub fn committed(&self) {
        self.held.set(0);
        self.barrier_failed.set(false);
        if self.was_stale_at_publishing.get() {
            let mut cluster = self.stage.cluster.borrow_mut();
            cluster.ledger.violated(Violation::Guessed(self.client));
        }
    }

    /// Partitions were taken away from the process.
    pub fn taken_away(&self) {
        if self.held.get() > 0 {
            self.stage.faults.saw(Sight::HeldThenTakenAway);
        }
    }

    fn hold(&self, why: &str) -> String {
        self.held.set(self.held.get() + 1);
        if self.held.get() == LONG {
            self.stage.faults.saw(Sight::HeldForLong);
        }
        why.to_string()
    }

    /// The followers run beside the worker: what is not silent was heard of just now.
    fn listen(&self) {
        if !self.is_silent() {
            self.heard_at.set(self.stage.now());
        }
    }

    fn trouble(&self) -> Duration {
        Duration::from_millis(self.stage.random.below(TROUBLE_MS_MAX))
    }

    fn lasts(&self, until: Duration) -> bool {
        self.stage.faults.are_on() && self.stage.now() < until
    }

    fn is_silent(&self) -> bool {
        self.lasts(self.silent_until.get())
    }

    fn is_stale(&self) -> bool {
        self.stage.now().saturating_sub(self.heard_at.get()) > STALE_LIMIT
    }

    fn ends(&self) -> Vec<usize> {
        let cluster = self.stage.cluster.borrow();
        cluster.input.iter().map(Vec::len).collect()
    }

    fn knows(&self, number: u64) -> bool {
        let (partition, offset) = oracle::place(number);
        let known = self.known.borrow().get(partition).copied();
        offset < known.unwrap_or(0)
    }
}
