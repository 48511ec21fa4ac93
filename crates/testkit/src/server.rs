//! One broker process: its directory, its ports, its configuration, and a guard that kills it when
//! the test process ends. This module does not speak Kafka's protocol; `kafka.rs` and `cluster.rs`
//! check whether the broker is ready.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

use crate::guarded::Guarded;
use crate::jars::Kafka;
use crate::kafka::BrokerOptions;
use crate::{last_lines, run, scratch};

/// Formatting the storage usually takes two seconds.
const FORMAT_MAX: Duration = Duration::from_secs(120);
/// How long a broker may take to stop; a graceful stop usually takes two to three seconds.
const STOP_MAX: Duration = Duration::from_secs(60);

const LOGGING: &str = "\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{HH:mm:ss.SSS} %p %c{1}: %m%n%throwable
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
# Otherwise every start writes a thousand lines of settings.
logger.config.name = org.apache.kafka.common.config
logger.config.level = warn
";

/// The settings of a broker in its cluster.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Its number, from 1.
    pub id: usize,
    /// The port for clients and the other brokers.
    pub port: u16,
    /// The port of its controller.
    pub controller_port: u16,
    /// A separate listener for connections through a proxy.
    pub proxied: Option<Proxied>,
    /// Additional listeners: names, protocols and ports. Advertised by host name, because
    /// certificates contain names.
    pub further: Vec<(String, String, u16)>,
    /// The JVM flag for the maximum heap size.
    pub heap: &'static str,
}

/// A listener behind a proxy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proxied {
    /// The port on which the broker listens.
    pub port: u16,
    /// The proxy's port, which the broker advertises to clients.
    pub advertised: u16,
    /// Its security protocol.
    pub protocol: &'static str,
}

impl Node {
    fn alone(listeners: &[(String, String)], is_proxied: bool) -> anyhow::Result<Node> {
        let [port, controller_port, proxied, advertised] = free_ports()?;
        let proxied = Proxied { port: proxied, advertised, protocol: "PLAINTEXT" };
        let mut further = Vec::new();
        for (name, protocol) in listeners {
            let [port] = free_ports()?;
            further.push((name.clone(), protocol.clone(), port));
        }
        let proxied = Some(proxied).filter(|_| is_proxied);
        Ok(Node { id: 1, port, controller_port, proxied, further, heap: "-Xmx512m" })
    }

    /// Returns the three properties of the listeners.
    fn listeners(&self) -> String {
        let mut listeners = format!(
            "CLIENTS://127.0.0.1:{},CONTROLLER://127.0.0.1:{}",
            self.port, self.controller_port
        );
        let mut advertised = format!("CLIENTS://127.0.0.1:{}", self.port);
        let mut protocols = "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT".to_string();
        if let Some(proxied) = self.proxied {
            listeners.push_str(&format!(",RELAYS://127.0.0.1:{}", proxied.port));
            advertised.push_str(&format!(",RELAYS://127.0.0.1:{}", proxied.advertised));
            protocols.push_str(&format!(",RELAYS:{}", proxied.protocol));
        }
        for (name, protocol, port) in &self.further {
            listeners.push_str(&format!(",{name}://127.0.0.1:{port}"));
            advertised.push_str(&format!(",{name}://localhost:{port}"));
            protocols.push_str(&format!(",{name}:{protocol}"));
        }
        format!(
            "listeners={listeners}\nadvertised.listeners={advertised}\nlistener.security.protocol.map={protocols}\n"
        )
    }
}

/// A formatted broker directory, and the broker's process while it runs.
pub(crate) struct Server {
    // Dropped first: the process ends before its directory is removed.
    running: Option<Guarded>,
    kafka: Kafka,
    directory: TempDir,
    node: Node,
    cluster_id: String,
}

