//! The messages for refused configurations. `cases.txt` holds invalid configurations of every key
//! with the full text of each refusal, and valid ones with their effective values.
//! `UPDATE_REFUSALS=1 cargo test --test local refusals` records the current texts; review the diff
//! before you commit it.
//!
//! A case starts with `== title` and its TOML, which is appended to [`MINIMAL`] unless the title
//! starts with `alone`. Parts that start with `-- environment` and `-- file NAME` add variables and
//! files. The outcome comes last: `-- accepted`, `-- effective` or `-- refused`. A line that starts
//! with `*` is repeated for every key; with `*~`, for every key with its last two letters swapped.

use std::path::{Path, PathBuf};

use audit_cases::root;
use audit_relay::config::{Config, Draft, SETTINGS};
use audit_relay::deployment::Deployment;
use audit_relay::kafka::settings::check_property;

/// The first two lines of a case's configuration.
const MINIMAL: &str =
    "kafka.\"bootstrap.servers\" = \"localhost:9092\"\nprincipals.file = \"principals.jsonl\"\n";

const PRINCIPALS: &str = r#"{"accountId":1,"userId":2,"validFrom":"2018-01-01T00:00:00Z"}"#;

/// One case. Each part is its first line, without the dashes, and the text below it.
struct Case<'a> {
    title: &'a str,
    toml: &'a str,
    parts: Vec<(&'a str, &'a str)>,
}

impl<'a> Case<'a> {
    fn parse(text: &'a str) -> Self {
        let mut parts = text.split("\n-- ");
        let (title, toml) = head(parts.next().expect("a title"));
        Case { title, toml, parts: parts.map(head).collect() }
    }

    fn environment(&self) -> impl Iterator<Item = (String, String)> {
        let parts = self.parts.iter().filter(|(name, _)| *name == "environment");
        let lines = parts.flat_map(|(_, text)| text.lines());
        let pair = |line: String| {
            let (name, value) = line.split_once('=').expect("NAME=value");
            (name.to_owned(), value.to_owned())
        };
        lines.flat_map(|line| for_every_key(line, variable)).map(pair)
    }

    /// Writes the configuration and the files next to it.
    fn write(&self, folder: &Path) -> PathBuf {
        std::fs::write(folder.join("principals.jsonl"), PRINCIPALS).expect("principals");
        for (name, text) in &self.parts {
            if let Some(name) = name.strip_prefix("file ") {
                std::fs::write(folder.join(name), text).expect("a file of the case");
            }
        }
        let path = folder.join("relay.toml");
        let minimal = if self.title.starts_with("alone") { "" } else { MINIMAL };
        let lines = self.toml.lines();
        let lines: Vec<String> =
            lines.flat_map(|line| for_every_key(line, str::to_owned)).collect();
        let text = format!("{minimal}{}", lines.join("\n"));
        std::fs::write(&path, text).expect("the configuration");
        path
    }

    /// Returns the case with its current outcome.
    fn judged(&self) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        let path = self.write(folder.path());
        let outcome = match Config::draft(Some(&path), self.environment(), &check_property) {
            Ok(draft) => self.outcome(draft),
            Err(problems) => refused(problems.0.iter().map(ToString::to_string)),
        };
        let mut text = format!("== {}\n{}", self.title, self.toml);
        for (name, body) in self.parts.iter().filter(|(name, _)| !is_outcome(name)) {
            text.push_str(&format!("\n-- {name}\n{body}"));
        }
        let shown = format!("{}/", folder.path().display());
        format!("{text}\n-- {}\n", outcome.replace(&shown, ""))
    }

    fn outcome(&self, draft: Draft) -> String {
        let effective = effective(&draft);
        let files = Deployment::load_draft(&draft).err().map(|files| files.0).unwrap_or_default();
        let problems = draft.finish().err().map(|problems| problems.0).unwrap_or_default();
        let problems: Vec<String> = problems.iter().map(ToString::to_string).chain(files).collect();
        if !problems.is_empty() {
            refused(problems.into_iter())
        } else if self.parts.iter().any(|(name, _)| *name == "effective") {
            effective
        } else {
            "accepted".to_owned()
        }
    }
}

/// Returns the line for every key if it starts with an asterisk, otherwise the line itself.
fn for_every_key(line: &str, spell: fn(&str) -> String) -> Vec<String> {
    let Some(rest) = line.strip_prefix('*') else {
        return vec![line.to_owned()];
    };
    let keys = SETTINGS.iter().map(|setting| setting.key).filter(|key| !key.ends_with('*'));
    match rest.strip_prefix('~') {
        None => keys.map(|key| format!("{}{rest}", spell(key))).collect(),
        Some(rest) => keys.map(|key| format!("{}{rest}", spell(&misspelled(key)))).collect(),
    }
}

fn misspelled(key: &str) -> String {
    let (before, last) = key.split_at(key.len() - 2);
    before.chars().chain(last.chars().rev()).collect()
}

fn variable(key: &str) -> String {
    let spelled = match key.strip_prefix("kafka.") {
        Some(property) => format!("kafka__{}", property.replace('.', "_")),
        None => key.replace('.', "__"),
    };
    format!("AUDIT_RELAY_{}", spelled.to_uppercase())
}

/// Splits off the first line.
fn head(text: &str) -> (&str, &str) {
    let text = text.trim_end_matches('\n');
    text.split_once('\n').unwrap_or((text, ""))
}

fn is_outcome(part: &str) -> bool {
    ["accepted", "effective", "refused"].contains(&part)
}

fn refused(problems: impl Iterator<Item = String>) -> String {
    let problems: Vec<String> = problems.collect();
    format!("refused\n{}", problems.join("\n"))
}

fn effective(draft: &Draft) -> String {
    let values = draft.values().iter();
    let lines: Vec<String> =
        values.map(|it| format!("{} = {} # {}", it.key, it.value, it.origin)).collect();
    format!("effective\n{}", lines.join("\n"))
}

fn path() -> PathBuf {
    root().join("tests/local/refusals/cases.txt")
}

#[test]
fn every_refusal_matches_its_record() {
    let recorded = std::fs::read_to_string(path()).expect("cases.txt");
    let cases = recorded.strip_prefix("== ").expect("a case").split("\n== ");
    let judged: Vec<String> = cases.map(|text| Case::parse(text).judged()).collect();
    let judged = judged.join("\n");
    for setting in SETTINGS.iter().filter(|setting| !setting.key.ends_with('*')) {
        assert!(judged.contains(&format!("\n{}: ", setting.key)), "{} in no case", setting.key);
    }
    if std::env::var_os("UPDATE_REFUSALS").is_some_and(|value| value == "1") {
        std::fs::write(path(), judged).expect("cases.txt can be written");
        return;
    }
    let lines = (1..).zip(recorded.lines().zip(judged.lines()));
    let other = lines.into_iter().find(|(_, (recorded, judged))| recorded != judged);
    if let Some((line, (recorded, judged))) = other {
        panic!("cases.txt, line {line}\nrecorded: {recorded}\nnow:      {judged}");
    }
    assert_eq!(recorded.lines().count(), judged.lines().count(), "cases.txt");
}
