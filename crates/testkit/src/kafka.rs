//! A real Apache Kafka for tests: starts, stops and restarts it. `admin.rs` administers it;
//! `topics.rs` writes and reads records.
//!
//! Only starting a broker returns errors, for tests of that error. Everything else fails the test
//! with the reason.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;

use crate::proxy::{Proxy, Rules};
use crate::server::Server;
use crate::{REQUEST_MAX, client_config, or_fail};

/// The variable with the address of a running cluster to use as the shared broker.
const BOOTSTRAP: &str = "AUDIT_RELAY_TEST_BOOTSTRAP";
/// A broker is ready after three to five seconds; a busy machine needs longer.
const START_MAX: Duration = Duration::from_secs(120);
/// The number of attempts to start when another process takes a port.
const START_ATTEMPTS: u32 = 5;

/// The options of a private broker.
#[derive(Clone, Debug, Default)]
pub struct BrokerOptions {
    /// Lines added to `server.properties`; they override the testkit's own.
    pub properties: Vec<(String, String)>,
    /// Additional listeners: name and protocol, such as `TLS` and `SSL`. [`KafkaBroker::address`]
    /// returns their addresses.
    pub listeners: Vec<(String, String)>,
    /// Whether it has a listener for [`KafkaBroker::proxy`].
    pub is_proxied: bool,
    /// Initial SCRAM credentials, in the syntax of Kafka's storage tool.
    pub scram: Vec<String>,
}

/// How to stop a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// SIGTERM: the broker hands over its leaders and closes its logs.
    Graceful,
    /// SIGKILL, like a crash.
    Kill,
}

/// One broker that is also its own controller, on the loopback interface; or, if shared, the
/// cluster that the environment names.
pub struct KafkaBroker {
    bootstrap: String,
    pub(crate) admin: AdminClient<DefaultClientContext>,
    server: Option<Server>,
}

impl KafkaBroker {
    /// Returns the broker that all tests of this process share. The first caller starts it. Fails
    /// the test if it cannot start.
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

    /// Starts a private broker, which is ready when this returns. Dropping it stops it and deletes
    /// its data. It is always a separate process: tests must not stop the cluster that the
    /// environment names.
    ///
    /// # Errors
    /// Java or Kafka's jars are missing, or the broker does not answer in time; the error then
    /// contains the end of its log.
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

    /// `host:port` of an additional listener of a private broker.
    #[track_caller]
    pub fn address(&self, listener: &str) -> String {
        let address = self.server.as_ref().and_then(|server| server.address(listener));
        address.unwrap_or_else(|| panic!("no listener {listener}"))
    }

    /// Starts a proxy with these rules, and returns it with the `bootstrap.servers` of its clients.
    #[track_caller]
    pub fn proxy(&self, rules: &Arc<Rules>) -> (Proxy, String) {
        let proxied = self.server.as_ref().and_then(Server::proxied);
        let proxied = proxied.unwrap_or_else(|| panic!("no listener for a proxy"));
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, proxied.port));
        let proxy = Proxy::start(proxied.advertised, target, 1, rules);
        let proxy = or_fail(proxy, format_args!("start a proxy"));
        (proxy, format!("127.0.0.1:{}", proxied.advertised))
    }

    /// The process id of a private broker that runs.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().and_then(Server::pid)
    }

    /// Stops a private broker and returns when it has ended. Keeps its data and ports for
    /// `restart`.
    #[track_caller]
    pub fn stop(&mut self, how: Stop) {
        let signal = match how {
            Stop::Graceful => "TERM",
            Stop::Kill => "KILL",
        };
        let ended = self.server().and_then(|server| server.end(signal));
        or_fail(ended, format_args!("stop the broker"));
    }

    /// Starts a stopped broker with the same ports and data. It is ready when this returns.
    #[track_caller]
    pub fn restart(&mut self) {
        for _ in 1..START_ATTEMPTS {
            match self.launch() {
                Err(_) if self.lost_its_port() => thread::sleep(Duration::from_millis(500)),
                result => return or_fail(result, format_args!("restart the broker")),
            }
        }
        or_fail(self.launch(), format_args!("restart the broker"));
    }

    /// Returns a name that no other test uses, and no other run against the same cluster.
    pub fn unique(&self, prefix: &str) -> String {
        static NAMES: AtomicU32 = AtomicU32::new(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let millis = now.unwrap_or_default().as_millis();
        let name = NAMES.fetch_add(1, Ordering::Relaxed);
        format!("{prefix}-{millis}-{}-{name}", std::process::id())
    }

    /// The directory of a partition of a private broker.
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

    /// For brokers that the caller starts and stops. They need not run yet.
    pub(crate) fn named(bootstrap: String) -> anyhow::Result<KafkaBroker> {
        let admin = client_config(&bootstrap).create()?;
        Ok(KafkaBroker { bootstrap, admin, server: None })
    }

    fn running(bootstrap: String) -> anyhow::Result<KafkaBroker> {
        let broker = KafkaBroker::named(bootstrap)?;
        let answer = broker.admin.inner().fetch_metadata(None, REQUEST_MAX);
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

    /// Starts the process and waits until this broker, and not another one on its port, answers.
    fn launch(&mut self) -> anyhow::Result<()> {
        let since = Instant::now();
        self.server()?.spawn()?;
        while !self.answers() {
            let server = self.server()?;
            if let Some(status) = server.ended()? {
                bail!("the broker ended with {status}:\n{}", server.log_tail());
            }
            if since.elapsed() > START_MAX {
                let log = server.log_tail();
                bail!("the broker did not answer within {START_MAX:?}:\n{log}");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Returns whether this server's broker answers and is registered with its controller.
    fn answers(&self) -> bool {
        let client = self.admin.inner();
        let metadata = client.fetch_metadata(None, Duration::from_secs(1));
        let registered = metadata.is_ok_and(|metadata| !metadata.brokers().is_empty());
        let expected = self.server.as_ref().map(Server::cluster_id);
        registered && client.fetch_cluster_id(Duration::from_secs(1)).as_deref() == expected
    }
}
