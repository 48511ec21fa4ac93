//! Rules that no lint enforces: files state their purpose and stay short, and the tables of the
//! reference match the code. `UPDATE_REFERENCE=1 cargo test --test local tidy` writes them.

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

/// The generated tables: document, marker, text.
fn tables() -> [(&'static str, &'static str, String); 5] {
    [
        ("docs/reference/actions-and-fates.md", "actions", actions_markdown()),
        ("docs/reference/actions-and-fates.md", "fates", fates_markdown()),
        ("docs/reference/settings.md", "settings", settings_markdown()),
        ("docs/reference/metrics.md", "metrics", metrics_markdown()),
        ("docs/reference/exit-codes.md", "exits", exits_markdown()),
    ]
}

#[test]
fn tables_of_the_reference_match_the_code() {
    let is_update = std::env::var_os("UPDATE_REFERENCE").is_some_and(|value| value == "1");
    let mut problems = Problems::default();
    for (path, name, expected) in tables() {
        let file = root().join(path);
        let mut text = std::fs::read_to_string(&file).expect(path);
        let (opening, closing) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
        let begin = text.find(&opening).map(|position| position + opening.len());
        let (Some(begin), Some(end)) = (begin, text.find(&closing)) else {
            problems.0.push(format!("{path} lacks {opening}{expected}{closing}"));
            continue;
        };
        if text.get(begin..end) == Some(&expected) {
            continue;
        }
        if is_update {
            text.replace_range(begin..end, &expected);
            std::fs::write(&file, text).expect(path);
        } else {
            problems.0.push(format!("{path}: between the {name} markers must be\n{expected}"));
        }
    }
    problems.assert_none("tables (UPDATE_REFERENCE=1 writes them)");
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
