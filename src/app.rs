//! Wires everything: one thread for each worker, a small runtime for signals and the admin server, and
//! an orderly end. It knows all parts and does none of their work.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tracing::{error, info, warn};

use crate::admin::Admin;
use crate::assemble::Assembly;
use crate::config::Config;
use crate::health::Health;
use crate::kafka;
use crate::kafka::session::{OpenError, Session};
use crate::kafka::settings::{SessionSettings, uses_consumer_protocol};
use crate::metrics::{Metrics, WorkerObserver};
use crate::pipeline::{Reference, judge};
use crate::stream::Failure;
use crate::stream::worker::{StopRequest, Worker};

/// How often a stop that was requested inside the process is looked for.
const STOP_INTERVAL: Duration = Duration::from_millis(50);
/// Pause between attempts to open a session; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Longest pause between attempts to open a session.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A relay, ready to run.
pub struct Relay {
    config: Config,
    assembly: Arc<Assembly>,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
}

impl Relay {
    /// Wires a relay; nothing is connected yet.
    ///
    /// # Errors
    /// If the metrics cannot be registered.
    pub fn new(config: Config, assembly: Assembly) -> anyhow::Result<Self> {
        let version = kafka::librdkafka_version();
        let metrics = Metrics::new(assembly.rules.routes.regions(), &version)?;
        let directory = &assembly.directory;
        metrics.set_table_entries("principals", directory.principals.len());
        if let Some(devices) = &directory.devices {
            metrics.set_table_entries("devices", devices.len());
        }
        let health = Arc::new(Health::new(config.workers.get()));
        Ok(Relay {
            config,
            assembly: Arc::new(assembly),
            metrics,
            health,
        })
    }

    /// What is counted; stays readable while the relay runs.
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// Whether it works, and why not; stays readable while the relay runs.
    pub fn health(&self) -> Arc<Health> {
        Arc::clone(&self.health)
    }

    /// Runs until a signal or `stop`. `announce` is told where the admin server listens.
    ///
    /// # Errors
    /// If the admin address cannot be had, a worker cannot work, or the shutdown deadline passes.
    pub fn run(self, stop: StopRequest, announce: impl FnOnce(SocketAddr)) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("start the runtime")?;
        let result = runtime.block_on(self.serve(stop, announce));
        // A worker that hangs in the client must not hold the process.
        runtime.shutdown_background();
        result
    }

    async fn serve(
        self,
        stop: StopRequest,
        announce: impl FnOnce(SocketAddr),
    ) -> anyhow::Result<()> {
        let admin = Admin::bind(self.config.admin.listen).await?;
        let address = admin.local_addr();
        let closing = Arc::new(Notify::new());
        let closed = Arc::clone(&closing);
        let serving = tokio::spawn(admin.serve(
            Arc::clone(&self.metrics),
            Arc::clone(&self.health),
            async move { closed.notified().await },
        ));
        self.log_start(address);
        announce(address);
        let workers = self.spawn_workers(&stop)?;
        let result = supervise(workers, &stop, self.config.shutdown.deadline).await;
        closing.notify_one();
        serving.abort();
        match &result {
            Ok(()) => info!("stopped"),
            Err(error) => error!("stopped: {error:#}"),
        }
        result
    }

    fn log_start(&self, address: SocketAddr) {
        let config = &self.config;
        info!(
            version = env!("CARGO_PKG_VERSION"),
            librdkafka = kafka::librdkafka_version(),
            instance = config.instance.name,
            workers = config.workers.get(),
            input = config.input.topic,
            group = config.input.group,
            principals = self.assembly.directory.principals.len(),
            admin = %address,
            "starting"
        );
        if uses_consumer_protocol(config) {
            warn!(
                "group.protocol=consumer is young in librdkafka {}; known faults are mended from 2.15 on",
                kafka::librdkafka_version()
            );
        }
    }

    fn spawn_workers(&self, stop: &StopRequest) -> anyhow::Result<Vec<WorkerThread>> {
        (0..self.config.workers.get())
            .map(|number| {
                let task = WorkerTask {
                    number,
                    settings: SessionSettings::new(
                        &self.config,
                        self.assembly.topics.clone(),
                        self.assembly.rules.routes.regions().to_vec(),
                        number,
                    ),
                    limits: self.config.batch,
                    assembly: Arc::clone(&self.assembly),
                    metrics: Arc::clone(&self.metrics),
                    health: Arc::clone(&self.health),
                    stop: stop.clone(),
                };
                let thread = std::thread::Builder::new()
                    .name(format!("worker-{number}"))
                    .spawn(move || task.work())
                    .context("start a worker thread")?;
                Ok(WorkerThread { number, thread })
            })
            .collect()
    }
}

