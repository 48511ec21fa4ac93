//! What judging costs, without Kafka: the time of a record by kind, and the instructions that it
//! takes, which are the same on a busy machine. `cargo bench --bench pipeline` prints both; `--
//! --save` writes the instructions to `baseline.toml`, and without it they are compared: a
//! difference of 2 % shows, and ends the program with an error under `-- --check`. Instructions are
//! counted by valgrind, which must be installed for that.

#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::too_many_lines,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a benchmark ends by a panic where it cannot measure, and its output is what it is for"
)]

mod instructions;
mod records;
mod stages;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use audit_judge::judge;
use audit_relay::config::Config;
use audit_relay::deployment::{Assembly, assemble};
use records::{Kind, records};

/// Records of a kind, judged in turn.
const RECORDS: usize = 1_000;
const ROUNDS: usize = 200;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    if let Some(kind) = instructions::asked_for(&mut words) {
        instructions::run(&assembly(), &records(kind, RECORDS));
        return ExitCode::SUCCESS;
    }
    let assembly = assembly();
    println!(
        "a record of about 500 bytes, by what becomes of it, ns in the best quarter of rounds"
    );
    for kind in Kind::ALL {
        let records = records(kind, RECORDS);
        is_as_named(&assembly, kind, &records);
        let each = nanoseconds(&borrowed(&records), |record| judge_one(&assembly, record));
        println!("  {:<22}{each:8.0}", kind.name());
    }
    stages::print(&assembly, &records(Kind::AuditedPower, RECORDS));
    instructions::compare(std::env::args().skip(1).collect())
}

/// The configuration of an installation with the shipped catalogue and some thousand principals.
fn assembly() -> Assembly {
    let folder = tempfile::tempdir().expect("a folder for the principals");
    let file = folder.path().join("principals.jsonl");
    std::fs::write(&file, records::principals()).expect("write the principals");
    let text = format!(
        "[kafka]\n\"bootstrap.servers\" = \"127.0.0.1:1\"\n[principals]\nfile = {file:?}\n"
    );
    let config = Config::from_toml(&text, std::iter::empty()).expect("configuration");
    assemble(&config).expect("assembles")
}

fn judge_one(assembly: &Assembly, record: &str) {
    let Assembly { rules, directory, .. } = assembly;
    black_box(judge(Some(record.as_bytes()), rules, || directory));
}

fn borrowed(records: &[String]) -> Vec<&str> {
    records.iter().map(String::as_str).collect()
}

/// A benchmark of records that are judged otherwise than it says would be worth nothing.
fn is_as_named(assembly: &Assembly, kind: Kind, records: &[String]) {
    let Assembly { rules, directory, .. } = assembly;
    for record in records {
        let fate = judge(Some(record.as_bytes()), rules, || directory);
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
