//! What the cluster must have for a configuration: topics with settings that pass [`judge`] without
//! a warning, and the rights that the relay cannot work without. `judge` says what is wrong with a
//! topic that exists; this says how one is right from the beginning.
//!
//! [`judge`]: super::requirements::judge

use std::time::Duration;

use super::requirements::{Requirements, Role};
use super::{outcomes_use, requirements, topics_in_use};
use crate::config::Config;
pub use crate::kafka::native::Right;
use crate::kafka::topics::TopicNames;

const DAY: Duration = Duration::from_secs(86_400);
/// How long the relays may be away.
const INPUT_KEPT: Duration = DAY.saturating_mul(7);
/// How long a reader of the outputs may be away; the archive is the reader's.
const OUTPUT_KEPT: Duration = DAY.saturating_mul(30);
/// The broker's default for max.message.bytes, which no topic needs to go below.
const MESSAGE_BYTES: u64 = 1_048_588;
/// Above the default: the input's limit is for compressed batches, and a quarantined record is
/// measured before it is compressed.
const QUARANTINE_BYTES: u64 = 8 * 1024 * 1024;

/// How many partitions and replicas the topics get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Partitions of the input.
    pub input_partitions: u32,
    /// Partitions of each output and of the quarantine.
    pub output_partitions: u32,
    /// Partitions of each reference table.
    pub table_partitions: u32,
    /// Replicas of every topic.
    pub replicas: u32,
}

/// A topic that must exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemandedTopic {
    /// What the relay does with it.
    pub role: Role,
    /// Its name.
    pub name: String,
    /// Its partition count.
    pub partitions: u32,
    /// Its replica count.
    pub replicas: u32,
    /// Its settings, by name.
    pub settings: Vec<(&'static str, String)>,
}

/// The kind of a resource that rights are granted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// A topic.
    Topic,
    /// A consumer group.
    Group,
    /// Transactional ids that begin with the name.
    TransactionalIds,
}

/// A right that the relay's principal must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemandedRight {
    /// The right. Read and Write both imply Describe.
    pub right: Right,
    /// The kind of the resource.
    pub resource: Resource,
    /// The name of the resource, or what its name begins with.
    pub name: String,
}

/// Returns the topics that must exist; `outcomes` is the topic with what became of quarantined
/// records, where they are to be replayed.
pub fn demanded_topics(
    config: &Config,
    topics: &TopicNames,
    outcomes: Option<&str>,
    size: Size,
) -> Vec<DemandedTopic> {
    let requirements = requirements(config, Some(MESSAGE_BYTES), size.replicas as usize);
    let used = topics_in_use(config, topics).into_iter().chain(outcomes.map(outcomes_use));
    let demanded = used.map(|topic| DemandedTopic {
        role: topic.role,
        name: topic.name.to_string(),
        partitions: match topic.role {
            Role::Input => size.input_partitions,
            Role::Output | Role::Quarantine | Role::Checkpoints => size.output_partitions,
            Role::Table => size.table_partitions,
            // Small, and read whole.
            Role::Outcomes => 1,
        },
        replicas: size.replicas,
        settings: settings(topic.role, &requirements, size.replicas),
    });
    demanded.collect()
}

fn settings(role: Role, needs: &Requirements, replicas: u32) -> Vec<(&'static str, String)> {
    let ms = |time: Duration| time.as_millis().to_string();
    let written = |max_message_bytes: u64| {
        let mut settings = vec![
            ("cleanup.policy", "delete".to_string()),
            ("max.message.bytes", max_message_bytes.to_string()),
        ];
        if needs.is_sealed {
            // The chains cover the timestamps.
            settings.push(("message.timestamp.type", "CreateTime".to_string()));
        }
        settings.push(("retention.ms", ms(OUTPUT_KEPT)));
        settings
    };
    let mut settings = match role {
        Role::Input => {
            vec![("cleanup.policy", "delete".to_string()), ("retention.ms", ms(INPUT_KEPT))]
        }
        Role::Output => written(needs.output_bytes().max(MESSAGE_BYTES)),
        Role::Quarantine => written(needs.quarantine_bytes().max(QUARANTINE_BYTES)),
        // Without a limit: what a seal proves cannot be proved without it, and what became of a
        // record must be known for as long as it could be replayed.
        Role::Checkpoints | Role::Outcomes => vec![
            ("cleanup.policy", "delete".to_string()),
            ("max.message.bytes", needs.batch_bytes.max(MESSAGE_BYTES).to_string()),
            ("message.timestamp.type", "CreateTime".to_string()),
            ("retention.bytes", "-1".to_string()),
            ("retention.ms", "-1".to_string()),
        ],
        // A relay that has just started decides like one that has followed the topic: superseded
        // versions stay for the history and removals for twice that, by the broker's clock.
        Role::Table => vec![
            ("cleanup.policy", "compact".to_string()),
            ("delete.retention.ms", ms(2 * needs.history)),
            ("message.timestamp.type", "LogAppendTime".to_string()),
            ("min.compaction.lag.ms", ms(needs.history)),
        ],
    };
    // What is acknowledged survives the loss of a broker, and one broker may be away. With fewer
    // than three replicas that cannot be had.
    if replicas >= 3 {
        settings.push(("min.insync.replicas", (replicas - 1).to_string()));
    }
    settings
}

