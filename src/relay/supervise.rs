//! Watches over the workers until the end, which it makes an orderly one: of all after a signal, or
//! of one that failed or stands still, which stops the others. What standing still means is in
//! `liveness/watchdog.rs`.

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
    HangDetector, SILENCE_INTERVAL, STALL_INTERVAL, Stall, StallDetector,
};
use crate::metrics::Metrics;
use crate::stream::StopRequest;

/// How often a stop that was requested inside the process is looked for.
const STOP_INTERVAL: Duration = Duration::from_millis(50);

/// What stands still for so long makes the process unready, long before it ends it.
const UNREADY_AFTER: Duration = Duration::from_secs(30);

/// A worker's thread.
pub struct WorkerThread {
    /// Its number.
    pub number: usize,
    /// Ends with what the worker ended with.
    pub thread: JoinHandle<anyhow::Result<()>>,
}

/// The signals that ask to stop.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on they do not end the process by themselves.
    ///
    /// # Errors
    /// If they cannot be listened to.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate()).context("listen for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("listen for SIGINT")?,
        })
    }

    /// Waits a moment, and passes a signal on as a request to stop.
    pub async fn wait(&mut self, stop: &StopRequest) {
        tokio::select! {
            _ = self.terminate.recv() => { info!("SIGTERM: finishing the batch"); stop.request(); }
            _ = self.interrupt.recv() => { info!("SIGINT: finishing the batch"); stop.request(); }
            () = tokio::time::sleep(STOP_INTERVAL) => {}
        }
    }
}

/// Looks for what stands still.
pub struct Watch {
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    silence: HangDetector,
    looked: Instant,
    /// What is found of the partitions.
    stalls: Receiver<Stall>,
    stalled: Stall,
    /// Ends the thread when it is dropped.
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
    /// Begins to look.
    ///
    /// # Errors
    /// If a client or a thread cannot be had.
    pub fn start(
        config: &Config,
        metrics: &Arc<Metrics>,
        health: &Arc<Health>,
    ) -> anyhow::Result<Watch> {
        let mut ends = InputEndOffsets::new(config).context("create a client for the watchdog")?;
        let (found, stalls) = channel();
        let (stop, stopped) = channel::<()>();
        let barrier_limit = config.tables.barrier_limit;
        let (of_workers, of_partitions) = (Arc::clone(health), Arc::clone(metrics));
        // A thread: the look-up blocks. It ends when nobody wants to know any more.
        let thread =
            std::thread::Builder::new()
                .name("watchdog".to_string())
                .spawn(move || {
                    let mut watch = StallDetector::new(barrier_limit);
                    while stopped.recv_timeout(STALL_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                        let views = must_move(&of_partitions, &of_workers);
                        // Also when none must move: the client's own events are served.
                        let ends = ends.look_up(views.iter().map(|view| view.partition));
                        if found
                            .send(watch.look(&views, &ends, |worker| {
                                of_workers.heartbeat(worker).activity()
                            }))
                            .is_err()
                        {
                            return;
                        }
                    }
                })
                .context("start a thread")?;
        Ok(Watch {
            health: Arc::clone(health),
            metrics: Arc::clone(metrics),
            silence: HangDetector::new(config.workers.get(), barrier_limit),
            looked: Instant::now(),
            stalls,
            stalled: Stall::default(),
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// To be called often.
    ///
    /// # Errors
    /// What has been standing still for too long.
    fn look(&mut self) -> anyhow::Result<()> {
        match self.stalls.try_recv() {
            Ok(found) => self.stalled = found,
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => bail!("the watchdog has ended: please report this"),
        }
        if self.looked.elapsed() < SILENCE_INTERVAL {
            return Ok(());
        }
        self.looked = Instant::now();
        let silent = self.silence.look(self.health.heartbeats());
        let standstill = match silent.time > self.stalled.time {
            true => &silent,
            false => &self.stalled,
        };
        self.metrics.set_standstill(standstill.time);
        if standstill.is_over {
            bail!("{standstill}");
        }
        if standstill.time >= UNREADY_AFTER {
            self.health.hold(WATCHDOG, &standstill.to_string());
        } else {
            self.health.release(WATCHDOG);
        }
        Ok(())
    }
}

/// The partitions whose workers have no reason to stand still.
fn must_move(metrics: &Metrics, health: &Health) -> Vec<PartitionView> {
    let mut views = metrics.partitions();
    views.retain(|view| view.held.is_none() && health.is_working(view.worker));
    views
}

/// Waits for the end: of all workers after a stop, or of one that failed or stands still, which
/// stops the others.
///
/// # Errors
/// Why a worker failed, what stands still, or that the deadline passed.
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
        if let Err(found) = watch.look() {
            // Said at once: what stands still may keep the others waiting until the deadline.
            error!("{found:#}; ending, so that a fresh process begins at the committed positions");
            stop.request();
            // How the others end changes nothing about why.
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
            "a worker did not finish within {deadline:?} (shutdown.deadline_ms); what it had not committed will be read again"
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
