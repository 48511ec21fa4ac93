//! The topics that a deployment uses, and their partition counts. Read once, when a session opens:
//! the partition of a device's events must not change while the session is open.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::kafka::client::context::prime_oauth;
use crate::stream::{Content, Output, Partition};
use audit_judge::fate::RegionIndex;

/// Longest wait for metadata.
pub const METADATA_WAIT_MAX: Duration = Duration::from_secs(10);

/// The names of all topics, from the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicNames {
    /// The input.
    pub input: String,
    /// One output for each region, at the region's index.
    pub regions: Vec<String>,
    /// The quarantine.
    pub quarantine: String,
    /// The seals, if the trail is sealed.
    pub checkpoints: Option<String>,
}

impl TopicNames {
    /// Returns the topics that are written to.
    pub fn outputs(&self) -> impl Iterator<Item = &str> {
        self.regions.iter().chain([&self.quarantine]).chain(&self.checkpoints).map(String::as_str)
    }
}

/// The output topics with their partition counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputTopics {
    /// In the order of [`TopicNames::outputs`].
    topics: Vec<Topic>,
    /// How many of them are regions.
    regions: usize,
}

/// A topic and its partition count.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Topic {
    name: String,
    partitions: i32,
}

/// A topic that cannot be used as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicProblem {
    /// The topic does not exist.
    #[error("topic {0:?} does not exist; create it, or correct its name in the configuration")]
    Missing(String),
    /// The relay's principal may not see it.
    #[error("no access to topic {0:?}; grant the relay's principal Describe, and Read or Write")]
    Denied(String),
    /// The metadata request failed, which may be temporary.
    #[error("cannot read the metadata of topic {topic:?}: {cause}")]
    Unknown {
        /// The topic.
        topic: String,
        /// The client's error.
        cause: String,
    },
}

impl TopicProblem {
    /// Returns whether a retry may succeed.
    pub fn may_pass(&self) -> bool {
        matches!(self, TopicProblem::Unknown { .. })
    }
}

/// The partition and replica counts of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// The partition count.
    pub partitions: i32,
    /// The lowest replica count of any partition.
    pub replicas: usize,
}

/// Returns the partition count of a topic, after waiting no longer than the limit.
///
/// # Errors
/// Fails if the topic does not exist, is not accessible, or its metadata cannot be read.
pub fn partition_count<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    name: &str,
    limit: Duration,
) -> Result<i32, TopicProblem> {
    shape(consumer, name, limit).map(|shape| shape.partitions)
}

/// Returns the partition and replica counts of a topic, after waiting no longer than the limit.
///
/// # Errors
/// Fails if the topic does not exist, is not accessible, or its metadata cannot be read.
pub fn shape<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    name: &str,
    limit: Duration,
) -> Result<Shape, TopicProblem> {
    let unknown = |cause: &dyn std::fmt::Display| TopicProblem::Unknown {
        topic: name.to_string(),
        cause: cause.to_string(),
    };
    let metadata = consumer.fetch_metadata(Some(name), limit).map_err(|error| {
        problem_of_code(name, error.rdkafka_error_code()).unwrap_or(unknown(&error))
    })?;
    let topic = metadata
        .topics()
        .iter()
        .find(|topic| topic.name() == name)
        .ok_or_else(|| unknown(&"the answer does not contain the topic"))?;
    if let Some(code) = topic.error() {
        let error = KafkaError::MetadataFetch(code.into());
        return Err(problem_of_code(name, error.rdkafka_error_code()).unwrap_or(unknown(&error)));
    }
    let replicas = topic.partitions().iter().map(|one| one.replicas().len());
    match (topic.partitions().len(), replicas.min()) {
        (count, Some(replicas)) => {
            Ok(Shape { partitions: i32::try_from(count).unwrap_or(i32::MAX), replicas })
        }
        (_, None) => Err(TopicProblem::Missing(name.to_string())),
    }
}

fn problem_of_code(name: &str, code: Option<RDKafkaErrorCode>) -> Option<TopicProblem> {
    use RDKafkaErrorCode::{TopicAuthorizationFailed, UnknownTopic, UnknownTopicOrPartition};
    match code? {
        UnknownTopic | UnknownTopicOrPartition => Some(TopicProblem::Missing(name.to_string())),
        TopicAuthorizationFailed => Some(TopicProblem::Denied(name.to_string())),
        _ => None,
    }
}

