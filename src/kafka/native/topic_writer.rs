//! Hands records to a producer: the topic is known by a handle that was looked up once, and headers are made without
//! copies of their names.

use std::ffi::CString;
use std::ptr::{self, NonNull};
use std::time::Duration;

use rdkafka::bindings::{
    RD_KAFKA_MSG_F_COPY, rd_kafka_flush, rd_kafka_header_add, rd_kafka_headers_destroy,
    rd_kafka_headers_new, rd_kafka_headers_t, rd_kafka_producev, rd_kafka_t,
    rd_kafka_topic_destroy, rd_kafka_topic_new, rd_kafka_topic_t, rd_kafka_vtype_t,
};
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::RDKafkaRespErr;

/// A topic of a producer. It must be dropped before the producer.
pub struct TopicWriter {
    client: NonNull<rd_kafka_t>,
    topic: NonNull<rd_kafka_topic_t>,
}

// SAFETY: librdkafka's clients and topics may be used from any thread.
unsafe impl Send for TopicWriter {}

impl Drop for TopicWriter {
    fn drop(&mut self) {
        // SAFETY: the pointer came from librdkafka, and this is its only owner.
        unsafe { rd_kafka_topic_destroy(self.topic.as_ptr()) }
    }
}

impl TopicWriter {
    /// A topic of this producer; `None` if its name is none.
    pub fn new<C: ClientContext>(producer: &Client<C>, topic: &str) -> Option<Self> {
        let client = NonNull::new(producer.native_ptr())?;
        let name = CString::new(topic).ok()?;
        // SAFETY: the client lives, since it is borrowed; the name is a C string, and is copied.
        let topic = unsafe { rd_kafka_topic_new(client.as_ptr(), name.as_ptr(), ptr::null_mut()) };
        let topic = NonNull::new(topic)?;
        Some(TopicWriter { client, topic })
    }

    /// Hands a record over, which is copied. `timestamp_ms` is in milliseconds since 1970.
    ///
    /// # Errors
    /// Then the headers are handed back.
    pub fn send(
        &self,
        partition: i32,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
        headers: Option<Headers>,
    ) -> Result<(), (RDKafkaErrorCode, Option<Headers>)> {
        use rd_kafka_vtype_t::{
            RD_KAFKA_VTYPE_END, RD_KAFKA_VTYPE_HEADERS, RD_KAFKA_VTYPE_KEY,
            RD_KAFKA_VTYPE_MSGFLAGS, RD_KAFKA_VTYPE_PARTITION, RD_KAFKA_VTYPE_RKT,
            RD_KAFKA_VTYPE_TIMESTAMP, RD_KAFKA_VTYPE_VALUE,
        };
        let start = |bytes: Option<&[u8]>| bytes.map_or(ptr::null(), <[u8]>::as_ptr);
        let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        let native_headers = headers.as_ref().map_or(ptr::null_mut(), |it| it.0.as_ptr());
        // SAFETY: client and topic live by the contract of `self`; each argument has the type that its tag asks for;
        // key and value are copied; the headers are the producer's own once this succeeds.
        let result = unsafe {
            rd_kafka_producev(
                self.client.as_ptr(),
                RD_KAFKA_VTYPE_RKT,
                self.topic.as_ptr(),
                RD_KAFKA_VTYPE_PARTITION,
                partition,
                RD_KAFKA_VTYPE_MSGFLAGS,
                RD_KAFKA_MSG_F_COPY,
                RD_KAFKA_VTYPE_VALUE,
                start(payload),
                length(payload),
                RD_KAFKA_VTYPE_KEY,
                start(key),
                length(key),
                RD_KAFKA_VTYPE_TIMESTAMP,
                timestamp_ms,
                RD_KAFKA_VTYPE_HEADERS,
                native_headers,
                RD_KAFKA_VTYPE_END,
            )
        };
        if result == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            std::mem::forget(headers);
            Ok(())
        } else {
            Err((result.into(), headers))
        }
    }
}

/// The headers of a record to be sent.
pub struct Headers(NonNull<rd_kafka_headers_t>);

impl Drop for Headers {
    fn drop(&mut self) {
        // SAFETY: the pointer came from librdkafka, and this is its only owner: sent ones are forgotten.
        unsafe { rd_kafka_headers_destroy(self.0.as_ptr()) }
    }
}

impl Headers {
    /// No headers yet, with room for some. `None` without memory.
    pub fn with_capacity(count: usize) -> Option<Self> {
        // SAFETY: the call has no conditions.
        NonNull::new(unsafe { rd_kafka_headers_new(count) }).map(Headers)
    }

    /// Adds a header; a missing value stays missing.
    pub fn add(&mut self, name: &[u8], value: Option<&[u8]>) {
        let start = value.map_or(ptr::null(), <[u8]>::as_ptr);
        let length = value.map_or(0, <[u8]>::len);
        // SAFETY: the headers live; name and value are copied. A slice is never longer than `isize` can say. The only
        // errors are for headers that a producer owns already.
        unsafe {
            rd_kafka_header_add(
                self.0.as_ptr(),
                name.as_ptr().cast(),
                name.len() as isize,
                start.cast(),
                length as isize,
            );
        }
    }
}

/// Sends at once what the producer has lingering, and waits until all is delivered or has failed.
pub fn flush<C: ClientContext>(
    producer: &Client<C>,
    limit: Duration,
) -> Result<(), RDKafkaErrorCode> {
    let limit_ms = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client lives, since it is borrowed.
    let result = unsafe { rd_kafka_flush(producer.native_ptr(), limit_ms) };
    match result {
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
        error => Err(error.into()),
    }
}
