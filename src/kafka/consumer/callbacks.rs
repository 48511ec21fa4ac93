//! The consumer's callbacks. They queue rebalances and statistics in order. The poll that served
//! them passes them to the loop, which decides what they mean.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionList;

use crate::kafka::client::context::{ClientEvents, LoggingContext, log_error};
use crate::kafka::native::QueueHandle;
use crate::lock::lock;
use crate::stream::{GroupEvent, GroupStatistics, Partition};

/// Collects the consumer's callbacks. They run inside the consumer's own polls.
pub struct CallbackQueue {
    topic: String,
    /// The queue to which the records of assigned partitions are forwarded.
    records: OnceLock<QueueHandle>,
    events: Mutex<VecDeque<GroupEvent>>,
    /// Whether `events` has any, so that most polls take no lock.
    any: AtomicBool,
}

impl CallbackQueue {
    /// Creates the queue for a consumer of one topic.
    pub fn new(topic: &str) -> Self {
        CallbackQueue {
            topic: topic.to_string(),
            records: OnceLock::new(),
            events: Mutex::default(),
            any: AtomicBool::new(false),
        }
    }

    /// Returns the topic that the consumer reads.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Sets the queue to which the records of assigned partitions are forwarded.
    pub(in crate::kafka) fn forward_to(&self, records: QueueHandle) {
        // Set only once, when the consumer is created.
        let _ = self.records.set(records);
    }

    /// Returns whether there are events to take.
    pub fn has_events(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Takes the oldest event.
    pub fn take(&self) -> Option<GroupEvent> {
        let mut events = lock(&self.events);
        let event = events.pop_front();
        self.any.store(!events.is_empty(), Ordering::Release);
        event
    }

    fn push(&self, event: GroupEvent) {
        let mut events = lock(&self.events);
        events.push_back(event);
        self.any.store(true, Ordering::Release);
    }
}

impl ClientEvents for CallbackQueue {
    fn statistics(&self, statistics: &Statistics) {
        self.push(GroupEvent::Statistics(group_statistics(statistics, &self.topic)));
    }
}

impl ConsumerContext for LoggingContext<CallbackQueue> {
    /// Before an assignment: forwards each partition to the relay's queue, so that all its records
    /// arrive there. Before a revocation: asks whether the assignment was lost, while the client
    /// still knows.
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                if let Some(records) = self.0.records.get() {
                    for partition in partitions(list) {
                        records.forward(consumer.client(), &self.0.topic, partition.0);
                    }
                }
            }
            Rebalance::Revoke(list) => {
                let partitions = partitions(list);
                self.0.push(if consumer.assignment_lost() {
                    GroupEvent::Lost(partitions)
                } else {
                    GroupEvent::Revoked(partitions)
                });
            }
            Rebalance::Error(_) => {}
        }
    }

    /// After an assignment: the group's generation now owns these partitions.
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => self.0.push(GroupEvent::Assigned(partitions(list))),
            Rebalance::Revoke(_) => {}
            Rebalance::Error(error) => log_error(error, "rebalance failed"),
        }
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<Partition> {
    let elements = list.elements();
    elements.iter().map(|element| Partition(element.partition())).collect()
}

fn group_statistics(statistics: &Statistics, topic: &str) -> GroupStatistics {
    let group = statistics.cgrp.as_ref();
    let ends = statistics.topics.get(topic).into_iter().flat_map(|topic| {
        let known = topic.partitions.values().filter(|p| p.ls_offset >= 0);
        known.map(|p| (Partition(p.partition), p.ls_offset))
    });
    GroupStatistics {
        steady: group.is_some_and(|group| group.join_state == "steady"),
        end_offsets: ends.collect(),
    }
}
