//! The offsets that a transaction commits, as the client takes them.

use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::kafka::native::set_leader_epoch;
use crate::stream::{Failure, Position};

/// Returns the client's list of these positions in a topic.
///
/// # Errors
/// Fails with [`Failure::Fatal`] for an offset that is not valid: the client would silently drop
/// it.
pub(in crate::kafka) fn offset_list(
    topic: &str,
    positions: &[Position],
) -> Result<TopicPartitionList, Failure> {
    let mut list = TopicPartitionList::with_capacity(positions.len());
    for position in positions {
        if position.next_offset < 0 {
            return Err(Failure::Fatal(format!(
                "partition {} has an invalid offset {}",
                position.partition, position.next_offset
            )));
        }
        let mut element = list.add_partition(topic, position.partition.0);
        element
            .set_offset(Offset::Offset(position.next_offset))
            .map_err(|error| Failure::Fatal(format!("set the offset of a partition: {error}")))?;
        if !position.metadata.is_empty() {
            element.set_metadata(&position.metadata);
        }
        set_leader_epoch(&mut list, topic, position.partition.0, position.leader_epoch);
    }
    Ok(list)
}
