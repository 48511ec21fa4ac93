//! Assigns the partitions that a follower reads, and decides which of the entries read from them
//! are accepted.

use std::fmt;
use std::time::Instant;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{FollowedTable, Follower, TableReader};
use crate::kafka::client::context::PlainContext;
use crate::kafka::followers::blocked_partitions::Unblocked;
use crate::kafka::followers::reading_log::log_blocked;
use crate::kafka::native::{QueueItem, QueuedConsumer};

impl<K: FollowedTable> Follower<K> {
    /// Assigns partitions that were found, from their beginning, and blocked ones that are due,
    /// from their known positions.
    pub(in crate::kafka) fn assign(&mut self, count: i32) {
        if count > self.reader.assigned {
            let added = self.reader.assigned..count;
            let added = added.map(|partition| (partition, Offset::Beginning));
            match self.assign_from(added) {
                Ok(()) => self.reader.assigned = count,
                Err(error) => self.reader.report_error(&error),
            }
        }
        for partition in self.reader.blocked.due(Instant::now()) {
            let position = self.reader.positions.of(partition);
            let from = position.map_or(Offset::Beginning, Offset::Offset);
            self.reader.blocked.resume(partition);
            if let Err(error) = self.assign_from(std::iter::once((partition, from))) {
                self.reader.block(partition, &error, &self.consumer);
            }
        }
    }

    fn assign_from(&self, partitions: impl Iterator<Item = (i32, Offset)>) -> KafkaResult<()> {
        let topic = &self.reader.topic;
        let mut list = TopicPartitionList::new();
        for (partition, from) in partitions {
            list.add_partition_offset(topic, partition, from)?;
            self.consumer.forward(topic, partition);
        }
        self.consumer.incremental_assign(&list)
    }
}

impl<K: FollowedTable> TableReader<K> {
    /// Handles an entry of the record queue, unless its partition is blocked.
    pub(in crate::kafka) fn handle(
        &mut self,
        item: QueueItem<'_>,
        consumer: &QueuedConsumer<PlainContext>,
    ) {
        match item {
            QueueItem::Record(record) => {
                if self.accepts(record.partition(), record.offset(), consumer) {
                    self.apply(&record);
                }
            }
            // The end of the partition for a `read_committed` reader, which lies before the first
            // open transaction.
            QueueItem::End(partition, next) => {
                let is_behind = self.position(partition) > next;
                if !is_behind && self.accepts(partition, next, consumer) {
                    self.positions.advance(partition, next);
                }
            }
            QueueItem::Error(error) => match (0..self.assigned).contains(&error.partition) {
                true => self.block(error.partition, &error, consumer),
                false => self.report_error(&error),
            },
        }
    }

    /// Returns whether an entry at this offset is accepted. If the client's position regressed, the
    /// partition is blocked and later assigned again at its known position.
    fn accepts(
        &mut self,
        partition: i32,
        offset: i64,
        consumer: &QueuedConsumer<PlainContext>,
    ) -> bool {
        if self.blocked.is_blocked(partition) {
            return false;
        }
        if offset < self.position(partition) {
            let why = format!("the client's position moved back to offset {offset}");
            let cause = self.blocked_cause(partition, &why);
            self.blocked.block_regressed(partition, cause, Instant::now());
            self.unassign(partition, consumer);
            return false;
        }
        match self.blocked.unblock(partition) {
            Unblocked::NotBlocked => {}
            Unblocked::AfterError => self.report_blocked(),
            Unblocked::AfterRegression(cause) => {
                self.report_blocked();
                let cause = format!(
                    "{cause}; its log continues at that position, so the records before it were replaced"
                );
                self.tables.restart(K::NAME, cause);
            }
        }
        true
    }

    /// Blocks a partition that cannot be read: its entries are ignored until it is assigned again.
    pub(in crate::kafka) fn block(
        &mut self,
        partition: i32,
        why: &dyn fmt::Display,
        consumer: &QueuedConsumer<PlainContext>,
    ) {
        let cause = self.blocked_cause(partition, why);
        if self.blocked.block(partition, cause, Instant::now()) {
            self.unassign(partition, consumer);
        }
    }

    fn blocked_cause(&self, partition: i32, why: &dyn fmt::Display) -> String {
        let (topic, position) = (&self.topic, self.position(partition));
        format!("partition {partition} of {topic:?} cannot be read past offset {position}: {why}")
    }

    fn position(&self, partition: i32) -> i64 {
        self.positions.of(partition).unwrap_or(0)
    }

    /// Unassigns the partition, so that the client fetches nothing of it meanwhile and drops what
    /// it has buffered.
    fn unassign(&self, partition: i32, consumer: &QueuedConsumer<PlainContext>) {
        self.report_blocked();
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, partition);
        if let Err(error) = consumer.incremental_unassign(&list) {
            self.report_error(&error);
        }
    }

    fn report_blocked(&self) {
        let cause = self.blocked.cause();
        log_blocked(K::NAME, cause);
        let cause = cause.map(str::to_string);
        self.tables.obstacle(K::NAME, self.reading, cause);
    }
}
