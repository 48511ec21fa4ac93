//! The loop under a seeded simulation: whole consumer groups on a fake cluster, with crashes,
//! zombies, aborts, unknown results, requests that arrive late, lagging tables and rebalances at
//! every point of a turn. The pure judge mapped over the input says what ought to come out. No seed
//! is special: what the runs must contain is demanded by name in `coverage.rs`, and what they must
//! find is planted in `sabotage.rs`. A failing seed is printed with its log; `SIMULATION_SEED=n`
//! runs it again, `SIMULATION_SEEDS=n` says how many seeds to run.

mod broker;
mod client;
mod cluster;
mod consuming;
mod coverage;
mod disturbance;
mod faults;
mod group;
mod instance;
mod oracle;
mod plan;
mod producing;
mod sabotage;
mod seam;
mod stage;
mod tables;
mod transactions;
mod world;

use coverage::Coverage;
use sabotage::{PLANTED, Planted};
use world::run;

/// Seeds that are run unless the environment says otherwise.
const SEEDS: u64 = 5_000;
/// Seeds among which a planted fault must show.
const SEEDS_TO_CATCH: u64 = 2_000;

fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// Runs a seed that failed once more, with its log, which says everything.
fn explain(seed: u64) -> String {
    let outcome = run(seed, None, true);
    format!(
        "{}\n{:?}\nreplay with SIMULATION_SEED={seed}",
        outcome.log.join("\n"),
        outcome.violations
    )
}

#[test]
fn nothing_is_lost_doubled_or_torn() {
    if let Some(seed) = from_environment("SIMULATION_SEED") {
        println!("{}", explain(seed));
        assert!(run(seed, None, false).violations.is_empty());
        return;
    }
    let seeds = from_environment("SIMULATION_SEEDS").unwrap_or(SEEDS);
    let mut coverage = Coverage::default();
    for seed in 0..seeds {
        let outcome = run(seed, None, false);
        assert!(outcome.violations.is_empty(), "{}", explain(seed));
        coverage.add(&outcome.coverage);
    }
    for (name, count) in coverage.counts().iter().chain(&coverage.rarest(12)) {
        println!("{name:>48} {count}");
    }
    // A few seeds cannot contain everything.
    let missing = coverage.missing();
    assert!(missing.is_empty() || seeds < SEEDS, "no run contains {missing:#?}");
}

#[test]
fn a_seed_replays() {
    for seed in 0..20 {
        let log = || run(seed, None, true).log;
        assert_eq!(log(), log(), "seed {seed}");
    }
}

/// The first seed that shows a planted fault.
fn shows((sabotage, gives_away): &Planted) -> Option<u64> {
    (0..SEEDS_TO_CATCH).find(|seed| {
        let outcome = run(*seed, Some(*sabotage), false);
        outcome.violations.iter().any(gives_away)
    })
}

#[test]
fn every_planted_fault_is_caught() {
    let mut uncaught = Vec::new();
    for planted in PLANTED {
        let name = format!("{:?}", planted.0);
        match shows(planted) {
            Some(seed) => println!("{name:>24} caught after {} seeds", seed + 1),
            None => uncaught.push(name),
        }
    }
    assert!(uncaught.is_empty(), "not caught in {SEEDS_TO_CATCH} seeds: {uncaught:?}");
}
