//! The few calls of librdkafka that the safe client lacks, or makes dear for each record: records are taken from
//! the consumer without an event for each, and handed to the producer without looking up their topic by name; the broker is asked what the relay may do and which topic it has under a name, the client where a log begins, and tokens are handed
//! over. This is the only folder with `unsafe` code; what it offers is safe to use.

#![allow(unsafe_code)]

mod log_start;
mod membership;
mod record_queue;
mod token;
mod topic_identity;
mod topic_rights;
mod topic_writer;

pub(super) use log_start::log_start;
pub(super) use membership::has_member_id;
pub(super) use record_queue::{NativeRecord, News, RecordQueue};
pub(super) use token::set_token;
pub(super) use topic_identity::{IdentityQuestion, TopicId, TopicIdentity, Undescribed};
pub(super) use topic_rights::{Right, rights_on};
pub(super) use topic_writer::{Headers, TopicWriter, flush};
