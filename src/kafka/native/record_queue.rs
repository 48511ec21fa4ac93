//! Takes records from a consumer many at a time. The queues of its partitions are led into one of our own; what is
//! left on the consumer's main queue, such as rebalances, the safe client serves as ever.

use std::ffi::{CStr, CString};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings::{
    rd_kafka_consume_batch_queue, rd_kafka_header_get_all, rd_kafka_message_destroy,
    rd_kafka_message_headers, rd_kafka_message_t, rd_kafka_message_timestamp,
    rd_kafka_queue_destroy, rd_kafka_queue_forward, rd_kafka_queue_get_consumer,
    rd_kafka_queue_get_partition, rd_kafka_queue_length, rd_kafka_queue_new, rd_kafka_queue_t,
    rd_kafka_queue_yield, rd_kafka_t, rd_kafka_timestamp_type_t,
};
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::RDKafkaRespErr;

/// Most records that are taken by one call.
const MOST_AT_ONCE: usize = 256;

/// A queue of librdkafka. It must not outlive its client.
struct Queue(NonNull<rd_kafka_queue_t>);

// SAFETY: librdkafka locks its queues; any thread may use them.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the pointer came from librdkafka, and this is its only owner.
        unsafe { rd_kafka_queue_destroy(self.0.as_ptr()) }
    }
}

/// Where the records of a consumer's partitions arrive. It must be dropped before the consumer.
pub struct RecordQueue {
    client: NonNull<rd_kafka_t>,
    queue: Arc<Queue>,
    /// The consumer's main queue.
    main: Queue,
    /// Room for what one call takes.
    taken: Vec<*mut rd_kafka_message_t>,
}

// SAFETY: librdkafka's clients and queues may be used from any thread, and the room is empty between calls.
unsafe impl Send for RecordQueue {}

/// What was taken from the queue.
pub enum Taken<'a> {
    /// A record.
    Record(NativeRecord<'a>),
    /// The end of this partition was reached.
    End(i32),
    /// A partition cannot be read at the moment; the client goes on by itself.
    Error(RDKafkaErrorCode),
}

impl RecordQueue {
    /// A queue for this consumer; whoever waits on it is woken when something arrives on the consumer's main queue.
    /// `None` if the client has none.
    pub fn new<C>(consumer: &mut BaseConsumer<C>) -> Option<Self>
    where
        C: ConsumerContext + ClientContext,
    {
        let client = NonNull::new(consumer.client().native_ptr())?;
        // SAFETY: the client lives, since the consumer is borrowed.
        let queue = NonNull::new(unsafe { rd_kafka_queue_new(client.as_ptr()) })?;
        let queue = Arc::new(Queue(queue));
        // SAFETY: as above.
        let main = NonNull::new(unsafe { rd_kafka_queue_get_consumer(client.as_ptr()) })?;
        // Weak: the consumer keeps the closure to its very end, which never comes while records are queued.
        let waiting = Arc::downgrade(&queue);
        consumer.set_nonempty_callback(move || {
            if let Some(queue) = waiting.upgrade() {
                // SAFETY: the queue lives, since it is held here.
                unsafe { rd_kafka_queue_yield(queue.0.as_ptr()) }
            }
        });
        Some(RecordQueue {
            client,
            queue,
            main: Queue(main),
            taken: vec![ptr::null_mut(); MOST_AT_ONCE],
        })
    }

    /// Leads the records of a partition here. Those that arrived before are left where they are.
    pub fn lead_here(&self, topic: &str, partition: i32) {
        let Ok(topic) = CString::new(topic) else {
            return;
        };
        // SAFETY: client and queue live as long as `self` by its contract; the name is a C string.
        unsafe {
            let source =
                rd_kafka_queue_get_partition(self.client.as_ptr(), topic.as_ptr(), partition);
            if !source.is_null() {
                rd_kafka_queue_forward(source, self.queue.0.as_ptr());
                rd_kafka_queue_destroy(source);
            }
        }
    }

    /// Whether something waits on the consumer's main queue. A poll of the safe client that brings nothing does not
    /// say so: it ends with every event that it serves.
    pub fn main_has_more(&self) -> bool {
        // SAFETY: the queue lives as long as `self` by its contract.
        unsafe { rd_kafka_queue_length(self.main.0.as_ptr()) > 0 }
    }

