//! What a run costs, and what each of its records costs.

use std::ops::Sub;
use std::time::Duration;

use serde::Serialize;

use super::statistics::Spread;
use super::usage::Usage;

/// What a run costs: the contestant's own usage, and what the broker spends meanwhile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    pub own: Usage,
    /// The broker's CPU time.
    pub broker: Duration,
    /// Bytes that the output takes on the broker's disk.
    pub stored: u64,
}

impl Cost {
    /// Returns the median of each figure of some runs.
    pub fn median(costs: &[Cost]) -> Cost {
        fn middle<T: Ord>(values: impl Iterator<Item = T>) -> Option<T> {
            let mut values: Vec<T> = values.collect();
            values.sort();
            let middle = values.len() / 2;
            values.into_iter().nth(middle)
        }
        let own = |figure: fn(&Usage) -> u64| {
            middle(costs.iter().map(|cost| figure(&cost.own))).unwrap_or_default()
        };
        Cost {
            own: Usage {
                cpu: middle(costs.iter().map(|cost| cost.own.cpu)).unwrap_or_default(),
                faults: own(|usage| usage.faults),
                switches: own(|usage| usage.switches),
            },
            broker: middle(costs.iter().map(|cost| cost.broker)).unwrap_or_default(),
            stored: middle(costs.iter().map(|cost| cost.stored)).unwrap_or_default(),
        }
    }

    /// Divides the cost of a run by its records.
    pub fn per_record(self, records: usize) -> RecordCost {
        let each = |count: f64| count / records as f64;
        RecordCost {
            cpu_us: each(self.own.cpu.as_secs_f64() * 1e6),
            faults_per_thousand: each(self.own.faults as f64 * 1e3),
            switches_per_thousand: each(self.own.switches as f64 * 1e3),
            broker_cpu_us: each(self.broker.as_secs_f64() * 1e6),
            stored_bytes: each(self.stored as f64),
        }
    }
}

impl Sub for Cost {
    type Output = Cost;

    fn sub(self, other: Cost) -> Cost {
        Cost {
            own: self.own - other.own,
            broker: self.broker.saturating_sub(other.broker),
            stored: self.stored.saturating_sub(other.stored),
        }
    }
}

/// The cost of one record in one round.
#[derive(Debug, Clone, Copy)]
pub struct RecordCost {
    pub cpu_us: f64,
    pub faults_per_thousand: f64,
    pub switches_per_thousand: f64,
    pub broker_cpu_us: f64,
    pub stored_bytes: f64,
}

/// What one side costs beside its own CPU time, over all rounds.
#[derive(Debug, Clone, Serialize)]
pub struct OtherCosts {
    /// Minor page faults per 1,000 records.
    pub faults_per_thousand: Spread,
    /// Context switches per 1,000 records.
    pub switches_per_thousand: Spread,
    /// Microseconds of the broker's CPU time a record.
    pub broker_cpu_us: Spread,
    /// Bytes on the broker's disk that an input record's output takes, without replicas.
    pub stored_bytes: Spread,
}

impl OtherCosts {
    /// Returns the spreads of some rounds.
    pub fn of(rounds: &[RecordCost]) -> OtherCosts {
        let spread = |figure: fn(&RecordCost) -> f64| Spread::of(rounds.iter().map(figure));
        OtherCosts {
            faults_per_thousand: spread(|round| round.faults_per_thousand),
            switches_per_thousand: spread(|round| round.switches_per_thousand),
            broker_cpu_us: spread(|round| round.broker_cpu_us),
            stored_bytes: spread(|round| round.stored_bytes),
        }
    }
}
