//! Whether the process is alive and whether it does its work, each with the reasons why not. It
//! measures nothing and mends nothing; those who know tell it.
//!
//! *Live* is lost only when a restart is needed. *Ready* is lost whenever a worker does not work or
//! the process holds; nothing is lost then, the input waits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::liveness::warnings::Warnings;
use crate::liveness::watchdog::{Activity, Heartbeat};
use crate::stream::Partition;

/// What the process is not ready for when the watchdog has found something that stands still.
pub const WATCHDOG: &str = "watchdog";

/// The health of a process.
#[derive(Debug)]
pub struct Health {
    inner: Mutex<Inner>,
    /// One for each worker.
    heartbeats: Vec<Arc<Heartbeat>>,
    /// What is no reason to be unready.
    pub warnings: Warnings,
}

#[derive(Debug)]
struct Inner {
    workers: Vec<WorkerHealth>,
    /// Why the process as a whole holds, by what it is about.
    holds: BTreeMap<&'static str, String>,
}

#[derive(Debug)]
struct WorkerHealth {
    stage: Stage,
    /// The cause of the failure that is being mended.
    recovering: Option<String>,
    /// Partitions that are held while the others go on, and why.
    held: BTreeMap<Partition, String>,
}

#[derive(Debug)]
enum Stage {
    Starting,
    Connecting(String),
    Joining,
    /// With the cause for which the session before was closed.
    Rejoining(String),
    Working,
    /// With the cause, if it was not asked to.
    Stopped(Option<String>),
}

