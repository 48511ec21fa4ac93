//! The edge: the only folder that names the Kafka client. It turns librdkafka's callbacks, error
//! codes and timeouts into the few words of [`crate::stream`]. It decides nothing about records.

pub mod check;
pub mod client;
pub mod consumer;
pub mod demo_broker;
pub mod followers;
pub mod inspect;
mod native;
pub mod producer;
mod replaced;
pub mod session;
pub mod settings;
pub mod topics;

pub use replaced::{OnReplaced, Replaced};

/// Version of the librdkafka that is linked, e.g. `2.12.1`.
pub fn librdkafka_version() -> String {
    rdkafka::util::get_rdkafka_version().1
}
