//! What is deployed beside the relay fits it: the topics are those that `manifest` prints, the
//! alert rules name metrics that exist, and the runbook has a section for all that an operator
//! meets.

use std::collections::BTreeSet;
use std::process::Command;

use audit_cases::root;
use audit_relay::commands::exit::Exit;
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
        assert!(METRICS.iter().any(|metric| metric.name == name), "{name}");
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
