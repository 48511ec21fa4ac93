//! What is read: the consumer and its membership of the group. A rebalance is served before any record that follows it.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Header, Headers, Message};

use super::client_context::Logged;
use super::consumer::{CallbackQueue, Event};
use super::error::remedy;
use super::settings::SessionSettings;
use crate::stream::{Arrival, Failure, OwnedHeaders, Partition, SourceHeaders, SourceRecord};

/// Most records that are handed over by one poll, so that the clock is looked at now and then.
const MOST_AT_ONCE: usize = 256;

/// A consumer of the input topic.
pub(super) struct Incoming {
    pub consumer: BaseConsumer<Logged<CallbackQueue>>,
    /// Name of the group.
    group: String,
    /// For whom a commit speaks: the member and generation that own the partitions of the batch.
    membership: Option<ConsumerGroupMetadata>,
}

impl Incoming {
    /// A consumer that has not joined its group yet.
    pub fn open(settings: &SessionSettings) -> Result<Self, KafkaError> {
        let context = Logged(CallbackQueue::new(&settings.topics.input));
        let group = settings.consumer.get("group.id").unwrap_or_default();
        Ok(Incoming {
            consumer: settings.consumer.create_with_context(context)?,
            group: group.to_string(),
            membership: None,
        })
    }

    /// For whom a commit speaks now; nobody after a loss.
    pub fn membership(&self) -> Option<&ConsumerGroupMetadata> {
        self.membership.as_ref()
    }

    /// Asks the client anew for whom a commit speaks.
    pub fn renew_membership(&mut self) {
        self.membership = current_membership(&self.consumer);
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
        let mut wait = wait;
        for _ in 0..most.min(MOST_AT_ONCE) {
            if !self.poll_one(wait, receive)? {
                break;
            }
            wait = Duration::ZERO;
        }
        Ok(())
    }

    /// Polls once. Whether there was anything but a rebalance, so that more may be waiting.
    fn poll_one(
        &mut self,
        wait: Duration,
        receive: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<bool, Failure> {
        let polled = self.consumer.poll(wait);
        // The callbacks ran before the record was returned: they come first.
        if self.consumer.context().0.has_events() {
            follow(&self.consumer, &mut self.membership, receive);
        }
        match polled {
            None => return Ok(false),
            Some(Ok(message)) => {
                let headers = MessageHeaders(&message);
                receive(Arrival::Record(source_record(&message, &headers)));
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
        Ok(true)
    }

    /// The client goes on by itself; but where a right is missing, in vain, and somebody must be told.
    fn complain(&self, error: &KafkaError) -> Result<(), Failure> {
        let code = error.rdkafka_error_code();
        match remedy(code, self.consumer.context().0.topic(), &self.group) {
            Some(remedy) => Err(Failure::Held(format!("{error}; {remedy}"))),
            None => {
                tracing::warn!(%error, "poll");
                Ok(())
            }
        }
    }
}

/// Hands over what the callbacks of the last poll reported.
fn follow(
    consumer: &BaseConsumer<Logged<CallbackQueue>>,
    membership: &mut Option<ConsumerGroupMetadata>,
    receive: &mut dyn FnMut(Arrival<'_>),
) {
    while let Some(event) = consumer.context().0.take() {
        match event {
            Event::Assigned(partitions) => {
                *membership = current_membership(consumer);
                receive(Arrival::Assigned(&partitions));
            }
            Event::Revoked(partitions) => receive(Arrival::Revoked(&partitions)),
            Event::Lost(partitions) => {
                *membership = None;
                receive(Arrival::Lost(&partitions));
            }
            Event::Statistics(statistics) => receive(Arrival::Statistics(statistics)),
        }
    }
}

/// The membership, unless the client knows that it has been lost. A client that was thrown out has
/// forgotten its member id, and the broker would take its commit for one of a group without members.
/// Looked at in this order: the client marks the loss before it can hand out the empty member id.
fn current_membership(
    consumer: &BaseConsumer<Logged<CallbackQueue>>,
) -> Option<ConsumerGroupMetadata> {
    let membership = consumer.group_metadata();
    membership.filter(|_| !consumer.assignment_lost())
}

fn source_record<'a>(
    message: &'a BorrowedMessage<'_>,
    headers: &'a MessageHeaders<'_>,
) -> SourceRecord<'a> {
    SourceRecord {
        partition: Partition(message.partition()),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis(),
        key: message.key(),
        payload: message.payload(),
        headers,
    }
}

/// The client reads headers when they are asked for.
#[derive(Debug)]
struct MessageHeaders<'a>(&'a BorrowedMessage<'a>);

impl SourceHeaders for MessageHeaders<'_> {
    fn read(&self) -> OwnedHeaders {
        let owned = |header: Header<'_, &[u8]>| {
            let value = header.value.map(Vec::from);
            (header.key.as_bytes().to_vec(), value)
        };
        let headers = self.0.headers();
        headers.map_or_else(Vec::new, |headers| headers.iter().map(owned).collect())
    }
}
