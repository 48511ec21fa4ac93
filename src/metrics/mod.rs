//! The metrics for Prometheus. Values change once per batch, never per record; lag and readiness
//! are computed at scrape time.
//!
//! A record is counted when its commit is confirmed. Records that a process read and did not commit
//! are read again, so the counters of all processes add up to the input. The exception is a commit
//! whose response was lost: no process counts it.

mod anchors;
mod held;
mod observer;
mod registry;
mod scrape;
mod table;
mod tables;
#[cfg(test)]
mod tests;
mod unlisted;

pub use crate::liveness::board::{PartitionBoard, PartitionView};
pub use held::InputName;
pub use observer::WorkerObserver;
pub use registry::{Counts, Metrics};
pub use table::{METRICS, Metric, MetricType, metrics_markdown};
pub use unlisted::{NameCount, UnlistedView};
