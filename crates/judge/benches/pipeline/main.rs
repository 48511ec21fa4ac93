//! What judging costs, without Kafka: the time of a record by kind, and the instructions that it
//! takes, which are the same on a busy machine. `cargo bench --bench pipeline` prints both; `--
//! --save` writes the instructions to `baseline.toml`, and without it they are compared: a
//! difference of 2 % shows, and ends the program with an error under `-- --check`. Instructions are
//! counted by valgrind, which must be installed for that.

// Cargo sets `test` here anyway. Clippy must see it to allow what clippy.toml allows in tests.
#![cfg(test)]
#![allow(unreachable_pub, reason = "a program exports nothing")]

mod instructions;
mod records;
mod stages;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use audit_cases::Setup;
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
    stages::print(&setup, &records(Kind::AuditedPower, RECORDS));
    instructions::compare(std::env::args().skip(1).collect())
}

/// The shipped catalogue and some thousand principals, without a device table.
fn setup() -> Setup {
    let mut setup = Setup::with_tables("", &records::principals(), "");
    setup.reference.devices = None;
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

/// Time for each record in the best quarter of rounds: what others do on the machine is not ours.
fn nanoseconds<'r>(records: &[&'r str], work: impl Fn(&'r str)) -> f64 {
    let round = || {
        let begun = Instant::now();
        for record in records {
            work(record);
        }
        begun.elapsed().as_nanos() as f64 / records.len() as f64
    };
    best_quarter(std::iter::repeat_with(round).take(ROUNDS).collect())
}

fn best_quarter(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 4]
}
