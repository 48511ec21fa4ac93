//! Rules about the tree, as tests: the rings stay apart, production code does not panic, files and
//! functions stay short, and the tables of the README are those of the code. `UPDATE_README=1 cargo test
//! --test local tidy` writes the tables anew.

use std::fmt::Write;

use audit_judge::catalog::{Catalog, Switches};
use audit_judge::fate::{FateKind, fates_markdown};
use audit_relay::commands::exit::exits_markdown;
use audit_relay::config::settings_markdown;
use audit_relay::metrics::metrics_markdown;

use crate::sources::{Source, root, sources};

const FILE_LINES: usize = 350;
const TEST_FILE_LINES: usize = 450;
const FUNCTION_LINES: usize = 70;

/// What can end a thread where an error was due.
const PANICS: [&str; 7] = [
    ".unwrap()",
    ".expect(",
    "panic!",
    "unreachable!",
    "todo!",
    "unimplemented!",
    "dbg!",
];

/// Places that may panic: file, word, and why it is right there.
const MAY_PANIC: &[(&str, &str, &str)] = &[];

/// What would let judging depend on anything but its arguments.
const IMPURE: [&str; 26] = [
    "rdkafka",
    "tokio",
    "tracing",
    "prometheus",
    "axum",
    "anyhow",
    "std::fs",
    "fs::",
    "std::io",
    "std::env",
    "env::",
    "std::process",
    "std::thread",
    "thread::",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "Instant",
    "SystemTime",
    "Timestamp::now",
    "Zoned::now",
    "new_v4",
    "now_v7",
    "println!",
    "eprintln!",
    "print!",
];

/// What the loop must leave to the broker that it is given.
const OUTSIDE_THE_LOOP: [&str; 10] = [
    "rdkafka",
    "tokio",
    "prometheus",
    "axum",
    "std::fs",
    "fs::",
    "std::env",
    "std::net",
    "Instant",
    "SystemTime",
];

#[derive(Default)]
struct Complaints(Vec<String>);

impl Complaints {
    fn words(&mut self, source: &Source, words: &[&str]) {
        for word in words {
            for line in source.lines_with(word) {
                self.0.push(format!("{}:{line}: {word}", source.path));
            }
        }
    }

    #[track_caller]
    fn must_be_none(self, rule: &str) {
        let Complaints(found) = self;
        assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
    }
}

#[test]
fn judging_is_pure() {
    let mut complaints = Complaints::default();
    let judge = sources("crates/judge/src");
    assert!(judge.len() > 10);
    for source in &judge {
        complaints.words(source, &IMPURE);
        complaints.words(source, &PANICS);
    }
    complaints.must_be_none("crates/judge must depend on nothing but its arguments, and not panic");
}

#[test]
fn the_loop_leaves_the_outside_to_its_broker() {
    let mut complaints = Complaints::default();
    for source in sources("src/stream") {
        complaints.words(&source, &OUTSIDE_THE_LOOP);
        stays_within(&mut complaints, &source, &["stream"]);
    }
    complaints.must_be_none("src/stream must ask its broker for everything, time included");
}

#[test]
fn only_the_edge_names_the_kafka_client() {
    let mut complaints = Complaints::default();
    for source in sources("src") {
        if !source.path.starts_with("src/kafka/") {
            complaints.words(
                &source,
                &["rdkafka::", "use rdkafka", "extern crate rdkafka"],
            );
        }
    }
    complaints.must_be_none("only src/kafka may name the Kafka client");
}

#[test]
fn unsafe_code_is_in_one_folder_and_says_why_it_is_sound() {
    let mut complaints = Complaints::default();
    for source in sources("src").into_iter().chain(sources("crates")) {
        if !source.path.starts_with("src/kafka/native/") {
            complaints.words(&source, &["unsafe "]);
            continue;
        }
        let lines: Vec<&str> = source.text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let is_used = line.contains("unsafe {") || line.contains("unsafe impl");
            let explained = lines[..number]
                .iter()
                .rev()
                .take(6)
                .any(|before| before.contains("SAFETY:"));
            if is_used && !explained {
                let path = &source.path;
                complaints
                    .0
                    .push(format!("{path}:{}: lacks // SAFETY:", number + 1));
            }
        }
    }
    complaints.must_be_none("unsafe code");
}

