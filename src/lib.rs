//! audit-relay reads infrastructure state changes from a Kafka topic, keeps the user-initiated actions
//! of principals with Infrastructure access, and writes one Activity Tracker audit event to the topic
//! of its region: exactly once, every record accounted for.
//!
//! What happens to a record is five calls: `parse`, `classify`, `enrich`, `route`, `format`
//! ([`audit_judge::judge`]). Around them lie three rings, and arrows point inward only:
//!
//! - [`audit_judge`] (`crates/judge`) is pure: bytes in, a fate out.
//! - [`stream`] is the loop: partitions, offsets, batches, and a small `Broker` trait.
//! - [`kafka`] is the edge: the only folder that names the Kafka client.
//!
//! [`app`] wires them; [`commands`] are what a person types. Read `crates/judge/src/lib.rs`, then
//! `stream/worker.rs`, then `kafka/session.rs`; `docs/architecture.md` says why.

#![deny(unsafe_code)]

pub mod admin;
pub mod app;
pub mod assemble;
pub mod cli;
pub mod commands;
pub mod config;
pub mod exit;
pub mod grace;
pub mod health;
pub mod kafka;
pub mod logging;
pub mod metrics;
mod quiet;
pub mod reopening;
pub mod start_check;
pub mod stream;
pub mod supervise;
pub mod table_feed;
pub mod table_files;
pub mod table_judge;
pub mod tables;
mod threads;
pub mod warnings;
pub mod watchdog;
pub mod worker_thread;
