//! Everything that a run is made of: brokers, proxies, relays, the load and its readers. It knows
//! when the world has recovered; what happens to it is for others to say.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use crate::PROGRAM;
use crate::fleet::Fleet;
use crate::hearing::Last;
use crate::ledger::{Ledger, Offsets, Place};
use crate::load::{Controls, Load};
use crate::people::{People, STALENESS_LIMIT};
use crate::plan::{INPUT_PARTITIONS, RELAYS};
use crate::producer::Sender;
use crate::readers::Readers;
use audit_testkit::client_config;
use audit_testkit::cluster::Cluster;
use audit_testkit::relay::{REGIONS, TestDeployment};

/// What the quarantine topic takes: the largest record of the input, and 4,096 bytes of headers.
pub const ROOMY_BYTES: &str = "8392704";
/// Of each output topic, and of the quarantine topic: as [`TestDeployment::create`] makes them.
const OUTPUT_PARTITIONS: i32 = 3;
/// Of each table's topic, and how it is kept: old versions are what decides of old changes.
pub const TABLE_PARTITIONS: i32 = 2;
pub const TABLE_SETTINGS: [(&str, &str); 2] =
    [("cleanup.policy", "compact"), ("min.compaction.lag.ms", "604800000")];
const QUARANTINE_PARTITIONS: i32 = 2;
/// By then everything must be delivered when nothing is broken any more.
pub const RECOVERY_LIMIT: Duration = Duration::from_secs(180);
const OFFSETS_LIMIT: Duration = Duration::from_secs(10);
/// When nothing is broken any more: how long the group's coordinator, or a relay, is asked again
/// before it counts as silent.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// A world to break.
pub struct World {
    // The relays go first, then the brokers.
    pub fleet: Fleet,
    pub readers: Readers,
    pub cluster: Cluster,
    pub ledger: Arc<Ledger>,
    pub controls: Arc<Controls>,
    pub deployment: Arc<TestDeployment>,
    pub people: Arc<People>,
    pub partitions: i32,
    /// Of each region's topic; they differ when it was made anew.
    pub output_partitions: [i32; REGIONS.len()],
    /// The topic of the principals.
    pub principals: String,
    group: BaseConsumer,
    threads: Vec<JoinHandle<anyhow::Result<()>>>,
}

impl World {
    /// Builds it, with so many changes a second; logs go to a folder.
    pub fn build(seed: u64, per_second: u64, logs: &Path) -> anyhow::Result<World> {
        let cluster = Cluster::start()?;
        let (deployment, tables) = deploy(&cluster)?;
        let ledger = Arc::new(Ledger::of(&deployment.input));
        let deployment = Arc::new(deployment);
        let mut readers = Readers::new(cluster.kafka().bootstrap(), &ledger);
        for (region, topic) in deployment.outputs().iter().enumerate() {
            readers.start(Place::Region(region), topic, OUTPUT_PARTITIONS)?;
        }
        readers.start(Place::Quarantine, &deployment.quarantine, QUARANTINE_PARTITIONS)?;
        let fleet = Fleet::new(Arc::clone(&deployment), Arc::clone(&ledger), PathBuf::from(logs));
        let group = group_client(&cluster, &deployment.group)?;
        let granting = Sender::connect(cluster.kafka().bootstrap(), Box::new(|_, _, _| {}))?;
        let [principals, devices] = tables;
        let mut world = World {
            fleet,
            readers,
            cluster,
            ledger,
            controls: Arc::default(),
            deployment,
            people: Arc::new(People::settle(&principals, &granting)?),
            partitions: INPUT_PARTITIONS,
            output_partitions: [OUTPUT_PARTITIONS; REGIONS.len()],
            principals,
            group,
            threads: Vec::new(),
        };
        world.populate(seed, per_second, &devices, granting)?;
        for relay in RELAYS {
            world.fleet.start(relay, relay)?;
        }
        Ok(world)
    }

    /// Starts the load and those whose access changes.
    fn populate(
        &mut self,
        seed: u64,
        per_second: u64,
        devices: &str,
        granting: Sender,
    ) -> anyhow::Result<()> {
        let bootstrap = self.cluster.kafka().bootstrap();
        let people = Arc::clone(&self.people);
        let told = Arc::clone(&self.ledger);
        let delivered = move |number: usize, partition, offset| {
            told.delivered(number as u32, partition, offset);
        };
        let sender = Sender::connect(bootstrap, Box::new(delivered))?;
        let mut load = Load::new(
            Arc::clone(&self.ledger),
            Arc::clone(&people),
            Arc::clone(&self.controls),
            [&self.deployment.input, devices],
            [sender, Sender::connect(bootstrap, Box::new(|_, _, _| {}))?],
            per_second,
            seed,
        );
        load.settle(0..INPUT_PARTITIONS)?;
        let controls = Arc::clone(&self.controls);
        self.threads.push(std::thread::spawn(move || load.run()));
        self.threads
            .push(std::thread::spawn(move || people.change(&granting, seed, &controls.stop)));
        Ok(())
    }

