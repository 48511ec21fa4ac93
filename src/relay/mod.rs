//! The running process. It wires all parts and does none of their work: one thread for each worker,
//! a small runtime for signals and the admin server, and the supervision of both.

pub mod admin;
pub mod grace;
pub mod judge;
pub mod preflight;
pub mod reopening;
pub mod service_manager;
pub mod supervise;
pub mod table_feed;
pub mod worker_thread;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context;
use tokio::sync::Notify;
use tracing::{error, info, warn};

use crate::config::Config;
use crate::deployment::Deployment;
use crate::kafka;
use crate::kafka::OnReplaced;
use crate::kafka::settings::{SessionSettings, uses_consumer_protocol};
use crate::liveness::health::Health;
use crate::liveness::threads;
use crate::metrics::{InputName, Metrics};
use crate::relay::admin::AdminServer;
use crate::relay::preflight::Preflight;
use crate::relay::supervise::{Signals, Watch, supervise};
use crate::relay::worker_thread::WorkerTask;
use crate::status::{Names, StatusSource};
use crate::stream::StopRequest;
use crate::tables::TableStore;

/// A relay, ready to run.
pub struct Relay {
    config: Config,
    deployment: Arc<Deployment>,
    tables: Arc<TableStore>,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
}

impl Relay {
    /// Wires a relay. It does not connect yet.
    ///
    /// # Errors
    /// Fails if the metrics cannot be registered.
    pub fn new(config: Config, mut deployment: Deployment) -> anyhow::Result<Self> {
        let version = kafka::librdkafka_version();
        let metrics = Metrics::new(deployment.rules.routes.regions(), &version)?;
        metrics.set_input(&config.input.group, &config.input.topic);
        // Moved, not cloned: the tables change from now on, and the loaded copy would waste memory.
        let tables = Arc::new(TableStore::new(
            std::mem::take(&mut deployment.reference),
            &kafka::followers::followed(&config),
            config.tables.staleness_limit,
        ));
        metrics.show_tables(Arc::clone(&tables))?;
        if let Some(sealing) = &deployment.sealing {
            metrics.show_anchors(Arc::clone(&sealing.anchors))?;
        }
        Ok(Relay {
            config,
            deployment: Arc::new(deployment),
            tables,
            metrics,
            health: Arc::new(Health::default()),
        })
    }

    /// Returns the metrics, which stay readable while the relay runs.
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// Returns the health, which stays readable while the relay runs.
    pub fn health(&self) -> Arc<Health> {
        Arc::clone(&self.health)
    }