impl OutputTopics {
    /// Looks up all output topics, and checks that the input exists.
    ///
    /// # Errors
    /// Returns every topic that cannot be used.
    pub fn discover<C: ConsumerContext>(
        consumer: &BaseConsumer<C>,
        names: &TopicNames,
    ) -> Result<Self, Vec<TopicProblem>> {
        prime_oauth(consumer);
        let mut topics = Vec::new();
        let mut problems = Vec::new();
        for name in std::iter::once(names.input.as_str()).chain(names.outputs()) {
            match partition_count(consumer, name, METADATA_WAIT_MAX) {
                Ok(partitions) => topics.push(Topic { name: name.to_string(), partitions }),
                // If the cluster does not answer, it would not answer for the others either.
                Err(problem) if problem.may_pass() => return Err(vec![problem]),
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        // The input is the first topic.
        topics.remove(0);
        Ok(OutputTopics { topics, regions: names.regions.len() })
    }

    /// Adopts the partition counts of topics that have fewer partitions now, as after they were
    /// deleted and created again.
    pub fn shrink_to(&mut self, found: &OutputTopics) {
        for (topic, found) in self.topics.iter_mut().zip(&found.topics) {
            if found.partitions < topic.partitions {
                tracing::warn!(
                    topic = topic.name,
                    was = topic.partitions,
                    partitions = found.partitions,
                    "an output topic has fewer partitions than before; its events are now written to these"
                );
                topic.partitions = found.partitions;
            }
        }
    }

    /// Returns where an output goes: the topic, as an index of [`TopicNames::outputs`], and the
    /// partition that the input partition maps to. `None` for a region without a topic, which the
    /// core never names.
    pub fn destination(&self, output: &Output<'_>) -> Option<(usize, i32)> {
        let index = match &output.content {
            Content::Event { envelope, .. } => {
                let RegionIndex(index) = envelope.region;
                (index < self.regions).then_some(index)?
            }
            Content::Quarantined(_) => self.regions,
        };
        self.partition_of(index, output.source_partition)
    }

    /// Returns where the seals of an input partition go, likewise. `None` if the trail is not
    /// sealed.
    pub fn checkpoints(&self, source: Partition) -> Option<(usize, i32)> {
        self.partition_of(self.regions + 1, source)
    }

    /// Returns the index of a topic with the partition that an input partition maps to.
    fn partition_of(&self, index: usize, source: Partition) -> Option<(usize, i32)> {
        let topic = self.topics.get(index)?;
        Some((index, output_partition(source, topic.partitions)))
    }
}

/// Returns the partition, of so many, that an input partition has in an output.
pub fn output_partition(source: Partition, partitions: i32) -> i32 {
    source.0.rem_euclid(partitions)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::stream::kept_record::{KeptRecord, RecordLimit};
    use crate::stream::{QuarantinedRecord, SourceRecord};
    use audit_judge::fate::{Envelope, Quarantine};

    fn topics(counts: &[i32], quarantine: i32) -> OutputTopics {
        let topic =
            |partitions: &i32| Topic { name: format!("t{partitions}"), partitions: *partitions };
        OutputTopics {
            topics: counts.iter().chain([&quarantine]).map(topic).collect(),
            regions: counts.len(),
        }
    }

    /// Returns where the output of a partition goes: to a region, or to the quarantine.
    fn destination(
        topics: &OutputTopics,
        source: i32,
        region: Option<usize>,
    ) -> Option<(usize, i32)> {
        let envelope = Envelope {
            region: RegionIndex(region.unwrap_or_default()),
            device: "1".into(),
            account: "2".into(),
            location: "dal10".into(),
            id: Uuid::nil(),
        };
        let kept =
            QuarantinedRecord { original: original(), quarantine: Quarantine::malformed("x") };
        topics.destination(&Output {
            source_partition: Partition(source),
            source_offset: 0,
            timestamp_ms: None,
            content: match region {
                Some(_) => Content::Event { envelope: &envelope, event: b"{}" },
                None => Content::Quarantined(&kept),
            },
        })
    }

    fn original() -> KeptRecord {
        let record = SourceRecord {
            partition: Partition(0),
            offset: 0,
            timestamp_ms: None,
            key: None,
            payload: None,
            headers: &Vec::new(),
            leader_epoch: None,
            log: &None,
        };
        KeptRecord::within(&record, RecordLimit::LEAST)
    }

    #[test]
    fn the_output_partition_follows_from_the_input_partition() {
        let topics = topics(&[1, 3, 6], 2);
        for (source, region, expected) in [
            (0, Some(0), Some((0, 0))),
            (7, Some(0), Some((0, 0))),
            (0, Some(1), Some((1, 0))),
            (1, Some(1), Some((1, 1))),
            (2, Some(1), Some((1, 2))),
            (3, Some(1), Some((1, 0))),
            (5, Some(2), Some((2, 5))),
            (6, Some(2), Some((2, 0))),
            (0, None, Some((3, 0))),
            (3, None, Some((3, 1))),
            // The topic after the last region is the quarantine; none follows it.
            (3, Some(4), None),
        ] {
            let found = destination(&topics, source, region);
            assert_eq!(found, expected, "{source} {region:?}");
        }
    }

    #[test]
    fn partition_counts_only_shrink() {
        let mut known = topics(&[4, 4], 4);
        known.shrink_to(&topics(&[2, 8], 3));
        let counts = |source| [Some(0), Some(1), None].map(|it| destination(&known, source, it));
        assert_eq!(counts(3), [Some((0, 1)), Some((1, 3)), Some((2, 0))]);
        assert_eq!(counts(5), [Some((0, 1)), Some((1, 1)), Some((2, 2))]);
    }
}