/// Paths begin with one of these modules of the crate; neither `crate::` nor a chain of `super` leads out.
fn stays_within(complaints: &mut Complaints, source: &Source, modules: &[&str]) {
    let inside = source.path.split('/').skip(2).collect::<Vec<_>>();
    let modules_up = inside.len() - usize::from(inside.ends_with(&["mod.rs"]));
    let out = "super::".repeat(modules_up + 1);
    complaints.words(source, &[&out]);
    for (number, line) in (1..).zip(source.code.lines()) {
        for (position, _) in line.match_indices("crate::") {
            let path = &line[position + "crate::".len()..];
            let next = path
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .next();
            if !modules.iter().any(|module| next == Some(module)) {
                complaints
                    .0
                    .push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
}

#[test]
fn production_code_does_not_panic() {
    let mut complaints = Complaints::default();
    let mut used = Vec::new();
    for source in sources("src").into_iter().chain(sources("crates")) {
        for word in PANICS {
            let allowed = MAY_PANIC
                .iter()
                .find(|(path, allowed, _)| *path == source.path && *allowed == word);
            match allowed {
                Some(entry) if !source.lines_with(word).is_empty() => used.push(entry),
                Some(_) => {}
                None => complaints.words(&source, &[word]),
            }
        }
    }
    for entry in MAY_PANIC.iter().filter(|entry| !used.contains(entry)) {
        complaints
            .0
            .push(format!("{entry:?} is not needed any more"));
    }
    complaints.must_be_none("production code must return errors (or be listed with a reason)");
}

#[test]
fn files_say_what_they_are_for_and_stay_short() {
    let mut complaints = Complaints::default();
    for folder in ["src", "crates", "tests", "benches"] {
        for source in sources(folder) {
            let lines = source.text.lines().count();
            if !source.text.starts_with("//! ") {
                let path = &source.path;
                complaints
                    .0
                    .push(format!("{path}: must open with //! and what it is for"));
            }
            let (counted, limit) = if source.code.is_empty() {
                (lines, TEST_FILE_LINES)
            } else {
                (lines - source.test_lines, FILE_LINES)
            };
            if counted > limit {
                let path = &source.path;
                complaints
                    .0
                    .push(format!("{path}: {counted} lines, the limit is {limit}"));
            }
        }
    }
    complaints.must_be_none("files");
}

/// Tests may be longer: what is long in them is a table of cases.
#[test]
fn functions_are_short() {
    let mut complaints = Complaints::default();
    let mut seen = 0;
    for source in sources("src").into_iter().chain(sources("crates")) {
        for function in source.functions() {
            seen += 1;
            if function.lines > FUNCTION_LINES {
                let path = &source.path;
                complaints.0.push(format!(
                    "{path}:{}: {} has {} lines, the limit is {FUNCTION_LINES}",
                    function.line, function.name, function.lines
                ));
            }
        }
    }
    assert!(seen > 300, "only {seen} functions found");
    complaints.must_be_none("functions");
}

/// The enabled actions of the shipped catalogue.
fn actions_markdown() -> String {
    let catalog = Catalog::load(&Catalog::embedded_files(), &Switches::default());
    let catalog = catalog.expect("the shipped catalogue is good");
    let mut table = String::from("| action | severity | permission |\n|---|---|---|\n");
    for action in catalog.actions().filter(|action| action.enabled) {
        let permission = match &action.permission {
            Some(permission) => format!("`{permission}`"),
            None => String::new(),
        };
        let severity = action.severity.as_str();
        writeln!(table, "| `{}` | {severity} | {permission} |", action.name)
            .expect("a String takes all");
    }
    table
}

#[test]
fn the_tables_of_the_readme_are_those_of_the_code() {
    let path = root().join("README.md");
    let readme = std::fs::read_to_string(&path).expect("README.md");
    let mut updated = readme.clone();
    let mut complaints = Complaints::default();
    for (name, expected) in [
        ("actions", actions_markdown()),
        ("settings", settings_markdown()),
        ("fates", fates_markdown()),
        ("metrics", metrics_markdown()),
        ("exits", exits_markdown()),
    ] {
        let (opening, closing) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
        let begin = updated
            .find(&opening)
            .map(|position| position + opening.len());
        let end = updated.find(&closing);
        match (begin, end) {
            (Some(begin), Some(end)) if begin <= end => {
                if updated[begin..end] != expected {
                    complaints
                        .0
                        .push(format!("between the {name} markers must stand\n{expected}"));
                    updated.replace_range(begin..end, &expected);
                }
            }
            _ => complaints
                .0
                .push(format!("lacks {opening}{expected}{closing}")),
        }
    }
    if std::env::var_os("UPDATE_README").is_some_and(|value| value == "1") {
        std::fs::write(&path, updated).expect("README.md can be written");
    } else {
        complaints
            .must_be_none("README.md (UPDATE_README=1 writes the tables between the markers)");
    }
}

#[test]
fn the_guide_for_producers_names_every_reason() {
    let guide =
        std::fs::read_to_string(root().join("schemas/README.md")).expect("schemas/README.md");
    for kind in FateKind::all().filter(|kind| !kind.reason().is_empty()) {
        let row = format!("| `{}` |", kind.reason());
        assert!(guide.contains(&row), "schemas/README.md lacks {row}");
    }
}
