//! Sends DescribeTopics requests with librdkafka's own call, which the client crate lacks.

use std::ffi::{CStr, CString, c_char};
use std::marker::PhantomData;
use std::time::Duration;

use rdkafka::bindings as native;
use rdkafka::client::{Client, ClientContext};

use super::error_number::{NO_ERROR, rd_kafka_error_code, rd_kafka_event_error};

/// A DescribeTopics request.
pub(super) struct DescribeRequest<'a> {
    pub topics: &'a [&'a str],
    /// The id of the broker to ask. Any broker can answer; by default the client would look up the
    /// controller first.
    pub broker: i32,
    /// Whether to request the client's authorized operations.
    pub with_rights: bool,
    /// Longest wait for the answer.
    pub limit: Duration,
}

impl DescribeRequest<'_> {
    /// Sends the request, without waiting for the answer.
    ///
    /// # Errors
    /// Fails if a topic name is not valid, or the client rejects the request.
    pub(super) fn send<'c, C: ClientContext>(
        &self,
        client: &'c Client<C>,
    ) -> Result<PendingAnswer<'c>, String> {
        let names = self.topics.iter().map(|topic| CString::new(*topic));
        let names: Vec<CString> =
            names.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
        let pending = PendingAnswer::new(client, self)?;
        // SAFETY: the strings live until the end of this function, and the call copies them. The
        // client is alive, and the options and the queue were created for it.
        unsafe {
            let collection = native::rd_kafka_TopicCollection_of_topic_names(
                pointers.as_mut_ptr(),
                pointers.len(),
            );
            native::rd_kafka_DescribeTopics(
                client.native_ptr(),
                collection,
                pending.options,
                pending.queue,
            );
            native::rd_kafka_TopicCollection_destroy(collection);
        }
        Ok(pending)
    }
}

/// The options and the queue of a request that is under way. It borrows its client, which outlives
/// it.
pub(super) struct PendingAnswer<'c> {
    options: *mut native::rd_kafka_AdminOptions_t,
    queue: *mut native::rd_kafka_queue_t,
    limit: Duration,
    client: PhantomData<&'c ()>,
}

impl<'c> PendingAnswer<'c> {
    fn new<C: ClientContext>(
        client: &'c Client<C>,
        request: &DescribeRequest<'_>,
    ) -> Result<Self, String> {
        let limit_ms = i32::try_from(request.limit.as_millis()).unwrap_or(i32::MAX);
        let mut error_text = [0; 256];
        // SAFETY: the client is alive. Both objects belong to it, and are destroyed with this
        // value, before the client. The codes that these calls return are librdkafka's own, not a
        // broker's.
        unsafe {
            let pending = PendingAnswer {
                options: native::rd_kafka_AdminOptions_new(
                    client.native_ptr(),
                    native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
                ),
                queue: native::rd_kafka_queue_new(client.native_ptr()),
                limit: request.limit,
                client: PhantomData,
            };
            native::rd_kafka_AdminOptions_set_request_timeout(
                pending.options,
                limit_ms,
                error_text.as_mut_ptr(),
                error_text.len(),
            );
            native::rd_kafka_AdminOptions_set_broker(
                pending.options,
                request.broker,
                error_text.as_mut_ptr(),
                error_text.len(),
            );
            let refused = native::rd_kafka_AdminOptions_set_include_authorized_operations(
                pending.options,
                i32::from(request.with_rights),
            );
            if refused.is_null() {
                return Ok(pending);
            }
            let why = text(native::rd_kafka_error_string(refused));
            native::rd_kafka_error_destroy(refused);
            Err(why)
        }
    }

    /// Waits for the answer, and collects what `read` returns for each topic's description.
    ///
    /// # Errors
    /// Fails if there is no answer in time, or the answer is an error.
    pub(super) fn collect<T>(
        self,
        read: impl Fn(&Description) -> Option<T>,
    ) -> Result<Vec<T>, String> {
        // The request has a timeout of its own; this is a safeguard in case the client does not
        // keep it.
        let limit_ms = i32::try_from(self.limit.as_millis() + 1_000).unwrap_or(i32::MAX);
        // SAFETY: the queue is alive, and the polled event belongs to the caller.
        let event = unsafe { native::rd_kafka_queue_poll(self.queue, limit_ms) };
        if event.is_null() {
            return Err("no answer within the time limit".to_string());
        }
        ReplyEvent(event).collect(read)
    }
}

