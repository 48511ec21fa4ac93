//! Compares the cost of a record between two sides that read the same topic alternately.

use std::time::Duration;

use serde::Serialize;

use super::cost::{Cost, OtherCosts, RecordCost};
use super::fixture::{DataKey, DataSet, Fixture};
use super::records::Mix;
use super::runs::{Contestant, Outcome, Program, Run, Tuning};
use super::statistics::Spread;

/// Pause between two fetches of the committed offsets.
const INTERVAL: Duration = Duration::from_millis(10);
/// The cost of starting is the median of this many runs.
const STARTS: usize = 3;

/// A comparison.
#[derive(Debug, Clone)]
pub struct Comparison {
    pub mix: Mix,
    pub bytes: usize,
    pub partitions: i32,
    pub records: usize,
    pub tuning: Tuning,
    pub left: Contestant,
    pub right: Contestant,
}

/// The cost of one side.
#[derive(Debug, Clone, Serialize)]
pub struct Side {
    pub contestant: Contestant,
    /// CPU time of starting, in milliseconds; the other figures exclude it.
    pub start_cpu_ms: f64,
    /// Microseconds of CPU time a record.
    pub cpu_us: Spread,
    #[serde(flatten)]
    pub other: OtherCosts,
    /// Records a second, from the first commit to the last.
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
    pub left: Side,
    pub right: Side,
    /// Ratio of CPU time, left to right, over the rounds.
    pub ratio: Spread,
    /// Ratio of the minima, left to right. Other load on the machine can only increase a figure,
    /// so on a busy machine this ratio is more accurate.
    pub ratio_of_least: f64,
}

impl Comparison {
    pub fn run(&self, fixture: &mut Fixture, rounds: usize) -> anyhow::Result<ComparisonResult> {
        let contestants = [&self.left, &self.right];
        let planned = contestants.iter().any(|it| it.program == Program::RawCopy);
        let key = DataKey {
            mix: self.mix,
            bytes: self.bytes,
            partitions: self.partitions,
            records: self.records,
            planned,
        };
        // One record per partition costs almost nothing: this measures starting and joining the
        // group.
        let few = DataKey { records: key.partitions as usize, planned: true, ..key };
        let few = fixture.data(few)?;
        let starts =
            [self.start(fixture, &self.left, &few)?, self.start(fixture, &self.right, &few)?];
        let data = fixture.data(key)?;
        let mut outcomes = [Vec::new(), Vec::new()];
        for round in 0..rounds {
            // The sides alternate, and so does the first one: warm-up and wear affect both.
            for turn in 0..2 {
                let side = (round + turn) % 2;
                let contestant = contestants[side];
                let outcome = self.once(fixture, contestant, &data)?;
                let each = (outcome.cost - starts[side]).per_record(data.records);
                eprintln!("  round {round}: {:.3} us a record, {}", each.cpu_us, contestant.name);
                outcomes[side].push((outcome, each));
            }
        }
        let [left, right] = outcomes;
        let left = side(&self.left, starts[0], &left, data.records);
        let right = side(&self.right, starts[1], &right, data.records);
        Ok(ComparisonResult {
            records: data.records,
            ratio: Spread::of_ratios(&left.rounds, &right.rounds),
            ratio_of_least: left.cpu_us.min / right.cpu_us.min,
            left,
            right,
        })
    }

    fn once(
        &self,
        fixture: &Fixture,
        contestant: &Contestant,
        data: &DataSet,
    ) -> anyhow::Result<Outcome> {
        let run = Run { contestant, tuning: self.tuning, data, interval: INTERVAL };
        run.to_the_end(fixture)
    }

    /// The cost of starting, measured with few records.
    fn start(
        &self,
        fixture: &Fixture,
        contestant: &Contestant,
        few: &DataSet,
    ) -> anyhow::Result<Cost> {
        let runs = (0..STARTS).map(|_| Ok(self.once(fixture, contestant, few)?.cost));
        let costs: anyhow::Result<Vec<Cost>> = runs.collect();
        Ok(Cost::median(&costs?))
    }
}

fn side(
    contestant: &Contestant,
    start: Cost,
    outcomes: &[(Outcome, RecordCost)],
    records: usize,
) -> Side {
    let costs: Vec<RecordCost> = outcomes.iter().map(|(_, each)| *each).collect();
    let rounds: Vec<f64> = costs.iter().map(|each| each.cpu_us).collect();
    // A run that was complete at the first fetch has only its total time.
    let speed = |(outcome, _): &(Outcome, RecordCost)| match records - outcome.first_records {
        0 => records as f64 / outcome.all.as_secs_f64(),
        rest => rest as f64 / (outcome.all - outcome.first_commit).as_secs_f64(),
    };
    let peak = |(outcome, _): &(Outcome, RecordCost)| outcome.peak as f64 / f64::from(1 << 20);
    Side {
        contestant: contestant.clone(),
        start_cpu_ms: start.own.cpu.as_secs_f64() * 1e3,
        cpu_us: Spread::of(rounds.iter().copied()),
        other: OtherCosts::of(&costs),
        records_a_second: Spread::of(outcomes.iter().map(speed)),
        peak_mib: Spread::of(outcomes.iter().map(peak)),
        rounds,
    }
}
