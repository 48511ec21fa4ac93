//! Shared by all Kafka clients: log and error handling, OAuth tokens, look-ups.

mod broker_errors;
pub mod context;
pub mod error;
pub(in crate::kafka) mod lookup;
pub(in crate::kafka) mod oauth;
