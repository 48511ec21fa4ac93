//! Supervises the workers until they have shut down: all of them after a signal, or the others
//! after one failed or stalled. `liveness/watchdog.rs` defines a stall.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info};

use crate::config::Config;
use crate::kafka::consumer::input_end_offsets::InputEndOffsets;
use crate::liveness::board::PartitionView;
use crate::liveness::health::{Health, WATCHDOG};
use crate::liveness::threads;
use crate::liveness::threads::JOIN_WAIT_MAX;
use crate::liveness::watchdog::{
    HEARTBEAT_INTERVAL, HangDetector, STALL_INTERVAL, Stall, StallDetector,
};
use crate::metrics::Metrics;
use crate::relay::service_manager;
use crate::stream::StopRequest;

/// How often a stop request from within the process is checked.
const STOP_INTERVAL: Duration = Duration::from_millis(50);

/// A hang or stall of this length makes the process unready, long before it ends the process.
const UNREADY_AFTER: Duration = Duration::from_secs(30);

/// A worker's thread.
pub struct WorkerThread {
    /// Its number.
    pub number: usize,
    /// The thread, which returns the worker's result.
    pub thread: JoinHandle<anyhow::Result<()>>,
}

/// The signals that request a stop.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Handles the signals from now on, so that they no longer end the process by themselves.
    ///
    /// # Errors
    /// Fails if a handler cannot be installed.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate()).context("listen for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("listen for SIGINT")?,
        })
    }

    /// Waits a moment, and turns a signal into a stop request.
    pub async fn wait(&mut self, stop: &StopRequest) {
        tokio::select! {
            _ = self.terminate.recv() => { info!("SIGTERM: finishing the batch"); stop.request(); }
            _ = self.interrupt.recv() => { info!("SIGINT: finishing the batch"); stop.request(); }
            () = tokio::time::sleep(STOP_INTERVAL) => {}
        }
    }
}

/// Watches for hanging workers and stalled partitions.
pub struct Watch {
    reports: Reports,
    hangs: HangDetector,
    sampled: Instant,
    /// What the watchdog thread finds.
    stalls: Receiver<Stall>,
    stalled: Stall,
    /// Ends the watchdog thread when it is dropped.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop = None;
        threads::join(self.thread.take().into_iter().collect(), JOIN_WAIT_MAX);
    }
}

