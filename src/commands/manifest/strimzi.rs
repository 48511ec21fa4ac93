//! The manifest as custom resources of the Strimzi operator: a `KafkaTopic` for each topic, and a
//! `KafkaUser`. Texts are written as JSON strings, which YAML reads as they are.

use std::fmt::Write;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Manifest;
use crate::kafka::check::demanded::{DemandedRight, DemandedTopic, Resource};

/// Returns the resources, for a Kafka cluster of this name.
pub(super) fn resources(manifest: &Manifest, principal: &str, cluster: &str) -> String {
    let topics = manifest.topics.iter().map(|topic| self::topic(topic, cluster));
    let mut documents: Vec<String> = topics.collect();
    if !manifest.rights.is_empty() {
        documents.push(user(&manifest.rights, principal, cluster));
    }
    documents.join("---\n")
}

fn head(kind: &str, name: &str, cluster: &str) -> String {
    let (name, cluster) = (text(&resource_name(name)), text(cluster));
    format!(
        "apiVersion: kafka.strimzi.io/v1\nkind: {kind}\nmetadata:\n  name: {name}\n  labels:\n    strimzi.io/cluster: {cluster}\nspec:\n"
    )
}

fn topic(topic: &DemandedTopic, cluster: &str) -> String {
    let DemandedTopic { name, partitions, replicas, .. } = topic;
    let mut yaml = head("KafkaTopic", name, cluster);
    // Writing to a String cannot fail.
    _ = writeln!(
        yaml,
        "  topicName: {}\n  partitions: {partitions}\n  replicas: {replicas}\n  config:",
        text(name)
    );
    for (name, value) in &topic.settings {
        _ = writeln!(yaml, "    {name}: {}", text(value));
    }
    yaml
}

fn user(rights: &[DemandedRight], principal: &str, cluster: &str) -> String {
    let name = principal.strip_prefix("User:").unwrap_or(principal);
    let mut yaml = head("KafkaUser", name, cluster);
    yaml.push_str(
        "  # Add `authentication` as your listener asks for it: tls, or scram-sha-512.\n",
    );
    yaml.push_str("  authorization:\n    type: simple\n    acls:\n");
    for right in rights {
        let (kind, pattern) = match right.resource {
            Resource::Topic => ("topic", "literal"),
            Resource::Group => ("group", "literal"),
            Resource::TransactionalIds => ("transactionalId", "prefix"),
        };
        _ = writeln!(
            yaml,
            "      - resource:\n          type: {kind}\n          name: {}\n          patternType: {pattern}\n        operations:\n          - {}",
            text(&right.name),
            right.right.name()
        );
    }
    yaml
}

fn text(text: &str) -> String {
    Value::from(text).to_string()
}

/// Returns a name that Kubernetes accepts. Where that is not the name itself, part of its hash
/// tells it from others that would become the same.
fn resource_name(name: &str) -> String {
    let is_legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-';
    let changed = name.to_ascii_lowercase().replace(|c| !is_legal(c), "-");
    let trimmed = changed.trim_matches(['.', '-']);
    if trimmed == name {
        return changed;
    }
    let hash = Sha256::digest(name.as_bytes());
    let hash: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("{trimmed}-{hash}").trim_start_matches('-').to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::check::demanded::Right;
    use crate::kafka::check::requirements::Role;

    /// The fields are those of the operator's own definitions (kafka.strimzi.io/v1).
    #[test]
    fn resources_are_as_the_operator_reads_them() {
        let manifest = Manifest {
            topics: vec![DemandedTopic {
                role: Role::Input,
                name: "State_Changes".to_string(),
                partitions: 12,
                replicas: 3,
                settings: vec![("retention.ms", "604800000".to_string())],
            }],
            rights: vec![DemandedRight {
                right: Right::Write,
                resource: Resource::TransactionalIds,
                name: "relays-".to_string(),
            }],
            bootstrap_servers: String::new(),
        };
        let expected = r#"apiVersion: kafka.strimzi.io/v1
kind: KafkaTopic
metadata:
  name: "state-changes-9fba3d55"
  labels:
    strimzi.io/cluster: "bus"
spec:
  topicName: "State_Changes"
  partitions: 12
  replicas: 3
  config:
    retention.ms: "604800000"
---
apiVersion: kafka.strimzi.io/v1
kind: KafkaUser
metadata:
  name: "audit-relay"
  labels:
    strimzi.io/cluster: "bus"
spec:
  # Add `authentication` as your listener asks for it: tls, or scram-sha-512.
  authorization:
    type: simple
    acls:
      - resource:
          type: transactionalId
          name: "relays-"
          patternType: prefix
        operations:
          - Write
"#;
        assert_eq!(resources(&manifest, "User:audit-relay", "bus"), expected);
    }

    #[test]
    fn names_are_legal_and_stay_different() {
        assert_eq!(resource_name("audit.events.us-south"), "audit.events.us-south");
        for name in ["Audit_Events", "audit_events", "-audit-", "___", "CN=relay,O=x"] {
            let found = resource_name(name);
            let is_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
            assert!(
                is_end(found.chars().next()) && is_end(found.chars().last()),
                "{name}: {found}"
            );
            assert!(!found.contains(|c: char| c.is_ascii_uppercase() || c == '_'), "{found}");
        }
        assert_ne!(resource_name("Audit_Events"), resource_name("audit_events"));
    }
}
