//! Looks up the ends of a table's topic whenever somebody asks, on a connection of its own: on that of the
//! follower the broker would let the question wait behind the fetch that waits for the next record. It
//! reads no records.
//!
//! An end is that of all records, those of open transactions too. The follower gets past them when the
//! transaction ends. Had we asked for the last stable offset, a grant whose transaction is committed, but
//! not yet marked so on the partition, would be missed, and one that hangs would hide all that follows.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client_context::{LoggingContext, begin};
use super::topics::partition_count;
use crate::tables::{Offsets, SharedTables, TableName};

/// Longest wait for one look-up.
const LOOK_UP_LIMIT: Duration = Duration::from_secs(5);
/// How often it is looked whether the topic got more partitions. Until then a barrier does not know of them.
const PARTITIONS_INTERVAL: Duration = Duration::from_secs(5);
/// Pause after a look-up that failed.
const PAUSE: Duration = Duration::from_millis(200);
/// How soon the end of the process is noticed.
const WAIT: Duration = Duration::from_secs(1);

/// Answers the requests for one table.
pub(super) struct EndsFinder {
    pub table: TableName,
    pub topic: String,
    pub consumer: BaseConsumer<LoggingContext>,
    pub tables: Arc<SharedTables>,
    /// How many partitions the topic has, for the follower; 0 until that is known.
    pub partitions: Arc<AtomicI32>,
    /// Longest time between two look-ups.
    pub heartbeat: Duration,
}

impl EndsFinder {
    /// Works until the tables are closed.
    pub fn run(self) {
        begin(&self.consumer);
        let mut counted = None;
        while !self.tables.is_closed() {
            let request = self.tables.await_request(self.table, self.heartbeat, WAIT);
            let Some(look_up) = request else {
                continue;
            };
            let found = self.look_up(&mut counted);
            let failed = found.is_err();
            self.tables.answer(self.table, look_up, found);
            if failed {
                counted = None;
                // The poll serves the client's own events, such as errors, which then are logged.
                self.consumer.poll(PAUSE);
            }
        }
    }

    fn look_up(&self, counted: &mut Option<Instant>) -> Result<Offsets, String> {
        if counted.is_none_or(|since| since.elapsed() >= PARTITIONS_INTERVAL) {
            let count = partition_count(&self.consumer, &self.topic).map_err(|p| p.to_string())?;
            self.partitions.fetch_max(count, Ordering::AcqRel);
            *counted = Some(Instant::now());
        }
        let mut list = TopicPartitionList::new();
        for partition in 0..self.partitions.load(Ordering::Acquire) {
            list.add_partition(&self.topic, partition);
        }
        let complain =
            |error: KafkaError| format!("cannot look up the ends of {:?}: {error}", self.topic);
        list.set_all_offsets(Offset::End).map_err(complain)?;
        let found = self.consumer.offsets_for_times(list, LOOK_UP_LIMIT);
        let found = found.map_err(complain)?;
        let mut ends = Offsets::new();
        for element in found.elements() {
            element.error().map_err(complain)?;
            let Offset::Offset(end) = element.offset() else {
                let partition = element.partition();
                let topic = &self.topic;
                return Err(format!("the end of {topic:?} {partition} is not known"));
            };
            ends.insert(element.partition(), end);
        }
        Ok(ends)
    }
}
