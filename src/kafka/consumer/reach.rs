//! Up to where each partition was read, to notice what was deleted before that: retention does not
//! wait for readers. The client goes on at the beginning of what is left, with a warning in its
//! log; but every record is to be accounted for, and of these nobody can say what they held.

use std::ops::Range;

use crate::stream::Partition;

/// For each partition the offset that is read next, where it is known.
#[derive(Debug, Default)]
pub(in crate::kafka) struct Reach {
    /// By the number of the partition.
    next: Vec<Option<i64>>,
}

impl Reach {
    /// The offset that is read next.
    pub(super) fn of(&self, partition: Partition) -> Option<i64> {
        self.next.get(index(partition)).copied().flatten()
    }

    /// Everything before this offset was read, or was not there.
    pub(super) fn set(&mut self, partition: Partition, next: i64) {
        *self.entry(partition) = Some(next);
    }

    /// These are read from wherever the group has come to.
    pub(super) fn forget(&mut self, partitions: &[Partition]) {
        for partition in partitions {
            *self.entry(*partition) = None;
        }
    }

    fn entry(&mut self, partition: Partition) -> &mut Option<i64> {
        let index = index(partition);
        if self.next.len() <= index {
            self.next.resize(index + 1, None);
        }
        &mut self.next[index]
    }
}

fn index(partition: Partition) -> usize {
    // There are no partitions below zero.
    usize::try_from(partition.0).unwrap_or_default()
}

/// What is gone for ever when reading goes on from `next` to `offset`, and the log begins at
/// `log_start`. Any other gap is what transactions and compaction leave. A log that begins behind
/// `offset` was cut off after that was fetched.
pub(in crate::kafka) fn deleted(next: i64, offset: i64, log_start: i64) -> Option<Range<i64>> {
    (next < log_start && log_start <= offset).then_some(next..log_start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_log_has_lost_is_deleted() {
        for (next, offset, log_start, expected) in [
            (10, 10, 0, None),
            // A marker of a transaction, or what compaction left out.
            (10, 12, 0, None),
            (10, 12, 10, None),
            (10, 30, 30, Some(10..30)),
            // What the log begins with may be a marker as well.
            (10, 31, 30, Some(10..30)),
            // Offset 12 was fetched before the log was cut off at 30.
            (10, 12, 30, None),
        ] {
            assert_eq!(deleted(next, offset, log_start), expected, "{next} {offset} {log_start}");
        }
    }

    #[test]
    fn a_partition_is_known_until_it_is_assigned_anew() {
        let mut reach = Reach::default();
        assert_eq!(reach.of(Partition(3)), None);
        reach.set(Partition(3), 7);
        reach.set(Partition(1), 8);
        assert_eq!(reach.of(Partition(3)), Some(7));
        reach.forget(&[Partition(3), Partition(5)]);
        assert_eq!(reach.of(Partition(3)), None);
        assert_eq!(reach.of(Partition(1)), Some(8));
    }
}