/// Returns the rights that the relay cannot work without: exactly those that `check --connect
/// --write` needs to pass. Replaying quarantined records needs some more.
pub fn demanded_rights(
    config: &Config,
    topics: &TopicNames,
    outcomes: Option<&str>,
) -> Vec<DemandedRight> {
    let on_topic = |right: &Right, name: &str| DemandedRight {
        right: *right,
        resource: Resource::Topic,
        name: name.to_string(),
    };
    let used = topics_in_use(config, topics);
    let mut rights = Vec::new();
    for topic in used.iter().chain(&outcomes.map(outcomes_use)) {
        rights.extend(topic.role.rights().iter().map(|right| on_topic(right, topic.name)));
        let is_read = matches!(topic.role, Role::Output | Role::Quarantine);
        if outcomes.is_some() && is_read {
            rights.push(on_topic(&Right::Read, topic.name));
        }
    }
    rights.push(DemandedRight {
        right: Right::Read,
        resource: Resource::Group,
        name: config.input.group.clone(),
    });
    rights.push(DemandedRight {
        right: Right::Write,
        resource: Resource::TransactionalIds,
        // Of every instance: their names are not known here.
        name: format!("{}-", config.input.group),
    });
    rights
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::finding::Verdict;
    use super::super::requirements::{TopicFacts, judge};
    use super::*;

    /// The settings of a topic that were not chosen.
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

    const SIZE: Size =
        Size { input_partitions: 12, output_partitions: 6, table_partitions: 3, replicas: 3 };

    fn demanded(more: &str, size: Size) -> (Config, Vec<DemandedTopic>) {
        let text = format!(
            "kafka.\"bootstrap.servers\" = \"b:1\"\nprincipals.topic = \"p\"\ndevices.topic = \"d\"\n{more}"
        );
        let config = Config::from_toml(&text, std::iter::empty()).expect("configuration");
        let names = TopicNames {
            input: "in".to_string(),
            regions: vec!["out.a".to_string(), "out.b".to_string()],
            quarantine: "q".to_string(),
            checkpoints: config.integrity.as_ref().map(|_| "out.checkpoints".to_string()),
        };
        let topics = demanded_topics(&config, &names, Some("q.state"), size);
        (config, topics)
    }

    #[test]
    fn what_is_demanded_passes_the_check_without_a_warning() {
        for more in [
            "",
            "output.max_message_bytes = 5000000\n",
            "kafka.producer.\"batch.size\" = 20000000\n",
            "tables.history_hours = 2000\n",
            "integrity.origin = \"a\"\nintegrity.key = \"k\"\n",
        ] {
            for replicas in [1, 3, 5] {
                let (config, topics) = demanded(more, Size { replicas, ..SIZE });
                assert_eq!(topics.len(), 7 + usize::from(config.integrity.is_some()));
                let requirements = requirements(&config, Some(MESSAGE_BYTES), replicas as usize);
                for topic in topics {
                    let text = |(name, value): (&str, &str)| (name.to_string(), value.to_string());
                    let mut settings: BTreeMap<_, _> = BROKER_DEFAULTS.map(text).into();
                    let chosen = topic.settings.iter().map(|(name, value)| text((name, value)));
                    settings.extend(chosen);
                    let facts = TopicFacts {
                        partitions: 1,
                        replicas: topic.replicas as usize,
                        settings: Some(settings),
                        rights: None,
                    };
                    let verdicts = judge(topic.role, &facts, &requirements);
                    assert!(matches!(verdicts[..], [Verdict::Pass(_)]), "{topic:?}: {verdicts:?}");
                }
            }
        }
    }

    #[test]
    fn partitions_follow_the_role() {
        let (_, topics) = demanded("", SIZE);
        let partitions: Vec<_> =
            topics.iter().map(|topic| (topic.name.as_str(), topic.partitions)).collect();
        let expected =
            [("in", 12), ("p", 3), ("d", 3), ("out.a", 6), ("out.b", 6), ("q", 6), ("q.state", 1)];
        assert_eq!(partitions, expected);
    }
}
