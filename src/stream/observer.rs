//! The seam between the loop and those that count and watch it.

use std::time::Duration;

use super::batch::Batch;
use super::broker::{Failure, GroupEvent};
use super::fault::PartitionFault;
use super::record::Partition;

/// Something that happened in the loop. Records are not reported one by one.
#[derive(Debug)]
pub enum WorkerEvent<'a> {
    /// A rebalance, or statistics.
    Group(&'a GroupEvent),
    /// The end of a partition was reached, and no record of it waits to be committed. If one does,
    /// the tally of its batch says `at_end` instead.
    EndReached(Partition),
    /// A partition is held, on this attempt in a row; the others continue.
    Held(Partition, &'a PartitionFault, u32),
    /// A held partition is read again.
    Released(Partition),
    /// A batch is complete and about to be published, after the read barrier if one of its records
    /// needs it. If that hangs or fails, these records wait.
    Publishing(&'a Batch),
    /// A batch was committed; it took this long from its first record.
    Committed(&'a Batch, Duration),
    /// A step failed; the worker recovers from it.
    Failed(&'a Failure),
    /// The worker has recovered from the last failure.
    Recovered,
}

/// Watches a worker.
pub trait Observer {
    /// Takes note of an event.
    fn on_event(&mut self, event: WorkerEvent<'_>);
}
