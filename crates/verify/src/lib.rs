//! Verifies a trail. It is given every record of the trail, first the seals, then the events
//! partition by partition, and finds what does not agree with what trusted keys have signed. It
//! reads neither Kafka nor a clock; what would grow with the trail lies in a temporary file.
//!
//! 1. [`Seals`] takes the records of the checkpoints topic: signatures, numbers, links, and which
//!    part of the input each seal covers. The heads that they sign become blocks.
//! 2. [`PartitionVerifier`] takes the records of one output partition, and confirms them block by
//!    block: an event counts only if a path of hashes leads from a signed head back to it.
//! 3. [`Report`] is the verdict.

#![forbid(unsafe_code)]

mod block;
mod finding;
mod partition;
mod record;
mod report;
mod seals;
mod spill;

pub use self::finding::{Exit, Findings, Label};
pub use self::partition::{PartitionReport, PartitionVerifier};
pub use self::record::{Place, Record, SealRecord};
pub use self::report::{QuarantineTotals, Questions, Report, Step, conclude, verify_partitions};
pub use self::seals::{LastSeal, Options, Remembered, Sealed, Seals, Totals};
