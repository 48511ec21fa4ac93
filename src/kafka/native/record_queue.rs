//! Takes records from a consumer, and learns how far a partition has nothing more, which the safe
//! client does not tell. The queues of its partitions are led into one of our own, where nothing
//! but records arrives, and errors of partitions; what is left on the consumer's main queue, such
//! as rebalances, the safe client serves as ever. Records are taken one by one: the call that takes
//! many at once goes wrong (decision 9).

use std::ffi::CString;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::{Arc, Weak};
use std::time::Duration;

use rdkafka::bindings::{
    rd_kafka_consume_queue, rd_kafka_message_destroy, rd_kafka_message_t, rd_kafka_queue_destroy,
    rd_kafka_queue_forward, rd_kafka_queue_get_partition, rd_kafka_queue_new, rd_kafka_queue_t,
    rd_kafka_t,
};
use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};

use super::record::{QueueItem, queue_item};

/// A consumer together with the queue on which the records of its partitions arrive. It is used
/// like the consumer that it holds, which it never gives away: so the queue cannot outlive it.
pub(crate) struct QueuedConsumer<C: ConsumerContext> {
    // The order of the fields is the order in which they are dropped: a client that is closed
    // waits for its records, and a queue points to its client.
    records: Arc<RecordQueue>,
    consumer: BaseConsumer<C>,
}

impl<C: ConsumerContext> QueuedConsumer<C> {
    /// Adds a queue to a consumer; nothing is led there yet. `None` without memory.
    pub(crate) fn new(consumer: BaseConsumer<C>) -> Option<Self> {
        let records = Arc::new(RecordQueue::new(consumer.client())?);
        Some(QueuedConsumer { records, consumer })
    }

    /// Leads the records of a partition to the queue, if it is called before the partition is
    /// assigned: then none of them go anywhere else.
    pub(crate) fn lead_here(&self, topic: &str, partition: i32) {
        self.records.lead_here(self.consumer.client(), topic, partition);
    }

    /// Returns what the consumer's own callbacks need to lead partitions to the queue.
    pub(crate) fn queue_handle(&self) -> QueueHandle {
        QueueHandle(Arc::downgrade(&self.records))
    }

    /// Takes what comes first, if anything comes in this time.
    pub(crate) fn take(&self, wait: Duration) -> Option<Taken<'_>> {
        self.records.take(wait)
    }
}

impl<C: ConsumerContext> Deref for QueuedConsumer<C> {
    type Target = BaseConsumer<C>;

    fn deref(&self) -> &BaseConsumer<C> {
        &self.consumer
    }
}

/// Leads partitions of a consumer to its queue, from where only the bare client is at hand. It does
/// not keep the queue alive.
pub(crate) struct QueueHandle(Weak<RecordQueue>);

impl QueueHandle {
    /// As [`QueuedConsumer::lead_here`]. Does nothing if the queue is gone, or belongs to another
    /// client.
    pub(crate) fn lead_here<C: ClientContext>(
        &self,
        consumer: &Client<C>,
        topic: &str,
        partition: i32,
    ) {
        // The queue lives at most until the end of this call, through which its client is borrowed.
        if let Some(records) = self.0.upgrade()
            && records.client.as_ptr() == consumer.native_ptr()
        {
            records.lead_here(consumer, topic, partition);
        }
    }
}

/// Where the records of a consumer's partitions arrive. Private, since nothing but its owner keeps
/// it from outliving its client.
struct RecordQueue {
    queue: NonNull<rd_kafka_queue_t>,
    /// Whose queue it is.
    client: NonNull<rd_kafka_t>,
}

// SAFETY: librdkafka locks its queues; any thread may use them. The client is only compared with
// another.
unsafe impl Send for RecordQueue {}
// SAFETY: as above.
unsafe impl Sync for RecordQueue {}

impl Drop for RecordQueue {
    fn drop(&mut self) {
        // SAFETY: the pointer came from librdkafka, and this is its only owner. The client lives:
        // see `QueuedConsumer` and `QueueHandle`.
        unsafe { rd_kafka_queue_destroy(self.queue.as_ptr()) }
    }
}

impl RecordQueue {
    fn new<C: ClientContext>(consumer: &Client<C>) -> Option<Self> {
        let client = NonNull::new(consumer.native_ptr())?;
        // SAFETY: the client lives, since it is borrowed.
        let queue = NonNull::new(unsafe { rd_kafka_queue_new(client.as_ptr()) })?;
        Some(RecordQueue { queue, client })
    }

    fn lead_here<C: ClientContext>(&self, consumer: &Client<C>, topic: &str, partition: i32) {
        let Ok(topic) = CString::new(topic) else {
            return;
        };
        // SAFETY: the client lives, since it is borrowed, and so do the queues; the name is a C
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
        // Rounded up: the rest of a millisecond would be spent in a busy loop.
        let wait_ms = i32::try_from(wait.as_micros().div_ceil(1_000)).unwrap_or(i32::MAX);
        // SAFETY: the queue lives, and so does its client: only a `QueuedConsumer` takes from it.
        let message = unsafe { rd_kafka_consume_queue(self.queue.as_ptr(), wait_ms) };
        Some(Taken { message: NonNull::new(message)?, lives: PhantomData })
    }
}

/// What was taken from a record queue, ours to destroy before its consumer.
pub(crate) struct Taken<'a> {
    message: NonNull<rd_kafka_message_t>,
    lives: PhantomData<&'a RecordQueue>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        // SAFETY: the pointer came from librdkafka, and this is its only owner; the client lives,
        // since its queue is borrowed.
        unsafe { rd_kafka_message_destroy(self.message.as_ptr()) }
    }
}

impl Taken<'_> {
    /// Returns what it is.
    pub(crate) fn item(&self) -> QueueItem<'_> {
        // SAFETY: the message came from a consumer, lives as long as `self`, and nobody changes it.
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
        handle.lead_here(consumer.client(), "in", 0);
        assert_eq!(handle.0.strong_count(), 1);
        drop(consumer);
        assert_eq!(handle.0.strong_count(), 0);
        // Of a queue that is gone nothing is touched.
        let other = self::consumer();
        handle.lead_here(other.client(), "in", 0);
    }

    #[test]
    fn a_queue_takes_no_partitions_of_another_client() {
        let (ours, other) = (consumer(), consumer());
        ours.queue_handle().lead_here(other.client(), "in", 0);
        drop(ours);
        assert!(other.take(Duration::ZERO).is_none());
    }
}