struct WorkerThread {
    number: usize,
    thread: JoinHandle<anyhow::Result<()>>,
}

/// Everything that one worker's thread owns.
struct WorkerTask {
    number: usize,
    settings: SessionSettings,
    limits: crate::stream::batch::BatchLimits,
    assembly: Arc<Assembly>,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    stop: StopRequest,
}

impl WorkerTask {
    fn work(self) -> anyhow::Result<()> {
        let number = self.number;
        let health = Arc::clone(&self.health);
        let result = self.open_and_run();
        match &result {
            Ok(()) => health.stopped(number, None),
            Err(error) => health.stopped(number, Some(format!("{error:#}"))),
        }
        result
    }

    fn open_and_run(self) -> anyhow::Result<()> {
        let Some(session) = self.open()? else {
            return Ok(());
        };
        self.health.joining(self.number);
        let assembly = Arc::clone(&self.assembly);
        let judge = move |payload: Option<&[u8]>| {
            let reference = Reference {
                rules: &assembly.rules,
                directory: &assembly.directory,
            };
            judge(payload, reference)
        };
        let observer = WorkerObserver::new(self.number, self.metrics, self.health);
        let worker = Worker::new(session, judge, observer, self.limits, self.stop);
        let session = worker.run().map_err(|failure: Failure| anyhow!(failure))?;
        // Leaves the group, unless the membership is static.
        drop(session);
        Ok(())
    }

    /// Opens a session, waiting as long as it takes for a cluster that cannot be reached. `None` if the
    /// relay is asked to stop meanwhile.
    fn open(&self) -> anyhow::Result<Option<Session>> {
        let mut pause = FIRST_PAUSE;
        while !self.stop.is_requested() {
            match Session::open(self.settings.clone()) {
                Ok(session) => return Ok(Some(session)),
                Err(error) if error.may_pass() => self.wait(&error, pause),
                Err(error) => return Err(error.into()),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Ok(None)
    }

    fn wait(&self, error: &OpenError, pause: Duration) {
        warn!(worker = self.number, %error, "cannot connect yet; trying again");
        self.health.connecting(self.number, &error.to_string());
        std::thread::sleep(pause);
    }
}

/// Waits for the end: of all workers after a stop, or of one that failed, which stops the others.
async fn supervise(
    workers: Vec<WorkerThread>,
    stop: &StopRequest,
    deadline: Duration,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    loop {
        let finished = workers.iter().any(|worker| worker.thread.is_finished());
        if stop.is_requested() || finished {
            break;
        }
        tokio::select! {
            _ = terminate.recv() => { info!("SIGTERM: finishing the batch"); stop.request(); }
            _ = interrupt.recv() => { info!("SIGINT: finishing the batch"); stop.request(); }
            () = tokio::time::sleep(STOP_INTERVAL) => {}
        }
    }
    stop.request();
    tokio::select! {
        result = join(workers) => result,
        () = tokio::time::sleep(deadline) => Err(anyhow!(
            "a worker did not finish within {deadline:?} (shutdown.deadline_ms); what it had not committed will be read again"
        )),
        _ = terminate.recv() => bail!("a second SIGTERM: stopped without waiting"),
        _ = interrupt.recv() => bail!("a second SIGINT: stopped without waiting"),
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
    if failures.is_empty() {
        Ok(())
    } else {
        Err(anyhow!(failures.join("\n")))
    }
}
