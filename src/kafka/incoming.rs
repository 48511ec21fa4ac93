//! What is read: the consumer, its membership of the group, and the queue that its records are led to. A rebalance is
//! served before any record that follows it, and no record of a partition that is no longer ours gets past here.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Header, Headers, Message};

use super::consumer::{CallbackQueue, Event};
use super::error::remedy;
use super::native::{NativeRecord, RecordQueue, Taken};
use super::settings::SessionSettings;
use crate::stream::{Arrival, Failure, Partition, SourceRecord};

/// A consumer of the input topic.
pub(super) struct Incoming {
    /// Before the consumer, so that it is dropped before it.
    queue: RecordQueue,
    pub consumer: BaseConsumer<CallbackQueue>,
    /// Name of the group.
    group: String,
    standing: GroupStanding,
}

/// How this consumer stands in its group.
#[derive(Default)]
struct GroupStanding {
    /// For whom a commit speaks: the member and generation that own the partitions of the batch.
    membership: Option<ConsumerGroupMetadata>,
    owned: BTreeSet<Partition>,
}

impl Incoming {
    /// A consumer that has not joined its group yet.
    pub fn open(settings: &SessionSettings) -> Result<Self, KafkaError> {
        let context = CallbackQueue::new(&settings.topics.input);
        let mut consumer: BaseConsumer<CallbackQueue> =
            settings.consumer.create_with_context(context)?;
        let queue = RecordQueue::new(&mut consumer)
            .ok_or_else(|| KafkaError::ClientCreation("no queue for records".to_string()))?;
        Ok(Incoming {
            queue,
            consumer,
            group: settings
                .consumer
                .get("group.id")
                .unwrap_or_default()
                .to_string(),
            standing: GroupStanding::default(),
        })
    }

    /// For whom a commit speaks now; nobody after a loss.
    pub fn membership(&self) -> Option<&ConsumerGroupMetadata> {
        self.standing.membership.as_ref()
    }

    /// Asks the client anew for whom a commit speaks.
    pub fn renew_membership(&mut self) {
        self.standing.membership = current_membership(&self.consumer);
    }

    /// Whether this consumer can ever read again. One whose place in the group was taken cannot, and must
    /// not throw its successor's producer out by building one of its own.
    pub fn check(&self) -> Result<(), Failure> {
        match self.consumer.client().fatal_error() {
            Some((code, text)) => Err(Failure::Fatal(format!(
                "the consumer can read no more: {code}: {text}"
            ))),
            None => Ok(()),
        }
    }

    /// See `Broker::poll`.
    pub fn poll(
        &mut self,
        wait: Duration,
        most: usize,
        receive: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<(), Failure> {
        // Whoever waits for records is woken when something arrives on the main queue.
        let wait = match self.serve(receive)? {
            true => Duration::ZERO,
            false => wait,
        };
        let owned = &self.standing.owned;
        let mut failed = None;
        self.queue.take(wait, most, |taken| match taken {
            Taken::Record(record) => {
                // What is no longer ours belongs to somebody who reads it from the committed position.
                if owned.contains(&Partition(record.partition())) {
                    receive(Arrival::Record(native_record(&record)));
                }
            }
            Taken::End(partition) => receive(Arrival::CaughtUp(Partition(partition))),
            Taken::Error(code) => failed = Some(KafkaError::MessageConsumption(code)),
        });
        failed.map_or(Ok(()), |error| self.complain(&error))
    }

    /// The client goes on by itself; but where a right is missing, in vain, and somebody must be told.
    fn complain(&self, error: &KafkaError) -> Result<(), Failure> {
        let code = error.rdkafka_error_code();
        match remedy(code, self.consumer.context().topic(), &self.group) {
            Some(remedy) => Err(Failure::Held(format!("{error}; {remedy}"))),
            None => {
                tracing::warn!(%error, "poll");
                Ok(())
            }
        }
    }

    /// Serves the consumer's main queue: rebalances, statistics, errors, and records that came before their
    /// partition was led to our own queue. Whether there was anything.
    fn serve(&mut self, receive: &mut dyn FnMut(Arrival<'_>)) -> Result<bool, Failure> {
        let mut any = false;
        loop {
            let polled = self.consumer.poll(Duration::ZERO);
            // The callbacks ran before the record was returned: they come first.
            any |= self.standing.follow(&self.consumer, &self.queue, receive);
            match polled {
                // Records here came before those of our own queue: none may be left behind.
                None if self.queue.main_has_more() => {}
                None => return Ok(any),
                Some(Ok(message)) => {
                    receive(Arrival::Record(source_record(&message)));
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    receive(Arrival::CaughtUp(Partition(partition)));
                }
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                    return Err(Failure::Fatal(format!(
                        "the consumer can read no more: {code}"
                    )));
                }
                Some(Err(error)) => self.complain(&error)?,
            }
            any = true;
        }
    }
}

impl GroupStanding {
    /// Hands over what the callbacks of the last poll reported. Whether there was anything.
    fn follow(
        &mut self,
        consumer: &BaseConsumer<CallbackQueue>,
        queue: &RecordQueue,
        receive: &mut dyn FnMut(Arrival<'_>),
    ) -> bool {
        let mut any = false;
        while let Some(event) = consumer.context().take() {
            any = true;
            match event {
                Event::Assigned(partitions) => {
                    self.membership = current_membership(consumer);
                    let topic = consumer.context().topic();
                    for partition in &partitions {
                        queue.lead_here(topic, partition.0);
                    }
                    self.owned.extend(&partitions);
                    receive(Arrival::Assigned(&partitions));
                }
                Event::Revoked(partitions) => {
                    self.give_up(&partitions);
                    receive(Arrival::Revoked(&partitions));
                }
                Event::Lost(partitions) => {
                    self.membership = None;
                    self.give_up(&partitions);
                    receive(Arrival::Lost(&partitions));
                }
                Event::Statistics(statistics) => receive(Arrival::Statistics(statistics)),
            }
        }
        any
    }

    fn give_up(&mut self, partitions: &[Partition]) {
        self.owned
            .retain(|partition| !partitions.contains(partition));
    }
}

/// The membership, unless the client knows that it has been lost. A client that was thrown out has
/// forgotten its member id, and the broker would take its commit for one of a group without members.
/// Looked at in this order: the client marks the loss before it can hand out the empty member id.
fn current_membership(consumer: &BaseConsumer<CallbackQueue>) -> Option<ConsumerGroupMetadata> {
    let membership = consumer.group_metadata();
    membership.filter(|_| !consumer.assignment_lost())
}

fn source_record<'a>(message: &'a BorrowedMessage<'_>) -> SourceRecord<'a> {
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        let header = |header: Header<'a, &'a [u8]>| (header.key.as_bytes(), header.value);
        headers.iter().map(header).collect()
    });
    SourceRecord {
        partition: Partition(message.partition()),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis(),
        key: message.key(),
        payload: message.payload(),
        headers,
    }
}

fn native_record<'a>(record: &NativeRecord<'a>) -> SourceRecord<'a> {
    SourceRecord {
        partition: Partition(record.partition()),
        offset: record.offset(),
        timestamp_ms: record.timestamp_ms(),
        key: record.key(),
        payload: record.payload(),
        headers: record.headers(),
    }
}
