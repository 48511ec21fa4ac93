//! Everything that needs no broker. One binary, so that it is linked once.

// Cargo says so of every test and benchmark; for clippy it is what clippy.toml allows in tests.
#![cfg(test)]
#![allow(unreachable_pub, reason = "a program exports nothing")]

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
