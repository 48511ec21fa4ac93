//! Passes records to a producer. Each topic has a handle that was looked up once, and headers are
//! built without copying their names.

use std::ffi::CString;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::time::Duration;

use rdkafka::bindings::{
    RD_KAFKA_MSG_F_COPY, rd_kafka_flush, rd_kafka_header_add, rd_kafka_headers_destroy,
    rd_kafka_headers_new, rd_kafka_headers_t, rd_kafka_t, rd_kafka_topic_destroy,
    rd_kafka_topic_new, rd_kafka_topic_t, rd_kafka_vtype_t,
};
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use rdkafka::types::RDKafkaRespErr;

use super::error_number::{NO_ERROR, known_code, rd_kafka_producev};
use super::served_producer::ServedProducer;

/// A producer together with the topics that it writes to. It derefs to the producer.
pub(crate) struct TopicProducer<C: ProducerContext + 'static> {
    // Fields are dropped in this order: a topic points to its client.
    topics: Vec<TopicHandle>,
    producer: ServedProducer<C>,
}

/// A record to be sent.
pub(crate) struct OutgoingRecord<'a> {
    /// Index of its topic among those that the producer was created with.
    pub topic: usize,
    /// The partition.
    pub partition: i32,
    /// Milliseconds since 1970; 0 for now.
    pub timestamp_ms: i64,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub payload: Option<&'a [u8]>,
    /// Its headers.
    pub headers: Option<Headers>,
}

/// A record that the client did not accept, and why.
pub(crate) struct Refused<'a> {
    /// The record, unchanged.
    pub record: OutgoingRecord<'a>,
    /// The error code: librdkafka's own if negative, otherwise the one that the broker reported
    /// for the topic.
    pub code: i32,
}

impl Refused<'_> {
    /// Returns the code, if rust-rdkafka has a name for it.
    pub(crate) fn known(&self) -> Option<RDKafkaErrorCode> {
        known_code(self.code)
    }
}

impl<C: ProducerContext + 'static> TopicProducer<C> {
    /// Creates the topic handles for a producer.
    ///
    /// # Errors
    /// Returns the first topic name that is not valid.
    pub(crate) fn new<'t>(
        producer: ServedProducer<C>,
        topics: impl IntoIterator<Item = &'t str>,
    ) -> Result<Self, &'t str> {
        let topic = |name: &'t str| TopicHandle::new(producer.client(), name).ok_or(name);
        // If one fails, the handles before it are dropped at the end of this statement, before the
        // producer.
        let topics = topics.into_iter().map(topic).collect::<Result<_, _>>()?;
        Ok(TopicProducer { topics, producer })
    }

    /// Returns the name of a topic.
    pub(crate) fn topic_name(&self, topic: usize) -> Option<&str> {
        self.topics.get(topic).map(|topic| topic.name.as_str())
    }

    /// Passes a copy of a record to the client.
    ///
    /// # Errors
    /// Returns the record and the error code if the client does not accept it. An index without a
    /// topic has the code of an unknown topic.
    pub(crate) fn send<'a>(&self, record: OutgoingRecord<'a>) -> Result<(), Refused<'a>> {
        let code = match self.topics.get(record.topic) {
            Some(topic) => produce(self.client(), topic, &record),
            None => RDKafkaRespErr::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC as i32,
        };
        if code != NO_ERROR {
            return Err(Refused { record, code });
        }
        // The client owns the headers now.
        std::mem::forget(record.headers);
        Ok(())
    }

    /// Sends lingering records at once, and waits until all are delivered or have failed.
    ///
    /// # Errors
    /// Fails if it takes longer than `limit`.
    pub(crate) fn flush(&self, limit: Duration) -> Result<(), RDKafkaErrorCode> {
        let limit_ms = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the client is alive, since it is borrowed. The code is librdkafka's own, not a
        // broker's.
        let result = unsafe { rd_kafka_flush(self.client().native_ptr(), limit_ms) };
        match result {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
            error => Err(error.into()),
        }
    }
}

impl<C: ProducerContext + 'static> Deref for TopicProducer<C> {
    type Target = BaseProducer<C>;

    fn deref(&self) -> &BaseProducer<C> {
        &self.producer
    }
}

/// A topic of a producer. Private, since only its owner keeps it from outliving its client.
struct TopicHandle {
    name: String,
    handle: NonNull<rd_kafka_topic_t>,
}

// SAFETY: librdkafka's topics may be used from any thread.
unsafe impl Send for TopicHandle {}

impl Drop for TopicHandle {
    fn drop(&mut self) {
        // SAFETY: the pointer came from librdkafka, and this is its only owner. The client is
        // alive: see `TopicProducer`.
        unsafe { rd_kafka_topic_destroy(self.handle.as_ptr()) }
    }
}

