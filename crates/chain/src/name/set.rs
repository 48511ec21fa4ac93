//! A set: all that one writer at a time makes of one partition of the input.

use std::fmt;
use std::str::FromStr;

use super::TOPIC_CHARACTERS_MAX;
use crate::{Invalid, Number};

/// The chains and seals of one partition of an input topic, `<topic>/<partition>#<epoch>`, e.g.
/// `infra.changes/7#1`. The epoch is 1, and one more each time the topic was created again.
///
/// Sets are ordered by the bytes of their texts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Set {
    text: Box<str>,
    topic_length: usize,
    partition: Number,
    epoch: Number,
}

impl Set {
    /// Names the set of a topic's partition in an epoch.
    ///
    /// # Errors
    ///
    /// If the topic's name is not legal in Kafka, or the epoch is 0.
    pub fn new(topic: &str, partition: Number, epoch: Number) -> Result<Self, Invalid> {
        format!("{topic}/{partition}#{epoch}").parse()
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the name of the input topic.
    pub fn topic(&self) -> &str {
        self.text.get(..self.topic_length).unwrap_or_default()
    }

    /// Returns the partition of the input topic.
    pub fn partition(&self) -> Number {
        self.partition
    }

    /// Returns the epoch, from 1.
    pub fn epoch(&self) -> Number {
        self.epoch
    }

    /// Returns whether `earlier` is the same partition in the epoch before this one.
    pub fn follows(&self, earlier: &Set) -> bool {
        let is_same = self.topic() == earlier.topic() && self.partition == earlier.partition;
        is_same && earlier.epoch.next() == Some(self.epoch)
    }

    fn parse(text: &str) -> Option<Self> {
        let (topic, rest) = text.split_once('/')?;
        let (partition, epoch) = rest.split_once('#')?;
        let (partition, epoch) = (Number::parse(partition)?, Number::parse(epoch)?);
        let is_good = is_topic(topic) && epoch > Number::ZERO;
        is_good.then(|| Self { text: text.into(), topic_length: topic.len(), partition, epoch })
    }
}

/// Returns whether Kafka allows a topic of this name (`Topic.validate`).
fn is_topic(name: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_short = (1..=TOPIC_CHARACTERS_MAX).contains(&name.len());
    is_short && name.bytes().all(is_legal) && !matches!(name, "." | "..")
}

impl FromStr for Set {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let expected =
            "<topic>/<partition>#<epoch>, such as infra.changes/7#1, with an epoch from 1";
        Self::parse(text).ok_or_else(|| Invalid::new("set", text, expected))
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> Set {
        text.parse().expect(text)
    }

    #[test]
    fn gives_its_parts() {
        let set = set("infra.changes/7#2");
        let parts = (set.topic(), set.partition().get(), set.epoch().get());
        assert_eq!(parts, ("infra.changes", 7, 2));
        assert_eq!(Set::new("infra.changes", 7.into(), 2.into()), Ok(set));
        assert!(Set::new("a/1#1", 7.into(), 2.into()).is_err());
        assert!(Set::new("a", 7.into(), 0.into()).is_err());
    }

    #[test]
    fn follows_the_epoch_before() {
        let is_after = |later, earlier| set(later).follows(&set(earlier));
        assert!(is_after("a/1#2", "a/1#1"));
        for other in ["a/1#2", "a/1#3", "b/1#1", "a/2#1"] {
            assert!(!is_after("a/1#2", other), "{other}");
        }
        assert!(!is_after("a/1#3", "a/1#1"));
    }

    #[test]
    fn is_ordered_by_its_text() {
        let mut sets = ["b/1#1", "a/9#1", "a/10#1", "a/1#10", "a/1#1"].map(set);
        sets.sort();
        let texts = sets.each_ref().map(Set::as_str);
        assert_eq!(texts, ["a/1#1", "a/1#10", "a/10#1", "a/9#1", "b/1#1"]);
    }
}
