//! Divides the time of an audited record: measures the time up to the report of each stage. Each
//! report reads the clock, and the stages after it include that.

use std::time::Instant;

use audit_cases::Setup;
use audit_judge::classify::UserAction;
use audit_judge::enrich::AttributedAction;
use audit_judge::fate::Audited;
use audit_judge::parse::record::Record;
use audit_judge::trace::Trace;
use audit_judge::{Input, judge_traced};

use super::{ROUNDS, best_quarter};

const STAGES: [&str; 5] = ["parse", "classify", "enrich", "route", "format"];

/// The time of one round up to each stage.
struct Clock {
    begun: Instant,
    nanoseconds: [f64; STAGES.len()],
}

impl Clock {
    fn read(&mut self, stage: usize) {
        self.nanoseconds[stage] += self.begun.elapsed().as_nanos() as f64;
    }
}

impl Trace for Clock {
    fn parsed(&mut self, _: &Record<'_>) {
        self.read(0);
    }

    fn classified(&mut self, _: &UserAction<'_>) {
        self.read(1);
    }

    fn attributed(&mut self, _: &AttributedAction<'_>) {
        self.read(2);
    }

    fn routed(&mut self, _: &str) {
        self.read(3);
    }

    fn formatted(&mut self, _: &Audited) {
        self.read(4);
    }
}

/// Prints the time up to and with each stage, in the best quarter of rounds.
pub fn print(setup: &Setup, records: &[String]) {
    let rounds: Vec<_> = std::iter::repeat_with(|| round(setup, records)).take(ROUNDS).collect();
    println!("stages of an audited record, each with those before it");
    for (stage, name) in STAGES.into_iter().enumerate() {
        let each = best_quarter(rounds.iter().map(|round| round[stage]).collect());
        println!("  {name:<22}{:8.0}", each / records.len() as f64);
    }
}

fn round(setup: &Setup, records: &[String]) -> [f64; STAGES.len()] {
    let Setup { rules, reference, .. } = setup;
    let mut clock = Clock { begun: Instant::now(), nanoseconds: [0.0; STAGES.len()] };
    for record in records {
        clock.begun = Instant::now();
        let input = Input { payload: Some(record.as_bytes()), at: None };
        judge_traced(input, rules, || reference, &mut clock);
    }
    clock.nanoseconds
}
