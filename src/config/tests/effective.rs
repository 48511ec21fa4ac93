//! What `config --effective` shows: each value with its origin, and no secret.

use super::super::{Config, SETTINGS};
use super::variables;

const TEXT: &str = r#"[kafka]
"bootstrap.servers" = "localhost:9092"
"sasl.password" = "hunter1"
"ssl.key.password" = { file = "key-password" }
"sasl.pasword" = "hunter2"
"sasl.oauthbearer.token.endpoint.url" = "https://user:hunter3@id.example.com/token"
[kafka.consumer]
"fetch.max.bytes" = 100000
"ssl.keystore.password" = { value = "hunter4" }
[batch]
max_records = 7
[principals]
file = "principals.jsonl"
"#;

/// Lines of key, value and origin; the configuration need not be good.
fn lines(environment: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.toml");
    std::fs::write(&path, TEXT).unwrap();
    let draft = Config::draft(Some(&path), variables(environment), &|_, _| Ok(())).unwrap();
    let shown = path.display().to_string();
    let line = |value: &super::super::Effective| {
        let origin = value.origin.to_string().replace(&shown, "relay.toml");
        format!("{} = {} # {origin}", value.key, value.value)
    };
    draft.values().iter().map(line).collect()
}

#[test]
fn every_value_has_its_origin() {
    let environment = [("AUDIT_RELAY_INPUT__GROUP", "mine")];
    let lines = lines(&environment);
    for expected in [
        "instance = (host name) # the default",
        "kafka.bootstrap.servers = \"localhost:9092\" # relay.toml, line 2",
        "kafka.ssl.key.password = { file = \"key-password\" } # relay.toml, line 4",
        "kafka.consumer.fetch.max.bytes = 100000 # relay.toml, line 8",
        "input.group = \"mine\" # environment variable AUDIT_RELAY_INPUT__GROUP",
        "batch.max_records = 7 # relay.toml, line 11",
        "batch.max_age_ms = 100 # the default",
        "principals.file = \"principals.jsonl\" # relay.toml, line 13",
        "principals.topic = (none) # the default",
    ] {
        let count = lines.iter().filter(|line| *line == expected).count();
        assert_eq!(count, 1, "{expected}\nin {lines:#?}");
    }
    for setting in SETTINGS.iter().filter(|setting| !setting.key.ends_with('*')) {
        let prefix = format!("{} = ", setting.key);
        assert!(lines.iter().any(|line| line.starts_with(&prefix)), "{prefix}");
    }
}

#[test]
fn no_secret_is_shown() {
    let environment = [("AUDIT_RELAY_KAFKA__SSL_KEYSTORE_PASSWORD", "hunter5")];
    let lines = lines(&environment);
    let hidden = lines.iter().filter(|line| line.contains(" = *** # ")).count();
    assert_eq!(hidden, 5, "{lines:#?}");
    assert!(!lines.concat().contains("hunter"), "{lines:#?}");
}
