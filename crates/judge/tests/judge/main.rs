//! Tests judging without a relay: the cases, decision tables and properties of any input. One
//! binary, so that it is linked once; it builds no C library.

// Cargo sets `test` here anyway. Clippy must see it to apply the test exceptions of clippy.toml.
#![cfg(test)]
#![allow(unreachable_pub, reason = "a program exports nothing")]

mod allocations;
mod clock_skew;
mod corpus;
mod decisions;
mod device_table;
mod entries;
mod entry_values;
mod event_ids;
mod framings;
mod golden;
mod hostile;
mod properties;
mod schemas;
mod severities;
mod sizes;
mod table_records;
