//! The few calls of librdkafka that the safe client lacks, or makes dear for each record: records
//! are taken from the consumer without an event for each, and handed to the producer without
//! looking up their topic by name; the broker is asked what the relay may do and which topic it has
//! under a name, the client where a log begins, and tokens are handed over. This is the only folder
//! with `unsafe` code; what it offers is safe to use: whatever points to a client is owned together
//! with the client, or borrows from it.

#![allow(unsafe_code, reason = "these calls have no safe form in the client: decision 9")]

mod describe_topics;
mod error_number;
mod leader_epoch;
mod log_start;
mod membership;
mod record;
mod record_queue;
mod token;
mod topic_identity;
mod topic_producer;
mod topic_rights;

pub(super) use describe_topics::TopicId;
pub(super) use leader_epoch::{leader_epoch, set_leader_epoch};
pub(super) use log_start::log_start;
pub(super) use membership::has_member_id;
pub(super) use record::{NativeRecord, News, ReadError};
pub(super) use record_queue::{QueueHandle, QueuedConsumer};
pub(super) use token::set_token;
pub(super) use topic_identity::{
    IdentityQuestion, TopicIdentity, Undescribed, broker_to_ask, topic_identity,
};
pub(super) use topic_producer::{Headers, OutgoingRecord, Refused, TopicProducer};
pub(super) use topic_rights::{Right, rights_on};
