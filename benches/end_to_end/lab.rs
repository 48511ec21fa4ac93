//! Where everything takes place: a broker, the topics, the data sets in them, the tables and the
//! configurations. A data set is written once and read by every run with a consumer group of its
//! own.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, ensure};
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
/// Of each output topic.
const OUTPUT_PARTITIONS: i32 = 4;
/// Records are dated one after the other from here.
const FIRST_TIMESTAMP_MS: i64 = 1_762_400_000_000;

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DataKey {
    pub mix: Mix,
    pub bytes: usize,
    pub partitions: i32,
    pub records: usize,
    /// Whether a raw copy will read it.
    pub planned: bool,
}

/// A topic full of records, and the plan for copying them.
#[derive(Debug, Clone)]
pub struct DataSet {
    pub topic: String,
    pub records: usize,
    pub plan: Plans,
}

/// A plan's file.
#[derive(Debug, Clone, Default)]
pub struct Plans {
    pub path: PathBuf,
    /// Its size, which a raw copy holds in memory and a relay does not.
    pub bytes: u64,
}

/// Where the table of principals comes from.
#[derive(Debug, Clone, Copy)]
pub enum Principals {
    /// A file with all of them.
    File,
    /// A compacted topic with all of them.
    Topic,
    /// There are none.
    Nobody,
}

/// What a configuration says beyond the defaults.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    pub topic: &'a str,
    pub group: &'a str,
    pub instance: String,
    pub workers: usize,
    pub headers: bool,
    pub max_age_ms: u64,
    pub principals: Principals,
}

pub struct Lab {
    // The broker ends before its clients' folder goes.
    broker: KafkaBroker,
    directory: TempDir,
    deployment: Deployment,
    data: HashMap<DataKey, DataSet>,
    /// The topic of the table of principals, once it was asked for.
    principals: OnceLock<String>,
}

impl Lab {
    /// Starts a broker and creates the output topics.
    pub fn open() -> anyhow::Result<Lab> {
        let directory = TempDir::with_prefix_in("end-to-end-", scratch()?)?;
        let lines: String = principals().map(|(_, line)| line + "\n").collect();
        fs::write(directory.path().join("principals.jsonl"), lines)?;
        fs::write(directory.path().join("nobody.jsonl"), "")?;
        let broker = KafkaBroker::start(BrokerOptions::default())?;
        let text = format!(
            "[kafka]\n\"bootstrap.servers\" = \"{}\"\n[principals]\nfile = {:?}\n",
            broker.bootstrap(),
            directory.path().join("principals.jsonl")
        );
        let config = Config::from_toml(&text, std::iter::empty())?;
        let deployment = Deployment::load(&config)?;
        ensure!(deployment.rules.routes.regions() == REGIONS, "other regions than those known");
        let lab = Lab {
            broker,
            directory,
            deployment,
            data: HashMap::new(),
            principals: OnceLock::new(),
        };
        for topic in lab.outputs() {
            let small = [
                ("segment.bytes", "67108864"),
                ("file.delete.delay.ms", "1000"),
                // The quarantine must take the largest record of the input, with some headers
                // more.
                ("max.message.bytes", "2097152"),
            ];
            lab.broker.create_topic_with(&topic, OUTPUT_PARTITIONS, &small);
        }
        Ok(lab)
    }

    /// The topic with the table of principals, which is written when it is first asked for.
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

    /// The topics that are written to.
    pub fn outputs(&self) -> Vec<String> {
        let regions = REGIONS.iter().map(|region| format!("{PREFIX}{region}"));
        regions.chain([QUARANTINE.to_string()]).collect()
    }

    /// Deletes what a run has written: the disk is not what is measured.
    pub fn truncate_outputs(&self) {
        for topic in self.outputs() {
            let ends = self.broker.end_offsets(&topic);
            self.broker.delete_records(&topic, &ends);
        }
    }

    /// The data set, written if it is not there yet.
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
        ensure!(written == key.records as i64, "{written} were written");
        let plan = match plan {
            Some(mut plan) => self.keep_plan(&mut plan, &topic)?,
            None => Plans::default(),
        };
        let data = DataSet { topic, records: key.records, plan };
        self.data.insert(key, data.clone());
        Ok(data)
    }

    /// An empty input topic.
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

    /// Writes a plan into the lab's folder.
    pub fn keep_plan(&self, plan: &mut Plan, name: &str) -> anyhow::Result<Plans> {
        let path = self.directory.path().join(format!("{name}.plan"));
        let bytes = plan.write(&path)?;
        Ok(Plans { path, bytes })
    }

    /// A producer that keeps the order, so that a record has the offset that the plan thinks it
    /// has.
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
    pub fn config(&self, wanted: &Wanted<'_>) -> anyhow::Result<PathBuf> {
        let principals = match wanted.principals {
            Principals::File => String::from("file = \"principals.jsonl\""),
            Principals::Topic => format!("topic = \"{}\"", self.principals_topic()?),
            Principals::Nobody => String::from("file = \"nobody.jsonl\""),
        };
        let text = format!(
            "instance = \"{}\"\nworkers = {}\n[kafka]\n\"bootstrap.servers\" = \"{}\"\n\"broker.address.family\" = \"v4\"\n[input]\ntopic = \"{}\"\ngroup = \"{}\"\n[batch]\nmax_age_ms = {}\n[output]\ntopic_prefix = \"{PREFIX}\"\nquarantine_topic = \"{QUARANTINE}\"\nheaders = {}\n[principals]\n{principals}\n[admin]\nlisten = \"127.0.0.1:0\"\n",
            wanted.instance,
            wanted.workers,
            self.broker.bootstrap(),
            wanted.topic,
            wanted.group,
            wanted.max_age_ms,
            wanted.headers,
        );
        let path = self.path(&format!("{}.toml", wanted.instance));
        fs::write(&path, text)?;
        Ok(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// The same for all records of a device.
pub fn partition_of(record: &Record, partitions: i32) -> i32 {
    (record.device % partitions as u64) as i32
}

/// Hands a record to the producer, waiting for room in its queue.
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
