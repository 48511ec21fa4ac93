//! The topics of a trail, found by their names.

use anyhow::bail;
use audit_chain::name::StreamName;

use crate::config::CHECKPOINTS;
use crate::kafka::trail_reader::TrailReader;

/// The topics of a trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TrailTopics {
    /// The topic with the seals, if there is one.
    pub(super) checkpoints: Option<String>,
    /// The outputs: those of regions, and the quarantine.
    pub(super) outputs: Vec<OutputTopic>,
}

/// An output topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OutputTopic {
    pub(super) name: String,
    pub(super) stream: StreamName,
}

impl TrailTopics {
    /// Looks for the topics in the cluster.
    pub(super) fn find(
        reader: &TrailReader,
        prefix: &str,
        quarantine: &str,
    ) -> anyhow::Result<Self> {
        let mut names = reader.topics(prefix)?;
        if !quarantine.starts_with(prefix) {
            names.extend(reader.topics(quarantine)?.into_iter().filter(|name| name == quarantine));
        }
        let topics = Self::of(names, prefix, quarantine);
        if topics.checkpoints.is_none() && topics.outputs.is_empty() {
            bail!(
                "no topic begins with {prefix:?}, and none is called {quarantine:?}: name the topics with --topic-prefix and --quarantine-topic"
            );
        }
        Ok(topics)
    }

    fn of(names: Vec<String>, prefix: &str, quarantine: &str) -> Self {
        let mut topics = TrailTopics { checkpoints: None, outputs: Vec::new() };
        for name in names {
            let stream = match name.strip_prefix(prefix) {
                _ if name == quarantine => Some(StreamName::Quarantine),
                Some(CHECKPOINTS) => {
                    topics.checkpoints = Some(name);
                    continue;
                }
                // A region's name; other topics with the prefix are not of this trail.
                Some(rest) => rest.parse().ok().filter(StreamName::is_region),
                None => None,
            };
            topics.outputs.extend(stream.map(|stream| OutputTopic { name, stream }));
        }
        topics
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_told_apart_by_their_names() {
        let names =
            ["a.checkpoints", "a.eu-de", "a.Other", "a.us.south", "a.quarantine", "b.eu-de"];
        let topics = |quarantine| {
            let names = names.map(String::from).to_vec();
            let topics = TrailTopics::of(names, "a.", quarantine);
            let outputs: Vec<_> =
                topics.outputs.iter().map(|it| format!("{}={}", it.name, it.stream)).collect();
            (topics.checkpoints, outputs)
        };
        let checkpoints = Some("a.checkpoints".to_string());
        let outputs = ["a.eu-de=eu-de", "a.quarantine=~quarantine"].map(String::from);
        assert_eq!(topics("a.quarantine"), (checkpoints.clone(), outputs.to_vec()));
        let outputs = ["a.eu-de=eu-de", "a.quarantine=quarantine"].map(String::from);
        assert_eq!(topics("q"), (checkpoints, outputs.to_vec()));
    }
}
