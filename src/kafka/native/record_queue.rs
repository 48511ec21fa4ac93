//! Takes records from a consumer, and learns how far a partition has nothing more, which the safe client does not tell. The queues of its partitions are led into one of our own, where nothing but records
//! arrives, and errors of partitions; what is left on the consumer's main queue, such as rebalances, the safe client serves as
//! ever. Records are taken one by one: the call that takes many at once goes wrong (decision 9).

use std::ffi::{CStr, CString};
use std::fmt;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::time::Duration;

use rdkafka::bindings::{
    rd_kafka_consume_queue, rd_kafka_header_get_all, rd_kafka_message_destroy,
    rd_kafka_message_headers, rd_kafka_message_t, rd_kafka_message_timestamp,
    rd_kafka_queue_destroy, rd_kafka_queue_forward, rd_kafka_queue_get_partition,
    rd_kafka_queue_new, rd_kafka_queue_t, rd_kafka_timestamp_type_t,
};
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::RDKafkaRespErr;

use crate::stream::{OwnedHeaders, SourceHeaders};

/// Where the records of a consumer's partitions arrive. It must be dropped before the consumer: a client that is
/// closed waits for its records.
pub struct RecordQueue(NonNull<rd_kafka_queue_t>);

// SAFETY: librdkafka locks its queues; any thread may use them.
unsafe impl Send for RecordQueue {}
// SAFETY: as above.
unsafe impl Sync for RecordQueue {}

impl Drop for RecordQueue {
    fn drop(&mut self) {
        // SAFETY: the pointer came from librdkafka, and this is its only owner.
        unsafe { rd_kafka_queue_destroy(self.0.as_ptr()) }
    }
}

/// What a record queue can bring.
pub enum News<'a> {
    /// A record.
    Record(NativeRecord<'a>),
    /// This partition has nothing more to read before this offset. With `read_committed` that is its last stable offset.
    End(i32, i64),
    /// This partition cannot be read at the moment.
    Error(i32, RDKafkaErrorCode),
}

impl RecordQueue {
    /// A queue for this consumer, to which nothing is led yet.
    pub fn new<C: ClientContext>(consumer: &Client<C>) -> Option<Self> {
        // SAFETY: the client lives, since it is borrowed.
        NonNull::new(unsafe { rd_kafka_queue_new(consumer.native_ptr()) }).map(RecordQueue)
    }

    /// Leads the records of a partition here, if it is called before the partition is assigned: then none of them go anywhere else.
    pub fn lead_here<C: ClientContext>(&self, consumer: &Client<C>, topic: &str, partition: i32) {
        let Ok(topic) = CString::new(topic) else {
            return;
        };
        // SAFETY: the client lives, since it is borrowed, and so do the queues; the name is a C string.
        unsafe {
            let source =
                rd_kafka_queue_get_partition(consumer.native_ptr(), topic.as_ptr(), partition);
            if !source.is_null() {
                rd_kafka_queue_forward(source, self.0.as_ptr());
                rd_kafka_queue_destroy(source);
            }
        }
    }

    /// Takes what comes first, if anything comes in this time.
    pub fn take(&self, wait: Duration) -> Option<Taken> {
        // Rounded up: the rest of a millisecond would be spent in a busy loop.
        let wait_ms = i32::try_from(wait.as_micros().div_ceil(1_000)).unwrap_or(i32::MAX);
        // SAFETY: the queue lives.
        NonNull::new(unsafe { rd_kafka_consume_queue(self.0.as_ptr(), wait_ms) }).map(Taken)
    }
}

/// What was taken from a record queue, ours to destroy.
pub struct Taken(NonNull<rd_kafka_message_t>);

impl Drop for Taken {
    fn drop(&mut self) {
        // SAFETY: the pointer came from librdkafka, and this is its only owner.
        unsafe { rd_kafka_message_destroy(self.0.as_ptr()) }
    }
}

impl Taken {
    /// What it is.
    pub fn news(&self) -> News<'_> {
        // SAFETY: the message lives as long as `self`.
        let message = unsafe { self.0.as_ref() };
        match message.err {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => News::Record(NativeRecord {
                message: self.0,
                lives: PhantomData,
            }),
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__PARTITION_EOF => {
                News::End(message.partition, message.offset)
            }
            error => News::Error(message.partition, error.into()),
        }
    }
}

/// A record that was read, borrowed from librdkafka.
pub struct NativeRecord<'a> {
    message: NonNull<rd_kafka_message_t>,
    lives: PhantomData<&'a Taken>,
}

impl<'a> NativeRecord<'a> {
    fn message(&self) -> &'a rd_kafka_message_t {
        // SAFETY: the message lives for `'a`, and nobody changes it.
        unsafe { self.message.as_ref() }
    }

    /// The partition it was read from.
    pub fn partition(&self) -> i32 {
        self.message().partition
    }

    /// Its offset there.
    pub fn offset(&self) -> i64 {
        self.message().offset
    }

    /// Its key.
    pub fn key(&self) -> Option<&'a [u8]> {
        let message = self.message();
        // SAFETY: librdkafka says that so many bytes are there, for as long as the message.
        unsafe { bytes(message.key.cast(), message.key_len) }
    }

    /// Its value.
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
}

impl fmt::Debug for NativeRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "record {} of partition {}",
            self.offset(),
            self.partition()
        )
    }
}

/// The client reads headers when they are asked for.
impl SourceHeaders for NativeRecord<'_> {
    fn read(&self) -> OwnedHeaders {
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
                (found == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| {
                    let name = CStr::from_ptr(name).to_bytes();
                    (name.to_vec(), bytes(value.cast(), size).map(Vec::from))
                })
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
