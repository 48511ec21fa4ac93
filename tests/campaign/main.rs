//! The fault campaign: three brokers, three relays, a proxy between them, and an outside ledger
//! that judges the output. As a test it runs for two to three minutes with one seed; `cargo test
//! --test campaign -- run --help` shows how to run it for longer. `docs/glossary.md` ("Words of the
//! tests") defines the words that the campaign shares with the simulation.
//!
//! It is a binary without the usual harness, since a run needs the whole machine and takes options.

// Cargo sets `test` here anyway. Clippy must see it to allow what clippy.toml allows in tests.
#![cfg(test)]
#![allow(unreachable_pub, reason = "a program exports nothing")]

mod change;
mod counters;
mod coverage;
mod damage;
mod diagnosis;
mod event;
mod exits;
mod expected;
mod fleet;
mod injection;
mod journal;
mod ledger;
mod load;
mod plan;
mod planted;
mod principals;
mod producer;
mod readers;
mod remake;
mod report;
mod restarts;
mod run;
mod scrapes;
mod violations;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use clap::Parser;
use libtest_mimic::{Arguments, Failed, Trial};

use plan::PlannedFault;
use report::Report;
use run::Settings;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_audit-relay");
/// The seed of the short run, unless `CAMPAIGN_SEED` names another.
const SHORT_SEED: u64 = 1;

/// Inject faults for a while, and check that nothing is lost or doubled.
#[derive(Debug, Parser)]
#[command(name = "run")]
struct Options {
    /// Seed that decides which faults are injected, and when.
    #[arg(long, default_value_t = SHORT_SEED)]
    seed: u64,
    /// Time during which faults are injected.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Maximum number of faults.
    #[arg(long, default_value_t = 10_000)]
    faults: usize,
    /// Input records per second.
    #[arg(long, default_value_t = 2_000)]
    rate: u64,
    /// File for the report, as JSON.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Inject only faults of this kind; may be given more than once.
    #[arg(long)]
    kind: Vec<String>,
    /// Replay the faults of this log instead of those of the seed.
    #[arg(long)]
    replay: Option<PathBuf>,
    /// Seal the trail, and verify it at the end. Only with kinds of faults that damage no output.
    #[arg(long)]
    sealed: bool,
}

/// Milliseconds since 1970.
fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_millis() as i64)
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == "run") {
        return long(&Options::parse_from(std::env::args_os().skip(1)));
    }
    let planted = planted::PLANTED_TESTS.iter().map(|(name, plant)| {
        Trial::test(*name, || plant(&Default::default()).map_err(Failed::from))
    });
    let mut tests: Vec<Trial> = planted.collect();
    tests.push(Trial::test("a_short_campaign_finds_no_violation", short));
    libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
}

fn short() -> Result<(), Failed> {
    let seed = std::env::var("CAMPAIGN_SEED").ok();
    let seed = seed.map_or(Ok(SHORT_SEED), |seed| seed.parse());
    let settings = Settings {
        seed: seed.context("CAMPAIGN_SEED is not a number")?,
        faults: 12,
        time: Duration::from_secs(100),
        per_second: 500,
        folder: folder()?,
        verbose: false,
        is_sealed: false,
    };
    let report = run_plan(&settings, plan::from_seed(settings.seed))?;
    println!("{report}");
    if report.is_clean() {
        // The logs of a clean run are not needed.
        std::fs::remove_dir_all(&settings.folder).context("remove the logs")?;
        return Ok(());
    }
    let verdict = report.verdict();
    Err(Failed::from(format!("{verdict}\n{}", replay_hint(&settings))))
}

fn long(options: &Options) -> ExitCode {
    let run_plan = || -> anyhow::Result<bool> {
        let settings = Settings {
            seed: options.seed,
            faults: options.faults,
            time: Duration::from_secs_f64(options.minutes * 60.0),
            per_second: options.rate,
            folder: folder()?,
            verbose: true,
            is_sealed: options.sealed,
        };
        let report = match &options.replay {
            Some(log) => run_plan(&settings, plan::from_log(log)?.into_iter())?,
            None => run_plan(&settings, plan::of_kinds(options.seed, options.kind.clone())?)?,
        };
        if let Some(path) = &options.report {
            std::fs::write(path, serde_json::to_string_pretty(&report)?)
                .context("write the report")?;
        }
        println!("{report}");
        println!("{}", replay_hint(&settings));
        Ok(report.is_clean())
    };
    match run_plan() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the campaign itself failed: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run_plan(
    settings: &Settings,
    plan: impl Iterator<Item = PlannedFault>,
) -> anyhow::Result<Report> {
    run::run(settings, plan).with_context(|| replay_hint(settings))
}

fn replay_hint(settings: &Settings) -> String {
    format!(
        "seed {seed}; logs of relays and brokers are in {folder}; replay the faults with: \
         cargo test --test campaign -- run --seed {seed} --rate {rate} --replay {folder}/faults.jsonl",
        seed = settings.seed,
        rate = settings.per_second,
        folder = settings.folder.display(),
    )
}

/// Path of a new folder for the logs of a run.
fn folder() -> anyhow::Result<PathBuf> {
    let name = format!("campaign-{}-{}", now_ms(), std::process::id());
    Ok(audit_testkit::scratch()?.join(name))
}