impl Server {
    /// Picks free ports, writes the configuration and formats the storage. Does not start the
    /// broker.
    pub(crate) fn format(options: &BrokerOptions) -> anyhow::Result<Server> {
        let node = Node::alone(&options.listeners, options.is_proxied)?;
        let voters = voters(std::slice::from_ref(&node));
        let mut server = Server::unformatted(node, new_cluster_id())?;
        server.write_configuration(&voters, &options.properties)?;
        server.format_storage(&options.scram)?;
        Ok(server)
    }

    /// Does the same for one node of a cluster with the controllers `voters`.
    pub(crate) fn format_node(
        node: Node,
        cluster_id: String,
        voters: &str,
        properties: &[(String, String)],
    ) -> anyhow::Result<Server> {
        let mut server = Server::unformatted(node, cluster_id)?;
        server.write_configuration(voters, properties)?;
        server.format_storage(&[])?;
        Ok(server)
    }

    fn unformatted(node: Node, cluster_id: String) -> anyhow::Result<Server> {
        let kafka = Kafka::find()?;
        let directory = tempfile::Builder::new().prefix("broker-").tempdir_in(scratch()?)?;
        Ok(Server { running: None, kafka, directory, node, cluster_id })
    }

    pub(crate) fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.node.port)
    }

    /// The address of an additional listener, with a host name, because certificates contain names.
    pub(crate) fn address(&self, listener: &str) -> Option<String> {
        let mut listeners = self.node.further.iter();
        let (_, _, port) = listeners.find(|(name, _, _)| name == listener)?;
        Some(format!("localhost:{port}"))
    }

    /// The listener behind a proxy.
    pub(crate) fn proxied(&self) -> Option<Proxied> {
        self.node.proxied
    }

    /// Distinguishes this broker from another test's broker on the same port.
    pub(crate) fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// The path of its log.
    pub(crate) fn log(&self) -> PathBuf {
        self.path("broker.log")
    }

    pub(crate) fn log_tail(&self) -> String {
        last_lines(&self.path("broker.log"))
    }

    /// Returns whether the log reports that another process uses one of the ports.
    pub(crate) fn port_was_taken(&self) -> bool {
        let log = fs::read(self.path("broker.log")).unwrap_or_default();
        String::from_utf8_lossy(&log).contains("Address already in use")
    }

    /// The directory of a partition.
    pub(crate) fn partition_directory(&self, topic: &str, partition: i32) -> PathBuf {
        self.path("data").join(format!("{topic}-{partition}"))
    }

    /// Starts the broker with an empty log. Returns immediately.
    pub(crate) fn spawn(&mut self) -> anyhow::Result<()> {
        fs::write(self.log(), "")?;
        self.spawn_again()
    }

    /// Starts the broker and appends to the log. Returns immediately.
    pub(crate) fn spawn_again(&mut self) -> anyhow::Result<()> {
        let log = self.log();
        let logging = self.logging_flag();
        let jvm = [self.node.heap, "-XX:+UseSerialGC", logging.as_str()];
        let broker = self.kafka.command_line(&jvm, "kafka.Kafka");
        let mut command = Command::new(broker.get_program());
        command.args(broker.get_args()).arg(self.path("server.properties"));
        self.running = Some(Guarded::spawn(&command, self.directory.path(), &log)?);
        Ok(())
    }

    /// The broker's process id while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(Guarded::pid)
    }

    /// The broker's exit status, if it has ended.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        match &mut self.running {
            Some(running) => running.ended(),
            None => Ok(None),
        }
    }

    /// Sends the signal (`TERM`, `KILL`) and waits until the broker has ended. Keeps its data.
    pub(crate) fn end(&mut self, signal: &str) -> anyhow::Result<()> {
        let Some(mut running) = self.running.take() else {
            bail!("the broker is stopped already");
        };
        running.signal(signal)?;
        if let Err(error) = running.wait(STOP_MAX, &self.path("broker.log")) {
            self.running = Some(running);
            return Err(error.context(format!("stop the broker with SIG{signal}")));
        }
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn logging_flag(&self) -> String {
        format!("-Dlog4j2.configurationFile={}", self.path("log4j2.properties").display())
    }

    fn write_configuration(
        &self,
        voters: &str,
        properties: &[(String, String)],
    ) -> anyhow::Result<()> {
        let mut text = format!(
            "log.dirs={}\nnode.id={}\n{}controller.quorum.voters={voters}\n{PROPERTIES}",
            self.path("data").display(),
            self.node.id,
            self.node.listeners(),
        );
        for (name, value) in properties {
            text.push_str(&format!("{name}={value}\n"));
        }
        fs::write(self.path("log4j2.properties"), LOGGING)?;
        fs::write(self.path("server.properties"), text).context("write server.properties")
    }

    fn format_storage(&mut self, scram: &[String]) -> anyhow::Result<()> {
        let logging = self.logging_flag();
        let jvm = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", logging.as_str()];
        let mut format = self.kafka.command_line(&jvm, "kafka.tools.StorageTool");
        format.args(["format", "-t", &self.cluster_id, "-c"]).arg(self.path("server.properties"));
        for credentials in scram {
            format.args(["--add-scram", credentials]);
        }
        run(&mut format, &self.path("format.log"), FORMAT_MAX)
            .context("format the broker's storage")
    }
}

