//! Where a trail is read from: the topics of a cluster, or the files of an export.

mod cluster;
mod files;
mod topics;

use std::collections::BTreeMap;

use anyhow::Context;

pub(super) use self::cluster::connect;
pub(super) use self::files::{ExportedTrail, write_partition};
pub(super) use self::topics::{OutputTopic, TrailTopics};
use crate::kafka::Ranges;
use crate::kafka::trail_reader::{LogBounds, TrailReader, TrailRecord};

/// Takes the records of a topic, in the order of each partition.
pub(super) type Receive<'r> = dyn FnMut(&TrailRecord<'_>) -> anyhow::Result<()> + 'r;

/// A source of the topics of a trail.
pub(super) trait TrailSource {
    /// Returns the names of all topics that begin with a prefix, in order.
    fn topics(&self, prefix: &str) -> anyhow::Result<Vec<String>>;

    /// Returns the bounds of each partition of a topic.
    fn bounds(&self, topic: &str) -> anyhow::Result<BTreeMap<i32, LogBounds>>;

    /// Reads the committed records of a topic's partitions, each from an offset to before another.
    fn read(&self, topic: &str, ranges: &Ranges, receive: &mut Receive<'_>) -> anyhow::Result<()>;
}

impl TrailSource for TrailReader {
    fn topics(&self, prefix: &str) -> anyhow::Result<Vec<String>> {
        TrailReader::topics(self, prefix)
    }

    fn bounds(&self, topic: &str) -> anyhow::Result<BTreeMap<i32, LogBounds>> {
        TrailReader::bounds(self, topic).with_context(|| format!("topic {topic:?}"))
    }

    fn read(&self, topic: &str, ranges: &Ranges, receive: &mut Receive<'_>) -> anyhow::Result<()> {
        TrailReader::read(self, topic, ranges, receive)
    }
}

/// The whole log of each partition.
pub(super) fn whole(bounds: &BTreeMap<i32, LogBounds>) -> Ranges {
    bounds.iter().map(|(partition, log)| (*partition, (log.low, log.end))).collect()
}
