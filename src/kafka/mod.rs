//! Connects the relay to Kafka. This is the only folder that uses the Kafka client. It translates
//! librdkafka's callbacks, error codes and timeouts into the types of [`crate::stream`]. It decides
//! nothing about records.

pub mod check;
pub mod client;
pub mod consumer;
pub mod demo_broker;
pub mod followers;
pub mod inspect;
mod native;
pub mod offline;
pub mod producer;
mod range_reader;
mod replaced;
pub mod replayer;
mod seal_log;
pub mod session;
pub mod settings;
pub mod topics;
pub mod trail_reader;

pub use range_reader::Ranges;
pub use replaced::{OnReplaced, Replaced};

/// Returns the version of the linked librdkafka, e.g. `2.12.1`.
pub fn librdkafka_version() -> String {
    rdkafka::util::get_rdkafka_version().1
}
