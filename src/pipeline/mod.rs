//! The pure core: bytes in, fate out. No IO, clock, log, metric, panic or Kafka type.

pub mod catalog;
mod data_file;
pub mod regions;
