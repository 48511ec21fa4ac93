//! The few librdkafka calls that the safe client lacks or makes expensive per record. They take
//! records from the consumer without an event for each, pass records to the producer without
//! looking up the topic by name, query the broker for the relay's ACLs and a topic's id, read from
//! the client where a log starts, and set OAuth tokens. This is the only folder with `unsafe` code.
//! Its interface is safe: everything that points to a client is owned together with the client, or
//! borrows from it.

#![allow(unsafe_code, reason = "these calls have no safe form in the client: decision 9")]

mod describe_topics;
mod error_number;
mod log_start;
mod membership;
mod partition_list;
mod record;
mod record_queue;
mod served_producer;
mod token;
mod topic_identity;
mod topic_producer;
mod topic_rights;

pub(super) use describe_topics::TopicId;
pub(super) use log_start::log_start;
pub(super) use membership::has_member_id;
pub(super) use partition_list::{leader_epoch, metadata, set_leader_epoch};
pub(super) use record::{NativeRecord, QueueItem, ReadError};
pub(super) use record_queue::{QueueHandle, QueuedConsumer};
pub(super) use served_producer::ServedProducer;
pub(super) use token::set_token;
pub(super) use topic_identity::{
    IdentityRequest, TopicIdentity, Undescribed, broker_to_query, topic_identity,
};
pub(super) use topic_producer::{Headers, OutgoingRecord, Refused, TopicProducer};
pub use topic_rights::Right;
pub(super) use topic_rights::rights_on;