impl Watch {
    /// Starts the watchdog of this many workers.
    ///
    /// # Errors
    /// Fails if its client or thread cannot be started.
    pub fn start(
        config: &Config,
        workers: usize,
        metrics: &Arc<Metrics>,
        health: &Arc<Health>,
    ) -> anyhow::Result<Watch> {
        let mut ends = InputEndOffsets::new(config).context("create a client for the watchdog")?;
        let (found, stalls) = channel();
        let (stop, stopped) = channel::<()>();
        let barrier_limit = config.tables.barrier_limit;
        let (thread_health, thread_metrics) = (Arc::clone(health), Arc::clone(metrics));
        // On its own thread, because the look-up blocks. It ends when this watch is dropped.
        let thread = std::thread::Builder::new()
            .name("watchdog".to_string())
            .spawn(move || {
                let mut detector = StallDetector::new(barrier_limit);
                while stopped.recv_timeout(STALL_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                    let stall = sample(&mut detector, &mut ends, &thread_metrics, &thread_health);
                    if found.send(stall).is_err() {
                        return;
                    }
                }
            })
            .context("start the watchdog thread")?;
        Ok(Watch {
            reports: Reports {
                health: Arc::clone(health),
                metrics: Arc::clone(metrics),
                alive: service_manager::report_alive,
            },
            hangs: HangDetector::new(workers, barrier_limit),
            sampled: Instant::now(),
            stalls,
            stalled: Stall::default(),
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Checks for hangs and stalls. The caller must call it often.
    ///
    /// # Errors
    /// Fails with the hang or stall that is over its limit.
    fn check(&mut self) -> anyhow::Result<()> {
        match self.stalls.try_recv() {
            Ok(found) => self.stalled = found,
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => {
                bail!("the watchdog thread ended: please report this")
            }
        }
        if self.sampled.elapsed() < HEARTBEAT_INTERVAL {
            return Ok(());
        }
        self.sampled = Instant::now();
        let hang = self.hangs.sample(self.reports.health.heartbeats());
        let longest = if hang.time > self.stalled.time { &hang } else { &self.stalled };
        self.reports.note(longest);
        if longest.is_over {
            bail!("{longest}");
        }
        Ok(())
    }
}

/// Who learns of hangs and stalls.
struct Reports<Alive = fn()> {
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    /// Reports that nothing stands still.
    alive: Alive,
}

impl<Alive: Fn()> Reports<Alive> {
    fn note(&self, longest: &Stall) {
        self.metrics.set_standstill(longest.time);
        if longest.time >= UNREADY_AFTER {
            self.health.hold(WATCHDOG, &longest.to_string());
        } else {
            self.health.release(WATCHDOG);
            (self.alive)();
        }
    }
}

/// Looks once for a partition that has data and makes no progress, and for added partitions.
fn sample(
    detector: &mut StallDetector,
    input: &mut InputEndOffsets,
    metrics: &Metrics,
    health: &Health,
) -> Stall {
    let views = must_progress(metrics, health);
    // Even without partitions, so that the client's events are served.
    let ends = input.look_up(views.iter().map(|view| view.partition));
    // Not of a cluster that gave no answer: that would take more time.
    let answers = views.is_empty() || !ends.is_empty();
    if let Some(count) = answers.then(|| input.partition_count()).flatten() {
        metrics.set_input_partitions(count);
    }
    detector.sample(&views, &ends, |worker| health.heartbeat(worker).activity())
}

/// Returns the partitions that must make progress: they are not held, and their workers have no
/// known problem.
fn must_progress(metrics: &Metrics, health: &Health) -> Vec<PartitionView> {
    let mut views = metrics.partitions();
    views.retain(|view| view.held.is_none() && health.is_working(view.worker));
    views
}

/// Waits until a stop is requested or a worker ends or stalls, then stops all workers and waits for
/// them.
///
/// # Errors
/// Fails if a worker failed, hung or stalled, or if the deadline passed.
pub async fn supervise(
    workers: Vec<WorkerThread>,
    stop: &StopRequest,
    signals: &mut Signals,
    mut watch: Watch,
    deadline: Duration,
) -> anyhow::Result<()> {
    loop {
        let finished = workers.iter().any(|worker| worker.thread.is_finished());
        if stop.is_requested() || finished {
            break;
        }
        if let Err(found) = watch.check() {
            // Logged at once: the worker that hangs may delay the end until the deadline.
            error!("{found:#}; exiting, so that a new process resumes from the committed offsets");
            stop.request();
            // The stall stays the reason, however the workers end.
            if let Err(rest) = end(workers, signals, deadline).await {
                error!("{rest:#}");
            }
            return Err(found);
        }
        signals.wait(stop).await;
    }
    stop.request();
    end(workers, signals, deadline).await
}

async fn end(
    workers: Vec<WorkerThread>,
    signals: &mut Signals,
    deadline: Duration,
) -> anyhow::Result<()> {
    tokio::select! {
        result = join(workers) => result,
        () = tokio::time::sleep(deadline) => Err(anyhow!(
            "a worker did not finish within {deadline:?} (shutdown.deadline_ms); its uncommitted records will be read again"
        )),
        _ = signals.terminate.recv() => bail!("a second SIGTERM: stopped without waiting"),
        _ = signals.interrupt.recv() => bail!("a second SIGINT: stopped without waiting"),
    }
}

async fn join(workers: Vec<WorkerThread>) -> anyhow::Result<()> {
    let mut failures = Vec::new();
    for WorkerThread { number, thread } in workers {
        while !thread.is_finished() {
            tokio::time::sleep(STOP_INTERVAL).await;
        }
        match thread.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => failures.push(format!("worker {number}: {error:#}")),
            Err(_) => failures.push(format!("worker {number} panicked: please report this")),
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(anyhow!(failures.join("\n"))) }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn what_stands_still_is_unready_and_not_alive() {
        let alive = Cell::new(0);
        let reports = Reports {
            health: Arc::default(),
            metrics: Metrics::new(&[], "2.12.1").expect("registers"),
            alive: || alive.set(alive.get() + 1),
        };
        reports.health.add_workers(1);
        reports.health.working(0);
        let stall = |time| Stall { time, is_over: false, what: "worker 0 hangs".to_string() };
        reports.note(&stall(UNREADY_AFTER - HEARTBEAT_INTERVAL));
        assert_eq!((alive.get(), reports.health.ready()), (1, Ok(())));
        for _ in 0..3 {
            reports.note(&stall(UNREADY_AFTER));
            assert_eq!(alive.get(), 1);
            assert!(reports.health.ready().is_err());
        }
        assert!(reports.metrics.render().contains("\naudit_relay_standstill_seconds 30\n"));
        reports.note(&Stall::default());
        assert_eq!((alive.get(), reports.health.ready()), (2, Ok(())));
    }
}
