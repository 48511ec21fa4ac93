//! The loop: fill a batch, publish it in one transaction, mend what failed. Polling and publishing
//! alternate, so a rebalance needs no handshake: what was taken away is forgotten. It keeps no state
//! beyond the batch; the truth is what the broker has committed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::batch::{Batch, BatchLimits};
use super::pace::Pace;
use super::patience::Patience;
use super::progress::Progress;
use super::{Arrival, Broker, Failure, Partition};
use crate::pipeline::fate::Fate;

/// Longest wait of one poll: how soon a request to stop is seen.
const LONGEST_POLL: Duration = Duration::from_millis(100);
/// Decides the fate of a record, by tables that may still be catching up.
pub trait Judge {
    /// The fate of a record with this value, by the tables as they are now.
    fn judge(&self, payload: Option<&[u8]>) -> Fate;

    /// Whether a fate stands whatever the tables may still bring.
    fn is_final(&self, fate: &Fate) -> bool;

    /// Whether the tables may be relied on at all.
    ///
    /// # Errors
    /// Says which may not, and since when.
    fn trusted(&self) -> Result<(), String>;

    /// Waits until the tables hold everything that was written to their sources before this call.
    ///
    /// # Errors
    /// Says what was waited for in vain.
    fn catch_up(&self) -> Result<(), String>;
}

/// A pure function of the record: nothing can change its mind.
impl<F: Fn(Option<&[u8]>) -> Fate> Judge for F {
    fn judge(&self, payload: Option<&[u8]>) -> Fate {
        self(payload)
    }

    fn is_final(&self, _: &Fate) -> bool {
        true
    }

    fn trusted(&self) -> Result<(), String> {
        Ok(())
    }

    fn catch_up(&self) -> Result<(), String> {
        Ok(())
    }
}

