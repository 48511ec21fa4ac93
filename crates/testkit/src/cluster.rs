//! A cluster of three replicating brokers. Each has a separate listener for relays, behind a proxy.
//! This module stops and restarts brokers; it does not check whether the cluster works meanwhile.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::REQUEST_MAX;
use crate::kafka::{KafkaBroker, Stop};
use crate::proxy::{Proxy, Rules};
use crate::server::{Node, Proxied, Server, free_ports, new_cluster_id, voters};

/// The number of brokers: with three, one can be down.
pub const BROKERS: usize = 3;
/// Three brokers that start at the same time share the machine's cores.
const START_MAX: Duration = Duration::from_secs(180);
/// How long a broker on this machine may take to accept a connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// The relays' user, so that tests can revoke rights from relays alone.
pub const RELAY_USER: &str = "relay";
const PASSWORD: &str = "for-tests-only";

/// Properties that differ from those of a single broker. There are enough coordinator partitions to
/// spread over all brokers.
const PROPERTIES: [(&str, &str); 16] = [
    ("default.replication.factor", "3"),
    ("min.insync.replicas", "2"),
    ("offsets.topic.num.partitions", "12"),
    ("offsets.topic.replication.factor", "3"),
    ("transaction.state.log.num.partitions", "12"),
    ("transaction.state.log.replication.factor", "3"),
    ("transaction.state.log.min.isr", "2"),
    // A killed broker is detected sooner than after 9 s, and a lagging replica leaves the in-sync
    // set sooner than after 30 s.
    ("replica.lag.time.max.ms", "10000"),
    ("replica.fetch.wait.max.ms", "100"),
    // A quota counts about 1.5 s of the past instead of 10 s: this limits the burst.
    ("quota.window.num", "2"),
    // The thread counts of a machine with eight cores.
    ("num.network.threads", "2"),
    ("num.io.threads", "4"),
    // Above the limit that a fault sets for a topic.
    ("message.max.bytes", "8388608"),
    ("sasl.enabled.mechanisms", "PLAIN"),
    ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
    ("super.users", "User:ANONYMOUS"),
];

/// A running cluster. It ends when this value is dropped.
pub struct Cluster {
    kafka: KafkaBroker,
    brokers: Vec<Broker>,
    rules: Arc<Rules>,
    relay_bootstrap: String,
    // Kept running until the cluster is dropped; the relays have ended by then.
    _proxies: Vec<Proxy>,
}

struct Broker {
    server: Server,
    address: SocketAddr,
    runs: bool,
}

impl Cluster {
    /// Starts the brokers and waits until all are registered.
    pub fn start() -> anyhow::Result<Cluster> {
        let nodes = (1..=BROKERS).map(node).collect::<anyhow::Result<Vec<_>>>()?;
        let rules = Arc::new(Rules::default());
        let mut proxies = Vec::new();
        for node in &nodes {
            let Proxied { port, advertised, .. } = node.proxied.context("no proxied listener")?;
            proxies.push(Proxy::start(advertised, local(port), node.id, &rules)?);
        }
        let list = |port: &dyn Fn(&Node) -> u16| {
            let address = |node| local(port(node)).to_string();
            nodes.iter().map(address).collect::<Vec<_>>().join(",")
        };
        let kafka = KafkaBroker::named(list(&|node| node.port))?;
        let relay_bootstrap = list(&|node| node.proxied.map_or(0, |proxied| proxied.advertised));
        let mut cluster =
            Cluster { kafka, brokers: format(&nodes)?, rules, relay_bootstrap, _proxies: proxies };
        for broker in 1..=BROKERS {
            cluster.spawn(broker)?;
        }
        cluster.await_brokers(BROKERS)?;
        Ok(cluster)
    }

    /// Access to topics and offsets, on the listener without faults.
    pub fn kafka(&self) -> &KafkaBroker {
        &self.kafka
    }

    /// The rules of the proxies.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The relays' `bootstrap.servers`.
    pub fn relay_bootstrap(&self) -> &str {
        &self.relay_bootstrap
    }

    /// The relays' security settings.
    pub fn relay_settings() -> String {
        format!(
            "\"security.protocol\" = \"SASL_PLAINTEXT\"\n\"sasl.mechanisms\" = \"PLAIN\"\n\"sasl.username\" = \"{RELAY_USER}\"\n\"sasl.password\" = \"{PASSWORD}\"\n"
        )
    }

    /// The log files of the brokers.
    pub fn logs(&self) -> Vec<PathBuf> {
        self.brokers.iter().map(|b| b.server.log()).collect()
    }

    /// Returns the address of a broker that accepts connections. One that was just restarted may
    /// not yet, although the others still list it.
    pub fn any_address(&self) -> anyhow::Result<SocketAddr> {
        let running = self.brokers.iter().filter(|broker| broker.runs);
        let mut addresses = running.map(|broker| broker.address);
        let found = addresses.find(|it| TcpStream::connect_timeout(it, CONNECT_MAX).is_ok());
        found.context("no broker accepts connections")
    }

