//! What the documents show works: configurations pass `check`, commands are accepted by the
//! program's command line, and links lead somewhere. `tests/broker/documented.rs` runs the commands
//! for Kafka's own tools.

use std::path::Path;
use std::process::Command;

use audit_cases::documents::{CodeBlock, code_blocks, documents};
use audit_relay::commands::arguments::Cli;
use clap::Parser;
use toml::{Table, Value};

/// What a shown part of a configuration leaves out.
const REST: &str = "instance = \"shown\"\n[kafka]\n\"bootstrap.servers\" = \"kafka:9092\"\n[principals]\nfile = \"principals.jsonl\"\n";

fn blocks(language: &str) -> Vec<CodeBlock> {
    let blocks = code_blocks().into_iter().filter(|block| block.language == language);
    blocks.collect()
}

/// Adds what a table lacks.
fn complete(table: &mut Table, rest: Table) {
    for (key, value) in rest {
        match (table.get_mut(&key), value) {
            (None, value) => drop(table.insert(key, value)),
            (Some(Value::Table(table)), Value::Table(rest)) if key != "principals" => {
                complete(table, rest);
            }
            (Some(_), _) => {}
        }
    }
}

/// Writes the files that a configuration names, and makes their paths those of the folder.
fn provide_files(folder: &Path, value: &mut Value) {
    match value {
        Value::Table(table) => table.iter_mut().for_each(|(_, value)| provide_files(folder, value)),
        Value::String(text) if text.starts_with('/') => {
            let path = folder.join(text.trim_start_matches('/').replace('/', "-"));
            std::fs::write(&path, "secret").expect("a file");
            *text = path.to_str().expect("a UTF-8 path").to_string();
        }
        _ => {}
    }
}

#[test]
fn shown_configurations_pass_the_check() {
    // A file of the catalogue is shown in schemas/README.md.
    let is_configuration = |block: &CodeBlock| !block.place.starts_with("schemas/");
    let shown: Vec<CodeBlock> = blocks("toml").into_iter().filter(is_configuration).collect();
    assert!(shown.len() >= 3, "{shown:?}");
    let folder = tempfile::tempdir().expect("a folder");
    let principals = audit_cases::read("deploy/principals.jsonl");
    std::fs::write(folder.path().join("principals.jsonl"), principals).expect("a file");
    let key = Command::new(env!("CARGO_BIN_EXE_audit-relay"))
        .args(["key", "new", "seal.pem", "--origin", "audit.example.com"])
        .current_dir(folder.path())
        .status();
    assert!(key.expect("runs").success());
    for block in shown {
        let mut table: Table =
            block.text.parse().unwrap_or_else(|e| panic!("{}: {e}", block.place));
        complete(&mut table, REST.parse().expect("TOML"));
        table.iter_mut().for_each(|(_, value)| provide_files(folder.path(), value));
        let whole = toml::to_string(&table).expect("TOML");
        std::fs::write(folder.path().join("relay.toml"), &whole).expect("a file");
        let output = Command::new(env!("CARGO_BIN_EXE_audit-relay"))
            .args(["check", "--config", "relay.toml"])
            .current_dir(folder.path())
            .output()
            .expect("runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}: {text}\n{whole}", block.place);
    }
}

/// Returns the commands of the program that a block shows.
fn commands(block: &CodeBlock) -> Vec<String> {
    let lines = block.text.lines().map(|line| line.split(" #").next().unwrap_or_default());
    let lines = lines.map(|line| line.replace("cargo run -- ", "audit-relay "));
    lines.filter(|line| line.starts_with("audit-relay ")).collect()
}

#[test]
fn shown_commands_are_accepted_by_the_command_line() {
    let mut seen = Vec::new();
    for block in blocks("sh") {
        for command in commands(&block) {
            let words = command.split_whitespace();
            let words: Vec<&str> = words.take_while(|it| ![">", "|", "<"].contains(it)).collect();
            if let Err(error) = Cli::try_parse_from(&words) {
                panic!("{}: {words:?}: {error}", block.place);
            }
            seen.extend(words.get(1).map(|word| (*word).to_string()));
        }
    }
    for command in ["check", "demo", "explain", "manifest", "run", "top"] {
        assert!(seen.iter().any(|word| word == command), "no {command} among {seen:?}");
    }
}

/// The anchors of a document, as web sites for source code make them from headings.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| -> String {
        let title = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut problems = Vec::new();
    let mut links = 0;
    for path in documents() {
        let text = audit_cases::read(&path);
        let folder = Path::new(&path).parent().expect("a folder");
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://")) {
            links += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { path.clone().into() } else { folder.join(file) };
            let whole = audit_cases::root().join(&file);
            if !whole.exists() {
                problems.push(format!("{path}: {target} does not exist"));
            } else if !anchor.is_empty() {
                let text = std::fs::read_to_string(whole).expect("a document");
                if !anchors(&text).iter().any(|known| known == anchor) {
                    problems.push(format!("{path}: {target} has no such heading"));
                }
            }
        }
    }
    assert!(links > 50, "only {links} links");
    assert!(problems.is_empty(), "{problems:#?}");
}
