//! Reads the topic with the seals, on a connection of its own: what was sealed of some partitions
//! since a time, to the topic's end. A worker needs it when it takes partitions over.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaResult;

use crate::kafka::client::lookup::{Bound, bounds, first_since};
use crate::kafka::range_reader::{Patience, RangeReader, Ranges};

/// Longest wait for the bounds of the topic.
const LOOKUP_WAIT_MAX: Duration = Duration::from_secs(5);
/// Longest time for one search. The worker reads nothing else meanwhile, and must not be taken for
/// hanging.
const SEARCH_MAX: Duration = Duration::from_secs(60);

/// A client that reads the topic with the seals.
pub(in crate::kafka) struct SealReader {
    reader: RangeReader,
    topic: String,
}

impl SealReader {
    /// Creates the client, which connects only when it is used.
    ///
    /// # Errors
    /// If the client cannot be created.
    pub(super) fn new(config: &ClientConfig, topic: &str) -> KafkaResult<Self> {
        Ok(SealReader { reader: RangeReader::new(config)?, topic: topic.to_string() })
    }

    /// Reads these partitions of the topic, each from a time on (milliseconds since 1970; 0 for its
    /// beginning), and hands over key and value of each record.
    ///
    /// # Errors
    /// If they cannot be read to their ends.
    pub(super) fn read(
        &self,
        from: &BTreeMap<i32, u64>,
        receive: &mut dyn FnMut(&[u8], &[u8]),
    ) -> anyhow::Result<()> {
        let ranges = self.ranges(from)?;
        self.reader.read(&self.topic, &ranges, Patience::Total(SEARCH_MAX), &mut |record| {
            receive(record.key().unwrap_or_default(), record.payload().unwrap_or_default());
            Ok(())
        })
    }

    /// Returns what there is to read, up to the ends of the partitions.
    fn ranges(&self, from: &BTreeMap<i32, u64>) -> KafkaResult<Ranges> {
        let client = self.reader.client();
        let starts = first_since(client, &self.topic, from, LOOKUP_WAIT_MAX)?;
        let partitions = from.keys().copied();
        let mut ranges = Ranges::new();
        for (partition, end) in
            bounds(client, &self.topic, Bound::End, partitions, LOOKUP_WAIT_MAX)?
        {
            let end = end?;
            ranges.extend(starts.get(&partition).map(|start| (partition, (*start, end))));
        }
        Ok(ranges)
    }
}
