//! Reads what the outputs have.

use std::collections::BTreeMap;

use anyhow::Context;
use audit_chain::name::StreamName;

use super::fields::OutputRecord;
use super::pairing::{Event, Events, Place, Quarantine, Quarantined, Subject, number};
use crate::commands::arguments::TopicArgs;
use crate::commands::audit_event;
use crate::commands::outcomes::read_outcomes;
use crate::commands::progress::Progress;
use crate::commands::trail_source::{OutputTopic, TrailTopics};
use crate::config::Config;
use crate::deployment::{Deployment, topic_names};
use crate::kafka::Ranges;
use crate::kafka::topics::{TopicNames, output_partition};
use crate::kafka::trail_reader::{TrailReader, TrailRecord};
use crate::quarantine::case::Case;
use crate::quarantine::headers::REPLAYED;
use crate::quarantine::outcomes::{Outcomes, Standing};
use crate::stream::Partition;

/// The topics that are compared: those of the configured regions, of others that have one, and the
/// quarantine.
#[derive(Debug)]
pub(super) struct Topics {
    topics: Vec<Topic>,
    /// For each region, the name of its topic.
    regions: Vec<String>,
    quarantine: String,
    /// The topic with what became of quarantined records, if there is one.
    outcomes: Option<String>,
}

#[derive(Debug)]
struct Topic {
    name: String,
    is_quarantine: bool,
    partitions: i32,
}

/// What the outputs have.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) events: Events,
    pub(super) quarantine: Quarantine,
}

impl Topics {
    /// Finds the topics of a configuration.
    pub(super) fn find(
        reader: &TrailReader,
        config: &Config,
        deployment: &Deployment,
    ) -> anyhow::Result<Self> {
        let arguments = TopicArgs {
            topic_prefix: config.output.topic_prefix.clone(),
            quarantine_topic: config.output.quarantine_topic.clone(),
        };
        let found = TrailTopics::find(reader, &arguments)?.outputs;
        let (mut topics, mut outcomes) = (Vec::new(), None);
        for OutputTopic { name, stream } in found {
            let is_quarantine = match stream {
                StreamName::Region(_) => false,
                StreamName::Quarantine => true,
                StreamName::State => {
                    outcomes = Some(name);
                    continue;
                }
            };
            let partitions = i32::try_from(reader.bounds(&name)?.len()).unwrap_or(i32::MAX);
            topics.push(Topic { name, is_quarantine, partitions });
        }
        let TopicNames { regions, quarantine, .. } = topic_names(config, &deployment.rules.routes);
        Ok(Topics { topics, regions, quarantine, outcomes })
    }

    /// Returns the topic of a region, or the quarantine, and the partition there that an input
    /// partition has; the first one of a topic that does not exist.
    pub(super) fn destination(&self, region: Option<usize>, source: i32) -> (&str, i32) {
        let name = match region {
            Some(region) => self.regions.get(region).map_or("", String::as_str),
            None => &self.quarantine,
        };
        let topic = self.topics.iter().find(|topic| topic.name == name);
        let partition =
            topic.map_or(0, |topic| output_partition(Partition(source), topic.partitions));
        (name, partition)
    }

    /// Returns where a record stands, in words.
    pub(super) fn place(&self, place: Place) -> String {
        let topic = self.topics.get(usize::from(place.topic));
        let topic = topic.map_or("", |topic| topic.name.as_str());
        format!("{topic}/{}/{}", place.partition, place.offset)
    }

    /// Reads the records since a time, in milliseconds since 1970.
    pub(super) fn read(
        &self,
        reader: &TrailReader,
        input: &str,
        since_ms: u64,
        progress: &mut Progress,
    ) -> anyhow::Result<Written> {
        let outcomes = match &self.outcomes {
            Some(topic) => read_outcomes(reader, topic, &mut |_| {})?,
            None => Outcomes::default(),
        };
        let (mut events, mut quarantine) = (Vec::new(), Quarantine::default());
        for (number, topic) in (0..).zip(&self.topics) {
            let times = (0..topic.partitions).map(|partition| (partition, since_ms)).collect();
            let ranges = reader.since(&topic.name, &times)?;
            reader.read(&topic.name, &ranges, &mut |record| {
                progress.add(&topic.name);
                let (partition, offset) = (record.partition, record.offset);
                let place = Place { topic: number, partition, offset };
                if topic.is_quarantine {
                    if let Some(case) = case(record, input) {
                        let found = quarantined(record, (&topic.name, place), &case, &outcomes);
                        quarantine.push(&case.reason, found);
                    }
                } else {
                    events.push(event(record, &topic.name, place));
                }
                Ok(())
            })?;
        }
        quarantine.sort();
        Ok(Written { events: Events::of(events), quarantine })
    }

    /// Reads the records at these places.
    pub(super) fn read_at(
        &self,
        reader: &TrailReader,
        places: &[Place],
    ) -> anyhow::Result<BTreeMap<Place, OutputRecord>> {
        let mut found = BTreeMap::new();
        for (number, topic) in (0..).zip(&self.topics) {
            let mut ranges = Ranges::new();
            for place in places.iter().filter(|place| place.topic == number) {
                let end = place.offset + 1;
                let range = ranges.entry(place.partition).or_insert((place.offset, end));
                *range = (range.0.min(place.offset), range.1.max(end));
            }
            reader
                .read(&topic.name, &ranges, &mut |record| {
                    let (partition, offset) = (record.partition, record.offset);
                    let place = Place { topic: number, partition, offset };
                    if places.contains(&place) {
                        found.insert(place, owned(record, &topic.name));
                    }
                    Ok(())
                })
                .with_context(|| format!("read {:?} again", topic.name))?;
        }
        Ok(found)
    }
}

fn owned(record: &TrailRecord<'_>, topic: &str) -> OutputRecord {
    OutputRecord {
        topic: topic.to_string(),
        partition: record.partition,
        timestamp_ms: record.timestamp_ms,
        key: record.key.map(<[u8]>::to_vec),
        value: record.value.map(<[u8]>::to_vec),
        headers: record.headers.clone(),
    }
}

fn event(record: &TrailRecord<'_>, topic: &str, place: Place) -> Event {
    let subject = Subject::new(record.timestamp_ms, record.key.unwrap_or_default());
    let id = audit_event::id_of(record.value).map_or(0, |id| number(id.as_bytes()));
    let is_replayed = record.headers.iter().any(|(name, _)| name == REPLAYED.as_bytes());
    Event::new(subject, place, (id, owned(record, topic).digest()), is_replayed)
}

/// Reads a record in quarantine; `None` if it is not a relay's, or of another input.
fn case(record: &TrailRecord<'_>, input: &str) -> Option<Case> {
    Case::read(&record.headers, record.value).filter(|case| case.id.topic == input)
}

fn quarantined(
    record: &TrailRecord<'_>,
    (topic, place): (&str, Place),
    case: &Case,
    outcomes: &Outcomes,
) -> Quarantined {
    let closed = match outcomes.of(&case.id.digest()) {
        Some(Standing::Closed(outcome)) => Some(*outcome),
        Some(Standing::Again { .. }) | None => None,
    };
    Quarantined {
        source: (case.id.partition, case.id.offset),
        place,
        reason: 0,
        digest: (!case.is_stub).then(|| owned(record, topic).digest()),
        closed,
    }
}