impl TopicHandle {
    fn new<C: ClientContext>(producer: &Client<C>, topic: &str) -> Option<Self> {
        let name = CString::new(topic).ok()?;
        // SAFETY: the client is alive, since it is borrowed; the name is a C string, and is copied.
        let handle =
            unsafe { rd_kafka_topic_new(producer.native_ptr(), name.as_ptr(), ptr::null_mut()) };
        Some(TopicHandle { name: topic.to_string(), handle: NonNull::new(handle)? })
    }
}

/// Passes a record to the client that the topic belongs to. Returns the error code; without an
/// error the client owns the headers.
fn produce<C: ClientContext>(
    producer: &Client<C>,
    topic: &TopicHandle,
    record: &OutgoingRecord<'_>,
) -> i32 {
    use rd_kafka_vtype_t::{
        RD_KAFKA_VTYPE_END, RD_KAFKA_VTYPE_HEADERS, RD_KAFKA_VTYPE_KEY, RD_KAFKA_VTYPE_MSGFLAGS,
        RD_KAFKA_VTYPE_PARTITION, RD_KAFKA_VTYPE_RKT, RD_KAFKA_VTYPE_TIMESTAMP,
        RD_KAFKA_VTYPE_VALUE,
    };
    let start = |bytes: Option<&[u8]>| bytes.map_or(ptr::null(), <[u8]>::as_ptr);
    let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    let headers = record.headers.as_ref();
    let client: *mut rd_kafka_t = producer.native_ptr();
    // SAFETY: the client is alive, since it is borrowed, and so is the topic. Each argument has the
    // type that its tag demands. Key and value are copied.
    unsafe {
        rd_kafka_producev(
            client,
            RD_KAFKA_VTYPE_RKT,
            topic.handle.as_ptr(),
            RD_KAFKA_VTYPE_PARTITION,
            record.partition,
            RD_KAFKA_VTYPE_MSGFLAGS,
            RD_KAFKA_MSG_F_COPY,
            RD_KAFKA_VTYPE_VALUE,
            start(record.payload),
            length(record.payload),
            RD_KAFKA_VTYPE_KEY,
            start(record.key),
            length(record.key),
            RD_KAFKA_VTYPE_TIMESTAMP,
            record.timestamp_ms,
            RD_KAFKA_VTYPE_HEADERS,
            headers.map_or(ptr::null_mut(), |headers| headers.0.as_ptr()),
            RD_KAFKA_VTYPE_END,
        )
    }
}

/// The headers of a record to be sent.
pub(crate) struct Headers(NonNull<rd_kafka_headers_t>);

impl Drop for Headers {
    fn drop(&mut self) {
        // SAFETY: the pointer came from librdkafka, and this is its only owner: headers that were
        // sent are forgotten.
        unsafe { rd_kafka_headers_destroy(self.0.as_ptr()) }
    }
}

impl Headers {
    /// Creates empty headers with this capacity. `None` if out of memory.
    pub(crate) fn with_capacity(count: usize) -> Option<Self> {
        // SAFETY: the call has no preconditions.
        NonNull::new(unsafe { rd_kafka_headers_new(count) }).map(Headers)
    }

    /// Adds a header. A missing value stays missing.
    pub(crate) fn add(&mut self, name: &[u8], value: Option<&[u8]>) {
        let start = value.map_or(ptr::null(), <[u8]>::as_ptr);
        let length = value.map_or(0, <[u8]>::len);
        // SAFETY: the headers are alive; name and value are copied. A slice is never longer than
        // `isize::MAX`. The call only fails for headers that a producer already owns.
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

#[cfg(test)]
mod tests {
    use rdkafka::ClientConfig;
    use rdkafka::producer::DefaultProducerContext;

    use super::*;

    fn producer() -> ServedProducer<DefaultProducerContext> {
        ServedProducer::new(ClientConfig::new().create().expect("client")).expect("thread")
    }

    #[test]
    fn an_invalid_name_drops_the_topics_before_their_producer() {
        let refused = TopicProducer::new(producer(), ["a", "b\0c", "d"]).err();
        assert_eq!(refused, Some("b\0c"));
    }

    #[test]
    fn a_record_for_an_unknown_topic_is_returned() {
        let producer = TopicProducer::new(producer(), ["a"]).expect("topics");
        assert_eq!((producer.topic_name(0), producer.topic_name(1)), (Some("a"), None));
        let mut headers = Headers::with_capacity(1).expect("headers");
        headers.add(b"name", None);
        let refused = producer.send(OutgoingRecord {
            topic: 1,
            partition: 0,
            timestamp_ms: 0,
            key: None,
            payload: Some(b"value"),
            headers: Some(headers),
        });
        let refused = refused.expect_err("there is no such topic");
        assert_eq!(refused.known(), Some(RDKafkaErrorCode::UnknownTopic));
        assert!(refused.record.headers.is_some());
    }
}
