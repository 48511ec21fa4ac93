//! The tests that need a real Apache Kafka, in one binary, so that they share one broker. They test
//! what only a broker can show, such as transactions, fencing, compaction and broker restarts.

// Cargo sets `test` here anyway. Clippy must see it to apply the test exceptions of clippy.toml.
#![cfg(test)]
#![allow(unreachable_pub, reason = "a program exports nothing")]

mod barrier;
mod changed_tables;
mod chart;
mod commands;
mod damage;
mod documented;
mod exactly_once;
mod held;
mod hostile;
mod input_replay;
mod killed;
mod lag;
mod ledger;
mod membership;
mod memory;
mod operator;
mod picture;
mod positions;
mod relay_tables;
mod remade;
mod replayed;
mod requirements;
mod retention;
mod returning;
mod sealed;
mod security;
mod service;
mod sessions;
mod stale_member;
mod start;
mod status;
mod tables;
mod testkit;
mod throttled;
mod trail;
mod unpublishable;
mod versions;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_audit-relay");
