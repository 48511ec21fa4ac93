//! The loop: fill a batch, publish it in one transaction, mend what failed. Polling and publishing
//! alternate, so a rebalance needs no handshake: what was taken away is forgotten. It keeps no state
//! beyond the batch; the truth is what the broker has committed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::batch::{Batch, BatchLimits};
use super::{Arrival, Broker, Failure, Partition};
use crate::pipeline::fate::Fate;

/// Longest wait of one poll: how soon a request to stop is seen.
const LONGEST_POLL: Duration = Duration::from_millis(100);
/// Pause after the first failure in a row; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// So many failures of the producer in a row, without a commit between them, end the worker.
const MOST_BROKEN_IN_A_ROW: u32 = 20;
/// So many fencings with fewer than [`COMMITS_THAT_FORGIVE`] commits between them end the worker: two
/// processes with the same transactional id would otherwise throw each other out for ever.
const MOST_FENCED: u32 = 5;
/// Commits after which earlier fencings no longer count.
const COMMITS_THAT_FORGIVE: u32 = 100;

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
    /// A rebalance, the end of a partition or statistics; records are not noticed one by one. The end
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
        loop {
            let left = self.batch.time_left(&limits, self.broker.now());
            if left.is_some_and(|left| left.is_zero()) || self.stop.is_requested() {
                return Ok(());
            }
            self.poll(left.unwrap_or(LONGEST_POLL).min(LONGEST_POLL))?;
            if self.batch.is_empty() {
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
            limits,
            ..
        } = self;
        let room = batch.room(limits);
        broker.poll(wait, room, &mut |arrival| match &arrival {
            Arrival::Record(record) => {
                let fate = judge.judge(record.payload);
                if judge.is_final(&fate) {
                    batch.add(record, fate);
                } else {
                    batch.hold(record);
                }
            }
            Arrival::Revoked(partitions) | Arrival::Lost(partitions) => {
                batch.forget(partitions);
                observer.notice(Notice::Arrived(&arrival));
            }
            Arrival::CaughtUp(partition) => {
                if !batch.reached_end(*partition) {
                    observer.notice(Notice::Arrived(&arrival));
                }
            }
            Arrival::Assigned(_) | Arrival::Statistics(_) => {
                observer.notice(Notice::Arrived(&arrival));
            }
        })?;
        batch.begin(|| broker.now());
        Ok(())
    }

    fn publish(&mut self) -> Result<(), Failure> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.observer.notice(Notice::Publishing(&self.batch));
        let began = self.broker.now();
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
        let partitions: Vec<Partition> = self.batch.partitions().keys().copied().collect();
        self.batch.clear();
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
            Failure::Fatal(_) => return Err(failure.clone()),
        }
        self.broker.rewind(partitions)
    }
}

/// How long publishing takes these days: a batch is to be committed when it reaches its age, not only then to be cut.
#[derive(Debug, Default)]
struct Pace {
    publishing: Duration,
}

impl Pace {
    /// One batch that takes long counts for an eighth.
    fn published(&mut self, took: Duration) {
        self.publishing = (self.publishing * 7 + took) / 8;
    }

    /// How long a batch is filled that is to be committed at this age; at least half of it, however slow the broker is.
    fn time_to_fill(&self, max_age: Duration) -> Duration {
        max_age.saturating_sub(self.publishing).max(max_age / 2)
    }
}

/// How often failures are borne, counted without a clock.
#[derive(Debug, Default)]
struct Patience {
    in_a_row: u32,
    broken_in_a_row: u32,
    fenced: u32,
    commits: u32,
}

impl Patience {
    fn committed(&mut self) {
        self.in_a_row = 0;
        self.broken_in_a_row = 0;
        self.commits += 1;
        if self.commits >= COMMITS_THAT_FORGIVE {
            self.commits = 0;
            self.fenced = 0;
        }
    }

    /// The pause before the next attempt.
    fn after(&mut self, failure: &Failure) -> Result<Duration, Failure> {
        self.in_a_row += 1;
        match failure {
            // An output that cannot be written holds the input, for as long as it takes; so does a table
            // that cannot be read.
            Failure::Aborted(_) | Failure::Held(_) => {}
            Failure::Broken(_) => self.broken_in_a_row += 1,
            Failure::Fenced(_) => {
                self.fenced += 1;
                self.commits = 0;
            }
            Failure::Fatal(_) => return Err(failure.clone()),
        }
        if self.broken_in_a_row > MOST_BROKEN_IN_A_ROW {
            return Err(Failure::Fatal(format!(
                "gave up after {MOST_BROKEN_IN_A_ROW} attempts to rebuild the producer: {failure}"
            )));
        }
        if self.fenced > MOST_FENCED {
            return Err(Failure::Fatal(format!(
                "fenced {MOST_FENCED} times; is another process running with the same `instance`? {failure}"
            )));
        }
        let doubled = FIRST_PAUSE.saturating_mul(1 << (self.in_a_row - 1).min(16));
        Ok(doubled.min(LONGEST_PAUSE))
    }
}

#[cfg(test)]
mod tests;
