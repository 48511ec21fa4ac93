//! Reads and sets the parts of a partition list that the safe client does not offer: leader epochs,
//! and metadata that need not be UTF-8. If an offset is committed or sought with the epoch of its
//! record, the client can detect that the log was truncated before it.

use std::ffi::CString;
use std::ptr::NonNull;
use std::slice;

use rdkafka::bindings::{
    rd_kafka_topic_partition_get_leader_epoch, rd_kafka_topic_partition_list_find,
    rd_kafka_topic_partition_set_leader_epoch, rd_kafka_topic_partition_t,
};
use rdkafka::topic_partition_list::TopicPartitionList;

/// librdkafka's number for an unknown epoch.
const UNKNOWN: i32 = -1;

/// Sets or removes the leader epoch of a partition's offset. Returns whether the list contains the
/// partition.
pub(crate) fn set_leader_epoch(
    list: &mut TopicPartitionList,
    topic: &str,
    partition: i32,
    epoch: Option<i32>,
) -> bool {
    let Some(element) = find(list, topic, partition) else {
        return false;
    };
    // SAFETY: the element is part of the list, which is borrowed mutably.
    unsafe {
        rd_kafka_topic_partition_set_leader_epoch(element.as_ptr(), epoch.unwrap_or(UNKNOWN));
    }
    true
}

/// Returns the leader epoch of a partition's offset, if the list has one.
pub(crate) fn leader_epoch(list: &TopicPartitionList, topic: &str, partition: i32) -> Option<i32> {
    let element = find(list, topic, partition)?;
    // SAFETY: the element is part of the list, which is borrowed.
    let epoch = unsafe { rd_kafka_topic_partition_get_leader_epoch(element.as_ptr()) };
    known_epoch(epoch)
}

/// Returns the metadata of a partition's offset; empty if there is none. Bytes that are not UTF-8
/// become replacement characters; the safe client's own accessor panics on them, and another
/// program may have committed them.
pub(crate) fn metadata(list: &TopicPartitionList, topic: &str, partition: i32) -> String {
    let Some(element) = find(list, topic, partition) else {
        return String::new();
    };
    // SAFETY: the element is part of the list, which is borrowed.
    let (bytes, length) = unsafe {
        let element = element.as_ref();
        (element.metadata.cast::<u8>().cast_const(), element.metadata_size)
    };
    if bytes.is_null() || length == 0 {
        return String::new();
    }
    // SAFETY: librdkafka keeps `length` bytes there for as long as the list, which is borrowed.
    let bytes = unsafe { slice::from_raw_parts(bytes, length) };
    String::from_utf8_lossy(bytes).into_owned()
}

/// Returns the epoch, unless librdkafka reports it as unknown.
pub(super) fn known_epoch(epoch: i32) -> Option<i32> {
    (epoch > UNKNOWN).then_some(epoch)
}

fn find(
    list: &TopicPartitionList,
    topic: &str,
    partition: i32,
) -> Option<NonNull<rd_kafka_topic_partition_t>> {
    let topic = CString::new(topic).ok()?;
    // SAFETY: the list is alive, since it is borrowed; the name is a C string. The call changes
    // nothing.
    let element =
        unsafe { rd_kafka_topic_partition_list_find(list.ptr(), topic.as_ptr(), partition) };
    NonNull::new(element)
}

#[cfg(test)]
mod tests {
    use rdkafka::topic_partition_list::Offset;

    use super::*;

    fn list() -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for partition in [3, 4] {
            let added = list.add_partition_offset("in", partition, Offset::Offset(100));
            added.expect("add");
        }
        list
    }

    #[test]
    fn an_epoch_is_set_for_one_partition() {
        let mut list = list();
        assert_eq!(leader_epoch(&list, "in", 3), None);
        assert!(set_leader_epoch(&mut list, "in", 3, Some(7)));
        assert_eq!(leader_epoch(&list, "in", 3), Some(7));
        assert_eq!(leader_epoch(&list, "in", 4), None);
        assert!(set_leader_epoch(&mut list, "in", 4, Some(0)));
        assert_eq!(leader_epoch(&list, "in", 4), Some(0));
    }

    #[test]
    fn an_epoch_can_be_removed_and_is_copied_with_the_list() {
        let mut list = list();
        assert!(set_leader_epoch(&mut list, "in", 3, Some(7)));
        let copy = list.clone();
        assert!(set_leader_epoch(&mut list, "in", 3, None));
        assert_eq!(leader_epoch(&list, "in", 3), None);
        assert_eq!(leader_epoch(&copy, "in", 3), Some(7));
        let element = copy.find_partition("in", 3).expect("element");
        assert_eq!(element.offset(), Offset::Offset(100));
    }

    #[test]
    fn metadata_may_hold_any_bytes() {
        let list = list();
        assert_eq!(metadata(&list, "in", 3), "");
        list.find_partition("in", 3).expect("element").set_metadata("head é");
        assert_eq!(metadata(&list, "in", 3), "head é");
        assert_eq!(metadata(&list, "in", 4), "");
        let element = find(&list, "in", 3).expect("element");
        // SAFETY: the metadata has several bytes, and nothing else uses the list.
        unsafe { *(*element.as_ptr()).metadata.cast::<u8>() = 0xff };
        assert_eq!(metadata(&list, "in", 3), "\u{fffd}ead é");
    }

    #[test]
    fn a_partition_that_is_not_in_the_list_has_no_epoch() {
        let mut list = list();
        for (topic, partition) in [("in", 5), ("out", 3), ("i\0n", 3)] {
            assert!(!set_leader_epoch(&mut list, topic, partition, Some(7)));
            assert_eq!(leader_epoch(&list, topic, partition), None);
            assert_eq!(metadata(&list, topic, partition), "");
        }
    }
}
