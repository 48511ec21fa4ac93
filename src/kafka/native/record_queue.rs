//! Takes records from a consumer, and learns the offset of a partition EOF, which the safe client
//! does not expose. The queues of the consumer's partitions are forwarded to a queue of the relay,
//! where only records, partition EOFs and errors of partitions arrive. What remains on the
//! consumer's main queue, such as rebalances, is served by the safe client as usual. Records are
//! taken one at a time, because the batch call has bugs (decision 9).

use std::ffi::CString;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::{Arc, Weak};
use std::time::Duration;

use rdkafka::bindings::{
    rd_kafka_consume_queue, rd_kafka_message_destroy, rd_kafka_message_t, rd_kafka_queue_destroy,
    rd_kafka_queue_forward, rd_kafka_queue_get_consumer, rd_kafka_queue_get_partition,
    rd_kafka_queue_length, rd_kafka_queue_new, rd_kafka_queue_t, rd_kafka_t,
};
use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};

use super::record::{QueueItem, queue_item};

/// A consumer together with the queue on which the records of its partitions arrive. It derefs to
/// the consumer and never gives it away, so the queue cannot outlive it.
pub(crate) struct QueuedConsumer<C: ConsumerContext> {
    // Fields are dropped in this order: closing a client waits for its records to be released, and
    // a queue points to its client.
    records: Arc<RecordQueue>,
    consumer: BaseConsumer<C>,
}

impl<C: ConsumerContext> QueuedConsumer<C> {
    /// Adds a queue to a consumer; nothing is forwarded to it yet. `None` if out of memory.
    pub(crate) fn new(consumer: BaseConsumer<C>) -> Option<Self> {
        let records = Arc::new(RecordQueue::new(consumer.client())?);
        Some(QueuedConsumer { records, consumer })
    }

    /// Forwards the records of a partition to the queue. Call it before the partition is assigned,
    /// so that no record arrives elsewhere.
    pub(crate) fn forward(&self, topic: &str, partition: i32) {
        self.records.forward(self.consumer.client(), topic, partition);
    }

    /// Returns a handle with which the consumer's own callbacks can forward partitions to the
    /// queue.
    pub(crate) fn queue_handle(&self) -> QueueHandle {
        QueueHandle(Arc::downgrade(&self.records))
    }

    /// Takes the first entry, if one arrives in this time.
    pub(crate) fn take(&self, wait: Duration) -> Option<Taken<'_>> {
        self.records.take(wait)
    }

    /// Returns how many events wait on the main queue. The safe client serves one for each call,
    /// and does not say whether there was one.
    pub(crate) fn waiting_events(&self) -> usize {
        // SAFETY: the client is alive, since it is borrowed, and so is its queue until the
        // reference to it is given back.
        unsafe {
            let queue = rd_kafka_queue_get_consumer(self.consumer.client().native_ptr());
            if queue.is_null() {
                return 0;
            }
            let length = rd_kafka_queue_length(queue);
            rd_kafka_queue_destroy(queue);
            length
        }
    }
}

impl<C: ConsumerContext> Deref for QueuedConsumer<C> {
    type Target = BaseConsumer<C>;

    fn deref(&self) -> &BaseConsumer<C> {
        &self.consumer
    }
}

/// Forwards partitions of a consumer to its queue, from places that have only the bare client. It
/// does not keep the queue alive.
pub(crate) struct QueueHandle(Weak<RecordQueue>);

impl QueueHandle {
    /// Forwards a partition, like [`QueuedConsumer::forward`]. Does nothing if the queue is gone,
    /// or belongs to another client.
    pub(crate) fn forward<C: ClientContext>(
        &self,
        consumer: &Client<C>,
        topic: &str,
        partition: i32,
    ) {
        // The queue lives at most until the end of this call, and the client is borrowed for all of
        // it.
        if let Some(records) = self.0.upgrade()
            && records.client.as_ptr() == consumer.native_ptr()
        {
            records.forward(consumer, topic, partition);
        }
    }
}

