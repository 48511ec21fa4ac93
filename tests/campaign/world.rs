//! The world of one run: brokers, proxies, relays, the load and its readers. It knows when it has
//! recovered; `injection.rs` injects the faults.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use crate::PROGRAM;
use crate::fleet::Fleet;
use crate::ledger::{Ledger, Offsets, OutputTopic};
use crate::load::{Controls, Load};
use crate::plan::{INPUT_PARTITIONS, RELAYS};
use crate::principals::{Principals, STALENESS_LIMIT};
use crate::producer::Sender;
use crate::readers::Readers;
use crate::run::Settings;
use crate::scrapes::FinalAnswer;
use crate::violations::Violation;
use audit_testkit::client_config;
use audit_testkit::cluster::Cluster;
use audit_testkit::relay::{REGIONS, TestDeployment};

/// Size limit of the quarantine topic: the largest input record and 4,096 bytes of headers.
pub const ROOMY_BYTES: &str = "8392704";
/// Partitions of each output topic, as [`TestDeployment::create`] creates them.
const OUTPUT_PARTITIONS: i32 = 3;
/// Partitions and settings of each table's topic; old versions are kept, as old changes need them.
pub const TABLE_PARTITIONS: i32 = 2;
pub const TABLE_SETTINGS: [(&str, &str); 2] =
    [("cleanup.policy", "compact"), ("min.compaction.lag.ms", "604800000")];
const QUARANTINE_PARTITIONS: i32 = 2;
/// Limit for delivering everything after the last fault is cleared.
pub const RECOVERY_LIMIT: Duration = Duration::from_secs(180);
const OFFSETS_LIMIT: Duration = Duration::from_secs(10);
/// How long the group's coordinator, or a relay, is asked again after the last fault is cleared
/// before it counts as silent.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// The system that faults are injected into.
pub struct World {
    // Fields are dropped in this order: the relays first, then the brokers.
    pub fleet: Fleet,
    pub readers: Readers,
    pub cluster: Cluster,
    pub ledger: Arc<Ledger>,
    pub controls: Arc<Controls>,
    pub deployment: Arc<TestDeployment>,
    pub principals: Arc<Principals>,
    pub partitions: i32,
    /// Partitions of each region's topic; a recreated topic may have another number.
    pub output_partitions: [i32; REGIONS.len()],
    /// The topic of the principals.
    pub principals_topic: String,
    group: BaseConsumer,
    threads: Vec<JoinHandle<anyhow::Result<()>>>,
}

impl World {
    /// Builds the world of a run.
    pub fn build(settings: &Settings) -> anyhow::Result<World> {
        let cluster = Cluster::start()?;
        let (mut deployment, tables) = deploy(&cluster)?;
        if settings.is_sealed {
            seal(&cluster, &mut deployment)?;
        }
        let ledger = Arc::new(Ledger::of(&deployment.input));
        let deployment = Arc::new(deployment);
        let mut readers = Readers::new(cluster.kafka().bootstrap(), &ledger, settings.is_sealed);
        for (region, topic) in deployment.outputs().iter().enumerate() {
            readers.start(OutputTopic::Region(region), topic, OUTPUT_PARTITIONS)?;
        }
        readers.start(OutputTopic::Quarantine, &deployment.quarantine, QUARANTINE_PARTITIONS)?;
        let fleet =
            Fleet::new(Arc::clone(&deployment), Arc::clone(&ledger), settings.folder.clone());
        let group = group_client(&cluster, &deployment.group)?;
        let granting = Sender::connect(cluster.kafka().bootstrap(), Box::new(|_, _, _| {}))?;
        let [principals_topic, devices] = tables;
        let mut world = World {
            fleet,
            readers,
            cluster,
            ledger,
            controls: Arc::default(),
            deployment,
            principals: Arc::new(Principals::create(&principals_topic, &granting)?),
            partitions: INPUT_PARTITIONS,
            output_partitions: [OUTPUT_PARTITIONS; REGIONS.len()],
            principals_topic,
            group,
            threads: Vec::new(),
        };
        world.populate(settings.seed, settings.per_second, &devices, granting)?;
        for relay in RELAYS {
            world.fleet.start(relay, relay)?;
        }
        Ok(world)
    }

