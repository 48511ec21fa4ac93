//! A stream: one chain of events of a set.

use std::fmt;
use std::str::FromStr;

use super::{Set, TOPIC_CHARACTERS_MAX};
use crate::Invalid;

/// Which of a set's streams: that of a region, of the quarantine, or of the replays' state.
///
/// Names are ordered by the bytes of their texts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamName {
    /// The events of a region, by its name: one or more of `[a-z0-9-]`, as location tables have it.
    Region(Region),
    /// What went to the quarantine topic, `~quarantine`.
    Quarantine,
    /// What a replay wrote to the state topic, `~state`.
    State,
}

/// A region's name that was checked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(Box<str>);

impl StreamName {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        match self {
            StreamName::Region(Region(name)) => name,
            StreamName::Quarantine => "~quarantine",
            StreamName::State => "~state",
        }
    }

    /// Returns whether it is the name of a region.
    pub fn is_region(&self) -> bool {
        matches!(self, StreamName::Region(_))
    }

    fn parse(text: &str) -> Option<Self> {
        let is_slug = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        match text {
            "~quarantine" => Some(StreamName::Quarantine),
            "~state" => Some(StreamName::State),
            // A region's name is the last part of a topic's name.
            _ if (1..=TOPIC_CHARACTERS_MAX).contains(&text.len()) && text.bytes().all(is_slug) => {
                Some(StreamName::Region(Region(text.into())))
            }
            _ => None,
        }
    }
}

impl FromStr for StreamName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let expected = "a region's name of a-z, 0-9 and -, or ~quarantine, or ~state";
        Self::parse(text).ok_or_else(|| Invalid::new("name of a stream", text, expected))
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A chain of events, `<set>@<name>`, e.g. `infra.changes/7#1@eu-west-1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream {
    text: Box<str>,
    set: Set,
    name: StreamName,
}

impl Stream {
    /// Names a stream of a set.
    pub fn new(set: Set, name: StreamName) -> Self {
        Self { text: format!("{set}@{name}").into(), set, name }
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the set that the stream belongs to.
    pub fn set(&self) -> &Set {
        &self.set
    }

    /// Returns which of the set's streams it is.
    pub fn name(&self) -> &StreamName {
        &self.name
    }
}

impl FromStr for Stream {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let parts = text.split_once('@').and_then(|(set, name)| {
            Some(Self { text: text.into(), set: set.parse().ok()?, name: name.parse().ok()? })
        });
        let expected = "<topic>/<partition>#<epoch>@<name>, such as infra.changes/7#1@eu-west-1";
        parts.ok_or_else(|| Invalid::new("stream", text, expected))
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_set_and_a_name() {
        let stream: Stream = "infra.changes/7#1@~quarantine".parse().expect("a stream");
        assert_eq!(stream.set().as_str(), "infra.changes/7#1");
        assert_eq!(stream.name(), &StreamName::Quarantine);
        assert_eq!(Stream::new(stream.set().clone(), StreamName::Quarantine), stream);
    }

    #[test]
    fn names_are_ordered_by_their_texts() {
        let mut names = ["~state", "us", "~quarantine", "9", "-", "eu-west-1", "eu"]
            .map(|name| name.parse::<StreamName>().expect(name));
        let mut texts = names.clone().map(|name| name.to_string());
        names.sort();
        texts.sort();
        assert_eq!(names.map(|name| name.to_string()), texts);
    }
}