/// What happened in the loop, for those who count and watch.
#[derive(Debug)]
pub enum Notice<'a> {
    /// A rebalance, the end of a partition, deleted offsets or statistics; records are not noticed one by one. The end
    /// of a partition only if nothing of it waits to be committed, else its tally says so.
    Arrived(&'a Arrival<'a>),
    /// A batch is full and about to be settled and published. If that hangs or fails, these records wait.
    Publishing(&'a Batch),
    /// A batch was committed; it took this long from its first record.
    Committed(&'a Batch, Duration),
    /// A step failed and is being mended.
    Failed(&'a Failure),
    /// What had failed is mended.
    Recovered,
}

/// Watches a worker.
pub trait Observer {
    /// Takes notice.
    fn notice(&mut self, notice: Notice<'_>);
}

/// A request to stop, shared by those who may ask and those who must.
#[derive(Debug, Clone, Default)]
pub struct StopRequest(Arc<AtomicBool>);

impl StopRequest {
    /// Asks.
    pub fn request(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether somebody asked.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// One member of the consumer group.
#[derive(Debug)]
pub struct Worker<B, J, O> {
    broker: B,
    judge: J,
    observer: O,
    limits: BatchLimits,
    stop: StopRequest,
    batch: Batch,
    progress: Progress,
    pace: Pace,
    patience: Patience,
}

impl<B: Broker, J: Judge, O: Observer> Worker<B, J, O> {
    /// A worker that has read nothing yet.
    pub fn new(broker: B, judge: J, observer: O, limits: BatchLimits, stop: StopRequest) -> Self {
        Worker {
            broker,
            judge,
            observer,
            limits,
            stop,
            batch: Batch::default(),
            progress: Progress::default(),
            pace: Pace::default(),
            patience: Patience::default(),
        }
    }

    /// Works until asked to stop. A turn that has begun is ended, so its batch is committed, not dropped.
    /// Returns the broker, to be closed.
    ///
    /// # Errors
    /// A failure that cannot be mended, or that kept coming back.
    pub fn run(mut self) -> Result<B, Failure> {
        while !self.stop.is_requested() {
            self.turn()?;
        }
        Ok(self.broker)
    }

    /// One round: a batch is filled and published, or one poll brings nothing.
    ///
    /// # Errors
    /// As [`Worker::run`].
    pub fn turn(&mut self) -> Result<(), Failure> {
        match self.fill().and_then(|()| self.publish()) {
            Ok(()) => Ok(()),
            Err(failure) => self.recover(failure),
        }
    }

    /// Polls until the batch is due. An empty batch is never due: then one poll is a turn.
    fn fill(&mut self) -> Result<(), Failure> {
        let limits = BatchLimits {
            max_age: self.pace.time_to_fill(self.limits.max_age),
            ..self.limits
        };
        let since = self.broker.now();
        loop {
            let now = self.broker.now();
            let left = self.batch.time_left(&limits, now);
            let is_due = left.is_some_and(|left| left.is_zero());
            // Records that have waited make a batch due at once. What else has come meanwhile goes with them.
            let may_take_more = now.saturating_sub(since) < self.limits.max_age / 2;
            if is_due && (!may_take_more || self.batch.is_full(&limits)) || self.stop.is_requested()
            {
                return Ok(());
            }
            let before = self.batch.records();
            self.poll(left.unwrap_or(LONGEST_POLL).min(LONGEST_POLL))?;
            if self.batch.is_empty() || is_due && self.batch.records() == before {
                return Ok(());
            }
        }
    }

    fn poll(&mut self, wait: Duration) -> Result<(), Failure> {
        let Worker {
            broker,
            judge,
            observer,
            batch,
            progress,
            pace,
            limits,
            ..
        } = self;
        let room = batch.room(limits);
        broker.poll(wait, room, &mut |arrival| match &arrival {
            Arrival::Record(record) => {
                if !progress.admits(record.partition, record.offset) {
                    return;
                }
                let fate = judge.judge(record.payload);
                if judge.is_final(&fate) {
                    batch.add(record, fate);
                } else {
                    batch.hold(record);
                }
            }
            Arrival::Revoked(partitions) | Arrival::Lost(partitions) => {
                batch.forget(partitions);
                progress.forget(partitions);
                observer.notice(Notice::Arrived(&arrival));
            }
            Arrival::CaughtUp(partition) => {
                pace.caught_up();
                if !batch.reached_end(*partition) {
                    observer.notice(Notice::Arrived(&arrival));
                }
            }
            Arrival::Assigned(partitions) => {
                progress.begin(partitions);
                observer.notice(Notice::Arrived(&arrival));
            }
            Arrival::Deleted(..) | Arrival::Statistics(_) => {
                observer.notice(Notice::Arrived(&arrival));
            }
        })?;
        batch.begin(|| pace.waiting_since(broker.now()));
        if batch.is_empty() {
            pace.looked();
        }
        progress.check()
    }

    fn publish(&mut self) -> Result<(), Failure> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.observer.notice(Notice::Publishing(&self.batch));
        let began = self.broker.now();
        self.pace.looks_away(began);
        self.settle()?;
        self.broker
            .publish(self.batch.outputs(), &self.batch.positions())?;
        let now = self.broker.now();
        self.pace.published(now.saturating_sub(began));
        let age = self.batch.age(now);
        self.observer.notice(Notice::Committed(&self.batch, age));
        self.batch.clear();
        self.patience.committed();
        Ok(())
    }

    /// The read barrier: a fate that rests on absence is final only when the tables hold all that their
    /// sources held after the record was read. Then it is judged once more.
    fn settle(&mut self) -> Result<(), Failure> {
        let Worker { judge, batch, .. } = self;
        judge.trusted().map_err(Failure::Held)?;
        if !batch.is_settled() {
            judge.catch_up().map_err(Failure::Held)?;
            batch.settle(|payload| judge.judge(payload));
        }
        Ok(())
    }

    /// Mends a failure, however many attempts that takes, as long as there is patience.
    fn recover(&mut self, mut failure: Failure) -> Result<(), Failure> {
        let mut partitions: Vec<Partition> = self.batch.partitions().keys().copied().collect();
        partitions.extend(self.progress.astray());
        partitions.sort_unstable();
        partitions.dedup();
        self.batch.clear();
        self.pace.looked();
        loop {
            self.observer.notice(Notice::Failed(&failure));
            if self.stop.is_requested() {
                // The next owner begins at the committed position, as this worker would have.
                return Ok(());
            }
            let pause = self.patience.after(&failure)?;
            self.broker.pause(pause);
            match self.mend(&failure, &partitions) {
                Ok(()) => break,
                Err(next) => failure = next,
            }
        }
        self.observer.notice(Notice::Recovered);
        Ok(())
    }

    fn mend(&mut self, failure: &Failure, partitions: &[Partition]) -> Result<(), Failure> {
        match failure {
            Failure::Aborted(_) => self.broker.abort()?,
            Failure::Broken(_) | Failure::Fenced(_) => self.broker.rebuild()?,
            Failure::Held(_) => {}
            Failure::ConsumerDead(_) | Failure::Unreleased(_) | Failure::Fatal(_) => {
                return Err(failure.clone());
            }
        }
        self.broker.rewind(partitions)?;
        self.progress.begin(partitions);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