    /// Starts the load and the changes of the principals' access.
    fn populate(
        &mut self,
        seed: u64,
        per_second: u64,
        devices: &str,
        granting: Sender,
    ) -> anyhow::Result<()> {
        let bootstrap = self.cluster.kafka().bootstrap();
        let principals = Arc::clone(&self.principals);
        let ledger = Arc::clone(&self.ledger);
        let delivered = move |number: usize, partition, offset| {
            ledger.delivered(number as u32, partition, offset);
        };
        let sender = Sender::connect(bootstrap, Box::new(delivered))?;
        let mut load = Load::new(
            Arc::clone(&self.ledger),
            Arc::clone(&principals),
            Arc::clone(&self.controls),
            [&self.deployment.input, devices],
            [sender, Sender::connect(bootstrap, Box::new(|_, _, _| {}))?],
            per_second,
            seed,
        );
        load.add_devices(0..INPUT_PARTITIONS)?;
        let controls = Arc::clone(&self.controls);
        self.threads.push(std::thread::spawn(move || load.run()));
        self.threads.push(std::thread::spawn(move || {
            principals.change_access(&granting, seed, &controls.stop)
        }));
        Ok(())
    }

    /// Supervises the relays; fails if the load itself has failed.
    pub fn supervise(&mut self) -> anyhow::Result<()> {
        self.fleet.supervise()?;
        if self.controls.stop.load(Ordering::Acquire) {
            return Ok(());
        }
        match self.threads.iter().position(JoinHandle::is_finished) {
            Some(ended) => join(self.threads.remove(ended)),
            None => Ok(()),
        }
    }

    /// Waits, and supervises the relays meanwhile.
    pub fn wait(&mut self, time: Duration) -> anyhow::Result<()> {
        let since = Instant::now();
        while since.elapsed() < time {
            self.supervise()?;
            std::thread::sleep(LOOK_INTERVAL.min(time.saturating_sub(since.elapsed())));
        }
        Ok(())
    }

    /// Ends the load, and waits until the brokers have all of it.
    pub fn end_load(&mut self) -> anyhow::Result<()> {
        self.controls.stop.store(true, Ordering::Release);
        std::mem::take(&mut self.threads).into_iter().try_for_each(join)
    }

    /// The group's committed offsets; an open transaction cannot change them.
    pub fn committed(&self) -> anyhow::Result<Offsets> {
        let mut asked = TopicPartitionList::new();
        for partition in 0..self.partitions {
            asked.add_partition(&self.deployment.input, partition);
        }
        let found = self.group.committed_offsets(asked, OFFSETS_LIMIT)?;
        let mut committed = Offsets::new();
        for element in found.elements() {
            element.error()?;
            let offset = match element.offset() {
                Offset::Offset(offset) => offset,
                _ => 0,
            };
            committed.insert(element.partition(), offset);
        }
        Ok(committed)
    }