/// The queue on which the records of a consumer's partitions arrive. Private, since only its owner
/// keeps it from outliving its client.
struct RecordQueue {
    queue: NonNull<rd_kafka_queue_t>,
    /// The client that the queue belongs to.
    client: NonNull<rd_kafka_t>,
}

// SAFETY: librdkafka locks its queues, so any thread may use them. The client pointer is only
// compared.
unsafe impl Send for RecordQueue {}
// SAFETY: as above.
unsafe impl Sync for RecordQueue {}

impl Drop for RecordQueue {
    fn drop(&mut self) {
        // SAFETY: the pointer came from librdkafka, and this is its only owner. The client is
        // alive: see `QueuedConsumer` and `QueueHandle`.
        unsafe { rd_kafka_queue_destroy(self.queue.as_ptr()) }
    }
}

impl RecordQueue {
    fn new<C: ClientContext>(consumer: &Client<C>) -> Option<Self> {
        let client = NonNull::new(consumer.native_ptr())?;
        // SAFETY: the client is alive, since it is borrowed.
        let queue = NonNull::new(unsafe { rd_kafka_queue_new(client.as_ptr()) })?;
        Some(RecordQueue { queue, client })
    }

    fn forward<C: ClientContext>(&self, consumer: &Client<C>, topic: &str, partition: i32) {
        let Ok(topic) = CString::new(topic) else {
            return;
        };
        // SAFETY: the client is alive, since it is borrowed, and so are the queues; the name is a C
        // string.
        unsafe {
            let source =
                rd_kafka_queue_get_partition(consumer.native_ptr(), topic.as_ptr(), partition);
            if !source.is_null() {
                rd_kafka_queue_forward(source, self.queue.as_ptr());
                rd_kafka_queue_destroy(source);
            }
        }
    }

    fn take(&self, wait: Duration) -> Option<Taken<'_>> {
        // Rounded up, so that the rest of a millisecond is not spent in a busy loop.
        let wait_ms = i32::try_from(wait.as_micros().div_ceil(1_000)).unwrap_or(i32::MAX);
        // SAFETY: the queue is alive, and so is its client: only a `QueuedConsumer` takes from it.
        let message = unsafe { rd_kafka_consume_queue(self.queue.as_ptr(), wait_ms) };
        Some(Taken { message: NonNull::new(message)?, lifetime: PhantomData })
    }
}

/// An entry that was taken from a record queue. It is owned here, and must be destroyed before its
/// consumer.
pub(crate) struct Taken<'a> {
    message: NonNull<rd_kafka_message_t>,
    lifetime: PhantomData<&'a RecordQueue>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        // SAFETY: the pointer came from librdkafka, and this is its only owner. The client is
        // alive, since its queue is borrowed.
        unsafe { rd_kafka_message_destroy(self.message.as_ptr()) }
    }
}

impl Taken<'_> {
    /// Returns the entry.
    pub(crate) fn item(&self) -> QueueItem<'_> {
        // SAFETY: the message came from a consumer, lives as long as `self`, and does not change.
        unsafe { queue_item(self.message) }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::ClientConfig;

    use super::*;

    fn consumer() -> QueuedConsumer<rdkafka::consumer::DefaultConsumerContext> {
        let mut config = ClientConfig::new();
        config.set("group.id", "g");
        QueuedConsumer::new(config.create().expect("client")).expect("queue")
    }

    #[test]
    fn callbacks_do_not_keep_the_queue_alive() {
        let consumer = consumer();
        let handle = consumer.queue_handle();
        handle.forward(consumer.client(), "in", 0);
        assert_eq!(handle.0.strong_count(), 1);
        drop(consumer);
        assert_eq!(handle.0.strong_count(), 0);
        // The queue is gone, so this touches nothing.
        let other = self::consumer();
        handle.forward(other.client(), "in", 0);
    }

    #[test]
    fn a_queue_rejects_partitions_of_another_client() {
        let (ours, other) = (consumer(), consumer());
        ours.queue_handle().forward(other.client(), "in", 0);
        drop(ours);
        assert!(other.take(Duration::ZERO).is_none());
    }
}
