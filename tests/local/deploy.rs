//! The topics of the creation script pass the relay's own check without a warning.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use audit_cases::root;
use audit_relay::kafka::check::Verdict;
use audit_relay::kafka::check::requirements::{Requirements, Role, TopicFacts, judge};

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