    /// Looks after the relays; fails if the load itself has failed.
    pub fn tend(&mut self) -> anyhow::Result<()> {
        self.fleet.tend()?;
        if self.controls.stop.load(Ordering::Acquire) {
            return Ok(());
        }
        match self.threads.iter().position(JoinHandle::is_finished) {
            Some(ended) => join(self.threads.remove(ended)),
            None => Ok(()),
        }
    }

    /// Lets time pass.
    pub fn wait(&mut self, time: Duration) -> anyhow::Result<()> {
        let since = Instant::now();
        while since.elapsed() < time {
            self.tend()?;
            std::thread::sleep(LOOK_INTERVAL.min(time.saturating_sub(since.elapsed())));
        }
        Ok(())
    }

    /// Ends the load; the brokers have all of it then.
    pub fn end_load(&mut self) -> anyhow::Result<()> {
        self.controls.stop.store(true, Ordering::Release);
        std::mem::take(&mut self.threads).into_iter().try_for_each(join)
    }

    /// What the group has committed; no open transaction can undo it.
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

    /// Waits until everything that the brokers have now is delivered, and tells how long that took.
    /// None, and a complaint, if it takes too long. Nothing is broken meanwhile, so that it
    /// fails as soon as a relay is seen to do nothing but start and end.
    pub fn await_recovery(&mut self) -> anyhow::Result<Option<Duration>> {
        let since = Instant::now();
        let target = self.ledger.ends();
        let mut committed = Offsets::new();
        self.fleet.restarts.excuse();
        while since.elapsed() < RECOVERY_LIMIT {
            self.tend()?;
            self.fleet.restarts.check()?;
            // A coordinator that is just moving is asked again.
            if let Ok(found) = self.committed() {
                committed = found;
            }
            if self.ledger.is_delivered(&committed, &target) {
                return Ok(Some(since.elapsed()));
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
        let health = self.fleet.health();
        self.ledger.complain_of_stall(&committed, &target, health);
        Ok(None)
    }

    /// Whether everything up to there is delivered of each partition but this one, which cannot be
    /// read.
    pub fn is_delivered_but(&self, held: i32, target: &Offsets) -> bool {
        let committed = self.committed().unwrap_or_default();
        self.ledger.is_delivered_but(held, &committed, target)
    }

    /// Looks for output that readers see, and behind which no offset is committed; a coordinator
    /// that is just moving is asked again. An error means that nothing is known of that.
    pub fn check_for_torn_output(&mut self) -> anyhow::Result<()> {
        let since = Instant::now();
        loop {
            let seen = self.ledger.seen_up_to();
            // Asked for after the look: what was seen then is committed by now.
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

    /// What the relays say at last; each of them must answer, unless time runs out.
    pub fn await_answers(&mut self) -> anyhow::Result<Vec<Last>> {
        let since = Instant::now();
        loop {
            let answers = self.fleet.ask_all();
            if answers.iter().all(Last::is_good) || since.elapsed() > ANSWER_LIMIT {
                return Ok(answers);
            }
            self.wait(LOOK_INTERVAL)?;
        }
    }

    /// The topic of a region, or the quarantine topic behind the last of them.
    pub fn output(&self, region: usize) -> String {
        let outputs = self.deployment.outputs();
        outputs.get(region).unwrap_or(&self.deployment.quarantine).clone()
    }

    /// After the last relay has ended: waits until the readers have seen all that is there.
    pub fn read_to_the_end(&self) -> anyhow::Result<()> {
        for region in 0..=REGIONS.len() {
            let place = match region {
                region if region < REGIONS.len() => Place::Region(region),
                _ => Place::Quarantine,
            };
            let ends = self.cluster.kafka().try_end_offsets(&self.output(region))?;
            self.readers.await_ends(place, &ends, RECOVERY_LIMIT)?;
        }
        Ok(())
    }
}

/// The topics, and what the relays are told.
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
    // The relays do not start unless every record of the input fits, with some headers more.
    let roomy = [("retention.ms", "-1"), ("max.message.bytes", ROOMY_BYTES)];
    kafka
        .try_alter_topic(&deployment.quarantine, &roomy)
        .context("make room in the quarantine topic")?;
    deployment.principals = format!("topic = \"{}\"", tables[0]);
    deployment.bootstrap = cluster.relay_bootstrap().to_string();
    // A topic that is gone is given up after 5 s instead of 30, so that a run has time for more
    // faults.
    deployment.kafka =
        format!("{}\"topic.metadata.propagation.max.ms\" = 5000\n", Cluster::relay_settings());
    Ok((deployment, tables))
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
