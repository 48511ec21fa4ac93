//! Reads ranges of a topic's partitions to their ends: the trail for a verifier, the seals for a
//! worker that takes partitions over. It joins no group and commits nothing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::kafka::client::context::{PlainContext, serve_events};
use crate::kafka::native::{NativeRecord, QueueItem, QueuedConsumer};

/// How often a reader that gets no records looks at the clock.
const POLL_WAIT: Duration = Duration::from_millis(100);
/// How many records are taken between two looks at the client's own events.
const SERVED_EVERY: u32 = 256;

/// Parts of a topic: for each partition the first offset, and the one to read up to, exclusive.
pub type Ranges = BTreeMap<i32, (i64, i64)>;

/// How long reading may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kafka) enum Patience {
    /// As long as there is something to read, but no longer than this without any.
    Silence(Duration),
    /// No longer than this.
    Total(Duration),
}

/// A client that reads ranges, one topic after another.
pub(in crate::kafka) struct RangeReader(QueuedConsumer<PlainContext>);

impl RangeReader {
    /// Creates the client, which connects only when it is used.
    ///
    /// # Errors
    /// If it cannot be created.
    pub(in crate::kafka) fn new(config: &ClientConfig) -> KafkaResult<Self> {
        let consumer: BaseConsumer<_> = config.create_with_context(PlainContext::default())?;
        let consumer = QueuedConsumer::new(consumer).ok_or_else(|| {
            KafkaError::ClientCreation("no memory for the record queue".to_string())
        })?;
        Ok(RangeReader(consumer))
    }

    /// Returns the client, to look things up while nothing is read. Its requests for tokens are
    /// served, which it must have before it connects.
    pub(in crate::kafka) fn client(&self) -> &BaseConsumer<PlainContext> {
        serve_events(&self.0);
        &self.0
    }

    /// Reads the records of these ranges, and hands them over in the order of each partition. With
    /// `read_committed` it waits for transactions that are open.
    ///
    /// # Errors
    /// Fails if a partition cannot be read to its end in time, or with the error of `receive`.
    pub(in crate::kafka) fn read(
        &self,
        topic: &str,
        ranges: &Ranges,
        patience: Patience,
        receive: &mut dyn FnMut(&NativeRecord<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let ranges = ranges.iter().filter(|(_, (start, end))| start < end);
        let mut list = TopicPartitionList::new();
        let mut left = BTreeMap::new();
        for (partition, (start, end)) in ranges {
            list.add_partition_offset(topic, *partition, Offset::Offset(*start))?;
            self.0.forward(topic, *partition);
            left.insert(*partition, *end);
        }
        if left.is_empty() {
            return Ok(());
        }
        self.0.assign(&list).with_context(|| format!("read topic {topic:?}"))?;
        let read = self.read_assigned(topic, left, patience, receive);
        let unassigned = self.0.unassign();
        read.and(unassigned.with_context(|| format!("leave topic {topic:?}")))
    }

    fn read_assigned(
        &self,
        topic: &str,
        mut left: BTreeMap<i32, i64>,
        patience: Patience,
        receive: &mut dyn FnMut(&NativeRecord<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut since = Instant::now();
        let mut until_served = 0;
        while !left.is_empty() {
            ensure!(since.elapsed() <= patience.limit(), patience.ended(topic, &left));
            if until_served == 0 {
                // The client's own events: errors, and tokens.
                _ = self.0.poll(Duration::ZERO);
                until_served = SERVED_EVERY;
            }
            until_served -= 1;
            let Some(taken) = self.0.take(POLL_WAIT) else {
                // An idle client is served each time.
                until_served = 0;
                continue;
            };
            if let Patience::Silence(_) = patience {
                since = Instant::now();
            }
            let (partition, next) = match taken.item() {
                QueueItem::End(partition, offset) => (partition, offset),
                QueueItem::Error(error) => bail!("topic {topic:?} {error}"),
                QueueItem::Record(record) => {
                    let (partition, offset) = (record.partition(), record.offset());
                    if left.get(&partition).is_some_and(|end| offset < *end) {
                        receive(&record)?;
                    }
                    (partition, offset + 1)
                }
            };
            if left.get(&partition).is_some_and(|end| next >= *end) {
                left.remove(&partition);
            }
        }
        Ok(())
    }
}

impl Patience {
    fn limit(self) -> Duration {
        match self {
            Patience::Silence(limit) | Patience::Total(limit) => limit,
        }
    }

    /// Returns what to say when it has ended.
    fn ended(self, topic: &str, left: &BTreeMap<i32, i64>) -> String {
        let partitions: Vec<String> = left.keys().map(ToString::to_string).collect();
        let (partitions, seconds) = (partitions.join(", "), self.limit().as_secs());
        match self {
            Patience::Silence(_) => format!(
                "topic {topic:?}: nothing came for {seconds} s of partitions {partitions}; the brokers do not answer, or a transaction stays open there"
            ),
            Patience::Total(_) => format!(
                "topic {topic:?}: partitions {partitions} could not be read to their ends in {seconds} s"
            ),
        }
    }
}
