//! The benchmark's environment: a broker, the topics, their data sets, the tables and the
//! configurations. Each data set is written once; every run reads it with its own consumer group.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, ensure};
use audit_chain::key::SigningKey;
use audit_relay::config::Config;
use audit_relay::deployment::Deployment;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use tempfile::TempDir;

use super::plan::Plan;
use super::records::{Mix, Record, Records, principals};
use audit_testkit::kafka::{BrokerOptions, KafkaBroker};
use audit_testkit::relay::REGIONS;
use audit_testkit::{REQUEST_MAX, client_config, scratch};

const PREFIX: &str = "audit.";
const QUARANTINE: &str = "quarantine";
/// The name of the trail, where it is sealed.
const ORIGIN: &str = "audit.example.com/benchmark";
/// Partitions of each output topic.
const OUTPUT_PARTITIONS: i32 = 4;
/// The timestamp of the first record; each later one is a millisecond newer.
const FIRST_TIMESTAMP_MS: i64 = 1_762_400_000_000;

/// Identifies a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DataKey {
    pub mix: Mix,
    pub bytes: usize,
    pub partitions: i32,
    pub records: usize,
    /// Whether a raw copy will read it.
    pub planned: bool,
}

/// A topic full of records, and the plan of the raw copy's output.
#[derive(Debug, Clone)]
pub struct DataSet {
    pub topic: String,
    pub records: usize,
    pub plan: PlanFile,
}

/// A plan's file.
#[derive(Debug, Clone, Default)]
pub struct PlanFile {
    pub path: PathBuf,
    /// Size of the file. A raw copy holds the plan in memory; a relay does not.
    pub bytes: u64,
}

/// Where the table of principals comes from.
#[derive(Debug, Clone, Copy)]
pub enum Principals {
    /// A file with all principals.
    File,
    /// A compacted topic with all principals.
    Topic,
    /// A file with one principal: the relay refuses an empty one.
    One,
}

/// The configuration values that differ from the defaults.
#[derive(Debug, Clone)]
pub struct ConfigOverrides<'a> {
    pub topic: &'a str,
    pub group: &'a str,
    pub instance: String,
    pub workers: usize,
    pub headers: bool,
    pub max_age_ms: u64,
    pub principals: Principals,
    pub is_sealed: bool,
    pub producer: &'a [(&'static str, &'static str)],
}

pub struct Fixture {
    // Dropped first: the broker stops before its clients' folder is removed.
    broker: KafkaBroker,
    directory: TempDir,
    deployment: Deployment,
    data: HashMap<DataKey, DataSet>,
    /// The principals topic; created on first use.
    principals: OnceLock<String>,
}

impl Fixture {
    /// Starts a broker and creates the output topics.
    pub fn open() -> anyhow::Result<Fixture> {
        let directory = TempDir::with_prefix_in("end-to-end-", scratch()?)?;
        let lines: String = principals().map(|(_, line)| line + "\n").collect();
        fs::write(directory.path().join("principals.jsonl"), lines)?;
        let (_, one) = principals().next().context("no principals")?;
        fs::write(directory.path().join("one-principal.jsonl"), one + "\n")?;
        let broker = KafkaBroker::start(BrokerOptions::default())?;
        let text = format!(
            "[kafka]\n\"bootstrap.servers\" = \"{}\"\n[principals]\nfile = {:?}\n",
            broker.bootstrap(),
            directory.path().join("principals.jsonl")
        );
        let config = Config::from_toml(&text, std::iter::empty())?;
        let deployment = Deployment::load(&config)?;
        ensure!(
            deployment.rules.routes.regions() == REGIONS,
            "the location table has other regions than the testkit"
        );
        let fixture = Fixture {
            broker,
            directory,
            deployment,
            data: HashMap::new(),
            principals: OnceLock::new(),
        };
        let origin = ORIGIN.parse().context("the origin")?;
        let key = SigningKey::from_seed(origin, &[1; 32]).to_pem()?;
        fs::write(fixture.path("seal.pem"), &*key)?;
        for topic in fixture.outputs().into_iter().chain([fixture.checkpoints()]) {
            let small = [
                ("segment.bytes", "67108864"),
                ("file.delete.delay.ms", "1000"),
                // The quarantine must accept the largest input record plus its headers.
                ("max.message.bytes", "2097152"),
            ];
            fixture.broker.create_topic_with(&topic, OUTPUT_PARTITIONS, &small);
        }
        Ok(fixture)
    }

    /// Returns the principals topic. Writes it on the first call.
    fn principals_topic(&self) -> anyhow::Result<&str> {
        if let Some(topic) = self.principals.get() {
            return Ok(topic);
        }
        let topic = self.broker.unique("principals");
        self.broker.create_topic_with(&topic, 1, &[("cleanup.policy", "compact")]);
        let producer = self.producer("20")?;
        for (key, principal) in principals() {
            let record = BaseRecord::to(&topic).key(&key).payload(&principal);
            enqueue(&producer, record)?;
        }
        producer.flush(REQUEST_MAX)?;
        Ok(self.principals.get_or_init(|| topic))
    }

