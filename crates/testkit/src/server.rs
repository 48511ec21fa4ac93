//! One broker process: its directory, its ports, its configuration, and a guard that ends it when
//! the test process ends, however that happens. It does not speak Kafka's protocol; whether the
//! broker is ready is for `kafka.rs` or `cluster.rs` to ask.

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

/// Formatting the storage takes two seconds.
const FORMAT_LIMIT: Duration = Duration::from_secs(120);
/// How long a broker may take to end: a graceful stop takes two to three seconds.
const END_LIMIT: Duration = Duration::from_secs(60);

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

/// A broker's place in its cluster.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Its number, from 1.
    pub id: usize,
    /// Where clients, and the other brokers, find it.
    pub port: u16,
    /// Where its controller listens.
    pub controller_port: u16,
    /// A listener of its own for those who come by way of a proxy.
    pub proxied: Option<Proxied>,
    /// More listeners: names, protocols and ports. By name, since certificates are for names.
    pub further: Vec<(String, String, u16)>,
    /// The most memory that its heap may take, as the JVM's flag says it.
    pub heap: &'static str,
}

/// A listener behind a proxy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proxied {
    /// Where the broker listens.
    pub port: u16,
    /// Where the proxy does; clients are told this one.
    pub advertised: u16,
}

impl Node {
    fn alone(listeners: &[(String, String)]) -> anyhow::Result<Node> {
        let [port, controller_port] = free_ports()?;
        let mut further = Vec::new();
        for (name, protocol) in listeners {
            let [port] = free_ports()?;
            further.push((name.clone(), protocol.clone(), port));
        }
        Ok(Node { id: 1, port, controller_port, proxied: None, further, heap: "-Xmx512m" })
    }

    /// The three lines that say where it listens.
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
            protocols.push_str(",RELAYS:SASL_PLAINTEXT");
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

/// A formatted broker directory, and the process that serves it when it runs.
pub(crate) struct Server {
    // First, so that the process has ended before its directory is removed.
    running: Option<Guarded>,
    kafka: Kafka,
    directory: TempDir,
    node: Node,
    cluster_id: String,
}

impl Server {
    /// Picks free ports, writes the configuration and formats the storage; nothing runs yet.
    pub(crate) fn format(options: &BrokerOptions) -> anyhow::Result<Server> {
        let node = Node::alone(&options.listeners)?;
        let voters = voters(std::slice::from_ref(&node));
        let mut server = Server::unformatted(node, new_cluster_id())?;
        server.write_configuration(&voters, &options.properties)?;
        server.format_storage(&options.scram)?;
        Ok(server)
    }

    /// The same for one node of a cluster, whose controllers are `voters`.
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

    /// The address of a further listener; by name, since certificates are for names.
    pub(crate) fn address(&self, listener: &str) -> Option<String> {
        let mut listeners = self.node.further.iter();
        let (_, _, port) = listeners.find(|(name, _, _)| name == listener)?;
        Some(format!("localhost:{port}"))
    }

    /// Tells this broker from another test's, should that have got the same port.
    pub(crate) fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// Where its log is.
    pub(crate) fn log(&self) -> PathBuf {
        self.path("broker.log")
    }

    pub(crate) fn log_tail(&self) -> String {
        last_lines(&self.path("broker.log"))
    }

    /// Whether the log says that another process holds one of the ports.
    pub(crate) fn port_was_taken(&self) -> bool {
        let log = fs::read(self.path("broker.log")).unwrap_or_default();
        String::from_utf8_lossy(&log).contains("Address already in use")
    }

    /// Where it keeps a partition.
    pub(crate) fn partition_directory(&self, topic: &str, partition: i32) -> PathBuf {
        self.path("data").join(format!("{topic}-{partition}"))
    }

    /// Starts the broker, with an empty log; returns at once.
    pub(crate) fn spawn(&mut self) -> anyhow::Result<()> {
        fs::write(self.log(), "")?;
        self.spawn_again()
    }

    /// Starts the broker and lets the log go on; returns at once.
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

    /// How the broker ended, if it was started and has ended.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        match &mut self.running {
            Some(running) => running.ended(),
            None => Ok(None),
        }
    }

    /// Sends the signal (`TERM`, `KILL`) and waits for the broker's end; its data stay.
    pub(crate) fn end(&mut self, signal: &str) -> anyhow::Result<()> {
        let Some(mut running) = self.running.take() else {
            bail!("the broker is stopped already");
        };
        running.signal(signal)?;
        if let Err(error) = running.wait(END_LIMIT, &self.path("broker.log")) {
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
        run(&mut format, &self.path("format.log"), FORMAT_LIMIT)
            .context("format the broker's storage")
    }
}

/// Everything that does not depend on the ports. Properties given by a test come later in the file,
/// and the last one wins.
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

/// The controllers of a cluster, as every one of its nodes must know them.
pub(crate) fn voters(nodes: &[Node]) -> String {
    let voter = |node: &Node| format!("{}@127.0.0.1:{}", node.id, node.controller_port);
    nodes.iter().map(voter).collect::<Vec<_>>().join(",")
}

/// Ports that were free a moment ago; all are held until all are known, so that they differ. They
/// are below those that the system gives to connections that go out: one of these could have taken
/// the port of a broker that is down for a moment.
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

/// 22 characters of URL-safe base64 are what Kafka takes for 16 bytes; the last one holds two bits,
/// so it may be an `A`.
pub(crate) fn new_cluster_id() -> String {
    static STARTED: AtomicU32 = AtomicU32::new(0);
    let started = STARTED.fetch_add(1, Ordering::Relaxed) & 0xff;
    let process = std::process::id() & 0xff_ffff;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = now.unwrap_or_default().as_micros() & 0xf_ffff_ffff_ffff;
    format!("{micros:013x}{process:06x}{started:02x}A")
}
