//! The loop: fill a batch, publish it in one transaction. Polling and publishing alternate, so a
//! rebalance needs no handshake: what was revoked is dropped from the batch. The truth is what the
//! broker has committed; the positions known here only refuse records. `intake` takes what a poll
//! brings, `recovery` recovers from failures.

mod intake;
mod recovery;

use std::collections::BTreeSet;
use std::time::Duration;

use self::intake::Intake;
use super::batch::{Batch, BatchLimits};
use super::batch_timer::BatchTimer;
use super::broker::{Broker, Failure, PassOver};
use super::cursors::Cursors;
use super::judge::Judge;
use super::kept_record::RecordLimit;
use super::observer::{Observer, WorkerEvent};
use super::record::{Partition, Position};
use super::reduced_limits::ReducedLimits;
use super::retry_budget::RetryBudget;
use super::sealer::{SealedBatch, Sealer, Transaction, Unsealed};
use super::stop::StopRequest;

/// Longest wait of one poll, and so the longest delay before a stop request is obeyed.
const POLL_MAX: Duration = Duration::from_millis(100);

/// One member of the consumer group.
pub struct Worker<B, J, O> {
    broker: B,
    judge: J,
    observer: O,
    sealer: Box<dyn Sealer>,
    limits: BatchLimits,
    stop: StopRequest,
    batch: Batch,
    cursors: Cursors,
    pass_over: Vec<PassOver>,
    /// Partitions that are not held but have records that were not judged: they must be read
    /// again.
    missed: BTreeSet<Partition>,
    timer: BatchTimer,
    reduced: ReducedLimits,
    retries: RetryBudget,
}

impl<B: Broker, J: Judge, O: Observer> Worker<B, J, O> {
    /// A worker that has read nothing yet.
    pub fn new(broker: B, judge: J, observer: O, limits: BatchLimits, stop: StopRequest) -> Self {
        Worker {
            broker,
            judge,
            observer,
            sealer: Box::new(Unsealed),
            limits,
            stop,
            batch: Batch::default(),
            cursors: Cursors::default(),
            pass_over: Vec::new(),
            missed: BTreeSet::new(),
            timer: BatchTimer::default(),
            reduced: ReducedLimits::default(),
            retries: RetryBudget::default(),
        }
    }

    /// Sets what proves the output; without it nothing is sealed.
    #[must_use]
    pub fn with_sealer(mut self, sealer: Box<dyn Sealer>) -> Self {
        self.sealer = sealer;
        self
    }

    /// Sets the size beyond which quarantined records are written as stubs.
    #[must_use]
    pub fn with_quarantine_limit(mut self, limit: RecordLimit) -> Self {
        self.batch.set_limit(limit);
        self
    }

    /// Sets the offsets that may be skipped if they cannot be read.
    #[must_use]
    pub fn with_pass_over(mut self, pass_over: Vec<PassOver>) -> Self {
        self.pass_over = pass_over;
        self
    }

    /// Works until asked to stop. Completes the turn that has begun, so its batch is committed, not
    /// dropped. Returns the broker, to be closed.
    ///
    /// # Errors
    /// A failure that the worker cannot recover from, or that kept coming back.
    pub fn run(mut self) -> Result<B, Failure> {
        while !self.stop.is_requested() {
            self.turn()?;
        }
        Ok(self.broker)
    }

    /// Fills and publishes a batch, or polls once for nothing.
    ///
    /// # Errors
    /// See [`Worker::run`].
    pub fn turn(&mut self) -> Result<(), Failure> {
        let turned = self.retry_held().and_then(|()| self.fill()).and_then(|()| self.publish());
        match turned {
            Ok(()) => Ok(()),
            Err(failure) => self.recover(failure),
        }
    }

