//! Short forms of what a scripted broker brings, for unit tests.

use super::{
    GroupEvent, OwnedHeaders, Partition, PartitionEvent, PartitionFault, Polled, Position,
    ResumePoint, SourceRecord,
};

pub(crate) fn assigned(partitions: &[Partition]) -> Polled<'static> {
    group(GroupEvent::Assigned(partitions.to_vec()))
}

pub(crate) fn revoked(partitions: &[Partition]) -> Polled<'static> {
    group(GroupEvent::Revoked(partitions.to_vec()))
}

pub(crate) fn lost(partitions: &[Partition]) -> Polled<'static> {
    group(GroupEvent::Lost(partitions.to_vec()))
}

fn group(event: GroupEvent) -> Polled<'static> {
    // A test's few events may stay in memory.
    Polled::Group(Box::leak(Box::new(event)))
}

/// The place of a partition of which everything before this offset is committed.
pub(crate) fn at(partition: Partition, next_offset: i64) -> ResumePoint {
    let metadata = String::new();
    ResumePoint::At(Position { partition, next_offset, leader_epoch: None, metadata })
}

pub(crate) fn placed(partition: Partition, offset: i64) -> Polled<'static> {
    Polled::Partition(partition, PartitionEvent::Placed(at(partition, offset)))
}

pub(crate) fn end(partition: Partition, offset: i64) -> Polled<'static> {
    Polled::Partition(partition, PartitionEvent::End { offset, log: &None })
}

pub(crate) fn failed(partition: Partition, fault: PartitionFault) -> Polled<'static> {
    Polled::Partition(partition, PartitionEvent::Failed(fault))
}

/// A record without anything in it.
pub(crate) fn record(partition: Partition, offset: i64) -> SourceRecord<'static> {
    const NO_HEADERS: &OwnedHeaders = &Vec::new();
    SourceRecord {
        partition,
        offset,
        timestamp_ms: None,
        key: None,
        payload: None,
        headers: NO_HEADERS,
        leader_epoch: None,
        log: &None,
    }
}
