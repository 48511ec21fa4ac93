//! Which partitions a follower reads, from where, and what of all that comes from them it takes.

use std::fmt;
use std::time::Instant;

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{Follower, Kind};
use crate::kafka::native::News;
use crate::kafka::obstacles::Passed;

impl<K: Kind> Follower<K> {
    /// Reads partitions that the topic was found to have, from their beginning, and those again that could not be read on.
    pub(super) fn assign(&mut self, count: i32) {
        if count > self.assigned {
            let added = self.assigned..count;
            let added = added.map(|partition| (partition, Offset::Beginning));
            match self.read(added) {
                Ok(()) => self.assigned = count,
                Err(error) => self.reader.trouble(&error),
            }
        }
        for partition in self.obstacles.due(Instant::now()) {
            let position = self.reader.positions.of(partition);
            let from = position.map_or(Offset::Beginning, Offset::Offset);
            self.obstacles.resume(partition);
            if let Err(error) = self.read(std::iter::once((partition, from))) {
                self.stop(partition, &error);
            }
        }
    }

    fn read(&self, partitions: impl Iterator<Item = (i32, Offset)>) -> KafkaResult<()> {
        let topic = &self.reader.topic;
        let mut list = TopicPartitionList::new();
        for (partition, from) in partitions {
            list.add_partition_offset(topic, partition, from)?;
            self.records
                .lead_here(self.consumer.client(), topic, partition);
        }
        self.consumer.incremental_assign(&list)
    }

    /// Takes what came of a partition, unless that is not read at the moment.
    pub(super) fn take(&mut self, news: &News<'_>) {
        match news {
            News::Error(partition, code) => {
                let error = KafkaError::MessageConsumption(*code);
                match (0..self.assigned).contains(partition) {
                    true => self.stop(*partition, &error),
                    false => self.reader.trouble(&error),
                }
            }
            News::Record(record) => {
                if self.goes_on(record.partition(), record.offset()) {
                    self.reader.take(record);
                }
            }
            // The partition's end as this reader sees it, before the first open transaction.
            News::End(partition, next) => {
                let is_behind = self.position(*partition) > *next;
                if !is_behind && self.goes_on(*partition, *next) {
                    self.reader.positions.advance(*partition, *next);
                }
            }
        }
    }

    /// Whether what comes at this offset is news. If it is not, the client went back by itself, and is taken to the position that is
    /// known.
    fn goes_on(&mut self, partition: i32, offset: i64) -> bool {
        if self.obstacles.is_stopped(partition) {
            return false;
        }
        if offset < self.position(partition) {
            let why = format!("the client went back to offset {offset}");
            let cause = self.cannot_go_on(partition, &why);
            self.obstacles
                .stop_going_back(partition, cause, Instant::now());
            self.give_back(partition);
            return false;
        }
        match self.obstacles.pass(partition) {
            Passed::Nothing => {}
            Passed::Error => self.show_obstacles(),
            Passed::WentBack(cause) => {
                self.show_obstacles();
                let cause = format!("{cause}, and its log goes on, so that it was written anew");
                self.reader.tables.read_anew(K::NAME, cause);
            }
        }
        true
    }

    /// A partition cannot be read on: nothing that comes of it counts until it is assigned again.
    fn stop(&mut self, partition: i32, why: &dyn fmt::Display) {
        let cause = self.cannot_go_on(partition, why);
        if self.obstacles.stop(partition, cause, Instant::now()) {
            self.give_back(partition);
        }
    }

    fn cannot_go_on(&self, partition: i32, why: &dyn fmt::Display) -> String {
        let (topic, position) = (&self.reader.topic, self.position(partition));
        format!(
            "partition {partition} of {topic:?} cannot be read on from offset {position}: {why}"
        )
    }

    fn position(&self, partition: i32) -> i64 {
        self.reader.positions.of(partition).unwrap_or(0)
    }

    /// The client fetches nothing of the partition meanwhile, and drops what it has.
    fn give_back(&self, partition: i32) {
        self.show_obstacles();
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.reader.topic, partition);
        if let Err(error) = self.consumer.incremental_unassign(&list) {
            self.reader.trouble(&error);
        }
    }

    fn show_obstacles(&self) {
        let cause = self.obstacles.cause();
        self.progress.log_obstacle(cause);
        let cause = cause.map(str::to_string);
        let tables = &self.reader.tables;
        tables.obstacle(K::NAME, self.reading, cause);
    }
}
