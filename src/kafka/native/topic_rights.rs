//! Asks the broker what the relay's principal may do with topics. The client crate has no call for this, so
//! librdkafka's own is used. Without it a missing right to write would show only with the first event of a
//! region, which may be days after the start, or by writing a record to find out.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::time::Duration;

use rdkafka::bindings as native;
use rdkafka::client::{Client, ClientContext};

/// What one may do with a topic; only what the relay needs is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Fetch its records.
    Read,
    /// Add records, in transactions too.
    Write,
}

impl Right {
    /// As Kafka's own tools write it.
    pub const fn name(self) -> &'static str {
        match self {
            Right::Read => "Read",
            Right::Write => "Write",
        }
    }
}

/// The rights on each topic that the broker, by its id, told them for. Brokers before 2.3 tell none.
///
/// # Errors
/// Why the broker could not be asked.
pub fn rights_on<C: ClientContext>(
    client: &Client<C>,
    broker: i32,
    topics: &[&str],
    limit: Duration,
) -> Result<BTreeMap<String, Vec<Right>>, String> {
    let request = Request::new(client, broker, limit)?;
    request.include_rights()?;
    request.send(client, topics)?;
    request.answer(limit)?.rights()
}

/// Options and queue of one question.
pub(super) struct Request {
    options: *mut native::rd_kafka_AdminOptions_t,
    queue: *mut native::rd_kafka_queue_t,
}

impl Request {
    pub(super) fn new<C: ClientContext>(
        client: &Client<C>,
        broker: i32,
        limit: Duration,
    ) -> Result<Self, String> {
        let limit_ms = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
        let mut complaint = [0; 256];
        // SAFETY: the client is alive; both objects are its, and are destroyed with this value, before it.
        unsafe {
            let request = Request {
                options: native::rd_kafka_AdminOptions_new(
                    client.native_ptr(),
                    native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
                ),
                queue: native::rd_kafka_queue_new(client.native_ptr()),
            };
            native::rd_kafka_AdminOptions_set_request_timeout(
                request.options,
                limit_ms,
                complaint.as_mut_ptr(),
                complaint.len(),
            );
            // Any broker can answer; by default the client would look for the controller first.
            native::rd_kafka_AdminOptions_set_broker(
                request.options,
                broker,
                complaint.as_mut_ptr(),
                complaint.len(),
            );
            Ok(request)
        }
    }

    fn include_rights(&self) -> Result<(), String> {
        // SAFETY: the options are alive; a refusal is ours to destroy.
        unsafe {
            let refused =
                native::rd_kafka_AdminOptions_set_include_authorized_operations(self.options, 1);
            if refused.is_null() {
                return Ok(());
            }
            let why = text(native::rd_kafka_error_string(refused));
            native::rd_kafka_error_destroy(refused);
            Err(why)
        }
    }

    /// Asks for a description of these topics. `client` must be the one that the request was made for.
    pub(super) fn send<C: ClientContext>(
        &self,
        client: &Client<C>,
        topics: &[&str],
    ) -> Result<(), String> {
        let names = topics.iter().map(|topic| CString::new(*topic));
        let names: Vec<CString> = names
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())?;
        let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
        // SAFETY: the pointers are to strings that live until the end of this function, and the call copies them;
        // the client is alive, and the options and the queue were made for it.
        unsafe {
            let collection = native::rd_kafka_TopicCollection_of_topic_names(
                pointers.as_mut_ptr(),
                pointers.len(),
            );
            native::rd_kafka_DescribeTopics(
                client.native_ptr(),
                collection,
                self.options,
                self.queue,
            );
            native::rd_kafka_TopicCollection_destroy(collection);
        }
        Ok(())
    }

    pub(super) fn answer(&self, limit: Duration) -> Result<Answer, String> {
        // The request has a limit of its own; this is for a client that does not keep it.
        let limit_ms = i32::try_from(limit.as_millis() + 1_000).unwrap_or(i32::MAX);
        // SAFETY: the queue is alive, and the event belongs to whoever polled it.
        let event = unsafe { native::rd_kafka_queue_poll(self.queue, limit_ms) };
        if event.is_null() {
            return Err("no answer in time".to_string());
        }
        Ok(Answer(event))
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        // SAFETY: made in `new`, and destroyed once.
        unsafe {
            native::rd_kafka_AdminOptions_destroy(self.options);
            native::rd_kafka_queue_destroy(self.queue);
        }
    }
}

/// The event that answers a question.
pub(super) struct Answer(*mut native::rd_kafka_event_t);

impl Answer {
    fn rights(&self) -> Result<BTreeMap<String, Vec<Right>>, String> {
        let topics = self.topics()?.into_iter();
        // SAFETY: the descriptions belong to the event, which lives as long as this value.
        Ok(topics
            .filter_map(|topic| unsafe { of_topic(topic) })
            .collect())
    }

    /// The descriptions in the answer; they live as long as it does.
    pub(super) fn topics(&self) -> Result<Vec<*const native::rd_kafka_TopicDescription_t>, String> {
        // SAFETY: everything that is read belongs to the event, which lives as long as this value.
        unsafe {
            let code = native::rd_kafka_event_error(self.0);
            if code != native::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                return Err(text(native::rd_kafka_event_error_string(self.0)));
            }
            let result = native::rd_kafka_event_DescribeTopics_result(self.0);
            if result.is_null() {
                return Err("the answer is of another kind".to_string());
            }
            let mut count = 0;
            let topics = native::rd_kafka_DescribeTopics_result_topics(result, &mut count);
            Ok((0..count).map(|index| *topics.add(index)).collect())
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // SAFETY: the event is ours, and destroyed once.
        unsafe { native::rd_kafka_event_destroy(self.0) }
    }
}

/// Name and rights, if the broker told them.
///
/// # Safety
/// `topic` must be part of a living answer.
unsafe fn of_topic(
    topic: *const native::rd_kafka_TopicDescription_t,
) -> Option<(String, Vec<Right>)> {
    // SAFETY: as the caller promises; the operations are as many as the count says.
    unsafe {
        let mut count = 0;
        let operations = native::rd_kafka_TopicDescription_authorized_operations(topic, &mut count);
        if operations.is_null() || count == 0 {
            return None;
        }
        // Read as numbers: a newer librdkafka may know operations that the enumeration does not.
        let operations = std::slice::from_raw_parts(operations.cast::<u32>(), count);
        let name = text(native::rd_kafka_TopicDescription_name(topic));
        Some((name, operations.iter().filter_map(right).collect()))
    }
}

fn right(operation: &u32) -> Option<Right> {
    use native::rd_kafka_AclOperation_t::{
        RD_KAFKA_ACL_OPERATION_READ, RD_KAFKA_ACL_OPERATION_WRITE,
    };
    match *operation {
        read if read == RD_KAFKA_ACL_OPERATION_READ as u32 => Some(Right::Read),
        write if write == RD_KAFKA_ACL_OPERATION_WRITE as u32 => Some(Right::Write),
        _ => None,
    }
}

/// # Safety
/// `pointer` must be null or to a C string.
pub(super) unsafe fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(pointer) }
        .to_string_lossy()
        .into_owned()
}
