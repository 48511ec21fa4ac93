//! End-to-end latency at a fixed rate: from a record's timestamp, set by its producer, until a
//! `read_committed` consumer receives the output. Both sides use the benchmark's producer, consumer
//! and clock.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde::Serialize;

use super::cost::{Cost, OtherCosts, RecordCost};
use super::fixture::{Fixture, Principals};
use super::load::{Load, Pace, WARM_UP_SECONDS, now_ms};
use super::records::Mix;
use super::runs::{Contestant, Fleet, Tuning};
use super::statistics::{Spread, percentile};
use audit_testkit::client_config;

/// The longest wait for the next output.
const READ_WAIT_MAX: Duration = Duration::from_secs(30);

/// Two sides that run alternately.
#[derive(Debug, Clone)]
pub struct LatencyComparison {
    pub partitions: i32,
    pub bytes: usize,
    pub rate: usize,
    pub seconds: usize,
    pub max_age_ms: u64,
    pub left: Side,
    pub right: Side,
}

/// A contestant and its input.
#[derive(Debug, Clone)]
pub struct Side {
    pub contestant: Contestant,
    pub mix: Mix,
    pub principals: Principals,
}

/// Latency in milliseconds over all rounds.
#[derive(Debug, Clone, Serialize)]
pub struct Times {
    pub contestant: Contestant,
    pub p50: Spread,
    pub p99: Spread,
    pub p999: Spread,
    /// Microseconds of CPU time a record at this rate, without the start.
    pub cpu_us: Spread,
    #[serde(flatten)]
    pub other: OtherCosts,
    /// p99 of each round.
    pub rounds_p99: Vec<f64>,
}

#[derive(Debug, Clone, Serialize)]
pub struct LatencyResult {
    pub rate: usize,
    pub seconds: usize,
    pub left: Times,
    pub right: Times,
    /// Ratio of p99, left to right, over the rounds.
    pub ratio_p99: Spread,
}

/// The figures of one run.
#[derive(Debug, Clone, Copy)]
struct Percentiles {
    p50: f64,
    p99: f64,
    p999: f64,
    cost: RecordCost,
}

impl LatencyComparison {
    pub fn run(&self, fixture: &Fixture, rounds: usize) -> anyhow::Result<LatencyResult> {
        let sides = [&self.left, &self.right];
        let loads = [self.load(fixture, &self.left)?, self.load(fixture, &self.right)?];
        let mut runs = [Vec::new(), Vec::new()];
        for round in 0..rounds {
            for turn in 0..2 {
                let side = (round + turn) % 2;
                let times = self.once(fixture, sides[side], &loads[side])?;
                eprintln!(
                    "  round {round}: p50 {:.1}, p99 {:.1}, p99.9 {:.1} ms, {}",
                    times.p50, times.p99, times.p999, sides[side].contestant.name
                );
                runs[side].push(times);
            }
        }
        let [left, right] = runs;
        let left = times(&self.left.contestant, &left);
        let right = times(&self.right.contestant, &right);
        Ok(LatencyResult {
            rate: self.rate,
            seconds: self.seconds,
            ratio_p99: Spread::of_ratios(&left.rounds_p99, &right.rounds_p99),
            left,
            right,
        })
    }

    fn load(&self, fixture: &Fixture, side: &Side) -> anyhow::Result<Load> {
        let LatencyComparison { partitions, bytes, rate, seconds, .. } = *self;
        let pace = Pace { mix: side.mix, bytes, partitions, rate };
        Load::new(fixture, pace, rate * (WARM_UP_SECONDS + seconds))
    }

    fn once(&self, fixture: &Fixture, side: &Side, load: &Load) -> anyhow::Result<Percentiles> {
        let data = load.new_data_set(fixture);
        let tuning = Tuning {
            max_age_ms: self.max_age_ms,
            principals: side.principals,
            ..Tuning::default()
        };
        let reader = Reader::open(fixture)?;
        let mut fleet = Fleet::start(fixture, &side.contestant, tuning, &data)?;
        let counted_from = now_ms() + WARM_UP_SECONDS as f64 * 1e3;
        let (mut sorted, warm) = thread::scope(|scope| {
            let writer = scope.spawn(|| load.write(fixture, &data.topic));
            let times = reader.read(data.records, counted_from, &|| fleet.cost());
            fleet.must_run()?;
            writer.join().map_err(|_| anyhow!("the writer panicked"))??;
            times
        })?;
        let cost = fleet.cost()? - warm;
        fleet.stop()?;
        sorted.sort_by(f64::total_cmp);
        Ok(Percentiles {
            p50: percentile(&sorted, 0.5),
            p99: percentile(&sorted, 0.99),
            p999: percentile(&sorted, 0.999),
            cost: cost.per_record(sorted.len()),
        })
    }
}

/// Reads the output topics as a consumer of audit events does.
struct Reader(BaseConsumer);

impl Reader {
    /// Starts at the current ends of the topics.
    fn open(fixture: &Fixture) -> anyhow::Result<Reader> {
        let consumer: BaseConsumer = client_config(fixture.broker().bootstrap())
            .set("group.id", "end-to-end-reader")
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .create()?;
        let mut assignment = TopicPartitionList::new();
        for topic in fixture.outputs() {
            for (partition, end) in fixture.broker().end_offsets(&topic) {
                assignment.add_partition_offset(&topic, partition, Offset::Offset(end))?;
            }
        }
        consumer.assign(&assignment)?;
        Ok(Reader(consumer))
    }

    /// Returns the latency in milliseconds of each record with a timestamp from `counted_from` on,
    /// and the value of `cost` at the first of them.
    fn read(
        &self,
        records: usize,
        counted_from: f64,
        cost: &dyn Fn() -> anyhow::Result<Cost>,
    ) -> anyhow::Result<(Vec<f64>, Cost)> {
        let mut times = Vec::with_capacity(records);
        let mut warm = Cost::default();
        let (mut seen, mut last) = (0, Instant::now());
        while seen < records {
            let Some(message) = self.0.poll(Duration::from_millis(100)) else {
                ensure!(last.elapsed() < READ_WAIT_MAX, "only {seen} of {records} came out");
                continue;
            };
            let now = now_ms();
            let message = message?;
            let sent = message.timestamp().to_millis().unwrap_or(0) as f64;
            if sent >= counted_from {
                if times.is_empty() {
                    warm = cost()?;
                }
                times.push(now - sent);
            }
            seen += 1;
            last = Instant::now();
        }
        Ok((times, warm))
    }
}

fn times(contestant: &Contestant, runs: &[Percentiles]) -> Times {
    let costs: Vec<RecordCost> = runs.iter().map(|run| run.cost).collect();
    let spread = |value: fn(&Percentiles) -> f64| Spread::of(runs.iter().map(value));
    Times {
        contestant: contestant.clone(),
        p50: spread(|run| run.p50),
        p99: spread(|run| run.p99),
        p999: spread(|run| run.p999),
        cpu_us: spread(|run| run.cost.cpu_us),
        other: OtherCosts::of(&costs),
        rounds_p99: runs.iter().map(|run| run.p99).collect(),
    }
}
