//! The topics of a trail, found by their names.

use std::collections::BTreeMap;

use anyhow::bail;
use audit_chain::name::StreamName;

use super::TrailSource;
use crate::commands::arguments::TopicArgs;
use crate::config::CHECKPOINTS;
use crate::kafka::trail_reader::LogBounds;
use crate::quarantine::outcomes;

/// The topics of a trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands) struct TrailTopics {
    /// The topic with the seals, if there is one.
    pub(in crate::commands) checkpoints: Option<String>,
    /// The outputs: those of regions, the quarantine, and what became of quarantined records.
    pub(in crate::commands) outputs: Vec<OutputTopic>,
}

/// An output topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands) struct OutputTopic {
    pub(in crate::commands) name: String,
    pub(in crate::commands) stream: StreamName,
}

impl TrailTopics {
    /// Looks for the topics at the source.
    pub(in crate::commands) fn find(
        source: &dyn TrailSource,
        arguments: &TopicArgs,
    ) -> anyhow::Result<Self> {
        let TopicArgs { topic_prefix: prefix, quarantine_topic: quarantine } = arguments;
        let mut names = source.topics(prefix)?;
        if !quarantine.starts_with(prefix) {
            let state = outcomes::topic(quarantine);
            let found = source.topics(quarantine)?.into_iter();
            names.extend(found.filter(|name| name == quarantine || *name == state));
        }
        let topics = Self::of(names, prefix, quarantine);
        if topics.checkpoints.is_none() && topics.outputs.is_empty() {
            bail!(
                "no topic begins with {prefix:?}, and none is called {quarantine:?}: name the topics with --topic-prefix and --quarantine-topic"
            );
        }
        Ok(topics)
    }

    /// Returns the bounds of each output, in their order.
    pub(in crate::commands) fn output_bounds(
        &self,
        source: &dyn TrailSource,
    ) -> anyhow::Result<Vec<BTreeMap<i32, LogBounds>>> {
        self.outputs.iter().map(|topic| source.bounds(&topic.name)).collect()
    }

    fn of(names: Vec<String>, prefix: &str, quarantine: &str) -> Self {
        let state = outcomes::topic(quarantine);
        let mut topics = TrailTopics { checkpoints: None, outputs: Vec::new() };
        for name in names {
            let stream = match name.strip_prefix(prefix) {
                _ if name == quarantine => Some(StreamName::Quarantine),
                _ if name == state => Some(StreamName::State),
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
        let names = [
            "a.checkpoints",
            "a.eu-de",
            "a.Other",
            "a.us.south",
            "a.quarantine",
            "a.quarantine.state",
            "b.eu-de",
        ];
        let topics = |quarantine| {
            let names = names.map(String::from).to_vec();
            let topics = TrailTopics::of(names, "a.", quarantine);
            let outputs: Vec<_> =
                topics.outputs.iter().map(|it| format!("{}={}", it.name, it.stream)).collect();
            (topics.checkpoints, outputs)
        };
        let checkpoints = Some("a.checkpoints".to_string());
        let outputs = ["a.eu-de=eu-de", "a.quarantine=~quarantine", "a.quarantine.state=~state"]
            .map(String::from);
        assert_eq!(topics("a.quarantine"), (checkpoints.clone(), outputs.to_vec()));
        let outputs = ["a.eu-de=eu-de", "a.quarantine=quarantine"].map(String::from);
        assert_eq!(topics("q"), (checkpoints, outputs.to_vec()));
    }
}
