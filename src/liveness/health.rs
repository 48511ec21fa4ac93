//! Whether the process is live and ready, with the reasons if not. It measures and repairs nothing:
//! the workers and the supervision report to it.
//!
//! The process stops being *live* only when it needs a restart. It stops being *ready* whenever a
//! worker does not work or the process is held. Nothing is lost then: the input waits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::liveness::warnings::Warnings;
use crate::liveness::watchdog::{Activity, Heartbeat};
use crate::lock::lock;
use crate::stream::Partition;

/// The subject of a hang or stall in /readyz.
pub const WATCHDOG: &str = "watchdog";

/// The health of a process, which has no workers at first.
#[derive(Debug)]
pub struct Health {
    created: Timestamp,
    inner: Mutex<Inner>,
    /// One for each worker, once their number is known.
    heartbeats: OnceLock<Vec<Arc<Heartbeat>>>,
    /// Warnings, which do not make the process unready.
    pub warnings: Warnings,
}

#[derive(Debug, Default)]
struct Inner {
    workers: Vec<WorkerHealth>,
    /// Why the process as a whole is held, by subject.
    holds: BTreeMap<&'static str, Reason>,
}

/// A reason why the process is not ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The reason on one line, beginning with its subject.
    pub text: String,
    /// Since when its subject has been unready, for this or for another reason.
    pub since: Timestamp,
}

#[derive(Debug)]
struct WorkerHealth {
    stage: Stage,
    /// The failure from which the worker recovers.
    recovering: Option<String>,
    /// Since when it has not worked, if it does not.
    unready_since: Option<Timestamp>,
    /// Partitions that are held while the others continue, and why.
    held: BTreeMap<Partition, Reason>,
}

#[derive(Debug)]
enum Stage {
    Starting,
    Connecting(String),
    Joining,
    /// With the reason why the previous session was closed.
    Rejoining(String),
    Working,
    /// With the cause, unless it was asked to stop.
    Stopped(Option<String>),
}

impl Default for Health {
    fn default() -> Self {
        Health {
            created: Timestamp::now(),
            inner: Mutex::default(),
            heartbeats: OnceLock::new(),
            warnings: Warnings::default(),
        }
    }
}

