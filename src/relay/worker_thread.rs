//! The thread of one worker: opens its session, runs the loop on it, and opens another one when the
//! client of the first is dead. How often that may be is in `reopening.rs`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use tracing::warn;

use crate::deployment::Assembly;
use crate::kafka::session::{OpenError, Session};
use crate::kafka::settings::SessionSettings;
use crate::liveness::health::Health;
use crate::liveness::watchdog::Activity;
use crate::metrics::{InputName, Metrics, WorkerObserver};
use crate::relay::grace::{Grace, MISSING_TOPIC_GRACE};
use crate::relay::judge::TableJudge;
use crate::relay::reopening::Reopening;
use crate::relay::supervise::WorkerThread;
use crate::stream::batch::BatchLimits;
use crate::stream::kept_record::RecordLimit;
use crate::stream::worker::Worker;
use crate::stream::{Failure, PassOver, StopRequest};
use crate::tables::SharedTables;

/// Pause between attempts to open a session; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(200);
/// Longest pause between attempts to open a session.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How soon a request to stop ends a pause.
const STOP_INTERVAL: Duration = Duration::from_millis(50);

/// Everything that one worker's thread owns.
pub struct WorkerTask {
    /// The worker's number.
    pub number: usize,
    /// What it reads.
    pub input: InputName,
    /// What a session needs.
    pub settings: SessionSettings,
    /// How large a batch may be.
    pub limits: BatchLimits,
    /// Offsets that may be skipped if they cannot be read.
    pub pass_over: Vec<PassOver>,
    /// The rules.
    pub assembly: Arc<Assembly>,
    /// The tables.
    pub tables: Arc<SharedTables>,
    /// How long a batch waits for the tables.
    pub barrier_limit: Duration,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Whether it works.
    pub health: Arc<Health>,
    /// Ends it.
    pub stop: StopRequest,
}

impl WorkerTask {
    /// Begins. What of the quarantined records is larger than this limit is written as a stub.
    ///
    /// # Errors
    /// If there is no thread to be had.
    pub fn spawn(self, quarantine_limit: RecordLimit) -> anyhow::Result<WorkerThread> {
        let number = self.number;
        let thread = std::thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || self.work(quarantine_limit))
            .context("start a worker thread")?;
        Ok(WorkerThread { number, thread })
    }

    fn work(self, quarantine_limit: RecordLimit) -> anyhow::Result<()> {
        let result = self.run_sessions(quarantine_limit);
        let cause = result.as_ref().err().map(|error| format!("{error:#}"));
        self.health.stopped(self.number, cause);
        result
    }

    /// Works on one session after the other, until asked to stop.
    fn run_sessions(&self, quarantine_limit: RecordLimit) -> anyhow::Result<()> {
        let began = Instant::now();
        let mut reopening = Reopening::default();
        while let Some(session) = self.open()? {
            let failure = match self.run(session, quarantine_limit) {
                Ok(()) => break,
                Err(failure) => failure,
            };
            let pause = reopening.after(&failure, began.elapsed());
            let pause = pause.map_err(|failure| anyhow!(failure))?;
            let cause = match &failure {
                Failure::Unreleased(what) => format!(
                    "waiting for the broker to release this member's place in the group: {what}"
                ),
                other => other.to_string(),
            };
            warn!(worker = self.number, %cause, "the session was closed and is opened again in {pause:?}");
            self.health.rejoining(self.number, &cause);
            self.sleep(pause);
        }
        Ok(())
    }

    /// Runs the loop until asked to stop. However it ends, the session is closed then.
    fn run(&self, session: Session, quarantine_limit: RecordLimit) -> Result<(), Failure> {
        self.health.joining(self.number);
        let (metrics, health) = (Arc::clone(&self.metrics), Arc::clone(&self.health));
        let judge = TableJudge::new(
            Arc::clone(&self.assembly),
            Arc::clone(&self.tables),
            self.barrier_limit,
            Arc::clone(&metrics),
        );
        let observer = WorkerObserver::new(self.number, self.input.clone(), metrics, health);
        let worker = Worker::new(session, judge, observer, self.limits, self.stop.clone());
        let worker = worker.with_quarantine_limit(quarantine_limit);
        let session = worker.with_pass_over(self.pass_over.clone()).run()?;
        self.health.heartbeat(self.number).beat(Activity::Closing);
        // Leaves the group, unless the membership is static.
        drop(session);
        Ok(())
    }

    /// Opens a session, waiting as long as it takes for a cluster that cannot be reached. `None` if
    /// the relay is asked to stop meanwhile.
    fn open(&self) -> anyhow::Result<Option<Session>> {
        let began = Instant::now();
        let mut grace = Grace::new(MISSING_TOPIC_GRACE);
        let mut pause = PAUSE_MIN;
        while !self.stop.is_requested() {
            self.health.heartbeat(self.number).beat(Activity::Opening);
            match Session::open(self.settings.clone()) {
                Ok(session) => return Ok(Some(session)),
                Err(error) if is_awaited(&error, &mut grace, began.elapsed()) => {
                    self.wait(&error, pause);
                }
                Err(error) => return Err(error.into()),
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
        Ok(None)
    }

    fn wait(&self, error: &OpenError, pause: Duration) {
        warn!(worker = self.number, %error, "cannot connect yet; trying again");
        self.health.connecting(self.number, &error.to_string());
        self.sleep(pause);
    }

    /// A request to stop ends it.
    fn sleep(&self, pause: Duration) {
        let began = Instant::now();
        while let Some(left) = pause.checked_sub(began.elapsed()) {
            if self.stop.is_requested() {
                return;
            }
            std::thread::sleep(left.min(STOP_INTERVAL));
        }
    }
}

/// Whether what failed is tried again: for as long as it takes, or until the grace of a missing
/// topic is over.
fn is_awaited(error: &OpenError, grace: &mut Grace, now: Duration) -> bool {
    error.may_pass() || error.is_missing() && grace.left(now).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::topics::TopicProblem;

    fn topics(problems: Vec<TopicProblem>, of: usize) -> OpenError {
        OpenError::Topics { problems, of }
    }

    #[test]
    fn a_missing_topic_is_awaited_until_its_grace_is_over() {
        const SECOND: Duration = Duration::from_secs(1);
        let missing = |name: &str| TopicProblem::Missing(name.to_string());
        let denied = || TopicProblem::Denied("d".to_string());
        let unknown =
            || TopicProblem::Unknown { topic: "u".to_string(), cause: "no answer".to_string() };
        let mut grace = Grace::new(10 * SECOND);
        let mut at =
            |seconds: u32, error: OpenError| is_awaited(&error, &mut grace, seconds * SECOND);
        assert!(at(0, topics(vec![unknown()], 3)));
        assert!(at(5, topics(vec![missing("a"), missing("b")], 3)));
        assert!(at(14, topics(vec![missing("a")], 3)));
        assert!(!at(15, topics(vec![missing("a")], 3)));
        assert!(at(99, topics(vec![unknown()], 3)));
        // None of all is there: the wrong cluster. And no waiting grants a right.
        let mut grace = Grace::new(10 * SECOND);
        for error in [
            topics(vec![missing("a"), missing("b")], 2),
            topics(vec![missing("a"), denied()], 3),
            topics(vec![denied()], 3),
        ] {
            assert!(!is_awaited(&error, &mut grace, SECOND), "{error}");
        }
    }
}
