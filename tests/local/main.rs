//! Everything that needs no broker. One binary, so that it is linked once.

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

mod allocations;
mod clock_skew;
mod commands;
mod corpus;
mod decisions;
mod deploy;
mod device_table;
mod entries;
mod entry_values;
mod event_ids;
mod exits;
mod explained;
mod framings;
mod golden;
mod hostile;
mod mock;
mod plan;
mod properties;
mod records;
mod refusals;
mod schemas;
mod secrets;
mod severities;
mod simulation;
mod sizes;
mod sources;
mod table_files;
mod table_records;
mod tidy;
mod unreadable;