impl Health {
    /// Adds the process's workers, none of which has started. Later calls change nothing.
    pub fn add_workers(&self, count: usize) {
        let starting = || WorkerHealth {
            stage: Stage::Starting,
            recovering: None,
            unready_since: Some(Timestamp::now()),
            held: BTreeMap::new(),
        };
        let heartbeats = (0..count).map(|_| Arc::default()).collect();
        if self.heartbeats.set(heartbeats).is_ok() {
            self.lock().workers = (0..count).map(|_| starting()).collect();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    /// Returns the heartbeat of a worker. If there is no such worker, returns one that is not
    /// watched.
    pub fn heartbeat(&self, worker: usize) -> Arc<Heartbeat> {
        let heartbeats = self.heartbeats.get();
        heartbeats.and_then(|all| all.get(worker)).cloned().unwrap_or_default()
    }

    /// Returns the heartbeats of all workers, in order.
    pub fn heartbeats(&self) -> impl Iterator<Item = &Heartbeat> {
        self.heartbeats.get().into_iter().flatten().map(|heartbeat| &**heartbeat)
    }

    /// Changes the health of a worker, unless it has stopped: that is final.
    fn change(&self, worker: usize, change: impl FnOnce(&mut WorkerHealth)) {
        let mut inner = self.lock();
        let found = inner.workers.get_mut(worker);
        let found = found.filter(|health| !matches!(health.stage, Stage::Stopped(_)));
        if let Some(health) = found {
            change(health);
            let unready = health.why_not_ready().is_some();
            health.unready_since =
                unready.then(|| health.unready_since.unwrap_or_else(Timestamp::now));
        }
    }

    /// Reports that a worker cannot reach the cluster yet, and why.
    pub fn connecting(&self, worker: usize, cause: &str) {
        let stage = Stage::Connecting(one_line(cause));
        self.heartbeat(worker).beat(Activity::Opening);
        self.change(worker, |health| health.stage = stage);
    }

    /// Reports that a worker joins the consumer group, for the first time or again. The reason why
    /// its previous session was closed is shown until it has joined.
    pub fn joining(&self, worker: usize) {
        self.change(worker, |health| {
            if !matches!(health.stage, Stage::Rejoining(_)) {
                health.stage = Stage::Joining;
            }
        });
    }

    /// Reports that a worker closed its session, and why. It opens another one.
    pub fn rejoining(&self, worker: usize, cause: &str) {
        let cause = one_line(cause);
        self.change(worker, |health| {
            health.stage = Stage::Rejoining(cause);
            // Both belonged to the closed session.
            health.recovering = None;
            health.held.clear();
        });
    }

    /// Reports that a worker is a member of the consumer group, with or without partitions.
    pub fn working(&self, worker: usize) {
        self.change(worker, |health| health.stage = Stage::Working);
    }

    /// Reports that a worker recovers from a failure.
    pub fn recovering(&self, worker: usize, cause: &str) {
        let cause = Some(one_line(cause));
        self.change(worker, |health| health.recovering = cause);
    }

    /// Reports that a worker has recovered.
    pub fn recovered(&self, worker: usize) {
        self.change(worker, |health| health.recovering = None);
    }

    /// Reports that a worker holds a partition, and why. It continues with the others.
    pub fn hold_partition(&self, worker: usize, partition: Partition, cause: &str) {
        self.change(worker, |health| update(&mut health.held, partition, cause));
    }

    /// Reports that a worker no longer holds a partition: it reads it again, or does not own it any
    /// more.
    pub fn release_partition(&self, worker: usize, partition: Partition) {
        self.change(worker, |health| drop(health.held.remove(&partition)));
    }

    /// Reports that a worker has ended: because it was asked to, or for this cause.
    pub fn stopped(&self, worker: usize, cause: Option<String>) {
        let stage = Stage::Stopped(cause.as_deref().map(one_line));
        self.heartbeat(worker).beat(Activity::Ended);
        self.change(worker, |health| health.stage = stage);
    }

    /// Makes the whole process unready because of `subject`, for this cause.
    pub fn hold(&self, subject: &'static str, cause: &str) {
        update(&mut self.lock().holds, subject, cause);
    }

    /// Withdraws the hold because of `subject`.
    pub fn release(&self, subject: &'static str) {
        self.lock().holds.remove(subject);
    }

    /// Returns whether a worker must make progress: it is a member of the group, does not recover,
    /// and the process is not held. A hold by the watchdog itself does not count.
    pub fn is_working(&self, worker: usize) -> bool {
        let inner = self.lock();
        let health = inner.workers.get(worker);
        let works = health.is_some_and(|health| health.why_not_ready().is_none());
        works && inner.holds.keys().all(|subject| *subject == WATCHDOG)
    }

    /// Checks that the process can continue without a restart.
    ///
    /// # Errors
    /// Fails if a worker stopped without being asked to. Names the first one, and why.
    pub fn live(&self) -> Result<(), String> {
        let inner = self.lock();
        for (number, worker) in inner.workers.iter().enumerate() {
            if let Stage::Stopped(Some(cause)) = &worker.stage {
                return Err(format!("worker {number}: stopped: {cause}"));
            }
        }
        Ok(())
    }

    /// Checks that every worker is a member of the group and works.
    ///
    /// # Errors
    /// Fails with every reason why not. Each is one line and names its subject.
    pub fn ready(&self) -> Result<(), Vec<String>> {
        let reasons: Vec<String> = self.reasons().into_iter().map(|reason| reason.text).collect();
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }

    /// Returns every reason why the process is not ready: none if it is.
    pub fn reasons(&self) -> Vec<Reason> {
        let inner = self.lock();
        let workers = inner.workers.iter().enumerate();
        let reasons = workers.flat_map(|(number, worker)| {
            let of_worker = worker.why_not_ready().zip(worker.unready_since);
            let of_worker = of_worker.map(|(text, since)| Reason { text, since });
            let reasons = of_worker.into_iter().chain(worker.held.values().cloned());
            reasons.map(move |why| why.about(&format!("worker {number}")))
        });
        let none = inner
            .workers
            .is_empty()
            .then(|| Reason { text: "workers: not started yet".to_string(), since: self.created });
        let holds = inner.holds.iter().map(|(subject, why)| why.clone().about(subject));
        reasons.chain(none).chain(holds).collect()
    }
}

impl Reason {
    fn about(self, subject: &str) -> Self {
        Reason { text: format!("{subject}: {}", self.text), since: self.since }
    }
}

/// Sets why something is held, and keeps since when it has been.
fn update<K: Ord>(held: &mut BTreeMap<K, Reason>, what: K, cause: &str) {
    let text = one_line(cause);
    let reason = held.entry(what);
    reason
        .and_modify(|reason| reason.text.clone_from(&text))
        .or_insert_with(|| Reason { text, since: Timestamp::now() });
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
    use crate::liveness::watchdog::{HEARTBEAT_INTERVAL, HangDetector};

    fn with_workers(count: usize) -> Health {
        let health = Health::default();
        health.add_workers(count);
        health
    }

    fn reasons(health: &Health) -> Vec<String> {
        health.ready().err().unwrap_or_default()
    }

    #[test]
    fn a_process_without_workers_is_live_but_not_ready() {
        let health = Health::default();
        assert_eq!(health.live(), Ok(()));
        assert_eq!(reasons(&health), ["workers: not started yet"]);
        health.hold("cluster", "cannot connect yet");
        assert_eq!(reasons(&health), ["workers: not started yet", "cluster: cannot connect yet"]);
        health.release("cluster");
        health.add_workers(1);
        health.working(0);
        health.add_workers(2);
        assert_eq!(health.ready(), Ok(()), "workers are added once");
    }

    #[test]
    fn the_process_is_ready_when_every_worker_has_joined() {
        let health = with_workers(2);
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
    fn the_process_is_not_ready_while_a_worker_recovers_or_rejoins() {
        let health = with_workers(1);
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
    fn the_reason_for_a_closed_session_is_shown_until_the_next_has_joined() {
        let health = with_workers(1);
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
    fn a_worker_that_stops_unasked_ends_liveness_for_good() {
        let health = with_workers(2);
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
    fn a_held_process_is_not_ready() {
        let health = with_workers(1);
        health.working(0);
        health.hold("principals", "behind their topic");
        assert_eq!(reasons(&health), ["principals: behind their topic"]);
        assert!(!health.is_working(0));
        health.release("principals");
        assert!(health.is_working(0) && !health.is_working(1));
        assert_eq!(health.ready(), Ok(()));
    }

    #[test]
    fn a_held_partition_makes_the_process_unready_but_its_worker_must_progress() {
        let health = with_workers(1);
        health.working(0);
        health.hold_partition(0, Partition(3), "cannot be read");
        assert_eq!(reasons(&health), ["worker 0: cannot be read"]);
        assert!(health.is_working(0), "its other partitions must progress");
        health.release_partition(0, Partition(3));
        assert_eq!(health.ready(), Ok(()));
    }

    #[test]
    fn a_reason_tells_since_when_its_subject_has_been_unready() {
        let long_ago = Timestamp::UNIX_EPOCH;
        let health = with_workers(1);
        let since = || health.reasons().first().map(|reason| reason.since);
        health.lock().workers[0].unready_since = Some(long_ago);
        health.joining(0);
        assert_eq!(since(), Some(long_ago), "it has not worked since");
        health.working(0);
        health.recovering(0, "x");
        assert!(since() > Some(long_ago), "it has worked in between");
        health.recovered(0);
        health.hold("tables", "old");
        health.lock().holds.get_mut("tables").expect("held").since = long_ago;
        health.hold("tables", "older");
        let older = Reason { text: "tables: older".to_string(), since: long_ago };
        assert_eq!(health.reasons(), [older]);
        health.release("tables");
        health.hold("tables", "old");
        assert!(since() > Some(long_ago), "it was not held in between");
    }

    #[test]
    fn a_worker_that_does_not_exist_changes_nothing() {
        let health = with_workers(0);
        health.stopped(7, Some("x".to_string()));
        assert_eq!(health.live(), Ok(()));
    }

    #[test]
    fn every_held_partition_is_named_until_its_session_is_closed() {
        let health = with_workers(1);
        health.working(0);
        health.hold_partition(0, Partition(3), "cannot be read");
        health.hold_partition(0, Partition(1), "regressed");
        assert_eq!(reasons(&health), ["worker 0: regressed", "worker 0: cannot be read"]);
        health.rejoining(0, "consumer dead");
        assert_eq!(reasons(&health), ["worker 0: rejoining: consumer dead"]);
        health.working(0);
        assert_eq!(health.ready(), Ok(()));
    }

    /// A stall that makes the process unready must not excuse the worker from making progress.
    #[test]
    fn a_worker_must_progress_although_the_watchdog_reports_it() {
        let health = with_workers(1);
        health.working(0);
        health.hold(WATCHDOG, "worker 0 has sent no heartbeat");
        assert!(health.is_working(0) && health.ready().is_err());
        health.hold("principals", "behind their topic");
        assert!(!health.is_working(0));
    }

    #[test]
    fn a_worker_that_cannot_connect_sends_heartbeats() {
        let health = with_workers(1);
        let mut detector = HangDetector::new(1, Duration::ZERO);
        for samples in [1, 2] {
            let found = detector.sample(health.heartbeats());
            assert_eq!(found.time, HEARTBEAT_INTERVAL * samples);
        }
        health.connecting(0, "no broker");
        assert_eq!(detector.sample(health.heartbeats()).time, Duration::ZERO);
    }
}
