//! The program's command line, without a cluster: its output and exit codes.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const RELAY: &str = "instance = \"test\"\n[kafka]\n\"bootstrap.servers\" = \"127.0.0.1:1\"\n[principals]\nfile = \"principals.jsonl\"\n";
const PRINCIPALS: &str = r#"{"accountId":307608,"userId":6100101,"iamId":"IBMid-270004WA01","permissions":["REMOTE_MANAGEMENT"],"validFrom":"2018-01-01T00:00:00Z"}"#;
/// An action of that principal.
const AUDITED: &str = r#"{"accountId":307608,"eventCreateDate":"2021-07-14T09:12:44.318207-05:00","eventName":"Power On","objectId":1234567,"objectName":"Server","userId":6100101,"userType":"CUSTOMER","datacenter":"dal10"}"#;
const SKIPPED: &str = r#"{"eventName":"Power On","objectName":"Server","userType":"SYSTEM"}"#;

/// A folder with a configuration, a table and a message.
struct Fixture(tempfile::TempDir);

impl Fixture {
    fn with(config: &str, message: &str) -> Self {
        let fixture = Fixture(tempfile::tempdir().expect("a folder"));
        fixture.write("relay.toml", config);
        fixture.write("principals.jsonl", PRINCIPALS);
        fixture.write("message.json", message);
        fixture
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect(name);
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, arguments: &[&str]) -> Seen {
        let output = Command::new(env!("CARGO_BIN_EXE_audit-relay"))
            .args(arguments)
            .current_dir(self.path())
            .env_remove("AUDIT_RELAY_CONFIG")
            .output()
            .expect("runs");
        Seen(output)
    }

    fn explain(&self, arguments: &[&str]) -> Seen {
        let all = [&["explain", "--config", "relay.toml", "message.json"], arguments].concat();
        self.run(&all)
    }
}

/// A command's output and exit status.
struct Seen(Output);

impl Seen {
    fn out(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    fn errors(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    fn is_good(&self) -> bool {
        self.0.status.success()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.0.stdout).unwrap_or_else(|_| panic!("{}", self.errors()))
    }
}

#[test]
fn explain_judges_the_whole_file_as_run_does() {
    for (bytes, fate) in [
        (AUDITED.to_owned(), "audited"),
        (format!("{AUDITED}\n"), "audited"),
        (format!("{AUDITED}{AUDITED}"), "quarantined"),
        (format!("{AUDITED}\0"), "quarantined"),
        (format!("{AUDITED}\n{SKIPPED}\n"), "quarantined"),
        (String::new(), "quarantined"),
    ] {
        let fixture = Fixture::with(RELAY, &bytes);
        assert_eq!(fixture.explain(&["--json"]).json()["fate"], fate, "{bytes}");
    }
    let fixture = Fixture::with(RELAY, &format!("{AUDITED}\n{SKIPPED}\n"));
    let note = fixture.explain(&[]).out();
    assert!(note.contains("--lines judges each line"), "{note}");
}

#[test]
fn lines_judges_each_line() {
    let fixture = Fixture::with(RELAY, &format!("{AUDITED}\r\n\n{SKIPPED}\nnonsense\n"));
    let seen = fixture.explain(&["--lines", "--json"]).out();
    let fates: Vec<(String, String)> = seen
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .map(|one| (one["source"].to_string(), one["fate"].to_string()))
        .collect();
    let expected = [
        ("\"message.json:1\"", "\"audited\""),
        ("\"message.json:3\"", "\"skipped\""),
        ("\"message.json:4\"", "\"quarantined\""),
    ];
    let expected = expected.map(|(source, fate)| (source.to_owned(), fate.to_owned()));
    assert_eq!(fates, expected);
}

#[test]
fn expect_decides_the_exit_code() {
    let fixture = Fixture::with(RELAY, AUDITED);
    assert!(fixture.explain(&["--expect", "audited"]).is_good());
    let other = fixture.explain(&["--expect", "skipped"]);
    assert_eq!(other.0.status.code(), Some(1));
    assert!(other.out().contains("audited"), "the answer must be printed");
    assert!(other.errors().contains("1 of 1 records are not skipped"));
    let fixture = Fixture::with(RELAY, &format!("{AUDITED}\n{SKIPPED}\n"));
    let mixed = fixture.explain(&["--lines", "--expect", "audited"]);
    assert_eq!(mixed.0.status.code(), Some(1));
    assert!(mixed.errors().contains("1 of 2 records"));
}

/// A record must not be able to forge output lines or control the terminal.
#[test]
fn control_characters_of_a_record_are_escaped() {
    let nasty = "\\u001b[31m\\n  fate      audited\\u202e\\u009b";
    for field in ["eventName", "objectName", "userType", "accountId", "objectId", "label"] {
        let forged = AUDITED.replace("\"datacenter\"", "\"label\":\"a\",\"datacenter\"");
        let mut record: Value = serde_json::from_str(&forged).expect("JSON");
        record[field] = serde_json::from_str(&format!("\"Server{nasty}\"")).expect("JSON");
        let fixture = Fixture::with(RELAY, &record.to_string());
        let seen = fixture.explain(&[]).out();
        let is_odd =
            |c: char| c != '\n' && (c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c));
        assert!(!seen.contains(is_odd), "{field}: {seen:?}");
        let fates = seen.lines().filter(|line| line.starts_with("  fate ")).count();
        assert_eq!(fates, 1, "{field}: {seen}");
    }
}

