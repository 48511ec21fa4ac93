//! A run: processes of one kind read a topic with a fresh group until every record is committed,
//! and are measured from outside. Other modules evaluate the figures.

use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde::Serialize;

use super::cost::Cost;
use super::fixture::{ConfigOverrides, DataSet, Fixture, Principals};
use super::kafka_streams;
use super::process::Process;
use super::stored::StoredOutput;
use super::usage::Usage;
use audit_testkit::client_config;

/// The longest time without a commit.
const STALL_MAX: Duration = Duration::from_secs(90);

/// The program of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Program {
    /// audit-relay: this build or another.
    Relay(PathBuf),
    RawCopy,
    PollOnly,
    KafkaStreams,
}

impl Program {
    /// Whether it writes what a plan says.
    pub fn needs_plan(&self) -> bool {
        matches!(self, Program::RawCopy | Program::KafkaStreams)
    }
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Contestant {
    pub name: String,
    pub program: Program,
    pub workers: usize,
    pub instances: usize,
    /// Threads of the benchmark that compute without a pause beside it.
    pub neighbours: usize,
    /// Whether it seals the trail; only the relay can.
    pub is_sealed: bool,
    /// librdkafka properties of its producer that differ from the defaults; only the relay reads
    /// them.
    pub producer: Vec<(&'static str, &'static str)>,
}

/// Configuration of a contestant.
#[derive(Debug, Clone, Copy)]
pub struct Tuning {
    pub headers: bool,
    pub max_age_ms: u64,
    pub principals: Principals,
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning { headers: true, max_age_ms: 100, principals: Principals::File }
    }
}

/// The processes of a run.
pub struct Fleet<'a> {
    pub group: String,
    pub processes: Vec<Process>,
    pub started: Instant,
    /// The broker's process.
    broker: u32,
    /// The broker's CPU time before the processes started.
    broker_cpu: Duration,
    stored: StoredOutput<'a>,
}

impl<'a> Fleet<'a> {
    /// Starts the processes with a fresh group, on empty output topics.
    pub fn start(
        fixture: &'a Fixture,
        contestant: &Contestant,
        tuning: Tuning,
        data: &DataSet,
    ) -> anyhow::Result<Fleet<'a>> {
        fixture.truncate_outputs();
        let group = fixture.broker().unique("group");
        let mut commands = Vec::new();
        for number in 0..contestant.instances {
            let instance = format!("{group}-{number}");
            let log = fixture.path(&format!("{instance}.log"));
            let overrides = ConfigOverrides {
                topic: &data.topic,
                group: &group,
                instance,
                workers: contestant.workers,
                headers: tuning.headers,
                max_age_ms: tuning.max_age_ms,
                principals: tuning.principals,
                is_sealed: contestant.is_sealed,
                producer: &contestant.producer,
            };
            commands.push((command(fixture, &contestant.program, &overrides, data)?, log));
        }
        let broker = fixture.broker().pid().context("the broker is not a process of ours")?;
        let broker_cpu = Usage::of_jvm(broker)?.cpu;
        let stored = StoredOutput::before(fixture)?;
        let started = Instant::now();
        let processes: anyhow::Result<Vec<Process>> = commands
            .into_iter()
            .map(|(command, log)| Process::spawn(&command, fixture.directory(), log))
            .collect();
        Ok(Fleet { group, processes: processes?, started, broker, broker_cpu, stored })
    }

    /// What all processes have cost since they started, and the broker's CPU time since then.
    pub fn cost(&self) -> anyhow::Result<Cost> {
        let own: anyhow::Result<Usage> = self.processes.iter().map(Process::usage).sum();
        let broker = Usage::of_jvm(self.broker)?.cpu.saturating_sub(self.broker_cpu);
        Ok(Cost { own: own?, broker, stored: self.stored.growth()? })
    }

    /// Peak memory of the largest process.
    pub fn peak(&self) -> anyhow::Result<u64> {
        let peaks: anyhow::Result<Vec<u64>> = self.processes.iter().map(Process::peak).collect();
        Ok(peaks?.into_iter().max().unwrap_or(0))
    }

    pub fn must_run(&mut self) -> anyhow::Result<()> {
        self.processes.iter_mut().try_for_each(Process::must_run)
    }

    pub fn stop(self) -> anyhow::Result<()> {
        self.processes.into_iter().try_for_each(Process::stop)
    }
}

fn command(
    fixture: &Fixture,
    program: &Program,
    overrides: &ConfigOverrides<'_>,
    data: &DataSet,
) -> anyhow::Result<Command> {
    let plan = &data.plan.path;
    let mut command = match program {
        Program::KafkaStreams => return kafka_streams::command(fixture, overrides, plan),
        Program::Relay(path) => Command::new(path),
        Program::RawCopy | Program::PollOnly => Command::new(std::env::current_exe()?),
    };
    let config = fixture.config(overrides)?;
    match program {
        Program::RawCopy => command.arg("raw-copy").arg(config).arg(plan),
        Program::PollOnly => command.arg("poll-only").arg(config),
        Program::Relay(_) | Program::KafkaStreams => command.args(["run", "--config"]).arg(config),
    };
    Ok(command)
}

/// Fetches a group's committed offsets.
pub struct Watch {
    consumer: BaseConsumer,
    partitions: TopicPartitionList,
}

