//! Two sides read the same topic in turn, round by round: what does a record cost each, and how do
//! the costs compare?

use std::time::Duration;

use serde::Serialize;

use super::fleet::{Contestant, Outcome, Program, Run, Tuning};
use super::lab::{DataKey, DataSet, Lab};
use super::records::Mix;
use super::statistics::Spread;

/// How often the committed offsets are asked for.
const INTERVAL: Duration = Duration::from_millis(10);
/// Runs of which the cost of starting is the median.
const STARTS: usize = 3;

/// A comparison.
#[derive(Debug, Clone)]
pub struct Race {
    pub mix: Mix,
    pub bytes: usize,
    pub partitions: i32,
    pub records: usize,
    pub tuning: Tuning,
    pub left: Contestant,
    pub right: Contestant,
}

/// What one side needed.
#[derive(Debug, Clone, Serialize)]
pub struct Side {
    pub contestant: Contestant,
    /// CPU time of starting, in milliseconds, which is not in the following.
    pub start_cpu_ms: f64,
    /// Microseconds of CPU time a record.
    pub cpu_us: Spread,
    /// Records a second, from the first commit to the last.
    pub records_a_second: Spread,
    /// Peak resident memory of the largest process, in MiB.
    pub peak_mib: Spread,
    /// The same as `cpu_us`, round by round.
    pub rounds: Vec<f64>,
}

/// What came out of a comparison.
#[derive(Debug, Clone, Serialize)]
pub struct RaceResult {
    pub records: usize,
    pub left: Side,
    pub right: Side,
    /// CPU time of left to right, from rounds side by side.
    pub ratio: Spread,
    /// Left's least to right's least. What others do on the machine only ever adds to a figure, so
    /// that this is nearer to the truth when they do much.
    pub ratio_of_least: f64,
}

impl Race {
    pub fn run(&self, lab: &mut Lab, rounds: usize) -> anyhow::Result<RaceResult> {
        let contestants = [&self.left, &self.right];
        let planned = contestants.iter().any(|it| it.program == Program::RawCopy);
        let key = DataKey {
            mix: self.mix,
            bytes: self.bytes,
            partitions: self.partitions,
            records: self.records,
            planned,
        };
        // As many records as partitions cost next to nothing: what is left is starting and joining.
        let few = DataKey { records: key.partitions as usize, planned: true, ..key };
        let few = lab.data(few)?;
        let starts = [self.start(lab, &self.left, &few)?, self.start(lab, &self.right, &few)?];
        let data = lab.data(key)?;
        let mut outcomes = [Vec::new(), Vec::new()];
        for round in 0..rounds {
            // In turn, and in turn first: what warms up or wears out meets both.
            for turn in 0..2 {
                let side = (round + turn) % 2;
                let contestant = contestants[side];
                let outcome = self.once(lab, contestant, &data)?;
                let each = per_record(&outcome, starts[side], data.records);
                eprintln!("  round {round}: {each:.3} us a record, {}", contestant.name);
                outcomes[side].push(outcome);
            }
        }
        let [left, right] = outcomes;
        let left = side(&self.left, starts[0], &left, data.records);
        let right = side(&self.right, starts[1], &right, data.records);
        Ok(RaceResult {
            records: data.records,
            ratio: Spread::of_ratios(&left.rounds, &right.rounds),
            ratio_of_least: left.cpu_us.min / right.cpu_us.min,
            left,
            right,
        })
    }

    fn once(&self, lab: &Lab, contestant: &Contestant, data: &DataSet) -> anyhow::Result<Outcome> {
        let run = Run { contestant, tuning: self.tuning, data, interval: INTERVAL };
        run.to_the_end(lab)
    }

    /// CPU time of starting, with next to no records.
    fn start(&self, lab: &Lab, contestant: &Contestant, few: &DataSet) -> anyhow::Result<Duration> {
        let starts: anyhow::Result<Vec<Outcome>> =
            (0..STARTS).map(|_| self.once(lab, contestant, few)).collect();
        let mut starts: Vec<Duration> = starts?.iter().map(|start| start.cpu).collect();
        starts.sort();
        Ok(starts[STARTS / 2])
    }
}

fn per_record(outcome: &Outcome, start: Duration, records: usize) -> f64 {
    outcome.cpu.saturating_sub(start).as_secs_f64() * 1e6 / records as f64
}

fn side(contestant: &Contestant, start: Duration, outcomes: &[Outcome], records: usize) -> Side {
    let rounds: Vec<f64> =
        outcomes.iter().map(|outcome| per_record(outcome, start, records)).collect();
    // Of a run that was over at the first look only the whole is known.
    let speed = |outcome: &Outcome| match records - outcome.first_records {
        0 => records as f64 / outcome.all.as_secs_f64(),
        rest => rest as f64 / (outcome.all - outcome.first_commit).as_secs_f64(),
    };
    let peak = |outcome: &Outcome| outcome.peak as f64 / f64::from(1 << 20);
    Side {
        contestant: contestant.clone(),
        start_cpu_ms: start.as_secs_f64() * 1e3,
        cpu_us: Spread::of(rounds.iter().copied()),
        records_a_second: Spread::of(outcomes.iter().map(speed)),
        peak_mib: Spread::of(outcomes.iter().map(peak)),
        rounds,
    }
}
