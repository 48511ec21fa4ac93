//! Looks for events that are in the outputs already, since their producer has sent the records
//! again. Their ids are the same.

use std::collections::{BTreeMap, HashSet};

use anyhow::Context;
use audit_judge::fate::{Audited, RegionIndex};
use uuid::Uuid;

use super::archive::Found;
use crate::commands::audit_event;
use crate::kafka::trail_reader::TrailReader;

/// Events to look for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    ids: HashSet<Uuid>,
    /// For each region, the time of the oldest of them, in milliseconds since 1970.
    since: BTreeMap<RegionIndex, u64>,
}

impl Wanted {
    /// Adds the event of a record.
    pub(super) fn add(&mut self, audited: &Audited, found: &Found<'_>) {
        self.ids.insert(audited.envelope.id);
        let time = u64::try_from(found.record.timestamp_ms).unwrap_or_default();
        let since = self.since.entry(audited.envelope.region).or_insert(time);
        *since = time.min(*since);
    }

    /// Returns those that the regions' topics have. An event has the time of its record, and a
    /// record that was sent again has a later one.
    ///
    /// # Errors
    /// If a topic cannot be read.
    pub(super) fn find(
        self,
        reader: &TrailReader,
        topics: &[String],
    ) -> anyhow::Result<HashSet<Uuid>> {
        let mut present = HashSet::new();
        for (RegionIndex(index), since) in &self.since {
            let topic = topics.get(*index).context("a region without a topic")?;
            let partitions = reader.bounds(topic)?.into_keys();
            let times = partitions.map(|partition| (partition, *since)).collect();
            let ranges = reader.since(topic, &times)?;
            reader.read(topic, &ranges, &mut |record| {
                let id = audit_event::id_of(record.value);
                present.extend(id.filter(|id| self.ids.contains(id)));
                Ok(())
            })?;
        }
        Ok(present)
    }
}
