//! audit-relay reads infrastructure state changes from a Kafka topic, keeps the user-initiated
//! actions of principals with Infrastructure access, and writes one Activity Tracker audit event
//! for each to the topic of its region: exactly once, and every record is accounted for.
//!
//! A record passes through five calls: `parse`, `classify`, `enrich`, `route`, `format`
//! ([`audit_judge::judge`]). The code has three layers, and dependencies point inward only:
//!
//! - [`audit_judge`] (`crates/judge`) is pure: bytes in, a fate out.
//! - [`stream`] is the loop: partitions, offsets, batches, and a small `Broker` trait.
//! - [`kafka`] is the edge: the only folder that names the Kafka client.
//!
//! [`relay`] is the running process and wires them; [`commands`] are the commands of the program.
//! [`config`] reads the settings, [`deployment`] loads what they name, [`tables`] shares the
//! reference tables between threads, [`compose`] builds the records that are written,
//! [`quarantine`] is about quarantined ones, [`sealing`] proves what is written,
//! `http_client` sends requests, [`liveness`] detects hangs and stalls, [`metrics`] counts,
//! [`status`] shows the state of the process, [`logging`] sets up the log. Read
//! `crates/judge/src/lib.rs`, then `stream/worker/mod.rs`, then `kafka/session.rs`;
//! `docs/architecture.md` gives the reasons.

pub mod commands;
pub mod compose;
pub mod config;
pub mod deployment;
mod http_client;
pub mod kafka;
pub mod liveness;
mod lock;
pub mod logging;
pub mod metrics;
pub mod quarantine;
pub mod relay;
pub mod sealing;
pub mod status;
pub mod stream;
pub mod tables;