impl Drop for PendingAnswer<'_> {
    fn drop(&mut self) {
        // SAFETY: created in `new`, and destroyed only here.
        unsafe {
            native::rd_kafka_AdminOptions_destroy(self.options);
            native::rd_kafka_queue_destroy(self.queue);
        }
    }
}

/// The event that answers a request.
struct ReplyEvent(*mut native::rd_kafka_event_t);

impl ReplyEvent {
    fn collect<T>(&self, read: impl Fn(&Description) -> Option<T>) -> Result<Vec<T>, String> {
        // SAFETY: everything that is read belongs to the event, which lives as long as this value.
        unsafe {
            if rd_kafka_event_error(self.0) != NO_ERROR {
                return Err(text(native::rd_kafka_event_error_string(self.0)));
            }
            let result = native::rd_kafka_event_DescribeTopics_result(self.0);
            if result.is_null() {
                return Err("the answer is not a DescribeTopics result".to_string());
            }
            let mut count = 0;
            let topics = native::rd_kafka_DescribeTopics_result_topics(result, &mut count);
            let topics = (0..count).map(|index| Description(*topics.add(index)));
            Ok(topics.filter_map(|topic| read(&topic)).collect())
        }
    }
}

impl Drop for ReplyEvent {
    fn drop(&mut self) {
        // SAFETY: this value owns the event, which is destroyed only here.
        unsafe { native::rd_kafka_event_destroy(self.0) }
    }
}

/// The id of a topic. A topic that is deleted and created again gets another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TopicId(pub i64, pub i64);

/// A broker's description of a topic. It lives as long as the answer, so callers only borrow it.
pub(super) struct Description(*const native::rd_kafka_TopicDescription_t);

impl Description {
    /// Returns the topic's name.
    pub(super) fn name(&self) -> String {
        // SAFETY: the description is part of a living answer; its name is a C string.
        unsafe { text(native::rd_kafka_TopicDescription_name(self.0)) }
    }

    /// Returns the numbers of the operations that the client is authorized for, if the broker
    /// reported them. They are numbers because a newer librdkafka may know operations that the
    /// bindings' enumeration does not.
    pub(super) fn operations(&self) -> Option<&[u32]> {
        let mut count = 0;
        // SAFETY: the description is part of a living answer; `count` is the number of operations.
        unsafe {
            let operations =
                native::rd_kafka_TopicDescription_authorized_operations(self.0, &mut count);
            if operations.is_null() || count == 0 {
                return None;
            }
            Some(std::slice::from_raw_parts(operations.cast::<u32>(), count))
        }
    }

    /// Returns why the topic is not described, if it is not: the broker's code, and its meaning.
    pub(super) fn error(&self) -> Option<(i32, String)> {
        // SAFETY: the description is part of a living answer, and so is the error, which owns its
        // text, a C string.
        unsafe {
            let error = native::rd_kafka_TopicDescription_error(self.0);
            let code_and_text = || {
                let why = text(native::rd_kafka_error_string(error));
                (rd_kafka_error_code(error), why)
            };
            (!error.is_null()).then(code_and_text)
        }
    }

    /// Returns the partition count.
    pub(super) fn partitions(&self) -> i32 {
        let mut count = 0;
        // SAFETY: the description is part of a living answer.
        unsafe { native::rd_kafka_TopicDescription_partitions(self.0, &mut count) };
        i32::try_from(count).unwrap_or(i32::MAX)
    }

    /// Returns the topic's id, if the topic exists and the broker assigns ids.
    pub(super) fn id(&self) -> Option<TopicId> {
        // SAFETY: the description is part of a living answer, and so is the id.
        let id = unsafe {
            let id = native::rd_kafka_TopicDescription_topic_id(self.0);
            let topic_id = || {
                TopicId(
                    native::rd_kafka_Uuid_most_significant_bits(id),
                    native::rd_kafka_Uuid_least_significant_bits(id),
                )
            };
            (!id.is_null()).then(topic_id)
        };
        id.filter(|id| *id != TopicId(0, 0))
    }
}

/// # Safety
/// `pointer` must be null or point to a C string.
unsafe fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: the caller guarantees a C string.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}
