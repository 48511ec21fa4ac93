//! What is deployed beside the relay fits it: the topics of the creation script pass the relay's
//! own check without a warning, the alert rules name metrics that exist, and the runbook has a
//! section for all that an operator meets.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use audit_cases::root;
use audit_relay::commands::exit::Exit;
use audit_relay::kafka::check::Verdict;
use audit_relay::kafka::check::requirements::{Requirements, Role, TopicFacts, judge};
use audit_relay::liveness::health::{Health, WATCHDOG};
use audit_relay::metrics::METRICS;

const DAY: Duration = Duration::from_secs(86_400);
/// The broker's default settings.
const BROKER_DEFAULTS: [(&str, &str); 8] = [
    ("cleanup.policy", "delete"),
    ("delete.retention.ms", "86400000"),
    ("max.message.bytes", "1048588"),
    ("message.timestamp.type", "CreateTime"),
    ("min.compaction.lag.ms", "0"),
    ("min.insync.replicas", "1"),
    ("retention.bytes", "-1"),
    ("retention.ms", "604800000"),
];

/// Runs the script with a fake tool that prints its arguments. Returns the topics, each with the
/// facts that the cluster would report.
fn created(replication: Option<&str>) -> BTreeMap<String, TopicFacts> {
    let folder = tempfile::tempdir().expect("a folder");
    let tool = folder.path().join("kafka-topics.sh");
    std::fs::write(&tool, "#!/bin/sh\necho \"$@\"\n").expect("the tool");
    std::fs::set_permissions(&tool, PermissionsExt::from_mode(0o755)).expect("executable");
    let mut command = Command::new("sh");
    command
        .arg(root().join("deploy/create-topics.sh"))
        .env("BOOTSTRAP_SERVERS", "127.0.0.1:9092")
        .env("KAFKA_BIN", folder.path())
        .env_remove("REPLICATION_FACTOR")
        .envs(replication.map(|factor| ("REPLICATION_FACTOR", factor)));
    let output = command.output().expect("a shell");
    assert!(output.status.success(), "{output:?}");
    let calls = String::from_utf8(output.stdout).expect("text");
    calls.lines().map(topic).collect()
}

fn topic(call: &str) -> (String, TopicFacts) {
    let words: Vec<&str> = call.split(' ').collect();
    let values = |option: &str| -> Vec<&str> {
        let pairs = words.windows(2);
        pairs.filter(|pair| pair[0] == option).map(|pair| pair[1]).collect()
    };
    let text = |(name, value): (&str, &str)| (name.to_string(), value.to_string());
    let mut settings: BTreeMap<String, String> = BROKER_DEFAULTS.map(text).into();
    let configs = values("--config").into_iter();
    settings.extend(configs.map(|config| text(config.split_once('=').expect("key=value"))));
    let facts = TopicFacts {
        partitions: values("--partitions")[0].parse().expect("a number"),
        replicas: values("--replication-factor")[0].parse().expect("a number"),
        settings: Some(settings),
        rights: None,
    };
    (values("--topic")[0].to_string(), facts)
}

fn role(topic: &str) -> Role {
    match topic {
        "infrastructure.state-changes" => Role::Input,
        "infrastructure.principals" | "infrastructure.devices" => Role::Table,
        "audit.quarantine" => Role::Quarantine,
        region => {
            assert!(region.starts_with("audit.events."), "{region}");
            Role::Output
        }
    }
}

#[test]
fn created_topics_pass_the_relays_check() {
    for (replication, brokers) in [(None, 3), (Some("1"), 1)] {
        let created = created(replication);
        assert_eq!(created.len(), 10, "{:?}", created.keys());
        let needs = Requirements {
            event_bytes: 1_000_000,
            batch_bytes: 1_000_000,
            input_bytes: Some(1_048_588),
            brokers,
            history: 7 * DAY,
        };
        for (topic, facts) in &created {
            let verdicts = judge(role(topic), facts, &needs);
            assert!(
                matches!(verdicts[..], [Verdict::Pass(_)]),
                "{replication:?} {topic}: {verdicts:?}"
            );
        }
    }
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
