//! Rules that no lint enforces: files state their purpose and stay short, and the README's tables
//! match the code. `UPDATE_README=1 cargo test --test local tidy` rewrites the tables.

use std::fmt::Write;

use audit_cases::root;
use audit_judge::catalog::{Catalog, Switches};
use audit_judge::fate::{FateKind, fates_markdown};
use audit_relay::commands::exit::exits_markdown;
use audit_relay::config::settings_markdown;
use audit_relay::metrics::metrics_markdown;

use crate::sources::sources;

const FILE_LINES_MAX: usize = 350;
const TEST_FILE_LINES_MAX: usize = 450;
/// Line width of comments; rustfmt limits code.
const COMMENT_CHARACTERS_MAX: usize = 100;

#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    #[track_caller]
    fn assert_none(self, rule: &str) {
        let Problems(found) = self;
        assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
    }
}

#[test]
fn files_have_a_purpose_comment_and_stay_short() {
    let mut problems = Problems::default();
    for folder in ["src", "crates", "tests", "benches"] {
        for source in sources(folder) {
            if !source.text.starts_with("//! ") {
                let path = &source.path;
                problems.0.push(format!("{path}: must start with //! and its purpose"));
            }
            let lines = (1..).zip(source.text.lines());
            for (number, line) in lines.filter(|(_, line)| line.trim_start().starts_with("//")) {
                if line.chars().count() > COMMENT_CHARACTERS_MAX {
                    problems.0.push(format!("{}:{number}: a comment is too long", source.path));
                }
            }
            let (counted, limit) = if source.is_test() {
                (source.text.lines().count(), TEST_FILE_LINES_MAX)
            } else {
                (source.lines_before_tests(), FILE_LINES_MAX)
            };
            if counted > limit {
                let path = &source.path;
                problems.0.push(format!("{path}: {counted} lines, the limit is {limit}"));
            }
        }
    }
    problems.assert_none("files");
}

/// The enabled actions of the shipped catalogue.
fn actions_markdown() -> String {
    let catalog = Catalog::load(&Catalog::embedded_files(), &Switches::default());
    let catalog = catalog.expect("the shipped catalogue is valid");
    let mut table = String::from("| action | severity | permission |\n|---|---|---|\n");
    for action in catalog.actions().filter(|action| action.enabled) {
        let permission = match &action.permission {
            Some(permission) => format!("`{permission}`"),
            None => String::new(),
        };
        let severity = action.severity.as_str();
        writeln!(table, "| `{}` | {severity} | {permission} |", action.name)
            .expect("writing to a String cannot fail");
    }
    table
}

#[test]
fn readme_tables_match_the_code() {
    let path = root().join("README.md");
    let readme = std::fs::read_to_string(&path).expect("README.md");
    let mut updated = readme.clone();
    let mut problems = Problems::default();
    for (name, expected) in [
        ("actions", actions_markdown()),
        ("settings", settings_markdown()),
        ("fates", fates_markdown()),
        ("metrics", metrics_markdown()),
        ("exits", exits_markdown()),
    ] {
        let (opening, closing) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
        let begin = updated.find(&opening).map(|position| position + opening.len());
        let end = updated.find(&closing);
        match (begin, end) {
            (Some(begin), Some(end)) if begin <= end => {
                if updated[begin..end] != expected {
                    problems
                        .0
                        .push(format!("the text between the {name} markers must be\n{expected}"));
                    updated.replace_range(begin..end, &expected);
                }
            }
            _ => problems.0.push(format!("lacks {opening}{expected}{closing}")),
        }
    }
    if std::env::var_os("UPDATE_README").is_some_and(|value| value == "1") {
        std::fs::write(&path, updated).expect("README.md can be written");
    } else {
        problems.assert_none("README.md (UPDATE_README=1 writes the tables between the markers)");
    }
}

#[test]
fn the_producer_guide_lists_every_reason() {
    let guide =
        std::fs::read_to_string(root().join("schemas/README.md")).expect("schemas/README.md");
    for kind in FateKind::all().filter(|kind| !kind.reason().is_empty()) {
        let row = format!("| `{}` |", kind.reason());
        assert!(guide.contains(&row), "schemas/README.md lacks {row}");
    }
}
