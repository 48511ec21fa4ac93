//! Asks the broker whether a topic is still the one that it was: its id and its partition count, in one request that
//! does not block the caller. The safe client hands on no id.

use std::marker::PhantomData;
use std::time::Duration;

use rdkafka::bindings as native;
use rdkafka::client::{Client, ClientContext};

use super::topic_rights::{Request, text};

/// librdkafka's name of the error that says that there is no such topic.
const MISSING: &str = "UNKNOWN_TOPIC_OR_PART";

/// What tells a topic from one that had its name before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicId(pub i64, pub i64);

/// A topic, as a broker describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicIdentity {
    /// Its id; brokers before 2.8 tell none.
    pub id: Option<TopicId>,
    /// How many partitions it has.
    pub partitions: i32,
}

/// Why a topic was not described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undescribed {
    /// The broker says that there is no such topic.
    Missing,
    /// Anything else, in words.
    Failed(String),
}

/// A question that is under way. It borrows its client, which must outlive it.
pub struct IdentityQuestion<'a> {
    request: Request,
    limit: Duration,
    client: PhantomData<&'a ()>,
}

impl<'a> IdentityQuestion<'a> {
    /// Asks the broker of this id.
    ///
    /// # Errors
    /// If the name of the topic is none.
    pub fn ask<C: ClientContext>(
        client: &'a Client<C>,
        broker: i32,
        topic: &str,
        limit: Duration,
    ) -> Result<Self, String> {
        let request = Request::new(client, broker, limit)?;
        request.send(client, &[topic])?;
        Ok(IdentityQuestion {
            request,
            limit,
            client: PhantomData,
        })
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// See [`Undescribed`].
    pub fn answer(self) -> Result<TopicIdentity, Undescribed> {
        let answer = self
            .request
            .answer(self.limit)
            .map_err(Undescribed::Failed)?;
        let topics = answer.topics().map_err(Undescribed::Failed)?;
        let [topic] = topics[..] else {
            let problem = "the answer is not of one topic".to_string();
            return Err(Undescribed::Failed(problem));
        };
        // SAFETY: the description is part of the answer, which lives until the end of this function.
        unsafe { identity(topic) }
    }
}

/// # Safety
/// `topic` must be part of a living answer.
unsafe fn identity(
    topic: *const native::rd_kafka_TopicDescription_t,
) -> Result<TopicIdentity, Undescribed> {
    // SAFETY: as the caller promises; what is read belongs to the description.
    unsafe {
        let error = native::rd_kafka_TopicDescription_error(topic);
        if !error.is_null() {
            // By name: a newer broker may answer with a code that the enumeration lacks.
            if text(native::rd_kafka_error_name(error)) == MISSING {
                return Err(Undescribed::Missing);
            }
            let why = text(native::rd_kafka_error_string(error));
            return Err(Undescribed::Failed(why));
        }
        let mut count = 0;
        native::rd_kafka_TopicDescription_partitions(topic, &mut count);
        let id = native::rd_kafka_TopicDescription_topic_id(topic);
        let id = (!id.is_null()).then(|| {
            let high = native::rd_kafka_Uuid_most_significant_bits(id);
            TopicId(high, native::rd_kafka_Uuid_least_significant_bits(id))
        });
        Ok(TopicIdentity {
            id: id.filter(|id| *id != TopicId(0, 0)),
            partitions: i32::try_from(count).unwrap_or(i32::MAX),
        })
    }
}
