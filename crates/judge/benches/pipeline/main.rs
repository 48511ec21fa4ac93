//! What judging costs, without Kafka: the time of a record by kind, and the instructions that it
//! takes, which are the same on a busy machine. `cargo bench --bench pipeline` prints both; `--
//! --save` writes the instructions to `baseline.toml`, and without it they are compared: a
//! difference of 2 % shows, and ends the program with an error under `-- --check`. Instructions are
//! counted by valgrind, which must be installed for that.

// Cargo says so of every test and benchmark; for clippy it is what clippy.toml allows in tests.
#![cfg(test)]
#![allow(unreachable_pub, reason = "a program exports nothing")]

mod instructions;
mod records;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use audit_cases::Setup;
use audit_judge::classify::classify;
use audit_judge::enrich::enrich;
use audit_judge::judge_action;
use audit_judge::parse::record::parse;
use records::{Kind, records};

/// Records of a kind, judged in turn.
const RECORDS: usize = 1_000;
const ROUNDS: usize = 200;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    if let Some(kind) = instructions::asked_for(&mut words) {
        instructions::run(&setup(), &records(kind, RECORDS));
        return ExitCode::SUCCESS;
    }
    let setup = setup();
    println!(
        "a record of about 500 bytes, by what becomes of it, ns in the best quarter of rounds"
    );
    for kind in Kind::ALL {
        let records = records(kind, RECORDS);
        is_as_named(&setup, kind, &records);
        let each = nanoseconds(&borrowed(&records), |record| judge_one(&setup, record));
        println!("  {:<22}{each:8.0}", kind.name());
    }
    stages(&setup);
    instructions::compare(std::env::args().skip(1).collect())
}

/// The shipped catalogue and some thousand principals, without a device table.
fn setup() -> Setup {
    let mut setup = Setup::with_tables("", &records::principals(), "");
    setup.directory.devices = None;
    setup
}

fn judge_one(setup: &Setup, record: &str) {
    black_box(setup.judge(Some(record.as_bytes())));
}

fn borrowed(records: &[String]) -> Vec<&str> {
    records.iter().map(String::as_str).collect()
}

/// A benchmark of records that are judged otherwise than it says would be worth nothing.
fn is_as_named(setup: &Setup, kind: Kind, records: &[String]) {
    for record in records {
        let fate = setup.judge(Some(record.as_bytes()));
        let found = fate.kind();
        assert_eq!((found.fate(), found.reason()), kind.fate(), "{record}");
    }
}

/// How the time of an audited record divides: each line is the time up to and with that stage.
fn stages(setup: &Setup) {
    let Setup { rules, directory, .. } = setup;
    let records = records(Kind::AuditedPower, RECORDS);
    let read = |record: &'static str| parse(Some(record.as_bytes())).expect("a record");
    // Leaked once, so that what the stages borrow from them may be kept for timing.
    let records: Vec<&'static str> = records.into_iter().map(|record| &*record.leak()).collect();
    let classified =
        |record| classify(&read(record), &rules.catalog, &rules.policy).expect("a user's action");
    println!("stages of an audited record, each with those before it");
    let line = |name: &str, each: f64| println!("  {name:<22}{each:8.0}");
    line("parse", nanoseconds(&records, |record| _ = black_box(read(record))));
    line("classify", nanoseconds(&records, |record| _ = black_box(classified(record))));
    line(
        "enrich",
        nanoseconds(&records, |record| {
            let action = classified(record);
            _ = black_box(enrich(action, directory, rules));
        }),
    );
    line(
        "route",
        nanoseconds(&records, |record| {
            _ = black_box(judge_action(classified(record), setup.reference()));
        }),
    );
}

/// Time for each record in the best quarter of rounds: what others do on the machine is not ours.
fn nanoseconds<'r>(records: &[&'r str], work: impl Fn(&'r str)) -> f64 {
    let round = || {
        let begun = Instant::now();
        for record in records {
            work(record);
        }
        begun.elapsed().as_nanos() as f64 / records.len() as f64
    };
    let mut rounds: Vec<f64> = std::iter::repeat_with(round).take(ROUNDS).collect();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 4]
}