    /// Waits until everything that the brokers have now is delivered, and returns how long that
    /// took. Adds a violation and returns `None` if it takes too long. No fault is in force
    /// meanwhile, so it fails as soon as a relay only restarts.
    pub fn await_recovery(&mut self) -> anyhow::Result<Option<Duration>> {
        let since = Instant::now();
        let target = self.ledger.ends();
        let mut committed = Offsets::new();
        self.fleet.restarts.reset();
        while since.elapsed() < RECOVERY_LIMIT {
            self.supervise()?;
            self.fleet.restarts.check()?;
            // Asks again while the coordinator is moving.
            if let Ok(found) = self.committed() {
                committed = found;
            }
            if self.ledger.is_delivered(&committed, &target) {
                return Ok(Some(since.elapsed()));
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
        let health = self.fleet.health();
        self.ledger.add_stall(&committed, &target, health);
        Ok(None)
    }

    /// Whether everything up to the target is delivered, except for the partition that cannot be
    /// read.
    pub fn is_delivered_but(&self, held: i32, target: &Offsets) -> bool {
        let committed = self.committed().unwrap_or_default();
        self.ledger.is_delivered_but(held, &committed, target)
    }

    /// Checks that no output is visible without a committed offset. Asks again while the
    /// coordinator is moving; an error means that the check could not be made.
    pub fn check_for_torn_output(&mut self) -> anyhow::Result<()> {
        let since = Instant::now();
        loop {
            let seen = self.ledger.seen_up_to();
            // Read after `seen`: the offsets of all output seen before must be committed by now.
            match self.committed() {
                Ok(committed) => {
                    self.ledger.check_for_torn_output(&seen, &committed);
                    return Ok(());
                }
                Err(error) if since.elapsed() > ANSWER_LIMIT => return Err(error),
                Err(_) => self.wait(LOOK_INTERVAL)?,
            }
        }
    }

    /// Returns the final answers of the relays; waits, up to a limit, until each is good.
    pub fn await_answers(&mut self) -> anyhow::Result<Vec<FinalAnswer>> {
        let since = Instant::now();
        loop {
            let answers = self.fleet.ask_all();
            if answers.iter().all(FinalAnswer::is_good) || since.elapsed() > ANSWER_LIMIT {
                return Ok(answers);
            }
            self.wait(LOOK_INTERVAL)?;
        }
    }

    /// The topic of a region; the index after the last region is the quarantine topic.
    pub fn output(&self, region: usize) -> String {
        let outputs = self.deployment.outputs();
        outputs.get(region).unwrap_or(&self.deployment.quarantine).clone()
    }

    /// Waits, after the last relay has ended, until the readers have seen all output.
    pub fn read_to_the_end(&self) -> anyhow::Result<()> {
        for region in 0..=REGIONS.len() {
            let output = match region {
                region if region < REGIONS.len() => OutputTopic::Region(region),
                _ => OutputTopic::Quarantine,
            };
            let ends = self.cluster.kafka().try_end_offsets(&self.output(region))?;
            self.readers.await_ends(output, &ends, RECOVERY_LIMIT)?;
        }
        Ok(())
    }

    /// Verifies a sealed trail, as an auditor would.
    pub fn verify_trail(&self) -> anyhow::Result<()> {
        let deployment = &self.deployment;
        if deployment.integrity.is_empty() {
            return Ok(());
        }
        let trust = deployment.path("trust");
        let trust = trust.to_str().context("the path of the trust file")?;
        let arguments = [
            &["verify", "--trust", trust, "--property", "broker.address.family=v4"][..],
            &["--bootstrap-servers", self.cluster.kafka().bootstrap()],
            &["--topic-prefix", &deployment.prefix],
            &["--quarantine-topic", &deployment.quarantine],
        ];
        let verified = deployment.command(&arguments.concat());
        let said = String::from_utf8_lossy(&verified.stdout);
        println!("{said}{}", String::from_utf8_lossy(&verified.stderr));
        if !verified.status.success() {
            self.ledger.add_violation(Violation::Changed, format!("verify: {said}"));
        }
        Ok(())
    }
}

/// The name of a sealed trail.
const ORIGIN: &str = "audit.example.com/campaign";

/// Creates the topics and the configuration of the relays.
fn deploy(cluster: &Cluster) -> anyhow::Result<(TestDeployment, [String; 2])> {
    let kafka = cluster.kafka();
    let tables = [kafka.unique("principals"), kafka.unique("devices")];
    for table in &tables {
        kafka
            .try_create_topic(table, TABLE_PARTITIONS, &TABLE_SETTINGS)
            .context("create a table's topic")?;
    }
    let more = format!(
        "[devices]\ntopic = \"{}\"\n[batch]\nmax_age_ms = 50\n[policy]\nclock_skew_ms = 0\n[tables]\nstaleness_limit_ms = {}\n",
        tables[1],
        STALENESS_LIMIT.as_millis()
    );
    let mut deployment = TestDeployment::create(PROGRAM, kafka, INPUT_PARTITIONS, "", &more);
    // The relays do not start unless the largest input record fits, with additional headers.
    let roomy = [("retention.ms", "-1"), ("max.message.bytes", ROOMY_BYTES)];
    kafka
        .try_alter_topic(&deployment.quarantine, &roomy)
        .context("make room in the quarantine topic")?;
    deployment.principals = format!("topic = \"{}\"", tables[0]);
    // Both kinds of members: one keeps its place in the group when it is killed.
    deployment.static_members = vec![RELAYS[0].to_string()];
    deployment.bootstrap = cluster.relay_bootstrap().to_string();
    // Give up a deleted topic after 5 s instead of 30, so that a run has time for more faults.
    deployment.kafka =
        format!("{}\"topic.metadata.propagation.max.ms\" = 5000\n", Cluster::relay_settings());
    Ok((deployment, tables))
}

/// Seals the trail: a key, the topic with the seals, and the lines of the configuration.
fn seal(cluster: &Cluster, deployment: &mut TestDeployment) -> anyhow::Result<()> {
    let path = deployment.path("seal.pem");
    let key = path.to_str().context("the path of the key")?;
    let made = deployment.command(&["key", "new", key, "--origin", ORIGIN]);
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let trust = String::from_utf8(made.stdout)?;
    let trust = trust.lines().next().context("a public key")?;
    std::fs::write(deployment.path("trust"), trust)?;
    cluster
        .kafka()
        .try_create_topic(&deployment.checkpoints(), INPUT_PARTITIONS, &[("retention.ms", "-1")])
        .context("create the topic with the seals")?;
    deployment.integrity = format!("origin = \"{ORIGIN}\"\nkey = \"{key}\"\n");
    Ok(())
}

fn group_client(cluster: &Cluster, group: &str) -> anyhow::Result<BaseConsumer> {
    let mut config = client_config(cluster.kafka().bootstrap());
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed");
    config.create().context("create a client for the group's offsets")
}

fn join(thread: JoinHandle<anyhow::Result<()>>) -> anyhow::Result<()> {
    let result = thread.join();
    result.map_err(|_| anyhow!("a thread of the load panicked"))?.context("the load")
}
