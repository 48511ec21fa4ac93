//! Reads the topic with the seals, on a connection of its own: what was sealed of some partitions
//! since a time, to the topic's end. A worker needs it when it takes partitions over.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::kafka::client::context::PlainContext;
use crate::kafka::client::lookup::{Bound, TopicLookup};

/// Longest wait for the bounds of the topic.
const LOOKUP_WAIT_MAX: Duration = Duration::from_secs(5);
/// Longest time for one search. The worker reads nothing else meanwhile, and must not be taken for
/// hanging.
const SEARCH_MAX: Duration = Duration::from_secs(60);
/// How often a search that gets no records looks at the clock.
const POLL_WAIT: Duration = Duration::from_millis(100);

/// A client that reads the topic with the seals.
pub(in crate::kafka) struct SealReader {
    seals: TopicLookup<PlainContext>,
}

/// Why a search has no result.
#[derive(Debug, thiserror::Error)]
pub(in crate::kafka) enum SearchError {
    /// The client failed.
    #[error("cannot read the topic with the seals: {0}")]
    Client(#[from] KafkaError),
    /// It takes too long.
    #[error(
        "the topic with the seals could not be read to its end in {} s: {left} offsets are left",
        SEARCH_MAX.as_secs()
    )]
    TooLong {
        /// How many offsets were not reached.
        left: i64,
    },
}

impl SealReader {
    /// Creates the client. It does not connect yet.
    ///
    /// # Errors
    /// If the client cannot be created.
    pub(super) fn new(config: &ClientConfig, topic: &str) -> KafkaResult<Self> {
        let client: BaseConsumer<_> = config.create_with_context(PlainContext::default())?;
        Ok(SealReader { seals: TopicLookup::new(client, topic) })
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
    ) -> Result<(), SearchError> {
        let mut left = self.left(from)?;
        if left.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::new();
        for (partition, (start, _)) in &left {
            list.add_partition_offset(self.seals.topic(), *partition, Offset::Offset(*start))?;
        }
        self.seals.consumer().assign(&list)?;
        let read = self.read_assigned(&mut left, receive);
        self.seals.consumer().unassign()?;
        read
    }

    /// Returns the first and the end offset of each partition that has something to read.
    fn left(&self, from: &BTreeMap<i32, u64>) -> KafkaResult<BTreeMap<i32, (i64, i64)>> {
        let starts = self.seals.first_since(from, LOOKUP_WAIT_MAX)?;
        let ends = self.seals.bounds(Bound::End, from.keys().copied(), LOOKUP_WAIT_MAX)?;
        let mut left = BTreeMap::new();
        for (partition, end) in ends {
            if let (Some(start), end) = (starts.get(&partition), end?)
                && *start < end
            {
                left.insert(partition, (*start, end));
            }
        }
        Ok(left)
    }

    fn read_assigned(
        &self,
        left: &mut BTreeMap<i32, (i64, i64)>,
        receive: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), SearchError> {
        let began = Instant::now();
        while !left.is_empty() {
            if began.elapsed() > SEARCH_MAX {
                let offsets = left.values().map(|(next, end)| end - next);
                return Err(SearchError::TooLong { left: offsets.sum() });
            }
            match self.seals.consumer().poll(POLL_WAIT) {
                None => {}
                // Markers of transactions stand behind the last record.
                Some(Err(KafkaError::PartitionEOF(partition))) => _ = left.remove(&partition),
                Some(Err(error)) => return Err(error.into()),
                Some(Ok(record)) => {
                    receive(record.key().unwrap_or_default(), record.payload().unwrap_or_default());
                    let next = record.offset() + 1;
                    if let Some(range) = left.get_mut(&record.partition()) {
                        range.0 = next;
                        if next >= range.1 {
                            left.remove(&record.partition());
                        }
                    }
                }
            }
        }
        Ok(())
    }
}