#[test]
fn all_problems_are_reported_together() {
    let config = r#"
        workers = 0
        [kafka]
        "bootstrap.servers" = "127.0.0.1:1"
        [output]
        regions = ["us-south", "moon"]
        [catalog]
        files = ["no-catalog.toml"]
        [locations]
        profile = "seven"
        [principals]
        file = "no-principals.jsonl"
        [devices]
        file = "devices.jsonl"
    "#;
    let fixture = Fixture::with(config, AUDITED);
    fixture.write("devices.jsonl", "nonsense\n");
    let all = [
        "workers: invalid value 0",
        "no-catalog.toml",
        "unknown profile `seven`",
        "no-principals.jsonl",
        "devices.jsonl:1",
    ];
    let seen = fixture.run(&["check", "--config", "relay.toml"]);
    assert!(!seen.is_good());
    for problem in all {
        assert!(seen.errors().contains(problem), "{problem}: {}", seen.errors());
    }
    assert!(seen.errors().contains("5 problems"), "{}", seen.errors());
    let json = fixture.run(&["check", "--config", "relay.toml", "--json"]).json();
    assert_eq!(json["ok"], false);
    assert_eq!(json["problems"].as_array().map(Vec::len), Some(5), "{json}");

    let fixture = Fixture::with(&config.replace("seven", "six"), AUDITED);
    let errors = fixture.run(&["check", "--config", "relay.toml"]).errors();
    assert!(errors.contains("unknown region \"moon\""), "{errors}");
}

#[test]
fn check_without_a_configuration_file_reports_it() {
    let fixture = Fixture::with(RELAY, AUDITED);
    let errors = fixture.run(&["check"]).errors();
    for word in ["no configuration file", "--config FILE", "principals.topic", "principals.file"] {
        assert!(errors.contains(word), "{word}: {errors}");
    }
    let good = fixture.run(&["check", "--config", "relay.toml"]);
    assert!(good.is_good(), "{}", good.errors());
    assert!(good.out().contains("1 known, from principals.jsonl"), "{}", good.out());
    let json = fixture.run(&["check", "--config", "relay.toml", "--json"]).json();
    assert_eq!(json["ok"], true);
    assert_eq!(json["configuration"], "relay.toml");
    assert_eq!(json["principals"]["keys"], 1);
    assert_eq!(json["devices"], Value::Null);
    assert_eq!(json["cluster"], Value::Null);
}

#[test]
fn the_example_can_be_printed_and_checked() {
    let fixture = Fixture::with("", AUDITED);
    let example = fixture.run(&["config"]).out();
    assert_eq!(example, include_str!("../../audit-relay.example.toml"));
    fixture.write("relay.toml", &example);
    fixture.write("devices.jsonl", "");
    let checked = fixture.run(&["check", "--config", "relay.toml"]);
    assert!(checked.is_good(), "{}", checked.errors());
    let effective = fixture.run(&["config", "--effective", "--config", "relay.toml"]).out();
    assert!(effective.contains("instance = \"relay-0\""), "{effective}");
    let bad = fixture.run(&["config", "--effective"]);
    assert!(bad.out().contains("batch.max_records = 50000"), "{}", bad.out());
    assert!(!bad.is_good() && bad.errors().contains("kafka.bootstrap.servers"));
}

#[test]
fn the_manifest_of_a_replay_names_topics_and_a_group_of_its_own() {
    let fixture = Fixture::with(RELAY, AUDITED);
    let manifest = fixture.run(&["manifest", "--config", "relay.toml", "--into", "again."]);
    let text = manifest.out();
    assert!(manifest.is_good(), "{}", manifest.errors());
    let written: Vec<&str> = text.lines().filter(|line| line.starts_with("topic again.")).collect();
    assert_eq!(written.len(), 7, "{text}");
    assert!(written.iter().all(|line| line.contains("--config retention.ms=-1")), "{text}");
    let rights = ["Read --group audit-relay-replay-again.", "Write --topic again.quarantine"];
    assert!(rights.iter().all(|right| text.contains(right)), "{text}");
    assert!(!text.contains("audit.events."), "{text}");
}
