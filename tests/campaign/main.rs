//! The fault campaign: three brokers, three relays, a proxy between them, and a ledger outside that
//! judges what comes out. As a test it runs for two to three minutes with one seed; `cargo test
//! --test campaign -- run --help` tells how to run it for longer.
//!
//! A binary of its own, without the usual harness: a run needs the machine for itself, and takes
//! options.

// Cargo sets `test` here anyway. Clippy must see it to allow what clippy.toml allows in tests.
#![cfg(test)]
#![allow(unreachable_pub, reason = "a program exports nothing")]

mod change;
mod complaints;
mod counters;
mod damage;
mod demand;
mod ends;
mod event;
mod evidence;
mod fleet;
mod hearing;
mod journal;
mod ledger;
mod load;
mod naming;
mod people;
mod plan;
mod planted;
mod producer;
mod readers;
mod remake;
mod report;
mod restarts;
mod run;
mod strike;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use clap::Parser;
use libtest_mimic::{Arguments, Failed, Trial};

use plan::Step;
use report::Report;
use run::Settings;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_audit-relay");
/// The seed of the short run, unless `CAMPAIGN_SEED` names another.
const SHORT_SEED: u64 = 1;

/// Break the world for a while, and see whether anything is lost.
#[derive(Debug, Parser)]
#[command(name = "run")]
struct Options {
    /// Decides which faults come when.
    #[arg(long, default_value_t = SHORT_SEED)]
    seed: u64,
    /// No fault begins later than this.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Most faults.
    #[arg(long, default_value_t = 10_000)]
    faults: usize,
    /// Input records a second.
    #[arg(long, default_value_t = 2_000)]
    rate: u64,
    /// Where the report goes, as JSON.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Only faults of this kind; may be given more than once.
    #[arg(long)]
    kind: Vec<String>,
    /// Make the faults of this log again, instead of those of the seed.
    #[arg(long)]
    replay: Option<PathBuf>,
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
    let planted = planted::PLANTINGS.iter().map(|(name, plant)| {
        Trial::test(*name, || plant(&Default::default()).map_err(Failed::from))
    });
    let mut tests: Vec<Trial> = planted.collect();
    tests.push(Trial::test("a_short_campaign_finds_nothing_wrong", short));
    libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
}

fn short() -> Result<(), Failed> {
    let seed = std::env::var("CAMPAIGN_SEED").ok();
    let seed = seed.map_or(Ok(SHORT_SEED), |seed| seed.parse());
    let settings = Settings {
        seed: seed.context("CAMPAIGN_SEED is no number")?,
        faults: 12,
        time: Duration::from_secs(100),
        per_second: 500,
        folder: folder()?,
        aloud: false,
    };
    let report = carry_out(&settings, plan::from_seed(settings.seed))?;
    println!("{report}");
    if report.is_clean() {
        // Nobody will ask for the logs.
        std::fs::remove_dir_all(&settings.folder).context("remove the logs")?;
        return Ok(());
    }
    let verdict = report.verdict();
    Err(Failed::from(format!("{verdict}\n{}", how_to_repeat(&settings))))
}

fn long(options: &Options) -> ExitCode {
    let carry_out = || -> anyhow::Result<bool> {
        let settings = Settings {
            seed: options.seed,
            faults: options.faults,
            time: Duration::from_secs_f64(options.minutes * 60.0),
            per_second: options.rate,
            folder: folder()?,
            aloud: true,
        };
        let report = match &options.replay {
            Some(log) => carry_out(&settings, plan::from_log(log)?.into_iter())?,
            None => carry_out(&settings, plan::of_kinds(options.seed, options.kind.clone())?)?,
        };
        if let Some(path) = &options.report {
            std::fs::write(path, serde_json::to_string_pretty(&report)?)
                .context("write the report")?;
        }
        println!("{report}");
        println!("{}", how_to_repeat(&settings));
        Ok(report.is_clean())
    };
    match carry_out() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the campaign itself failed: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn carry_out(settings: &Settings, steps: impl Iterator<Item = Step>) -> anyhow::Result<Report> {
    run::run(settings, steps).with_context(|| how_to_repeat(settings))
}

fn how_to_repeat(settings: &Settings) -> String {
    format!(
        "seed {seed}; logs of relays and brokers are in {folder}; the same faults again: \
         cargo test --test campaign -- run --seed {seed} --rate {rate} --replay {folder}/faults.jsonl",
        seed = settings.seed,
        rate = settings.per_second,
        folder = settings.folder.display(),
    )
}

/// A new folder for the logs of a run.
fn folder() -> anyhow::Result<PathBuf> {
    let name = format!("campaign-{}-{}", now_ms(), std::process::id());
    Ok(audit_testkit::scratch()?.join(name))
}
