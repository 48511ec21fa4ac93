//! The thread of one worker: opens a session, runs the loop on it, and opens another session when
//! the client of the first is dead. `reopening.rs` limits how often.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use tracing::warn;

use crate::deployment::Deployment;
use crate::kafka::session::{OpenError, Session};
use crate::kafka::settings::SessionSettings;
use crate::liveness::health::Health;
use crate::liveness::watchdog::Activity;
use crate::metrics::{InputName, Metrics, WorkerObserver};
use crate::relay::grace::{Grace, MISSING_TOPIC_GRACE};
use crate::relay::judge::TableJudge;
use crate::relay::reopening::Reopening;
use crate::relay::supervise::WorkerThread;
use crate::sealing::{ChainSealer, SealingSettings};
use crate::stream::batch::BatchLimits;
use crate::stream::kept_record::RecordLimit;
use crate::stream::worker::Worker;
use crate::stream::{Backoff, Failure, PassOver, StopRequest};
use crate::tables::TableStore;

/// Pauses between attempts to open a session.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
/// Longest delay before a stop request ends a pause.
const STOP_INTERVAL: Duration = Duration::from_millis(50);

/// Everything that the thread of one worker owns.
pub struct WorkerTask {
    /// The worker's number.
    pub number: usize,
    /// The input, as messages name it.
    pub input: InputName,
    /// The settings of its sessions.
    pub settings: SessionSettings,
    /// The limits of a batch.
    pub limits: BatchLimits,
    /// Offsets that may be skipped if they cannot be read.
    pub pass_over: Vec<PassOver>,
    /// What seals the trail; none if it is not sealed.
    pub sealing: Option<SealingSettings>,
    /// The rules and topics.
    pub deployment: Arc<Deployment>,
    /// The reference tables.
    pub tables: Arc<TableStore>,
    /// Longest time that a batch waits for the tables.
    pub barrier_limit: Duration,
    /// Counts what the worker commits.
    pub metrics: Arc<Metrics>,
    /// Receives the worker's state.
    pub health: Arc<Health>,
    /// Ends the worker.
    pub stop: StopRequest,
}

impl WorkerTask {
    /// Starts the thread. Quarantined records that are larger than this limit are written as stubs.
    ///
    /// # Errors
    /// Fails if the thread cannot be started.
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

    /// Runs one session after the other until asked to stop.
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
            warn!(worker = self.number, %cause, "session closed; opening a new one in {pause:?}");
            self.health.rejoining(self.number, &cause);
            self.sleep(pause);
        }
        Ok(())
    }

    /// Runs the loop until asked to stop, and closes the session in any case.
    fn run(&self, session: Session, quarantine_limit: RecordLimit) -> Result<(), Failure> {
        self.health.joining(self.number);
        let (metrics, health) = (Arc::clone(&self.metrics), Arc::clone(&self.health));
        let judge = TableJudge::new(
            Arc::clone(&self.deployment),
            Arc::clone(&self.tables),
            self.barrier_limit,
            Arc::clone(&metrics),
        );
        let observer = WorkerObserver::new(self.number, self.input.clone(), metrics, health);
        let worker = Worker::new(session, judge, observer, self.limits, self.stop.clone());
        let worker = worker.with_quarantine_limit(quarantine_limit);
        let mut worker = worker.with_pass_over(self.pass_over.clone());
        if let Some(sealing) = &self.sealing {
            worker = worker.with_sealer(Box::new(ChainSealer::new(sealing.clone())));
        }
        let session = worker.run()?;
        self.health.heartbeat(self.number).beat(Activity::Closing);
        // Leaves the group, unless the membership is static.
        drop(session);
        Ok(())
    }

    /// Opens a session. Waits without a limit for a cluster that cannot be reached. Returns `None`
    /// if the relay is asked to stop in the meantime.
    fn open(&self) -> anyhow::Result<Option<Session>> {
        let began = Instant::now();
        let mut grace = Grace::new(MISSING_TOPIC_GRACE);
        let mut attempts = 0;
        while !self.stop.is_requested() {
            self.health.heartbeat(self.number).beat(Activity::Opening);
            match Session::open(self.settings.clone()) {
                Ok(session) => return Ok(Some(session)),
                Err(error) if is_retried(&error, &mut grace, began.elapsed()) => {
                    attempts += 1;
                    self.wait(&error, BACKOFF.after(attempts));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    fn wait(&self, error: &OpenError, pause: Duration) {
        warn!(worker = self.number, %error, "cannot connect yet; retrying");
        self.health.connecting(self.number, &error.to_string());
        self.sleep(pause);
    }

    /// Sleeps, but returns early if the relay is asked to stop.
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

/// Returns whether a failed attempt is retried: without a limit, or for a missing topic until its
/// grace period is over.
fn is_retried(error: &OpenError, grace: &mut Grace, now: Duration) -> bool {
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
    fn a_missing_topic_is_retried_until_its_grace_period_is_over() {
        const SECOND: Duration = Duration::from_secs(1);
        let missing = |name: &str| TopicProblem::Missing(name.to_string());
        let denied = || TopicProblem::Denied("d".to_string());
        let unknown =
            || TopicProblem::Unknown { topic: "u".to_string(), cause: "no answer".to_string() };
        let mut grace = Grace::new(10 * SECOND);
        let mut at =
            |seconds: u32, error: OpenError| is_retried(&error, &mut grace, seconds * SECOND);
        assert!(at(0, topics(vec![unknown()], 3)));
        assert!(at(5, topics(vec![missing("a"), missing("b")], 3)));
        assert!(at(14, topics(vec![missing("a")], 3)));
        assert!(!at(15, topics(vec![missing("a")], 3)));
        assert!(at(99, topics(vec![unknown()], 3)));
        // If no topic exists, this is the wrong cluster. And waiting does not add an ACL.
        let mut grace = Grace::new(10 * SECOND);
        for error in [
            topics(vec![missing("a"), missing("b")], 2),
            topics(vec![missing("a"), denied()], 3),
            topics(vec![denied()], 3),
        ] {
            assert!(!is_retried(&error, &mut grace, SECOND), "{error}");
        }
    }
}
