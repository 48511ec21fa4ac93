//! Counts the instructions of judging with valgrind's callgrind, by running this program again
//! under it, and compares them with the committed baseline. It knows nothing of what is judged.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode};

use audit_cases::Setup;

use super::records::Kind;
use super::{RECORDS, judge_one};

/// The word by which this program is told to judge records of one kind and nothing else.
const RUN: &str = "--judge-only";
/// A difference that shows.
const NOTABLE: f64 = 0.02;

/// The kind to judge, if this is the run under valgrind.
pub fn asked_for(words: &mut impl Iterator<Item = String>) -> Option<Kind> {
    words.find(|word| word == RUN)?;
    let name = words.next()?;
    Kind::ALL.into_iter().find(|kind| kind.name() == name)
}

/// The run under valgrind: once to warm caches and lazily made tables, once to be counted.
pub fn run(setup: &Setup, records: &[String]) {
    for record in records {
        judge_one(setup, record);
    }
    counted_by_callgrind(setup, records);
}

/// Callgrind looks for this name, and counts from its beginning to its end.
#[inline(never)]
fn counted_by_callgrind(setup: &Setup, records: &[String]) {
    for record in records {
        judge_one(setup, record);
    }
}

/// Counts all kinds, prints them beside the baseline, and saves or checks if these words say so.
pub fn compare(words: Vec<String>) -> ExitCode {
    let is_said = |word: &str| words.iter().any(|said| said == word);
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("instructions were not counted: install valgrind");
        return if is_said("--check") || is_said("--save") {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        };
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/pipeline/baseline.toml");
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let baseline: BTreeMap<String, u64> = toml::from_str(&text).expect("a table of numbers");
    let mut counts = BTreeMap::new();
    let mut worse = 0;
    println!("instructions a record, and their change from the baseline");
    for kind in Kind::ALL {
        let count = count(kind);
        let before = baseline.get(kind.name()).copied();
        let change = before.map_or(0.0, |before| count as f64 / before as f64 - 1.0);
        worse += usize::from(change > NOTABLE);
        let mark = if change.abs() > NOTABLE { "  <--" } else { "" };
        println!("  {:<22}{count:8}  {:+6.1} %{mark}", kind.name(), change * 100.0);
        counts.insert(kind.name(), count);
    }
    if is_said("--save") {
        let text = toml::to_string(&counts).expect("a table of numbers");
        std::fs::write(&path, text).expect("write the baseline");
    }
    match is_said("--check") && worse > 0 {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

fn count(kind: Kind) -> u64 {
    let program = std::env::current_exe().expect("this program");
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg("--toggle-collect=*counted_by_callgrind*")
        .arg(program)
        .args([RUN, kind.name()])
        .output()
        .expect("run valgrind");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}");
    let collected = said
        .lines()
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, number)| number.trim().parse::<u64>().ok());
    collected.expect("callgrind says what it collected") / RECORDS as u64
}