impl Health {
    /// The health of a process that is to have so many workers, none of which has begun.
    pub fn new(workers: usize) -> Self {
        let starting =
            || WorkerHealth { stage: Stage::Starting, recovering: None, held: BTreeMap::new() };
        Health {
            inner: Mutex::new(Inner {
                workers: (0..workers).map(|_| starting()).collect(),
                holds: BTreeMap::new(),
            }),
            heartbeats: (0..workers).map(|_| Arc::default()).collect(),
            warnings: Warnings::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Each change is one assignment: the value is whole even if its writer panicked.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The signs of life of a worker; of none, if there is no such worker.
    pub fn heartbeat(&self, worker: usize) -> Arc<Heartbeat> {
        self.heartbeats.get(worker).cloned().unwrap_or_default()
    }

    /// Those of all workers, in their order.
    pub fn heartbeats(&self) -> impl Iterator<Item = &Heartbeat> {
        self.heartbeats.iter().map(|heartbeat| &**heartbeat)
    }

    /// A worker that has stopped stays so.
    fn change(&self, worker: usize, change: impl FnOnce(&mut WorkerHealth)) {
        let mut inner = self.lock();
        let found = inner.workers.get_mut(worker);
        let found = found.filter(|health| !matches!(health.stage, Stage::Stopped(_)));
        if let Some(health) = found {
            change(health);
        }
    }

    /// A worker cannot reach the cluster yet, for this cause.
    pub fn connecting(&self, worker: usize, cause: &str) {
        let stage = Stage::Connecting(one_line(cause));
        self.heartbeat(worker).beat(Activity::Opening);
        self.change(worker, |health| health.stage = stage);
    }

    /// A worker is about to become a member of the consumer group, for the first time or again. Why
    /// its session before was closed stays said until it is one.
    pub fn joining(&self, worker: usize) {
        self.change(worker, |health| {
            if !matches!(health.stage, Stage::Rejoining(_)) {
                health.stage = Stage::Joining;
            }
        });
    }

    /// A worker has closed its session for this cause, and opens another one.
    pub fn rejoining(&self, worker: usize, cause: &str) {
        let cause = one_line(cause);
        self.change(worker, |health| {
            health.stage = Stage::Rejoining(cause);
            // What the session was mending or holding went with it.
            health.recovering = None;
            health.held.clear();
        });
    }

    /// A worker is a member of the consumer group, whether it owns partitions or not.
    pub fn working(&self, worker: usize) {
        self.change(worker, |health| health.stage = Stage::Working);
    }

    /// A worker has failed and mends it.
    pub fn recovering(&self, worker: usize, cause: &str) {
        let cause = Some(one_line(cause));
        self.change(worker, |health| health.recovering = cause);
    }

    /// What a worker had to mend is mended.
    pub fn recovered(&self, worker: usize) {
        self.change(worker, |health| health.recovering = None);
    }

    /// A worker holds a partition for this cause, and goes on with the others.
    pub fn hold_partition(&self, worker: usize, partition: Partition, cause: &str) {
        let cause = one_line(cause);
        self.change(worker, |health| drop(health.held.insert(partition, cause)));
    }

    /// A worker holds a partition no more, because it goes on or is somebody else's.
    pub fn release_partition(&self, worker: usize, partition: Partition) {
        self.change(worker, |health| drop(health.held.remove(&partition)));
    }

    /// A worker has ended: for good reason, or for this cause.
    pub fn stopped(&self, worker: usize, cause: Option<String>) {
        let stage = Stage::Stopped(cause.as_deref().map(one_line));
        self.heartbeat(worker).beat(Activity::Ended);
        self.change(worker, |health| health.stage = stage);
    }

    /// The whole process holds because of `what`, for this cause.
    pub fn hold(&self, what: &'static str, cause: &str) {
        self.lock().holds.insert(what, one_line(cause));
    }

    /// `what` is no reason to hold any more.
    pub fn release(&self, what: &'static str) {
        self.lock().holds.remove(what);
    }

    /// Whether a worker is a member of the group, mends nothing, and nothing makes the process
    /// hold: then it must make progress.
    pub fn is_working(&self, worker: usize) -> bool {
        let inner = self.lock();
        let health = inner.workers.get(worker);
        let works = health.is_some_and(|health| health.why_not_ready().is_none());
        works && inner.holds.keys().all(|what| *what == WATCHDOG)
    }

    /// Whether the process can go on without a restart.
    ///
    /// # Errors
    /// The first worker that stopped without being asked to, and why.
    pub fn live(&self) -> Result<(), String> {
        let inner = self.lock();
        for (number, worker) in inner.workers.iter().enumerate() {
            if let Stage::Stopped(Some(cause)) = &worker.stage {
                return Err(format!("worker {number}: stopped: {cause}"));
            }
        }
        Ok(())
    }

    /// Whether every worker is a member of the group and works.
    ///
    /// # Errors
    /// Every reason why not, each naming what it is about, without line breaks.
    pub fn ready(&self) -> Result<(), Vec<String>> {
        let inner = self.lock();
        let workers = inner.workers.iter().enumerate();
        let reasons = workers.flat_map(|(number, worker)| {
            let whole = worker.why_not_ready().into_iter();
            let reasons = whole.chain(worker.held.values().cloned());
            reasons.map(move |why| format!("worker {number}: {why}"))
        });
        let holds = inner.holds.iter();
        let holds = holds.map(|(what, cause)| format!("{what}: {cause}"));
        let reasons: Vec<String> = reasons.chain(holds).collect();
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }
}

impl WorkerHealth {
    fn why_not_ready(&self) -> Option<String> {
        match (&self.stage, &self.recovering) {
            (Stage::Stopped(None), _) => Some("stopped".to_string()),
            (Stage::Stopped(Some(cause)), _) => Some(format!("stopped: {cause}")),
            (_, Some(cause)) => Some(format!("recovering: {cause}")),
            (Stage::Starting, None) => Some("starting".to_string()),
            (Stage::Connecting(cause), None) => Some(format!("cannot connect yet: {cause}")),
            (Stage::Joining, None) => Some("joining the consumer group".to_string()),
            (Stage::Rejoining(cause), None) => Some(format!("rejoining: {cause}")),
            (Stage::Working, None) => None,
        }
    }
}

fn one_line(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::liveness::watchdog::{HangDetector, SILENCE_INTERVAL};

    fn reasons(health: &Health) -> Vec<String> {
        health.ready().err().unwrap_or_default()
    }

    #[test]
    fn is_ready_when_every_worker_has_joined() {
        let health = Health::new(2);
        assert_eq!(reasons(&health), ["worker 0: starting", "worker 1: starting"]);
        health.connecting(0, "topic a is missing\ntopic b is missing");
        health.joining(1);
        assert_eq!(
            reasons(&health),
            [
                "worker 0: cannot connect yet: topic a is missing; topic b is missing",
                "worker 1: joining the consumer group"
            ]
        );
        health.joining(0);
        health.working(0);
        health.working(1);
        assert_eq!(health.ready(), Ok(()));
        assert_eq!(health.live(), Ok(()));
    }

    #[test]
    fn is_not_ready_while_a_worker_recovers_or_joins_again() {
        let health = Health::new(1);
        health.working(0);
        health.recovering(0, "producer fenced: x");
        health.working(0);
        assert_eq!(reasons(&health), ["worker 0: recovering: producer fenced: x"]);
        health.joining(0);
        health.recovered(0);
        assert_eq!(reasons(&health), ["worker 0: joining the consumer group"]);
        health.working(0);
        assert_eq!(health.ready(), Ok(()));
    }

    #[test]
    fn says_why_a_session_was_closed_until_another_one_has_joined() {
        let health = Health::new(1);
        health.working(0);
        health.recovering(0, "consumer dead: x");
        health.rejoining(0, "consumer dead: x");
        let why = ["worker 0: rejoining: consumer dead: x"];
        assert_eq!(reasons(&health), why);
        health.joining(0);
        assert_eq!(reasons(&health), why);
        assert_eq!(health.live(), Ok(()));
        health.working(0);
        assert_eq!(health.ready(), Ok(()));
        health.joining(0);
        assert_eq!(reasons(&health), ["worker 0: joining the consumer group"]);
    }

    #[test]
    fn is_dead_when_a_worker_stopped_unasked_and_stays_so() {
        let health = Health::new(2);
        health.working(0);
        health.working(1);
        health.stopped(0, None);
        assert_eq!(health.live(), Ok(()));
        health.stopped(1, Some("no such topic".to_string()));
        health.working(1);
        assert_eq!(health.live(), Err("worker 1: stopped: no such topic".to_string()));
        assert_eq!(reasons(&health), ["worker 0: stopped", "worker 1: stopped: no such topic"]);
    }

    #[test]
    fn the_process_can_hold() {
        let health = Health::new(1);
        health.working(0);
        health.hold("principals", "behind their topic");
        assert_eq!(reasons(&health), ["principals: behind their topic"]);
        assert!(!health.is_working(0));
        health.release("principals");
        assert!(health.is_working(0) && !health.is_working(1));
        assert_eq!(health.ready(), Ok(()));
    }

    #[test]
    fn a_held_partition_makes_unready_and_leaves_its_worker_at_work() {
        let health = Health::new(1);
        health.working(0);
        health.hold_partition(0, Partition(3), "cannot be read");
        assert_eq!(reasons(&health), ["worker 0: cannot be read"]);
        assert!(health.is_working(0), "its other partitions must move");
        health.release_partition(0, Partition(3));
        assert_eq!(health.ready(), Ok(()));
    }

    #[test]
    fn a_worker_that_does_not_exist_changes_nothing() {
        let health = Health::new(0);
        health.stopped(7, Some("x".to_string()));
        assert_eq!(health.live(), Ok(()));
    }

    #[test]
    fn every_held_partition_is_named_until_its_session_is_closed() {
        let health = Health::new(1);
        health.working(0);
        health.hold_partition(0, Partition(3), "cannot be read");
        health.hold_partition(0, Partition(1), "went back");
        assert_eq!(reasons(&health), ["worker 0: went back", "worker 0: cannot be read"]);
        health.rejoining(0, "deaf");
        assert_eq!(reasons(&health), ["worker 0: rejoining: deaf"]);
        health.working(0);
        assert_eq!(health.ready(), Ok(()));
    }

    /// What stands still must not look as if it need not move.
    #[test]
    fn a_worker_works_although_the_watchdog_complains_of_it() {
        let health = Health::new(1);
        health.working(0);
        health.hold(WATCHDOG, "worker 0 is silent");
        assert!(health.is_working(0) && health.ready().is_err());
        health.hold("principals", "behind their topic");
        assert!(!health.is_working(0));
    }

    #[test]
    fn a_worker_that_cannot_connect_gives_signs_of_life() {
        let health = Health::new(1);
        let mut watch = HangDetector::new(1, Duration::ZERO);
        for silent in [1, 2] {
            let seen = watch.look(health.heartbeats());
            assert_eq!(seen.time, SILENCE_INTERVAL * silent);
        }
        health.connecting(0, "no broker");
        assert_eq!(watch.look(health.heartbeats()).time, Duration::ZERO);
    }
}
