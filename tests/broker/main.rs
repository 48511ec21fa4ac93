//! The tests that need a real Apache Kafka, in one binary, so that they share one broker: what only
//! a broker can show, such as transactions, fencing, compaction and its own restarts. Everything
//! else is tested without one.

#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::too_many_lines,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test fails by a panic, says on its output what it found, and what is long in it is a table of cases"
)]

#[path = "../support/mod.rs"]
mod support;

mod barrier;
mod changed_tables;
mod commands;
mod damage;
mod deaf;
mod demands;
mod exactly_once;
mod held;
mod hostile;
mod lag;
mod ledger;
mod membership;
mod memory;
mod positions;
mod relay_tables;
mod remade;
mod retention;
mod returning;
mod security;
mod sessions;
mod start;
mod support_works;
mod tables;
mod throttled;
mod unpublishable;
