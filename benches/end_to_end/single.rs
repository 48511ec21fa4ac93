//! What one program is measured by on its own: memory while it is far behind, and the time from its
//! start to its first commit.

use std::time::Duration;

use serde::Serialize;

use super::fleet::{Contestant, Run, Tuning};
use super::lab::{DataKey, Lab, Principals};
use super::records::Mix;
use super::statistics::Spread;

/// How often memory is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// How often the offsets are asked for when the first commit is waited for.
const SHORT_INTERVAL: Duration = Duration::from_millis(2);
/// The run is cut into so many parts.
const PARTS: usize = 10;

/// Memory over a long run.
#[derive(Debug, Clone, Serialize)]
pub struct MemoryResult {
    pub contestant: Contestant,
    pub records: usize,
    pub peak_mib: f64,
    /// Median of resident memory in each tenth of the records.
    pub tenths_mib: Vec<f64>,
    pub records_a_second: f64,
}

/// Reads a topic that is far ahead.
pub fn memory(
    lab: &mut Lab,
    contestant: &Contestant,
    mix: Mix,
    partitions: i32,
    records: usize,
) -> anyhow::Result<MemoryResult> {
    let data = lab.data(DataKey { mix, bytes: 512, partitions, records, planned: false })?;
    let mut parts = vec![Vec::new(); PARTS];
    let run = Run { contestant, tuning: Tuning::default(), data: &data, interval: LOOK_INTERVAL };
    let outcome = run.watched(lab, &mut |fleet, committed| {
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

/// Starts with empty tables and a fresh group, on a topic that holds some records.
pub fn start(
    lab: &mut Lab,
    contestant: &Contestant,
    mix: Mix,
    partitions: i32,
    rounds: usize,
) -> anyhow::Result<StartResult> {
    let data = lab.data(DataKey {
        mix,
        bytes: 512,
        partitions,
        records: partitions as usize,
        planned: true,
    })?;
    let tuning = Tuning { principals: Principals::Nobody, ..Tuning::default() };
    let run = Run { contestant, tuning, data: &data, interval: SHORT_INTERVAL };
    let mut outcomes = Vec::new();
    for round in 0..rounds {
        let outcome = run.to_the_end(lab)?;
        let milliseconds = outcome.first_commit.as_secs_f64() * 1e3;
        eprintln!("  round {round}: {milliseconds:.0} ms, {}", contestant.name);
        outcomes.push(outcome);
    }
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    Ok(StartResult {
        contestant: contestant.clone(),
        milliseconds: Spread::of(outcomes.iter().map(|it| ms(it.first_commit))),
        cpu_ms: Spread::of(outcomes.iter().map(|it| ms(it.cpu))),
    })
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