    /// Polls until the batch is due. An empty batch is never due: then one poll is a turn.
    fn fill(&mut self) -> Result<(), Failure> {
        let limits = BatchLimits {
            max_age: self.timer.fill_budget(self.limits.max_age),
            ..self.reduced.apply(self.limits)
        };
        let since = self.broker.now();
        loop {
            let now = self.broker.now();
            let left = self.batch.time_left(&limits, now);
            let is_due = left.is_some_and(|left| left.is_zero());
            // Records that have waited make a batch due at once. Whatever has arrived meanwhile
            // goes with them.
            let may_take_more = now.saturating_sub(since) < self.limits.max_age / 2;
            if is_due && (!may_take_more || self.batch.is_full(&limits)) || self.stop.is_requested()
            {
                return Ok(());
            }
            let before = self.batch.records();
            let wait = left.unwrap_or(POLL_MAX).min(POLL_MAX);
            self.poll(wait, self.batch.room(&limits))?;
            if self.batch.is_empty() || is_due && self.batch.records() == before {
                return Ok(());
            }
        }
    }

    fn poll(&mut self, wait: Duration, room: usize) -> Result<(), Failure> {
        let Worker { broker, judge, observer, sealer, batch, cursors, missed, timer, .. } = self;
        let sealer = sealer.as_mut();
        let mut intake =
            Intake { judge, observer, sealer, batch, cursors, missed, timer, trusted: None };
        broker.poll(wait, room, &mut |polled| intake.take(polled))?;
        let trusted = intake.trusted.unwrap_or(Ok(()));
        batch.begin(|| timer.waiting_since(broker.now()));
        if batch.is_empty() {
            timer.idle();
        }
        trusted.map_err(Failure::Held)
    }

    fn publish(&mut self) -> Result<(), Failure> {
        self.touch_idle_partitions();
        if self.batch.is_empty() {
            return Ok(());
        }
        self.observer.on_event(WorkerEvent::Publishing(&self.batch));
        let began = self.broker.now();
        self.timer.publish_started(began);
        if self.batch.partitions().values().any(|tally| !tally.is_silent()) {
            self.pass_barrier()?;
        }
        let positions = self.seal()?;
        if positions.is_empty() {
            self.batch.clear();
            return Ok(());
        }
        let proof = self.sealer.proof();
        let transaction = Transaction { proof, ..Transaction::unsealed(&self.batch, &positions) };
        if let Err(failure) = self.broker.publish(&transaction) {
            self.unpublished(&failure);
            return Err(failure);
        }
        let now = self.broker.now();
        self.sealer.committed(now);
        self.timer.published(now.saturating_sub(began));
        let age = self.batch.age(now);
        self.observer.on_event(WorkerEvent::Committed(&self.batch, age));
        for position in &positions {
            if self.cursors.committed(position) {
                self.observer.on_event(WorkerEvent::Released(position.partition));
            }
        }
        self.batch.clear();
        self.reduced.committed(&self.limits);
        self.retries.committed();
        Ok(())
    }

    /// Adds partitions that are due to be sealed although nothing of them was read.
    fn touch_idle_partitions(&mut self) {
        for partition in self.sealer.due(self.broker.now()) {
            let is_read = self.batch.partitions().contains_key(&partition)
                || self.missed.contains(&partition);
            if let Some(position) = self.cursors.idle_position(partition).filter(|_| !is_read) {
                self.batch.touch(&position);
            }
        }
    }

    /// Proves the batch, and returns the positions to commit. Partitions that must not be continued
    /// are held and dropped from the batch, which may leave nothing.
    fn seal(&mut self) -> Result<Vec<Position>, Failure> {
        loop {
            match self.sealer.seal(&self.batch, self.broker.seal_log())? {
                SealedBatch::Positions(positions) => return Ok(positions),
                SealedBatch::Refused(partitions) => {
                    for (partition, fault) in partitions {
                        self.batch.forget(&[partition]);
                        self.cursors.hold(partition, fault);
                    }
                }
            }
        }
    }

    /// The read barrier: a fate that rests on absence is final only when the tables hold everything
    /// that their sources held after the record was read. Records with such a fate are judged again
    /// then.
    fn pass_barrier(&mut self) -> Result<(), Failure> {
        let Worker { judge, batch, .. } = self;
        judge.trusted().map_err(Failure::Held)?;
        if batch.has_deferred() {
            judge.catch_up().map_err(Failure::Held)?;
            batch.judge_deferred(|payload| judge.judge(payload));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
