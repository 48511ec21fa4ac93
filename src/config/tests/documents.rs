//! The example file and the table of settings say the same as the code.

use std::path::Path;

use super::super::load::defaults;
use super::super::settings::literal_keys;
use super::super::{DefaultValue, Kind, SETTINGS, settings_markdown};
use super::{good, load, read};

const EXAMPLE: &str = include_str!("../../../audit-relay.example.toml");

#[test]
fn the_example_is_a_good_configuration() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/audit-relay.example.toml"));
    let config = load(path, &[], &|_, _| Ok(())).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.instance, "relay-0");
}

#[test]
fn the_defaults_in_the_example_are_the_defaults() {
    let uncommented: String = EXAMPLE
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(value) if value.starts_with(|first: char| first.is_ascii_lowercase()) => {
                format!("{value}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    assert_eq!(read(&uncommented, &[]), read(EXAMPLE, &[]));
    for setting in SETTINGS {
        let DefaultValue::Value(default) = setting.default else {
            continue;
        };
        let key = setting.key.rsplit('.').next().unwrap();
        assert!(uncommented.contains(&format!("\n{key} = {default}\n")), "{key} = {default}");
    }
}

#[test]
fn the_example_mentions_every_key() {
    for key in literal_keys() {
        let (section, name) = key.split_once('.').unwrap_or(("", key));
        let begin = if section.is_empty() {
            Some(EXAMPLE)
        } else {
            EXAMPLE.split(&format!("\n[{section}]\n")).nth(1)
        };
        let body = begin.and_then(|text| text.split("\n[").next()).unwrap_or_default();
        assert!(
            body.contains(&format!("{name} =")) || body.contains(&format!("\"{name}\" =")),
            "{key}"
        );
    }
    for table in ["[kafka]", "[kafka.consumer]", "[kafka.producer]"] {
        assert!(EXAMPLE.contains(table), "{table}");
    }
}

/// The comment above a key, with the key's line.
fn comment(key: &str) -> String {
    let (section, name) = key.split_once('.').unwrap_or(("", key));
    let body = match section {
        "" => EXAMPLE,
        section => EXAMPLE.split(&format!("\n[{section}]\n")).nth(1).unwrap_or_default(),
    };
    let is_key = |line: &str| line.trim_start_matches(['#', ' ']).starts_with(&format!("{name} ="));
    let above: Vec<&str> = body.lines().take_while(|line| !is_key(line)).collect();
    let block = above.iter().rev().take_while(|line| line.starts_with("# "));
    let lines: Vec<&str> = block.map(|line| line.trim_start_matches("# ")).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_example_tells_every_range() {
    for setting in SETTINGS {
        let comment = comment(setting.key);
        match &setting.kind {
            Kind::Number(range) => {
                let range = format!("{} to {}", range.start(), range.end());
                assert!(comment.contains(&range), "{}: {range} in {comment:?}", setting.key);
            }
            Kind::Word(words) | Kind::List(Kind::Word(words)) => {
                for word in *words {
                    assert!(comment.contains(word), "{}: {word} in {comment:?}", setting.key);
                }
            }
            _ => {}
        }
    }
}

#[test]
fn every_default_is_read() {
    let with_value =
        SETTINGS.iter().filter(|setting| matches!(setting.default, DefaultValue::Value(_)));
    let keys: Vec<&str> = with_value.map(|setting| setting.key).collect();
    let read: Vec<String> = defaults().into_keys().collect();
    assert_eq!(read.len(), keys.len());
    // Good only if every default is legal and no key of SETTINGS is left over as unknown.
    good("", &[]);
}

#[test]
fn every_key_of_the_table_is_known_to_the_reader() {
    for key in literal_keys() {
        let message = read(&format!("{key} = 1979-05-27"), &[]).unwrap_err().to_string();
        assert!(message.contains(&format!("- {key}: invalid value")), "{key}: {message}");
    }
}

#[test]
fn the_table_has_a_row_for_every_key() {
    let table = settings_markdown();
    assert_eq!(table.lines().count(), SETTINGS.len() + 2);
    assert!(table.lines().all(|row| row.matches('|').count() == 5), "{table}");
    let row = "| `batch.max_age_ms` | `100` | `AUDIT_RELAY_BATCH__MAX_AGE_MS` | ";
    assert!(table.contains(row), "{table}");
    assert!(table.contains(
        "| `kafka.bootstrap.servers` | required | `AUDIT_RELAY_KAFKA__BOOTSTRAP_SERVERS` |"
    ));
    assert!(table.contains("`AUDIT_RELAY_KAFKA__CONSUMER__*`"));
}
