//! Compares the cost of a record between two sides that read the same topic alternately.

use std::thread;
use std::time::Duration;

use anyhow::anyhow;
use serde::Serialize;

use super::cost::{Cost, OtherCosts, RecordCost};
use super::fixture::{DataKey, DataSet, Fixture};
use super::load::{Load, Pace};
use super::neighbours::BusyLoops;
use super::records::Mix;
use super::runs::{Contestant, Outcome, Run, Tuning};
use super::statistics::Spread;

/// Pause between two fetches of the committed offsets.
const INTERVAL: Duration = Duration::from_millis(10);
/// The same while records come at a fixed rate: less of the broker's CPU is for the answers.
const PACED_INTERVAL: Duration = Duration::from_millis(100);
/// The cost of starting is the median of this many runs.
const STARTS: usize = 3;

/// A comparison.
#[derive(Debug, Clone)]
pub struct Comparison {
    pub mix: Mix,
    pub bytes: usize,
    pub partitions: i32,
    pub records: usize,
    /// Records that each run processes before those that count.
    pub warm_up: usize,
    /// Records a second. None: all are written before the runs.
    pub rate: Option<usize>,
    pub tuning: Tuning,
    pub left: Contestant,
    pub right: Contestant,
}

/// The cost of one side.
#[derive(Debug, Clone, Serialize)]
pub struct Side {
    pub contestant: Contestant,
    /// CPU time of starting, in milliseconds; the other figures exclude it. 0 if a warm-up
    /// includes it.
    pub start_cpu_ms: f64,
    /// Microseconds of CPU time a record.
    pub cpu_us: Spread,
    #[serde(flatten)]
    pub other: OtherCosts,
    /// Records a second, from the first commit or the end of the warm-up to the last commit.
    pub records_a_second: Spread,
    /// Peak resident memory of the largest process, in MiB.
    pub peak_mib: Spread,
    /// The values of `cpu_us`, by round.
    pub rounds: Vec<f64>,
}

/// The result of a comparison.
#[derive(Debug, Clone, Serialize)]
pub struct ComparisonResult {
    pub records: usize,
    pub warm_up: usize,
    pub left: Side,
    pub right: Side,
    /// Ratio of CPU time, left to right, over the rounds.
    pub ratio: Spread,
    /// Ratio of the minima, left to right. Other load on the machine can only increase a figure,
    /// so on a busy machine this ratio is more accurate.
    pub ratio_of_least: f64,
}

/// Where a run's records come from.
enum Source {
    /// A topic that holds them all.
    Topic(DataSet),
    /// They are written during the run.
    Load(Load),
}

impl Comparison {
    pub fn run(&self, fixture: &mut Fixture, rounds: usize) -> anyhow::Result<ComparisonResult> {
        let starts = self.starts(fixture)?;
        let source = self.source(fixture)?;
        let contestants = [&self.left, &self.right];
        let mut outcomes = [Vec::new(), Vec::new()];
        for round in 0..rounds {
            // The sides alternate, and so does the first one: warm-up and wear affect both.
            for turn in 0..2 {
                let side = (round + turn) % 2;
                let contestant = contestants[side];
                let outcome = self.once(fixture, contestant, &source)?;
                let each = (outcome.cost - starts[side]).per_record(outcome.records);
                eprintln!("  round {round}: {:.3} us a record, {}", each.cpu_us, contestant.name);
                outcomes[side].push((outcome, each));
            }
        }
        let [left, right] = outcomes;
        let left = side(&self.left, starts[0], &left);
        let right = side(&self.right, starts[1], &right);
        Ok(ComparisonResult {
            records: self.records,
            warm_up: self.warm_up,
            ratio: Spread::of_ratios(&left.rounds, &right.rounds),
            ratio_of_least: left.cpu_us.min / right.cpu_us.min,
            left,
            right,
        })
    }

    fn key(&self) -> DataKey {
        DataKey {
            mix: self.mix,
            bytes: self.bytes,
            partitions: self.partitions,
            records: self.warm_up + self.records,
            planned: [&self.left, &self.right].iter().any(|it| it.program.needs_plan()),
        }
    }

    fn source(&self, fixture: &mut Fixture) -> anyhow::Result<Source> {
        let Comparison { mix, bytes, partitions, warm_up, records, .. } = *self;
        Ok(match self.rate {
            Some(rate) => {
                let pace = Pace { mix, bytes, partitions, rate };
                Source::Load(Load::new(fixture, pace, warm_up + records)?)
            }
            None => Source::Topic(fixture.data(self.key())?),
        })
    }

    fn once(
        &self,
        fixture: &Fixture,
        contestant: &Contestant,
        source: &Source,
    ) -> anyhow::Result<Outcome> {
        let _busy = BusyLoops::start(contestant.neighbours);
        let Comparison { tuning, warm_up, .. } = *self;
        let load = match source {
            Source::Topic(data) => {
                let run = Run { contestant, tuning, data, interval: INTERVAL, warm_up };
                return run.to_the_end(fixture);
            }
            Source::Load(load) => load,
        };
        let data = &load.new_data_set(fixture);
        let run = Run { contestant, tuning, data, interval: PACED_INTERVAL, warm_up };
        thread::scope(|scope| {
            let writer = scope.spawn(|| load.write(fixture, &data.topic));
            let outcome = run.to_the_end(fixture)?;
            writer.join().map_err(|_| anyhow!("the writer panicked"))??;
            Ok(outcome)
        })
    }

    /// The costs of starting both sides; nothing if a warm-up includes them.
    fn starts(&self, fixture: &mut Fixture) -> anyhow::Result<[Cost; 2]> {
        if self.warm_up > 0 {
            return Ok([Cost::default(); 2]);
        }
        // One record per partition costs almost nothing: this measures starting and joining the
        // group.
        let few = DataKey { records: self.partitions as usize, planned: true, ..self.key() };
        let few = Source::Topic(fixture.data(few)?);
        Ok([self.start(fixture, &self.left, &few)?, self.start(fixture, &self.right, &few)?])
    }

    /// The cost of starting, measured with few records.
    fn start(
        &self,
        fixture: &Fixture,
        contestant: &Contestant,
        few: &Source,
    ) -> anyhow::Result<Cost> {
        let runs = (0..STARTS).map(|_| Ok(self.once(fixture, contestant, few)?.cost));
        let costs: anyhow::Result<Vec<Cost>> = runs.collect();
        Ok(Cost::median(&costs?))
    }
}

fn side(contestant: &Contestant, start: Cost, outcomes: &[(Outcome, RecordCost)]) -> Side {
    let costs: Vec<RecordCost> = outcomes.iter().map(|(_, each)| *each).collect();
    let rounds: Vec<f64> = costs.iter().map(|each| each.cpu_us).collect();
    let peak = |(outcome, _): &(Outcome, RecordCost)| outcome.peak as f64 / f64::from(1 << 20);
    Side {
        contestant: contestant.clone(),
        start_cpu_ms: start.own.cpu.as_secs_f64() * 1e3,
        cpu_us: Spread::of(rounds.iter().copied()),
        other: OtherCosts::of(&costs),
        records_a_second: Spread::of(outcomes.iter().map(|(outcome, _)| outcome.records_a_second)),
        peak_mib: Spread::of(outcomes.iter().map(peak)),
        rounds,
    }
}
