//! What every client of Kafka here has: its log, its tokens, and how its errors are sorted.

mod broker_trouble;
pub mod context;
pub mod error;
pub(in crate::kafka) mod lookup;
pub(in crate::kafka) mod oauth;
