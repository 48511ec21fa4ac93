//! audit-relay reads infrastructure state changes from a Kafka topic, keeps the user-initiated
//! actions of principals with Infrastructure access, and writes one Activity Tracker audit event to
//! the topic of its region: exactly once, every record accounted for.
//!
//! What happens to a record is five calls: `parse`, `classify`, `enrich`, `route`, `format`
//! ([`audit_judge::judge`]). Around them lie three rings, and arrows point inward only:
//!
//! - [`audit_judge`] (`crates/judge`) is pure: bytes in, a fate out.
//! - [`stream`] is the loop: partitions, offsets, batches, and a small `Broker` trait.
//! - [`kafka`] is the edge: the only folder that names the Kafka client.
//!
//! [`relay`] is the running process and wires them; [`commands`] are what a person types.
//! [`config`] holds the settings, [`deployment`] what they name, [`tables`] the reference tables as
//! all threads share them, [`quarantine`] the headers of quarantined records, [`liveness`] detects
//! stalls, [`metrics`] counts. Read `crates/judge/src/lib.rs`, then `stream/worker/mod.rs`, then `kafka/session.rs`;
//! `docs/architecture.md` says why.

pub mod commands;
pub mod config;
pub mod deployment;
pub mod kafka;
pub mod liveness;
pub mod logging;
pub mod metrics;
pub mod quarantine;
pub mod relay;
pub mod stream;
pub mod tables;