    /// Runs until a signal or `stop`. Passes the address of the admin server to `announce`.
    ///
    /// # Errors
    /// Fails if the admin address cannot be bound, the cluster does not meet the requirements, a
    /// worker fails or stalls, or the shutdown deadline passes.
    pub fn run(self, stop: StopRequest, announce: impl FnOnce(SocketAddr)) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("start the runtime")?;
        let result = runtime.block_on(self.serve(stop, announce));
        // A worker that hangs in the client must not keep the process alive.
        runtime.shutdown_background();
        result
    }

    async fn serve(
        self,
        stop: StopRequest,
        announce: impl FnOnce(SocketAddr),
    ) -> anyhow::Result<()> {
        let admin = AdminServer::bind(self.config.admin.listen).await?;
        let address = admin.local_addr();
        let closing = Arc::new(Notify::new());
        let closed = Arc::clone(&closing);
        let serving =
            tokio::spawn(admin.serve(self.status_source(), async move { closed.notified().await }));
        if service_manager::is_listening() {
            tokio::spawn(service_manager::report(Arc::clone(&self.health), stop.clone()));
        }
        self.log_start(address);
        announce(address);
        let mut feeders = Vec::new();
        let result = self.work(&stop, &mut feeders).await;
        // Ends the followers, and the threads that wait for the tables.
        self.tables.close();
        threads::join(feeders, threads::JOIN_WAIT_MAX);
        closing.notify_one();
        serving.abort();
        match &result {
            Ok(()) => info!("stopped"),
            Err(error) => error!("stopped: {error:#}"),
        }
        result
    }

    fn status_source(&self) -> Arc<StatusSource> {
        let names = Names {
            instance: self.config.instance.clone(),
            topic: self.config.input.topic.clone(),
            group: self.config.input.group.clone(),
            regions: self.deployment.rules.routes.regions().to_vec(),
            librdkafka: kafka::librdkafka_version(),
        };
        let (metrics, health) = (Arc::clone(&self.metrics), Arc::clone(&self.health));
        Arc::new(StatusSource::new(names, metrics, health, Arc::clone(&self.tables)))
    }

    /// Checks the cluster, loads the tables, and starts the workers once the tables are complete:
    /// no record is judged before.
    async fn work(
        &self,
        stop: &StopRequest,
        feeders: &mut Vec<JoinHandle<()>>,
    ) -> anyhow::Result<()> {
        let mut signals = Signals::new()?;
        let mut check =
            Preflight::spawn(&self.config, &self.deployment.topics, &self.health, stop)?;
        let cluster = loop {
            tokio::select! {
                checked = check.result() => break checked?,
                () = signals.wait(stop) => {}
            }
            if stop.is_requested() {
                return Ok(());
            }
        };
        let workers = self.worker_count(cluster.input_partitions);
        self.health.add_workers(workers);
        self.metrics.set_workers(workers);
        self.metrics.set_input_partitions(cluster.input_partitions.map_or(0, NonZeroUsize::get));
        *feeders = table_feed::start(&self.config, &self.deployment.table_files, &self.tables)?;
        // Without a limit: the log and /readyz report what is missing.
        while let Err(why) = self.tables.ready() {
            self.health.hold(table_feed::TABLES, &why);
            signals.wait(stop).await;
            if stop.is_requested() {
                return Ok(());
            }
        }
        table_feed::watch(&self.tables, &self.health);
        let watch = Watch::start(&self.config, workers, &self.metrics, &self.health)?;
        let tasks = (0..workers).map(|number| self.worker_task(number, stop));
        let workers = tasks.map(|task| task.spawn(cluster.quarantine));
        let workers = workers.collect::<anyhow::Result<_>>()?;
        supervise(workers, stop, &mut signals, watch, self.config.shutdown.deadline).await
    }

    fn log_start(&self, address: SocketAddr) {
        let config = &self.config;
        info!(
            version = env!("CARGO_PKG_VERSION"),
            librdkafka = kafka::librdkafka_version(),
            instance = config.instance,
            input = config.input.topic,
            group = config.input.group,
            admin = %address,
            "starting"
        );
        for doubt in config.doubts() {
            warn!("{doubt}");
        }
        if uses_consumer_protocol(config) {
            warn!(
                "support for group.protocol=consumer is new in librdkafka {}; its known faults are fixed from 2.15 on",
                kafka::librdkafka_version()
            );
        }
    }

    /// Returns how many workers to start: never more than the input has partitions, since a
    /// consumer without a partition has nothing to do.
    fn worker_count(&self, input_partitions: Option<NonZeroUsize>) -> usize {
        let wanted = self.config.workers;
        let count = input_partitions.map_or(wanted, |partitions| wanted.min(partitions)).get();
        if count < wanted.get() {
            info!("starting {count} of {wanted} workers, one for each partition of the input");
        } else {
            info!(workers = count, "starting the workers");
        }
        count
    }

    fn worker_task(&self, number: usize, stop: &StopRequest) -> WorkerTask {
        let mut settings = SessionSettings::new(
            &self.config,
            self.deployment.topics.clone(),
            self.deployment.rules.routes.regions().to_vec(),
            number,
        );
        let metrics = Arc::clone(&self.metrics);
        settings.replaced =
            OnReplaced::new(move |replaced| metrics.count_rebuild(replaced.reason()));
        WorkerTask {
            number,
            input: InputName {
                topic: self.config.input.topic.clone(),
                group: self.config.input.group.clone(),
                bootstrap: self.config.kafka.bootstrap_servers().to_string(),
            },
            settings,
            limits: self.config.batch,
            pass_over: self.config.input.pass_over.clone(),
            sealing: self.deployment.sealing.clone(),
            deployment: Arc::clone(&self.deployment),
            tables: Arc::clone(&self.tables),
            barrier_limit: self.config.tables.barrier_limit,
            metrics: Arc::clone(&self.metrics),
            health: Arc::clone(&self.health),
            stop: stop.clone(),
        }
    }
}
