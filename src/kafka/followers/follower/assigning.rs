//! Which partitions a follower reads, from where, and what of all that comes from them it takes.

use std::fmt;
use std::time::Instant;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{Follower, Kind, Reader};
use crate::kafka::client::context::PlainContext;
use crate::kafka::followers::obstacles::Passed;
use crate::kafka::followers::reading_log::log_obstacle;
use crate::kafka::native::{QueueItem, QueuedConsumer};

impl<K: Kind> Follower<K> {
    /// Reads partitions that the topic was found to have, from their beginning, and those again
    /// that could not be read on.
    pub(in crate::kafka) fn assign(&mut self, count: i32) {
        if count > self.reader.assigned {
            let added = self.reader.assigned..count;
            let added = added.map(|partition| (partition, Offset::Beginning));
            match self.read(added) {
                Ok(()) => self.reader.assigned = count,
                Err(error) => self.reader.trouble(&error),
            }
        }
        for partition in self.reader.obstacles.due(Instant::now()) {
            let position = self.reader.positions.of(partition);
            let from = position.map_or(Offset::Beginning, Offset::Offset);
            self.reader.obstacles.resume(partition);
            if let Err(error) = self.read(std::iter::once((partition, from))) {
                self.reader.stop(partition, &error, &self.consumer);
            }
        }
    }

    fn read(&self, partitions: impl Iterator<Item = (i32, Offset)>) -> KafkaResult<()> {
        let topic = &self.reader.topic;
        let mut list = TopicPartitionList::new();
        for (partition, from) in partitions {
            list.add_partition_offset(topic, partition, from)?;
            self.consumer.lead_here(topic, partition);
        }
        self.consumer.incremental_assign(&list)
    }
}

impl<K: Kind> Reader<K> {
    /// Takes what came of a partition, unless that is not read at the moment.
    pub(in crate::kafka) fn hear(
        &mut self,
        item: QueueItem<'_>,
        consumer: &QueuedConsumer<PlainContext>,
    ) {
        match item {
            QueueItem::Record(record) => {
                if self.goes_on(record.partition(), record.offset(), consumer) {
                    self.take(&record);
                }
            }
            // The partition's end as this reader sees it, before the first open transaction.
            QueueItem::End(partition, next) => {
                let is_behind = self.position(partition) > next;
                if !is_behind && self.goes_on(partition, next, consumer) {
                    self.positions.advance(partition, next);
                }
            }
            QueueItem::Error(error) => match (0..self.assigned).contains(&error.partition) {
                true => self.stop(error.partition, &error, consumer),
                false => self.trouble(&error),
            },
        }
    }

    /// Whether what comes at this offset is news. If it is not, the client went back by itself, and
    /// is taken to the position that is known.
    fn goes_on(
        &mut self,
        partition: i32,
        offset: i64,
        consumer: &QueuedConsumer<PlainContext>,
    ) -> bool {
        if self.obstacles.is_stopped(partition) {
            return false;
        }
        if offset < self.position(partition) {
            let why = format!("the client went back to offset {offset}");
            let cause = self.cannot_go_on(partition, &why);
            self.obstacles.stop_going_back(partition, cause, Instant::now());
            self.give_back(partition, consumer);
            return false;
        }
        match self.obstacles.pass(partition) {
            Passed::Nothing => {}
            Passed::Error => self.show_obstacles(),
            Passed::WentBack(cause) => {
                self.show_obstacles();
                let cause = format!("{cause}, and its log goes on, so that it was written anew");
                self.tables.restart(K::NAME, cause);
            }
        }
        true
    }

    /// A partition cannot be read on: nothing that comes of it counts until it is assigned again.
    pub(in crate::kafka) fn stop(
        &mut self,
        partition: i32,
        why: &dyn fmt::Display,
        consumer: &QueuedConsumer<PlainContext>,
    ) {
        let cause = self.cannot_go_on(partition, why);
        if self.obstacles.stop(partition, cause, Instant::now()) {
            self.give_back(partition, consumer);
        }
    }

    fn cannot_go_on(&self, partition: i32, why: &dyn fmt::Display) -> String {
        let (topic, position) = (&self.topic, self.position(partition));
        format!(
            "partition {partition} of {topic:?} cannot be read on from offset {position}: {why}"
        )
    }

    fn position(&self, partition: i32) -> i64 {
        self.positions.of(partition).unwrap_or(0)
    }

    /// The client fetches nothing of the partition meanwhile, and drops what it has.
    fn give_back(&self, partition: i32, consumer: &QueuedConsumer<PlainContext>) {
        self.show_obstacles();
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, partition);
        if let Err(error) = consumer.incremental_unassign(&list) {
            self.trouble(&error);
        }
    }

    fn show_obstacles(&self) {
        let cause = self.obstacles.cause();
        log_obstacle(K::NAME, cause);
        let cause = cause.map(str::to_string);
        self.tables.obstacle(K::NAME, self.reading, cause);
    }
}