/// All properties that do not depend on the ports. A test's properties come later in the file and
/// override these.
const PROPERTIES: &str = "\
process.roles=broker,controller
controller.listener.names=CONTROLLER
inter.broker.listener.name=CLIENTS
# One broker: nothing can be replicated, and fifty partitions of each internal topic would only slow the start.
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
auto.create.topics.enable=false
# Tests wait for groups and for the ends of dead transactions; by default these take 3 s and up to 10 s longer.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
# After a crash the controller, which is the same process, takes the new broker for a second one until the old one's session is over;
# 9 s by default.
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=1000
# Compaction and deletion look for work often, so that a test can force them with the topic's settings. The cleaner's buffer
# of 128 MiB would be a quarter of the heap.
log.initial.task.delay.ms=500
log.retention.check.interval.ms=1000
log.cleaner.backoff.ms=200
log.cleaner.dedupe.buffer.size=8388608
";

/// Returns the `controller.quorum.voters` of a cluster.
pub(crate) fn voters(nodes: &[Node]) -> String {
    let voter = |node: &Node| format!("{}@127.0.0.1:{}", node.id, node.controller_port);
    nodes.iter().map(voter).collect::<Vec<_>>().join(",")
}

/// Returns distinct ports that were free a moment ago. They are below the system's ephemeral ports:
/// an outgoing connection could otherwise take the port of a broker that is restarting.
pub(crate) fn free_ports<const COUNT: usize>() -> anyhow::Result<[u16; COUNT]> {
    const LOWEST: u32 = 15_000;
    const HIGHEST: u32 = 32_000;
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let mut held = Vec::new();
    let range = HIGHEST - LOWEST;
    for _ in 0..range {
        let asked = ASKED.fetch_add(1, Ordering::Relaxed);
        let start = std::process::id().wrapping_mul(37);
        let candidate = LOWEST + start.wrapping_add(asked) % range;
        let Ok(listener) = TcpListener::bind(("127.0.0.1", u16::try_from(candidate)?)) else {
            continue;
        };
        held.push(listener);
        if held.len() == COUNT {
            break;
        }
    }
    let mut ports = [0; COUNT];
    for (port, listener) in ports.iter_mut().zip(&held) {
        *port = listener.local_addr()?.port();
    }
    ensure!(held.len() == COUNT, "no free ports");
    Ok(ports)
}

/// Returns a cluster id: 16 bytes as 22 characters of URL-safe base64. The last character holds two
/// bits, so `A` is valid.
pub(crate) fn new_cluster_id() -> String {
    static STARTED: AtomicU32 = AtomicU32::new(0);
    let started = STARTED.fetch_add(1, Ordering::Relaxed) & 0xff;
    let process = std::process::id() & 0xff_ffff;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = now.unwrap_or_default().as_micros() & 0xf_ffff_ffff_ffff;
    format!("{micros:013x}{process:06x}{started:02x}A")
}
