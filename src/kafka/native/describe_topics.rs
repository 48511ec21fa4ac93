//! Asks a broker to describe topics. The client crate has no call for this, so librdkafka's own is
//! used.

use std::ffi::{CStr, CString, c_char};
use std::marker::PhantomData;
use std::time::Duration;

use rdkafka::bindings as native;
use rdkafka::client::{Client, ClientContext};

use super::error_number::{NO_ERROR, rd_kafka_error_code, rd_kafka_event_error};

/// What is asked.
pub(super) struct Question<'a> {
    pub topics: &'a [&'a str],
    /// The broker to ask: any can answer. By default the client would look for the controller
    /// first.
    pub broker: i32,
    /// Whether the broker is to tell what we may do with them.
    pub with_rights: bool,
    /// Longest wait for the answer.
    pub limit: Duration,
}

impl Question<'_> {
    /// Asks; the answer is not waited for.
    ///
    /// # Errors
    /// If a topic's name is none, or the client refuses the question.
    pub(super) fn ask<'c, C: ClientContext>(
        &self,
        client: &'c Client<C>,
    ) -> Result<Asked<'c>, String> {
        let names = self.topics.iter().map(|topic| CString::new(*topic));
        let names: Vec<CString> =
            names.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
        let asked = Asked::new(client, self)?;
        // SAFETY: the pointers are to strings that live until the end of this function, and the
        // call copies them; the client is alive, and the options and the queue were made
        // for it.
        unsafe {
            let collection = native::rd_kafka_TopicCollection_of_topic_names(
                pointers.as_mut_ptr(),
                pointers.len(),
            );
            native::rd_kafka_DescribeTopics(
                client.native_ptr(),
                collection,
                asked.options,
                asked.queue,
            );
            native::rd_kafka_TopicCollection_destroy(collection);
        }
        Ok(asked)
    }
}

/// Options and queue of a question that is under way. It borrows its client, which outlives it.
pub(super) struct Asked<'c> {
    options: *mut native::rd_kafka_AdminOptions_t,
    queue: *mut native::rd_kafka_queue_t,
    limit: Duration,
    client: PhantomData<&'c ()>,
}

impl<'c> Asked<'c> {
    fn new<C: ClientContext>(
        client: &'c Client<C>,
        question: &Question<'_>,
    ) -> Result<Self, String> {
        let limit_ms = i32::try_from(question.limit.as_millis()).unwrap_or(i32::MAX);
        let mut complaint = [0; 256];
        // SAFETY: the client is alive; both objects are its, and are destroyed with this value,
        // before it. The codes that the calls answer with are librdkafka's, no broker's.
        unsafe {
            let asked = Asked {
                options: native::rd_kafka_AdminOptions_new(
                    client.native_ptr(),
                    native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
                ),
                queue: native::rd_kafka_queue_new(client.native_ptr()),
                limit: question.limit,
                client: PhantomData,
            };
            native::rd_kafka_AdminOptions_set_request_timeout(
                asked.options,
                limit_ms,
                complaint.as_mut_ptr(),
                complaint.len(),
            );
            native::rd_kafka_AdminOptions_set_broker(
                asked.options,
                question.broker,
                complaint.as_mut_ptr(),
                complaint.len(),
            );
            let refused = native::rd_kafka_AdminOptions_set_include_authorized_operations(
                asked.options,
                i32::from(question.with_rights),
            );
            if refused.is_null() {
                return Ok(asked);
            }
            let why = text(native::rd_kafka_error_string(refused));
            native::rd_kafka_error_destroy(refused);
            Err(why)
        }
    }

    /// Waits for the answer, and collects what is read out of the description of each topic.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(super) fn collect<T>(
        self,
        read: impl Fn(&Description) -> Option<T>,
    ) -> Result<Vec<T>, String> {
        // The question has a limit of its own; this is for a client that does not keep it.
        let limit_ms = i32::try_from(self.limit.as_millis() + 1_000).unwrap_or(i32::MAX);
        // SAFETY: the queue is alive, and the event belongs to whoever polled it.
        let event = unsafe { native::rd_kafka_queue_poll(self.queue, limit_ms) };
        if event.is_null() {
            return Err("no answer in time".to_string());
        }
        Answer(event).collect(read)
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        // SAFETY: made in `new`, and destroyed once.
        unsafe {
            native::rd_kafka_AdminOptions_destroy(self.options);
            native::rd_kafka_queue_destroy(self.queue);
        }
    }
}

