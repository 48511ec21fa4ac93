//! What is deployed beside the relay fits it: the topics are those that `manifest` prints, the
//! alert rules name metrics that exist, the runbook has a section for all that an operator meets,
//! and the Helm chart knows the relay's settings. `deploy/helm/test.sh` checks the chart itself.

mod dashboard;
mod panels;

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

use audit_cases::root;
use audit_relay::commands::exit::Exit;
use audit_relay::commands::quarantine::METRIC_NAMES;
use audit_relay::config::{Kind, SETTINGS};
use audit_relay::liveness::health::{Health, WATCHDOG};
use audit_relay::metrics::METRICS;

/// The arguments that print `deploy/create-topics.sh`: one broker can hold one replica.
const CREATE_TOPICS: [&str; 7] =
    ["manifest", "--only", "topics", "--replicas", "1", "--config", "deploy/relay.toml"];

#[test]
fn the_script_that_creates_the_topics_is_the_printed_one() {
    let output = Command::new(env!("CARGO_BIN_EXE_audit-relay"))
        .args(CREATE_TOPICS)
        .current_dir(root())
        .env_remove("AUDIT_RELAY_CONFIG")
        .output()
        .expect("the program");
    assert!(output.status.success(), "{output:?}");
    let path = root().join("deploy/create-topics.sh");
    if std::env::var_os("UPDATE_DEPLOY").is_some_and(|value| value == "1") {
        std::fs::write(&path, &output.stdout).expect("deploy/create-topics.sh can be written");
    }
    let script = std::fs::read_to_string(&path).expect("deploy/create-topics.sh");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(script, printed, "UPDATE_DEPLOY=1 cargo test --test local deploy writes it");
}

/// The alert rules, as text.
fn alerts() -> String {
    std::fs::read_to_string(root().join("deploy/alerts.yml")).expect("deploy/alerts.yml")
}

#[test]
fn the_alert_rules_name_metrics_that_exist() {
    let rules: String = alerts()
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect();
    let words = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let named: BTreeSet<&str> = words.filter(|word| word.starts_with("audit_relay_")).collect();
    assert!(named.len() > 10, "{named:?}");
    for name in named {
        let is_relays = METRICS.iter().any(|metric| metric.name == name);
        assert!(is_relays || METRIC_NAMES.contains(&name), "{name}");
    }
}

/// The headings of the runbook.
fn runbook() -> BTreeSet<String> {
    let path = root().join("docs/operating/runbook.md");
    let text = std::fs::read_to_string(path).expect("docs/operating/runbook.md");
    text.lines().filter_map(|line| line.strip_prefix("### ")).map(String::from).collect()
}

#[test]
fn the_runbook_has_a_heading_for_each_alert_and_exit_code() {
    let headings = runbook();
    let rules = alerts();
    let alerts = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let alerts: BTreeSet<&str> = alerts.collect();
    assert!(alerts.len() > 10, "{alerts:?}");
    for alert in &alerts {
        assert!(headings.contains(*alert), "the runbook has no heading {alert}");
    }
    for heading in headings.iter().filter(|heading| heading.starts_with("AuditRelay")) {
        assert!(alerts.contains(heading.as_str()), "there is no alert {heading}");
    }
    for exit in Exit::ALL {
        let heading = format!("Exit code {}", exit.code());
        assert!(headings.contains(&heading), "the runbook has no heading {heading}");
    }
}

#[test]
fn the_runbook_has_a_heading_for_each_reason_of_readyz() {
    let changes: [fn(&Health); 9] = [
        |_| {},
        |health| health.connecting(0, "cause"),
        |health| health.joining(0),
        |health| health.rejoining(0, "cause"),
        |health| health.recovering(0, "cause"),
        |health| health.stopped(0, Some("cause".to_string())),
        |health| health.hold("cluster", "cause"),
        |health| health.hold("tables", "cause"),
        |health| health.hold(WATCHDOG, "cause"),
    ];
    let mut reasons = Health::default().ready().expect_err("no workers");
    for change in changes {
        let health = Health::default();
        health.add_workers(1);
        change(&health);
        reasons.extend(health.ready().expect_err("not ready"));
    }
    let headings = runbook();
    for reason in &reasons {
        let stem = reason.replace("worker 0:", "worker:");
        let stem = stem.strip_suffix(": cause").unwrap_or(&stem);
        assert!(headings.contains(stem), "the runbook has no heading {stem:?}");
    }
}

/// A file of the Helm chart.
fn chart(name: &str) -> String {
    let path = root().join("deploy/helm/audit-relay").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_chart_is_for_this_version() {
    let version = format!("appVersion: \"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(chart("Chart.yaml").lines().any(|line| line == version), "Chart.yaml lacks {version}");
}

/// What the chart's schema must say of a value.
fn schema_of(kind: &Kind) -> Value {
    match kind {
        Kind::Number(range) => {
            json!({"type": "integer", "minimum": range.start(), "maximum": range.end()})
        }
        Kind::Boolean => json!({"type": "boolean"}),
        Kind::Word(words) => json!({"enum": words}),
        Kind::List(kind) => json!({"type": "array", "items": schema_of(kind)}),
        _ => json!({"type": "string", "minLength": 1}),
    }
}

/// `kafka` takes any property, `instance` and `admin` are the chart's own.
#[test]
fn the_schema_of_the_chart_has_exactly_the_settings() {
    let schema: Value = serde_json::from_str(&chart("values.schema.json")).expect("JSON");
    let config = &schema["properties"]["config"];
    assert_eq!(config["additionalProperties"], false);
    let mut seen = BTreeSet::new();
    for (section, schema) in config["properties"].as_object().expect("sections") {
        match &schema["properties"] {
            _ if ["kafka", "instance", "admin"].contains(&section.as_str()) => {}
            Value::Object(keys) => {
                assert_eq!(schema["additionalProperties"], false, "{section}");
                seen.extend(keys.iter().map(|(key, value)| format!("{section}.{key}: {value}")));
            }
            _ => _ = seen.insert(format!("{section}: {schema}")),
        }
    }
    let expected: BTreeSet<String> = SETTINGS
        .iter()
        .filter(|setting| {
            let section = setting.key.split('.').next();
            !["kafka", "instance", "admin"].iter().any(|own| section == Some(own))
        })
        .map(|setting| format!("{}: {}", setting.key, schema_of(&setting.kind)))
        .collect();
    assert!(expected.len() > 30, "{expected:?}");
    assert_eq!(seen, expected);
}
