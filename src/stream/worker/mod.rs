//! The loop: fill a batch, publish it in one transaction. Polling and publishing alternate, so a
//! rebalance needs no handshake: what was taken away is forgotten. The truth is what the broker has
//! committed; what is known here of positions only refuses records. How the loop recovers from
//! failures is in `recovery`.

mod recovery;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::batch::{Batch, BatchLimits};
use super::batch_timer::BatchTimer;
use super::cursors::Cursors;
use super::keeping::RecordLimit;
use super::portion::Portion;
use super::retry_budget::RetryBudget;
use super::{Arrival, Broker, Failure, Partition, PartitionFault, SourceRecord};
use audit_judge::fate::Fate;

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
pub enum WorkerEvent<'a> {
    /// A rebalance, the end of a partition, or statistics; records are not noticed one by one. The
    /// end of a partition only if nothing of it waits to be committed, else its tally says so.
    Arrived(&'a Arrival<'a>),
    /// A partition is held, for the time with this number in a row; the others go on.
    Held(Partition, &'a PartitionFault, u32),
    /// A partition that was held got further.
    Released(Partition),
    /// A batch is full and about to be published, after the read barrier if one of its records
    /// needs it. If that hangs or fails, these records wait.
    Publishing(&'a Batch),
    /// A batch was committed; it took this long from its first record.
    Committed(&'a Batch, Duration),
    /// A step failed; the worker recovers from it.
    Failed(&'a Failure),
    /// The worker has recovered from the last failure.
    Recovered,
}

/// Watches a worker.
pub trait Observer {
    /// Something happened.
    fn on_event(&mut self, event: WorkerEvent<'_>);
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
    cursors: Cursors,
    /// Partitions of which records came that were not taken, though they were not held: they are
    /// to be read again.
    missed: BTreeSet<Partition>,
    timer: BatchTimer,
    portion: Portion,
    retries: RetryBudget,
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
            cursors: Cursors::default(),
            missed: BTreeSet::new(),
            timer: BatchTimer::default(),
            portion: Portion::default(),
            retries: RetryBudget::default(),
        }
    }

    /// The quarantine topic takes records up to this limit, as far as is known: larger ones become
    /// stubs.
    #[must_use]
    pub fn with_quarantine_limit(mut self, limit: RecordLimit) -> Self {
        self.batch.set_limit(limit);
        self
    }

    /// Works until asked to stop. A turn that has begun is ended, so its batch is committed, not
    /// dropped. Returns the broker, to be closed.
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
            ..self.portion.of(self.limits)
        };
        let since = self.broker.now();
        loop {
            let now = self.broker.now();
            let left = self.batch.time_left(&limits, now);
            let is_due = left.is_some_and(|left| left.is_zero());
            // Records that have waited make a batch due at once. What else has come meanwhile goes
            // with them.
            let may_take_more = now.saturating_sub(since) < self.limits.max_age / 2;
            if is_due && (!may_take_more || self.batch.is_full(&limits)) || self.stop.is_requested()
            {
                return Ok(());
            }
            let before = self.batch.records();
            let wait = left.unwrap_or(LONGEST_POLL).min(LONGEST_POLL);
            self.poll(wait, self.batch.room(&limits))?;
            if self.batch.is_empty() || is_due && self.batch.records() == before {
                return Ok(());
            }
        }
    }

    fn poll(&mut self, wait: Duration, room: usize) -> Result<(), Failure> {
        let Worker { broker, judge, observer, batch, cursors, missed, timer, .. } = self;
        let mut intake = Intake { judge, batch, cursors, missed, trusted: None };
        broker.poll(wait, room, &mut |arrival| match &arrival {
            Arrival::Record(record) => intake.take(record),
            Arrival::Placed(partition, floor) => intake.cursors.placed(*partition, *floor),
            Arrival::Gap(partition, gap) => {
                if !intake.cursors.is_held(*partition) {
                    intake.batch.pass(*partition, gap.clone());
                }
            }
            Arrival::Faulty(partition, fault) => intake.cursors.hold(*partition, fault.clone()),
            Arrival::CaughtUp(partition, end) => {
                if intake.cursors.reaches_end(*partition, *end) {
                    timer.caught_up();
                    if !intake.batch.reached_end(*partition) {
                        observer.on_event(WorkerEvent::Arrived(&arrival));
                        if intake.cursors.moved(*partition) {
                            observer.on_event(WorkerEvent::Released(*partition));
                        }
                    }
                }
            }
            Arrival::Revoked(partitions) | Arrival::Lost(partitions) => {
                intake.batch.forget(partitions);
                intake.cursors.gone(partitions);
                observer.on_event(WorkerEvent::Arrived(&arrival));
            }
            Arrival::Assigned(partitions) => {
                intake.cursors.assigned(partitions);
                observer.on_event(WorkerEvent::Arrived(&arrival));
            }
            Arrival::Statistics(_) => observer.on_event(WorkerEvent::Arrived(&arrival)),
        })?;
        let trusted = intake.trusted.unwrap_or(Ok(()));
        batch.begin(|| timer.waiting_since(broker.now()));
        if batch.is_empty() {
            timer.idle();
        }
        trusted.map_err(Failure::Held)
    }

    fn publish(&mut self) -> Result<(), Failure> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.observer.on_event(WorkerEvent::Publishing(&self.batch));
        let began = self.broker.now();
        self.timer.publish_started(began);
        self.settle()?;
        let positions = self.batch.positions();
        if let Err(failure) = self.broker.publish(self.batch.outputs(), &positions) {
            self.unpublished(&failure);
            return Err(failure);
        }
        let now = self.broker.now();
        self.timer.published(now.saturating_sub(began));
        let age = self.batch.age(now);
        self.observer.on_event(WorkerEvent::Committed(&self.batch, age));
        for position in &positions {
            if self.cursors.committed(position.partition, position.next_offset) {
                self.observer.on_event(WorkerEvent::Released(position.partition));
            }
        }
        self.batch.clear();
        self.portion.committed(&self.limits);
        self.retries.committed();
        Ok(())
    }

    /// The read barrier: a fate that rests on absence is final only when the tables hold all that
    /// their sources held after the record was read. Then it is judged once more.
    fn settle(&mut self) -> Result<(), Failure> {
        let Worker { judge, batch, .. } = self;
        judge.trusted().map_err(Failure::Held)?;
        if !batch.is_settled() {
            judge.catch_up().map_err(Failure::Held)?;
            batch.settle(|payload| judge.judge(payload));
        }
        Ok(())
    }
}

/// Where records go while one poll brings them.
struct Intake<'a, J> {
    judge: &'a J,
    batch: &'a mut Batch,
    cursors: &'a mut Cursors,
    missed: &'a mut BTreeSet<Partition>,
    /// Whether the tables may be relied on, asked once there is something to judge: a fate stands,
    /// so the tables that it was judged by must be fit at that time, and not only when the
    /// batch is published.
    trusted: Option<Result<(), String>>,
}

impl<J: Judge> Intake<'_, J> {
    fn take(&mut self, record: &SourceRecord<'_>) {
        if !self.cursors.admits(record.partition, record.offset) {
            return;
        }
        let trusted = self.trusted.get_or_insert_with(|| self.judge.trusted());
        if trusted.is_err() {
            self.missed.insert(record.partition);
            return;
        }
        let fate = self.judge.judge(record.payload);
        if self.judge.is_final(&fate) {
            self.batch.add(record, fate);
        } else {
            self.batch.hold(record);
        }
    }
}

#[cfg(test)]
mod tests;
