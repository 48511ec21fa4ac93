//! A real Apache Kafka for tests: started, stopped and started again. What tests ask of it is in
//! `admin.rs`; records are written and read in `topics.rs`.
//!
//! Only starting a broker returns errors, for a test that wants to see one; everything else fails
//! the test with the reason.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;

use crate::server::Server;
use crate::{REQUEST_LIMIT, client_config, settled};

/// The address of a running cluster, which the shared broker then is.
const BOOTSTRAP: &str = "AUDIT_RELAY_TEST_BOOTSTRAP";
/// A broker is ready after three to five seconds; a machine busy with compiling needs longer.
const START_LIMIT: Duration = Duration::from_secs(120);
/// How often a start is tried when another process took a port in between.
const START_ATTEMPTS: u32 = 5;

/// What a private broker has that the shared one has not.
#[derive(Clone, Debug, Default)]
pub struct BrokerOptions {
    /// Lines added to `server.properties`; they win over this support's own.
    pub properties: Vec<(String, String)>,
    /// Further listeners: name and protocol, such as `TLS` and `SSL`. Clients find them at
    /// [`KafkaBroker::address`].
    pub listeners: Vec<(String, String)>,
    /// SCRAM credentials to begin with, as Kafka's storage tool takes them.
    pub scram: Vec<String>,
}

/// The two ways in which a broker can be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// SIGTERM: leaders are given up and logs closed.
    Graceful,
    /// SIGKILL, as a crash would.
    Kill,
}

/// One broker that also is its own controller, on the loopback interface; or, when shared, the
/// cluster that the environment names.
pub struct KafkaBroker {
    bootstrap: String,
    pub(crate) admin: AdminClient<DefaultClientContext>,
    server: Option<Server>,
}

impl KafkaBroker {
    /// The broker all tests of this process share; the first caller starts it. Fails the test when
    /// there is none.
    #[track_caller]
    pub fn shared() -> &'static KafkaBroker {
        static SHARED: OnceLock<Result<KafkaBroker, String>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| {
            let broker = match std::env::var(BOOTSTRAP) {
                Ok(bootstrap) => KafkaBroker::running(bootstrap),
                Err(_) => KafkaBroker::start(BrokerOptions::default()),
            };
            broker.map_err(|error| format!("{error:#}"))
        });
        match shared {
            Ok(broker) => broker,
            Err(reason) => panic!("no Apache Kafka to test with: {reason}"),
        }
    }

    /// Starts a private broker, ready when this returns; it ends, and its data go, when it is
    /// dropped. It is always a process of its own, because nobody may stop a cluster that was
    /// merely named in the environment.
    ///
    /// # Errors
    /// Java, or Kafka's jars, are missing; or the broker does not answer in time: then the end of
    /// its log is in the error.
    pub fn start(options: BrokerOptions) -> anyhow::Result<KafkaBroker> {
        for _ in 1..START_ATTEMPTS {
            let mut broker = KafkaBroker::of(Server::format(&options)?)?;
            match broker.launch() {
                Err(_) if broker.lost_its_port() => continue,
                result => return result.map(|()| broker),
            }
        }
        let mut broker = KafkaBroker::of(Server::format(&options)?)?;
        broker.launch().map(|()| broker)
    }

    /// `host:port` for `bootstrap.servers`.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// `host:port` of a further listener of a private broker.
    #[track_caller]
    pub fn address(&self, listener: &str) -> String {
        let address = self.server.as_ref().and_then(|server| server.address(listener));
        address.unwrap_or_else(|| panic!("no listener {listener}"))
    }

    /// Stops a private broker and returns when it has ended; data and ports are kept for `restart`.
    #[track_caller]
    pub fn stop(&mut self, how: Stop) {
        let signal = match how {
            Stop::Graceful => "TERM",
            Stop::Kill => "KILL",
        };
        let ended = self.server().and_then(|server| server.end(signal));
        settled(ended, format_args!("stop the broker"));
    }

    /// Starts a stopped broker on the same ports and data; it is ready when this returns.
    #[track_caller]
    pub fn restart(&mut self) {
        for _ in 1..START_ATTEMPTS {
            match self.launch() {
                Err(_) if self.lost_its_port() => thread::sleep(Duration::from_millis(500)),
                result => return settled(result, format_args!("restart the broker")),
            }
        }
        settled(self.launch(), format_args!("restart the broker"));
    }

    /// A name nobody else uses: not another test, not another run against the same cluster.
    pub fn unique(&self, prefix: &str) -> String {
        static NAMES: AtomicU32 = AtomicU32::new(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let millis = now.unwrap_or_default().as_millis();
        let name = NAMES.fetch_add(1, Ordering::Relaxed);
        format!("{prefix}-{millis}-{}-{name}", std::process::id())
    }

    /// Where a private broker keeps a partition.
    pub(crate) fn partition_directory(
        &self,
        topic: &str,
        partition: i32,
    ) -> anyhow::Result<PathBuf> {
        let server = self.server.as_ref();
        let server = server.with_context(|| format!("the cluster of {BOOTSTRAP} is not ours"))?;
        Ok(server.partition_directory(topic, partition))
    }

    fn of(server: Server) -> anyhow::Result<KafkaBroker> {
        let bootstrap = server.bootstrap();
        let admin = client_config(&bootstrap).create()?;
        Ok(KafkaBroker { bootstrap, admin, server: Some(server) })
    }

    /// Brokers that the caller starts and stops; they need not run yet.
    pub(crate) fn named(bootstrap: String) -> anyhow::Result<KafkaBroker> {
        let admin = client_config(&bootstrap).create()?;
        Ok(KafkaBroker { bootstrap, admin, server: None })
    }

    fn running(bootstrap: String) -> anyhow::Result<KafkaBroker> {
        let broker = KafkaBroker::named(bootstrap)?;
        let answer = broker.admin.inner().fetch_metadata(None, REQUEST_LIMIT);
        let bootstrap = broker.bootstrap();
        answer.with_context(|| format!("{BOOTSTRAP} is {bootstrap}; ask it for its metadata"))?;
        Ok(broker)
    }

    fn server(&mut self) -> anyhow::Result<&mut Server> {
        let server = self.server.as_mut();
        server.with_context(|| format!("the cluster of {BOOTSTRAP} is not ours to stop"))
    }

    fn lost_its_port(&self) -> bool {
        self.server.as_ref().is_some_and(Server::port_was_taken)
    }

    /// Starts the process and waits until it, and not another one on its port, answers.
    fn launch(&mut self) -> anyhow::Result<()> {
        let since = Instant::now();
        self.server()?.spawn()?;
        while !self.answers() {
            let server = self.server()?;
            if let Some(status) = server.ended()? {
                bail!("the broker ended with {status}:\n{}", server.log_tail());
            }
            if since.elapsed() > START_LIMIT {
                let log = server.log_tail();
                bail!("the broker did not answer within {START_LIMIT:?}:\n{log}");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Whether the broker is registered with its controller, and is the one of this server.
    fn answers(&self) -> bool {
        let client = self.admin.inner();
        let metadata = client.fetch_metadata(None, Duration::from_secs(1));
        let registered = metadata.is_ok_and(|metadata| !metadata.brokers().is_empty());
        let expected = self.server.as_ref().map(Server::cluster_id);
        registered && client.fetch_cluster_id(Duration::from_secs(1)).as_deref() == expected
    }
}
