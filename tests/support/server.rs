//! One broker process: its directory, its ports, its configuration, and a guard that ends it when the test process ends, however
//! that happens. It does not speak Kafka's protocol; whether the broker is ready is for `kafka.rs` to ask.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use tempfile::TempDir;

use super::guarded::Guarded;
use super::jars::Kafka;
use super::kafka::BrokerOptions;
use super::{last_lines, run, scratch};

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

/// A formatted broker directory, and the process that serves it when it runs.
pub(super) struct Server {
    // First, so that the process has ended before its directory is removed.
    running: Option<Guarded>,
    kafka: Kafka,
    directory: TempDir,
    port: u16,
    /// The further listeners' names, protocols and ports.
    listeners: Vec<(String, String, u16)>,
    cluster_id: String,
}

impl Server {
    /// Picks free ports, writes the configuration and formats the storage; nothing runs yet.
    pub(super) fn format(options: &BrokerOptions) -> anyhow::Result<Server> {
        let kafka = Kafka::find()?;
        let directory = tempfile::Builder::new()
            .prefix("broker-")
            .tempdir_in(scratch()?)?;
        let mut ports = free_ports(2 + options.listeners.len())?.into_iter();
        let mut port = || ports.next().context("a port");
        let (clients, controller) = (port()?, port()?);
        let further = options.listeners.iter();
        let further = further.map(|(name, protocol)| Ok((name.clone(), protocol.clone(), port()?)));
        let mut server = Server {
            kafka,
            directory,
            port: clients,
            listeners: further.collect::<anyhow::Result<_>>()?,
            cluster_id: new_cluster_id(),
            running: None,
        };
        server.write_configuration(controller, &options.properties)?;
        server.format_storage(&options.scram)?;
        Ok(server)
    }

    pub(super) fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The address of a further listener; by name, since certificates are for names.
    pub(super) fn address(&self, listener: &str) -> Option<String> {
        let mut listeners = self.listeners.iter();
        let (_, _, port) = listeners.find(|(name, _, _)| name == listener)?;
        Some(format!("localhost:{port}"))
    }

    /// Tells this broker from another test's, should that have got the same port.
    pub(super) fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    pub(super) fn log_tail(&self) -> String {
        last_lines(&self.path("broker.log"))
    }

    /// Whether the log says that another process holds one of the ports.
    pub(super) fn port_was_taken(&self) -> bool {
        let log = fs::read(self.path("broker.log")).unwrap_or_default();
        String::from_utf8_lossy(&log).contains("Address already in use")
    }

    /// Starts the broker, with an empty log; returns at once.
    pub(super) fn spawn(&mut self) -> anyhow::Result<()> {
        let log = self.path("broker.log");
        fs::write(&log, "")?;
        let logging = self.logging_flag();
        let jvm = ["-Xmx512m", "-XX:+UseSerialGC", logging.as_str()];
        let broker = self.kafka.command_line(&jvm, "kafka.Kafka");
        let mut command = Command::new(broker.get_program());
        command
            .args(broker.get_args())
            .arg(self.path("server.properties"));
        self.running = Some(Guarded::spawn(&command, self.directory.path(), &log)?);
        Ok(())
    }

    /// How the broker ended, if it was started and has ended.
    pub(super) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        match &mut self.running {
            Some(running) => running.ended(),
            None => Ok(None),
        }
    }

    /// Sends the signal (`TERM`, `KILL`) and waits for the broker's end; its data stay.
    pub(super) fn end(&mut self, signal: &str) -> anyhow::Result<()> {
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
        format!(
            "-Dlog4j2.configurationFile={}",
            self.path("log4j2.properties").display()
        )
    }

    fn write_configuration(
        &self,
        controller_port: u16,
        properties: &[(String, String)],
    ) -> anyhow::Result<()> {
        let port = self.port;
        let data = self.path("data");
        let further = |text: &dyn Fn(&str, &str, u16) -> String| -> String {
            let listeners = self.listeners.iter();
            listeners
                .map(|(name, protocol, port)| text(name, protocol, *port))
                .collect()
        };
        let listen = further(&|name, _, port| format!(",{name}://127.0.0.1:{port}"));
        let advertise = further(&|name, _, port| format!(",{name}://localhost:{port}"));
        let protocols = further(&|name, protocol, _| format!(",{name}:{protocol}"));
        let mut text = format!(
            "log.dirs={}
listeners=CLIENTS://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}{listen}
advertised.listeners=CLIENTS://127.0.0.1:{port}{advertise}
listener.security.protocol.map=CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}
controller.quorum.voters=1@127.0.0.1:{controller_port}
{PROPERTIES}",
            data.display()
        );
        for (name, value) in properties {
            text.push_str(&format!("{name}={value}\n"));
        }
        fs::write(self.path("log4j2.properties"), LOGGING)?;
        fs::write(self.path("server.properties"), text).context("write server.properties")
    }

    fn format_storage(&mut self, scram: &[String]) -> anyhow::Result<()> {
        let logging = self.logging_flag();
        let jvm = [
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            logging.as_str(),
        ];
        let mut format = self.kafka.command_line(&jvm, "kafka.tools.StorageTool");
        format
            .args(["format", "-t", &self.cluster_id, "-c"])
            .arg(self.path("server.properties"));
        for credentials in scram {
            format.args(["--add-scram", credentials]);
        }
        run(&mut format, &self.path("format.log"), FORMAT_LIMIT)
            .context("format the broker's storage")
    }
}

/// Everything that does not depend on the ports. Properties given by a test come later in the file, and the last one wins.
const PROPERTIES: &str = "\
process.roles=broker,controller
node.id=1
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

/// Ports that were free a moment ago; all are held until all are known, so that they differ.
fn free_ports(count: usize) -> anyhow::Result<Vec<u16>> {
    let bind = |_| TcpListener::bind("127.0.0.1:0").context("find a free port");
    let held: Vec<TcpListener> = (0..count).map(bind).collect::<anyhow::Result<_>>()?;
    let port = |listener: &TcpListener| Ok(listener.local_addr()?.port());
    held.iter().map(port).collect()
}

/// 22 characters of URL-safe base64 are what Kafka takes for 16 bytes; the last one holds two bits, so it may be an `A`.
fn new_cluster_id() -> String {
    static STARTED: AtomicU32 = AtomicU32::new(0);
    let started = STARTED.fetch_add(1, Ordering::Relaxed) & 0xff;
    let process = std::process::id() & 0xff_ffff;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = now.unwrap_or_default().as_micros() & 0xf_ffff_ffff_ffff;
    format!("{micros:013x}{process:06x}{started:02x}A")
}