impl Watch {
    pub fn new(fixture: &Fixture, group: &str, topic: &str) -> anyhow::Result<Watch> {
        // With `read_committed` the answer would wait for open transactions, and these follow each
        // other closely.
        let consumer: BaseConsumer = client_config(fixture.broker().bootstrap())
            .set("group.id", group)
            .set("isolation.level", "read_uncommitted")
            .create()?;
        let mut partitions = TopicPartitionList::new();
        for partition in fixture.broker().end_offsets(topic).keys() {
            partitions.add_partition(topic, *partition);
        }
        Ok(Watch { consumer, partitions })
    }

    /// Returns the number of records whose offsets are committed.
    pub fn committed(&self) -> usize {
        // The group's coordinator may not be known yet; the caller limits the wait.
        let limit = Duration::from_secs(5);
        let Ok(list) = self.consumer.committed_offsets(self.partitions.clone(), limit) else {
            return 0;
        };
        let offsets = list.elements().into_iter().map(|it| match it.offset() {
            Offset::Offset(offset) => usize::try_from(offset).unwrap_or(0),
            _ => 0,
        });
        offsets.sum()
    }
}

/// The cost of a complete run.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// From the start of the processes to the first observed commit.
    pub first_commit: Duration,
    /// From the start to the last commit.
    pub all: Duration,
    /// Records that `cost` is for: all, or those after the warm-up.
    pub records: usize,
    /// The cost from the start, or from the end of the warm-up, to the last commit.
    pub cost: Cost,
    /// From the first commit, or from the end of the warm-up, to the last commit.
    pub records_a_second: f64,
    /// Peak memory of the largest process, in bytes.
    pub peak: u64,
}

/// A moment in a run: when, how many records were committed by then, and what they had cost.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    time: Duration,
    records: usize,
    cost: Cost,
}

/// A run to perform.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    pub contestant: &'a Contestant,
    pub tuning: Tuning,
    pub data: &'a DataSet,
    /// Pause between two fetches of the committed offsets.
    pub interval: Duration,
    /// Records that are processed before the measurement begins.
    pub warm_up: usize,
}

impl Run<'_> {
    /// Runs until every record is committed.
    pub fn to_the_end(self, fixture: &Fixture) -> anyhow::Result<Outcome> {
        self.watched(fixture, &mut |_, _| Ok(()))
    }

    /// Runs until every record is committed. Calls `inspect` after each fetch of the committed
    /// offsets.
    pub fn watched(
        self,
        fixture: &Fixture,
        inspect: &mut dyn FnMut(&Fleet<'_>, usize) -> anyhow::Result<()>,
    ) -> anyhow::Result<Outcome> {
        let Run { contestant, tuning, data, .. } = self;
        let mut fleet = Fleet::start(fixture, contestant, tuning, data)?;
        let watch = Watch::new(fixture, &fleet.group, &data.topic)?;
        let mut first = None;
        let mut warm = (self.warm_up == 0).then(Mark::default);
        let (mut before, mut moved) = (0, Instant::now());
        loop {
            let committed = watch.committed();
            if committed > 0 {
                first.get_or_insert_with(|| Mark::at(&fleet, committed));
            }
            if warm.is_none() && committed >= self.warm_up {
                warm = Some(Mark { cost: fleet.cost()?, ..Mark::at(&fleet, committed) });
            }
            if committed == data.records {
                return self.outcome(fleet, first.unwrap_or_default(), warm.unwrap_or_default());
            }
            if committed != before {
                (before, moved) = (committed, Instant::now());
            }
            let (name, records) = (&contestant.name, data.records);
            fleet.must_run().with_context(|| name.clone())?;
            ensure!(
                committed < records,
                "{name}: {committed} offsets committed for {records} records"
            );
            ensure!(
                moved.elapsed() < STALL_MAX,
                "{name}: only {committed} of {records} were committed"
            );
            inspect(&fleet, committed)?;
            thread::sleep(self.interval);
        }
    }

    fn outcome(self, fleet: Fleet<'_>, first: Mark, warm: Mark) -> anyhow::Result<Outcome> {
        let last = Mark { cost: fleet.cost()?, ..Mark::at(&fleet, self.data.records) };
        let peak = fleet.peak()?;
        fleet.stop()?;
        let records = last.records - warm.records;
        ensure!(records > 0, "the warm-up took all records: use more of them");
        let from = if self.warm_up == 0 { first } else { warm };
        // A run that was complete at the first fetch has only its total time.
        let from = if from.records == last.records { Mark::default() } else { from };
        let is_raw_copy = self.contestant.program == Program::RawCopy;
        let plan = if is_raw_copy { self.data.plan.bytes } else { 0 };
        Ok(Outcome {
            first_commit: first.time,
            all: last.time,
            records,
            cost: last.cost - warm.cost,
            records_a_second: (last.records - from.records) as f64
                / (last.time - from.time).as_secs_f64(),
            peak: peak.saturating_sub(plan),
        })
    }
}

impl Mark {
    /// The present moment, without the cost.
    fn at(fleet: &Fleet<'_>, records: usize) -> Mark {
        Mark { time: fleet.started.elapsed(), records, cost: Cost::default() }
    }
}