/// The event that answers a question.
struct Answer(*mut native::rd_kafka_event_t);

impl Answer {
    fn collect<T>(&self, read: impl Fn(&Description) -> Option<T>) -> Result<Vec<T>, String> {
        // SAFETY: everything that is read belongs to the event, which lives as long as this value.
        unsafe {
            if rd_kafka_event_error(self.0) != NO_ERROR {
                return Err(text(native::rd_kafka_event_error_string(self.0)));
            }
            let result = native::rd_kafka_event_DescribeTopics_result(self.0);
            if result.is_null() {
                return Err("the answer is of another kind".to_string());
            }
            let mut count = 0;
            let topics = native::rd_kafka_DescribeTopics_result_topics(result, &mut count);
            let topics = (0..count).map(|index| Description(*topics.add(index)));
            Ok(topics.filter_map(|topic| read(&topic)).collect())
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // SAFETY: the event is ours, and destroyed once.
        unsafe { native::rd_kafka_event_destroy(self.0) }
    }
}

/// What tells a topic from another of the same name: one that is deleted and made anew gets another
/// id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TopicId(pub i64, pub i64);

/// What a broker says of a topic. It is lent for as long as the answer lives, and to nobody who
/// could keep it.
pub(super) struct Description(*const native::rd_kafka_TopicDescription_t);

impl Description {
    /// The topic's name.
    pub(super) fn name(&self) -> String {
        // SAFETY: the description is part of a living answer; its name is a C string.
        unsafe { text(native::rd_kafka_TopicDescription_name(self.0)) }
    }

    /// The numbers of the operations that are allowed to us, if the broker told them. Numbers,
    /// since a newer librdkafka may know operations that the bindings' enumeration does not.
    pub(super) fn operations(&self) -> Option<&[u32]> {
        let mut count = 0;
        // SAFETY: the description is part of a living answer; the operations are as many as the
        // count says.
        unsafe {
            let operations =
                native::rd_kafka_TopicDescription_authorized_operations(self.0, &mut count);
            if operations.is_null() || count == 0 {
                return None;
            }
            Some(std::slice::from_raw_parts(operations.cast::<u32>(), count))
        }
    }

    /// Why the topic is not described, if it is not: the broker's code, and what it means.
    pub(super) fn error(&self) -> Option<(i32, String)> {
        // SAFETY: the description is part of a living answer, and so is the error; its text is a C
        // string of the error's.
        unsafe {
            let error = native::rd_kafka_TopicDescription_error(self.0);
            let told = || {
                let why = text(native::rd_kafka_error_string(error));
                (rd_kafka_error_code(error), why)
            };
            (!error.is_null()).then(told)
        }
    }

    /// How many partitions the topic has.
    pub(super) fn partitions(&self) -> i32 {
        let mut count = 0;
        // SAFETY: the description is part of a living answer.
        unsafe { native::rd_kafka_TopicDescription_partitions(self.0, &mut count) };
        i32::try_from(count).unwrap_or(i32::MAX)
    }

    /// The topic's id, if there is such a topic, and the broker gives ids to topics.
    pub(super) fn id(&self) -> Option<TopicId> {
        // SAFETY: the description is part of a living answer, and so is the id.
        let id = unsafe {
            let id = native::rd_kafka_TopicDescription_topic_id(self.0);
            let told = || {
                TopicId(
                    native::rd_kafka_Uuid_most_significant_bits(id),
                    native::rd_kafka_Uuid_least_significant_bits(id),
                )
            };
            (!id.is_null()).then(told)
        };
        id.filter(|id| *id != TopicId(0, 0))
    }
}

/// # Safety
/// `pointer` must be null or to a C string.
unsafe fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}
