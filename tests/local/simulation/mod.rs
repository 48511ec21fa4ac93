//! Runs the loop under a seeded simulation: whole consumer groups on a fake cluster, with crashes,
//! zombies, aborts, unknown results, delayed requests, lagging tables and rebalances at every point
//! of a turn. The oracle maps the pure judge over the input to get the expected output. No seed is
//! special: `coverage.rs` lists by name what the runs must contain, and `planted.rs` lists the bugs
//! that they must catch. A failing seed is printed with its log; `SIMULATION_SEED=n` replays it,
//! `SIMULATION_SEEDS=n` sets the number of seeds. `docs/glossary.md` ("Words of the tests") defines
//! the words that the simulation shares with the fault campaign.

mod broker;
mod client;
mod cluster;
mod consuming;
mod context;
mod coverage;
mod faults;
mod group;
mod injection;
mod instance;
mod oracle;
mod plan;
mod planted;
mod producing;
mod seam;
mod tables;
mod trail;
mod transactions;
mod world;

use coverage::Coverage;
use planted::{PLANTED, Planted};
use world::run;

/// Number of seeds to run unless the environment sets another.
const SEEDS: u64 = 5_000;
/// Number of seeds within which each planted fault must be caught.
const SEEDS_TO_CATCH: u64 = 2_000;

fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// Reruns a failed seed and returns its log and violations.
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
    // A smaller number of seeds need not contain everything.
    let missing = coverage.missing();
    assert!(missing.is_empty() || seeds < SEEDS, "no run covers {missing:#?}");
}

#[test]
fn a_seed_replays_exactly() {
    for seed in 0..20 {
        let log = || run(seed, None, true).log;
        assert_eq!(log(), log(), "seed {seed}");
    }
}

/// Returns the first seed whose violations reveal the planted fault.
fn first_seed_that_catches((fault, reveals): &Planted) -> Option<u64> {
    (0..SEEDS_TO_CATCH).find(|seed| {
        let outcome = run(*seed, Some(*fault), false);
        outcome.violations.iter().any(reveals)
    })
}

#[test]
fn every_planted_fault_is_caught() {
    let mut uncaught = Vec::new();
    for planted in PLANTED {
        let name = format!("{:?}", planted.0);
        match first_seed_that_catches(planted) {
            Some(seed) => println!("{name:>24} caught after {} seeds", seed + 1),
            None => uncaught.push(name),
        }
    }
    assert!(uncaught.is_empty(), "not caught in {SEEDS_TO_CATCH} seeds: {uncaught:?}");
}
