//! The edge: the only folder that names the Kafka client. It turns librdkafka's callbacks, error codes
//! and timeouts into the few words of [`crate::stream`]. It decides nothing about records.

mod broker_trouble;
pub mod check;
pub mod client_context;
pub mod consumer;
mod delivery;
pub mod embedded;
mod ends;
pub mod error;
mod follower;
mod group_positions;
mod incoming;
pub mod input_ends;
pub mod inspect;
mod member;
mod native;
mod obstacles;
mod outgoing;
mod placing;
mod positions;
pub mod producer;
mod reach;
mod reading_log;
pub mod session;
pub mod settings;
pub mod table;
mod tokens;
mod topic_watch;
pub mod topics;

/// Version of the librdkafka that is linked, e.g. `2.12.1`.
pub fn librdkafka_version() -> String {
    rdkafka::util::get_rdkafka_version().1
}
