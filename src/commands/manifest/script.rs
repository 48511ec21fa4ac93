//! The manifest as a shell script for Apache Kafka's own tools.

use std::fmt::Write;

use super::Manifest;
use crate::kafka::check::demanded::{DemandedRight, DemandedTopic, Resource};

const TOPICS: &str = r#"
# A topic that exists is left as it is.
topic() {
    "$KAFKA_BIN/kafka-topics.sh" --bootstrap-server "$BOOTSTRAP_SERVERS" --command-config "$COMMAND_CONFIG" \
        --create --if-not-exists --topic "$@"
}
"#;

const RIGHTS: &str = r#"
# Read and Write imply Describe.
allow() {
    "$KAFKA_BIN/kafka-acls.sh" --bootstrap-server "$BOOTSTRAP_SERVERS" --command-config "$COMMAND_CONFIG" \
        --add --allow-principal "$PRINCIPAL" --operation "$@"
}
"#;

/// Returns the script.
pub(super) fn script(manifest: &Manifest, principal: &str) -> String {
    let mut script = format!(
        r#"#!/bin/sh
# What audit-relay needs on the cluster, as `audit-relay manifest` printed it for its configuration.
set -eu

BOOTSTRAP_SERVERS=${{BOOTSTRAP_SERVERS:-{}}}
KAFKA_BIN=${{KAFKA_BIN:-/opt/kafka/bin}}
# A properties file with how the tools log in.
COMMAND_CONFIG=${{COMMAND_CONFIG:-/dev/null}}
"#,
        quoted(&manifest.bootstrap_servers)
    );
    if !manifest.topics.is_empty() {
        script.push_str(TOPICS);
        script.push('\n');
        script.extend(manifest.topics.iter().map(topic));
    }
    if !manifest.rights.is_empty() {
        // Writing to a String cannot fail.
        _ = writeln!(script, "\nPRINCIPAL={}", quoted(principal));
        script.push_str(RIGHTS);
        script.push('\n');
        script.extend(manifest.rights.iter().map(right));
    }
    script
}

/// Names of topics and groups need no quotes.
fn topic(topic: &DemandedTopic) -> String {
    let DemandedTopic { name, partitions, replicas, .. } = topic;
    let mut line =
        format!("topic {name} --partitions {partitions} --replication-factor {replicas}");
    for (name, value) in &topic.settings {
        _ = write!(line, " --config {name}={value}");
    }
    line + "\n"
}

fn right(right: &DemandedRight) -> String {
    let resource = match right.resource {
        Resource::Topic => "--topic",
        Resource::Group => "--group",
        Resource::TransactionalIds => "--resource-pattern-type prefixed --transactional-id",
    };
    format!("allow {} {resource} {}\n", right.right.name(), right.name)
}

/// Returns the text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stays_one_word() {
        let text = "User:CN=a relay, O='x' $(reboot) `reboot` \"\\";
        let echo = format!("printf %s {}", quoted(text));
        let output = std::process::Command::new("sh").args(["-c", &echo]).output();
        assert_eq!(output.expect("a shell").stdout, text.as_bytes());
    }
}