    /// Takes at most `most` records, waiting for the first one.
    pub fn take(&mut self, wait: Duration, most: usize, mut receive: impl FnMut(Taken<'_>)) {
        let most = most.min(self.taken.len());
        // Rounded up: the rest of a millisecond would be spent in a busy loop.
        let wait_ms = i32::try_from(wait.as_micros().div_ceil(1_000)).unwrap_or(i32::MAX);
        let mut room = std::mem::take(&mut self.taken);
        // SAFETY: the queue lives; there is room for `most` pointers.
        let count = unsafe {
            rd_kafka_consume_batch_queue(self.queue.0.as_ptr(), wait_ms, room.as_mut_ptr(), most)
        };
        let count = usize::try_from(count).unwrap_or(0);
        for message in room.iter_mut().take(count) {
            if let Some(message) = NonNull::new(std::mem::replace(message, ptr::null_mut())) {
                receive(Message(message).look());
            }
        }
        self.taken = room;
    }
}

/// A message that is ours to destroy.
struct Message(NonNull<rd_kafka_message_t>);

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: the pointer came from librdkafka, and this is its only owner.
        unsafe { rd_kafka_message_destroy(self.0.as_ptr()) }
    }
}

impl Message {
    fn look(&self) -> Taken<'_> {
        // SAFETY: the message lives as long as `self`.
        let message = unsafe { self.0.as_ref() };
        match message.err {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => Taken::Record(NativeRecord {
                message: self.0,
                lives: PhantomData,
            }),
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__PARTITION_EOF => Taken::End(message.partition),
            error => Taken::Error(error.into()),
        }
    }
}

/// A record that was read, borrowed from librdkafka.
pub struct NativeRecord<'a> {
    message: NonNull<rd_kafka_message_t>,
    lives: PhantomData<&'a Message>,
}

impl<'a> NativeRecord<'a> {
    fn message(&self) -> &'a rd_kafka_message_t {
        // SAFETY: the message lives for `'a`, and nobody changes it.
        unsafe { self.message.as_ref() }
    }

    pub fn partition(&self) -> i32 {
        self.message().partition
    }

    pub fn offset(&self) -> i64 {
        self.message().offset
    }

    pub fn key(&self) -> Option<&'a [u8]> {
        let message = self.message();
        // SAFETY: librdkafka says that so many bytes are there, for as long as the message.
        unsafe { bytes(message.key.cast(), message.key_len) }
    }

    pub fn payload(&self) -> Option<&'a [u8]> {
        let message = self.message();
        // SAFETY: as for the key.
        unsafe { bytes(message.payload.cast(), message.len) }
    }

    /// Milliseconds since 1970, if the record has a time.
    pub fn timestamp_ms(&self) -> Option<i64> {
        let mut kind = rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message lives.
        let time = unsafe { rd_kafka_message_timestamp(self.message.as_ptr(), &mut kind) };
        (kind != rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && time != -1)
            .then_some(time)
    }

    /// The headers, in order.
    pub fn headers(&self) -> Vec<(&'a [u8], Option<&'a [u8]>)> {
        let mut headers = ptr::null_mut();
        // SAFETY: the message lives; the headers are its own.
        let found = unsafe { rd_kafka_message_headers(self.message.as_ptr(), &mut headers) };
        if found != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Vec::new();
        }
        let header = |number| {
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            // SAFETY: the headers live as long as the message; the name is a C string, and at the value are `size`
            // bytes, or none where it is null.
            unsafe {
                let found =
                    rd_kafka_header_get_all(headers, number, &mut name, &mut value, &mut size);
                (found == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR)
                    .then(|| (CStr::from_ptr(name).to_bytes(), bytes(value.cast(), size)))
            }
        };
        (0..).map_while(header).collect()
    }
}

/// # Safety
/// At `start`, unless it is null, `length` bytes must stay unchanged for `'a`.
unsafe fn bytes<'a>(start: *const u8, length: usize) -> Option<&'a [u8]> {
    // SAFETY: by the contract of this function.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start, length) })
}
