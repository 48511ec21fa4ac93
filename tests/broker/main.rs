//! The tests that need a real Apache Kafka, in one binary, so that they share one broker: what only a broker can show, such as
//! transactions, fencing, compaction and its own restarts. Everything else is tested without one.

#[path = "../support/mod.rs"]
mod support;

mod barrier;
mod changed_tables;
mod commands;
mod deaf;
mod demands;
mod exactly_once;
mod hostile;
mod lag;
mod ledger;
mod relay_tables;
mod retention;
mod security;
mod support_works;
mod tables;