    /// Stops a broker and keeps its data.
    pub fn stop(&mut self, broker: usize, how: Stop) -> anyhow::Result<()> {
        let signal = match how {
            Stop::Graceful => "TERM",
            Stop::Kill => "KILL",
        };
        let broker = self.broker(broker)?;
        broker.runs = false;
        broker.server.end(signal)
    }

    /// Starts a stopped broker and waits until it is registered again.
    pub fn restart(&mut self, broker: usize) -> anyhow::Result<()> {
        self.spawn(broker)?;
        let running = self.brokers.iter().filter(|broker| broker.runs).count();
        self.await_brokers(running)
    }

    /// Returns the current and the preferred leader of a partition.
    pub fn leaders(&self, topic: &str, partition: i32) -> anyhow::Result<(usize, usize)> {
        let client = self.kafka.admin.inner();
        let metadata = client.fetch_metadata(Some(topic), REQUEST_MAX)?;
        let mut partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
        let found = partitions.find(|found| found.id() == partition);
        let found = found.with_context(|| format!("no partition {partition} of {topic}"))?;
        let preferred = found.replicas().first().context("no replicas")?;
        Ok((found.leader().try_into()?, (*preferred).try_into()?))
    }

    /// Deletes a stopped broker's replica of a partition. The broker fetches it from the others
    /// when it starts.
    pub fn forget_partition(
        &self,
        broker: usize,
        topic: &str,
        partition: i32,
    ) -> anyhow::Result<()> {
        let directory = self.partition_directory(broker, topic, partition)?;
        std::fs::remove_dir_all(directory).context("delete a replica")
    }

    /// The directory of a broker's replica.
    pub(crate) fn partition_directory(
        &self,
        broker: usize,
        topic: &str,
        partition: i32,
    ) -> anyhow::Result<PathBuf> {
        let broker = self.brokers.get(broker.wrapping_sub(1));
        let broker = broker.context("there is no such broker")?;
        Ok(broker.server.partition_directory(topic, partition))
    }

    fn spawn(&mut self, broker: usize) -> anyhow::Result<()> {
        let broker = self.broker(broker)?;
        broker.server.spawn_again()?;
        broker.runs = true;
        Ok(())
    }

    fn broker(&mut self, number: usize) -> anyhow::Result<&mut Broker> {
        let broker = self.brokers.get_mut(number.wrapping_sub(1));
        broker.with_context(|| format!("there is no broker {number}"))
    }

    fn await_brokers(&mut self, count: usize) -> anyhow::Result<()> {
        let since = Instant::now();
        while self.registered() < count {
            for broker in self.brokers.iter_mut().filter(|broker| broker.runs) {
                if let Some(status) = broker.server.ended()? {
                    let log = broker.server.log_tail();
                    bail!("broker {} ended with {status}:\n{log}", broker.address);
                }
            }
            if since.elapsed() > START_MAX {
                bail!(
                    "only {} of {count} brokers are registered after {START_MAX:?}",
                    self.registered()
                );
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// The number of brokers in the cluster's metadata.
    fn registered(&self) -> usize {
        let client = self.kafka.admin.inner();
        let metadata = client.fetch_metadata(None, Duration::from_secs(1));
        metadata.map_or(0, |metadata| metadata.brokers().len())
    }

    /// Returns whether all replicas of every partition are in sync.
    pub fn is_whole(&self) -> bool {
        let client = self.kafka.admin.inner();
        let Ok(metadata) = client.fetch_metadata(None, REQUEST_MAX) else {
            return false;
        };
        let topics = metadata.topics().iter();
        let mut partitions = topics.flat_map(|topic| topic.partitions());
        partitions.all(|partition| partition.isr().len() == partition.replicas().len())
    }
}

fn node(id: usize) -> anyhow::Result<Node> {
    let [port, controller_port, proxied, advertised] = free_ports()?;
    Ok(Node {
        id,
        port,
        controller_port,
        further: Vec::new(),
        proxied: Some(Proxied { port: proxied, advertised, protocol: "SASL_PLAINTEXT" }),
        heap: "-Xmx320m",
    })
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Formats all storages in parallel: each starts a JVM.
fn format(nodes: &[Node]) -> anyhow::Result<Vec<Broker>> {
    let (cluster_id, voters) = (new_cluster_id(), voters(nodes));
    let mut properties: Vec<(String, String)> =
        PROPERTIES.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let login = "org.apache.kafka.common.security.plain.PlainLoginModule";
    properties.push((
        "listener.name.relays.plain.sasl.jaas.config".to_string(),
        format!("{login} required user_{RELAY_USER}=\"{PASSWORD}\";"),
    ));
    properties.push(("allow.everyone.if.no.acl.found".to_string(), "true".to_string()));
    thread::scope(|scope| {
        let formatting: Vec<_> = nodes
            .iter()
            .map(|node| {
                let (id, properties, voters) = (cluster_id.clone(), &properties, &voters);
                scope.spawn(move || Server::format_node(node.clone(), id, voters, properties))
            })
            .collect();
        let formatted = formatting.into_iter().zip(nodes).map(|(thread, node)| {
            let server = thread.join().map_err(|_| anyhow::anyhow!("formatting panicked"))??;
            let address = local(node.port);
            Ok(Broker { server, address, runs: false })
        });
        formatted.collect()
    })
}