    pub fn broker(&self) -> &KafkaBroker {
        &self.broker
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The topics that a run writes to.
    pub fn outputs(&self) -> Vec<String> {
        let regions = REGIONS.iter().map(|region| format!("{PREFIX}{region}"));
        regions.chain([QUARANTINE.to_string()]).collect()
    }

    /// The topic with the seals.
    fn checkpoints(&self) -> String {
        format!("{PREFIX}checkpoints")
    }

    /// Deletes the output of the last run, so that the disk does not affect the figures, and a
    /// sealed trail begins again.
    pub fn truncate_outputs(&self) {
        for topic in self.outputs().into_iter().chain([self.checkpoints()]) {
            let ends = self.broker.end_offsets(&topic);
            self.broker.delete_records(&topic, &ends);
        }
    }

    /// Returns the data set. Writes it on the first call.
    pub fn data(&mut self, key: DataKey) -> anyhow::Result<DataSet> {
        if let Some(data) = self.data.get(&key) {
            return Ok(data.clone());
        }
        let topic = self.new_topic(key.partitions);
        eprintln!("  writing {} records to {topic}", key.records);
        let mut plan = key.planned.then(|| self.new_plan(key.partitions));
        let producer = self.producer("20")?;
        for (number, record) in Records::new(key.mix, key.bytes).take(key.records).enumerate() {
            let partition = partition_of(&record, key.partitions);
            if let Some(plan) = &mut plan {
                plan.add(partition as usize, &record, &self.deployment)?;
            }
            let timestamp = FIRST_TIMESTAMP_MS + number as i64;
            send(&producer, &topic, partition, timestamp, &record)?;
        }
        producer.flush(REQUEST_MAX)?;
        let written: i64 = self.broker.end_offsets(&topic).values().sum();
        ensure!(written == key.records as i64, "{written} records were written");
        let plan = match plan {
            Some(mut plan) => self.keep_plan(&mut plan, &topic)?,
            None => PlanFile::default(),
        };
        let data = DataSet { topic, records: key.records, plan };
        self.data.insert(key, data.clone());
        Ok(data)
    }

    /// Creates an empty input topic.
    pub fn new_topic(&self, partitions: i32) -> String {
        let topic = self.broker.unique("changes");
        self.broker.create_topic(&topic, partitions);
        topic
    }

    pub fn new_plan(&self, partitions: i32) -> Plan {
        Plan::new(partitions as usize, REGIONS.len())
    }

    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// Writes a plan to the fixture's folder.
    pub fn keep_plan(&self, plan: &mut Plan, name: &str) -> anyhow::Result<PlanFile> {
        let path = self.directory.path().join(format!("{name}.plan"));
        let bytes = plan.write(&path)?;
        Ok(PlanFile { path, bytes })
    }

    /// Creates a producer that keeps the order: the plan depends on each record's offset.
    pub fn producer(
        &self,
        linger_ms: &str,
    ) -> anyhow::Result<ThreadedProducer<DefaultProducerContext>> {
        client_config(self.broker.bootstrap())
            .set("enable.idempotence", "true")
            .set("linger.ms", linger_ms)
            .set("delivery.report.only.error", "true")
            .create()
            .context("create a producer")
    }

    /// Writes a configuration and returns its path.
    pub fn config(&self, overrides: &ConfigOverrides<'_>) -> anyhow::Result<PathBuf> {
        let principals = match overrides.principals {
            Principals::File => String::from("file = \"principals.jsonl\""),
            Principals::Topic => format!("topic = \"{}\"", self.principals_topic()?),
            Principals::One => String::from("file = \"one-principal.jsonl\""),
        };
        let integrity = match overrides.is_sealed {
            true => format!("[integrity]\norigin = \"{ORIGIN}\"\nkey = \"seal.pem\"\n"),
            false => String::new(),
        };
        let producer = overrides.producer.iter();
        let producer: String =
            producer.map(|(name, value)| format!("\"{name}\" = \"{value}\"\n")).collect();
        let text = format!(
            "instance = \"{}\"\nworkers = {}\n[kafka]\n\"bootstrap.servers\" = \"{}\"\n\"broker.address.family\" = \"v4\"\n[kafka.producer]\n{producer}[input]\ntopic = \"{}\"\ngroup = \"{}\"\n[batch]\nmax_age_ms = {}\n[output]\ntopic_prefix = \"{PREFIX}\"\nquarantine_topic = \"{QUARANTINE}\"\nheaders = {}\n[principals]\n{principals}\n{integrity}[admin]\nlisten = \"127.0.0.1:0\"\n",
            overrides.instance,
            overrides.workers,
            self.broker.bootstrap(),
            overrides.topic,
            overrides.group,
            overrides.max_age_ms,
            overrides.headers,
        );
        let path = self.path(&format!("{}.toml", overrides.instance));
        fs::write(&path, text)?;
        Ok(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// Returns the device's partition: all records of a device share one.
pub fn partition_of(record: &Record, partitions: i32) -> i32 {
    (record.device % partitions as u64) as i32
}

/// Hands a record to the producer. Waits while its queue is full.
pub fn send(
    producer: &ThreadedProducer<DefaultProducerContext>,
    topic: &str,
    partition: i32,
    timestamp_ms: i64,
    record: &Record,
) -> anyhow::Result<()> {
    let key = record.key();
    let unsent = BaseRecord::to(topic)
        .partition(partition)
        .timestamp(timestamp_ms)
        .key(&key)
        .payload(&record.value);
    enqueue(producer, unsent)
}

fn enqueue(
    producer: &ThreadedProducer<DefaultProducerContext>,
    record: BaseRecord<'_, String, String>,
) -> anyhow::Result<()> {
    let mut unsent = record;
    loop {
        unsent = match producer.send(unsent) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => refused,
            Err((error, _)) => return Err(error).context("write a record"),
        };
        producer.poll(Duration::from_millis(5));
    }
}
