//! Measurements of one program alone: memory with a large consumer lag, and the time from start to
//! first commit.

use std::time::Duration;

use serde::Serialize;

use super::fixture::{DataKey, Fixture, Principals};
use super::records::Mix;
use super::runs::{Contestant, Run, Tuning};
use super::statistics::Spread;

/// Pause between two samples of the memory.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(250);
/// Pause between two fetches of the committed offsets while waiting for the first commit.
const SHORT_INTERVAL: Duration = Duration::from_millis(2);
/// Memory is reported for each of this many parts of the run.
const PARTS: usize = 10;

/// Memory use over a long run.
#[derive(Debug, Clone, Serialize)]
pub struct MemoryResult {
    pub contestant: Contestant,
    pub records: usize,
    pub peak_mib: f64,
    /// Median resident memory in each tenth of the records.
    pub tenths_mib: Vec<f64>,
    pub records_a_second: f64,
}

/// Reads a topic with a large consumer lag.
pub fn memory(
    fixture: &mut Fixture,
    contestant: &Contestant,
    mix: Mix,
    partitions: i32,
    records: usize,
) -> anyhow::Result<MemoryResult> {
    let data = fixture.data(DataKey { mix, bytes: 512, partitions, records, planned: false })?;
    let mut parts = vec![Vec::new(); PARTS];
    let run = Run {
        contestant,
        tuning: Tuning::default(),
        data: &data,
        interval: SAMPLE_INTERVAL,
        warm_up: 0,
    };
    let outcome = run.watched(fixture, &mut |fleet, committed| {
        let part = (committed * PARTS / records).min(PARTS - 1);
        for process in &fleet.processes {
            parts[part].push(mib(process.resident()?));
        }
        Ok(())
    })?;
    let tenths = parts.into_iter().map(|part| Spread::of(part).median);
    Ok(MemoryResult {
        contestant: contestant.clone(),
        records,
        peak_mib: mib(outcome.peak),
        tenths_mib: tenths.collect(),
        records_a_second: records as f64 / outcome.all.as_secs_f64(),
    })
}

/// Time to the first commit.
#[derive(Debug, Clone, Serialize)]
pub struct StartResult {
    pub contestant: Contestant,
    pub milliseconds: Spread,
    pub cpu_ms: Spread,
}

/// Starts with a table of one principal and a fresh group, on a topic with one record per
/// partition.
pub fn start(
    fixture: &mut Fixture,
    contestant: &Contestant,
    mix: Mix,
    partitions: i32,
    rounds: usize,
) -> anyhow::Result<StartResult> {
    let data = fixture.data(DataKey {
        mix,
        bytes: 512,
        partitions,
        records: partitions as usize,
        planned: true,
    })?;
    let tuning = Tuning { principals: Principals::One, ..Tuning::default() };
    let run = Run { contestant, tuning, data: &data, interval: SHORT_INTERVAL, warm_up: 0 };
    let mut outcomes = Vec::new();
    for round in 0..rounds {
        let outcome = run.to_the_end(fixture)?;
        let milliseconds = outcome.first_commit.as_secs_f64() * 1e3;
        eprintln!("  round {round}: {milliseconds:.0} ms, {}", contestant.name);
        outcomes.push(outcome);
    }
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    Ok(StartResult {
        contestant: contestant.clone(),
        milliseconds: Spread::of(outcomes.iter().map(|it| ms(it.first_commit))),
        cpu_ms: Spread::of(outcomes.iter().map(|it| ms(it.cost.own.cpu))),
    })
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
