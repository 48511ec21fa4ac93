//! Detects, from the results of look-ups, that a table's topic is no longer the one that was read.
//! Pure: takes what the brokers reported.

use std::fmt;
use std::time::{Duration, Instant};

use crate::kafka::native::{TopicId, TopicIdentity};
use crate::tables::TableOffsets;

/// How long signs of a change must last until the topic is read again: a starting broker may not
/// know everything yet.
const CONFIRMATION: Duration = Duration::from_secs(3);
/// The same for an end offset that regressed: until its session ends, a deposed leader may report
/// an outdated end.
const END_CONFIRMATION: Duration = Duration::from_secs(10);

/// A sign that the topic is no longer the one that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kafka) enum Change {
    /// There is no topic of this name.
    Missing,
    /// The topic has another id: it was deleted and created again.
    Recreated,
    /// The topic had more partitions.
    LostPartitions { had: i32, has: i32 },
    /// The end offset of a partition is lower than one that was looked up or read before.
    EndRegressed { partition: i32, known: i64, end: i64 },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Missing => f.write_str("was deleted"),
            Change::Recreated => f.write_str("was deleted and created again"),
            Change::LostPartitions { had, has } => {
                write!(f, "has {has} partitions, down from {had}")
            }
            Change::EndRegressed { partition, known, end } => write!(
                f,
                "regressed: partition {partition} ends at offset {end}, but was at {known} before"
            ),
        }
    }
}

impl Change {
    fn confirmation(&self) -> Duration {
        match self {
            Change::EndRegressed { .. } => END_CONFIRMATION,
            Change::Missing | Change::Recreated | Change::LostPartitions { .. } => CONFIRMATION,
        }
    }
}

/// What is known of a topic.
#[derive(Debug, Default)]
pub(in crate::kafka) struct TopicWatch {
    id: Option<TopicId>,
    ends: TableOffsets,
    /// When look-ups began to show a change.
    first_sign: Option<Instant>,
}

impl TopicWatch {
    /// Returns the partition count, as far as it is known.
    pub(super) fn partitions(&self) -> i32 {
        i32::try_from(self.ends.len()).unwrap_or(i32::MAX)
    }

    /// Returns a change if this cannot be the known topic.
    pub(super) fn compare(&self, identity: TopicIdentity) -> Option<Change> {
        let (had, has) = (self.partitions(), identity.partitions);
        match (self.id, identity.id) {
            (Some(known), Some(id)) if known != id => Some(Change::Recreated),
            _ => (has < had).then_some(Change::LostPartitions { had, has }),
        }
    }

    /// Handles that there is no such topic: a change, if there was one.
    pub(super) fn missing(&self) -> Option<Change> {
        (!self.ends.is_empty()).then_some(Change::Missing)
    }

    /// Returns a change if a partition ends before its known end, or before what was read.
    pub(super) fn regressed(
        &self,
        ends: &TableOffsets,
        positions: &TableOffsets,
    ) -> Option<Change> {
        ends.iter().find_map(|(partition, end)| {
            let known = [self.ends.get(partition), positions.get(partition)];
            let known = known.into_iter().flatten().max().copied()?;
            (*end < known).then_some(Change::EndRegressed {
                partition: *partition,
                known,
                end: *end,
            })
        })
    }

    /// Records that the topic is unchanged, with its current ends.
    pub(super) fn accept(&mut self, identity: TopicIdentity, ends: &TableOffsets) {
        self.id = identity.id.or(self.id);
        self.ends.clone_from(ends);
        self.first_sign = None;
    }

    /// Returns whether this is the first sign of a change.
    pub(super) fn is_first_sign(&self) -> bool {
        self.first_sign.is_none()
    }

    /// Returns whether the change is certain, because the signs have lasted. Then all knowledge of
    /// the topic is dropped.
    pub(super) fn is_certain(&mut self, change: Change, now: Instant) -> bool {
        let since = *self.first_sign.get_or_insert(now);
        let certain = now.duration_since(since) >= change.confirmation();
        if certain {
            *self = TopicWatch::default();
        }
        certain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Option<TopicId> = Some(TopicId(1, 1));

    fn topic(id: Option<TopicId>, partitions: i32) -> TopicIdentity {
        TopicIdentity { id, partitions }
    }

    /// A topic of two partitions, the first of which ends at 10.
    fn known() -> TopicWatch {
        let mut watch = TopicWatch::default();
        watch.accept(topic(ID, 2), &TableOffsets::from([(0, 10), (1, 0)]));
        watch
    }

    #[test]
    fn a_recreated_topic_is_detected() {
        let other = Some(TopicId(1, 2));
        let lost = Change::LostPartitions { had: 2, has: 1 };
        let cases = [
            (topic(ID, 2), None),
            (topic(ID, 3), None),
            (topic(None, 2), None),
            (topic(other, 2), Some(Change::Recreated)),
            (topic(other, 9), Some(Change::Recreated)),
            (topic(ID, 1), Some(lost)),
            (topic(None, 1), Some(lost)),
        ];
        for (identity, expected) in cases {
            assert_eq!(known().compare(identity), expected, "{identity:?}");
            assert_eq!(TopicWatch::default().compare(identity), None);
        }
        assert_eq!(known().missing(), Some(Change::Missing));
        assert_eq!(
            TopicWatch::default().missing(),
            None,
            "a topic that was never there is waited for"
        );
    }

    #[test]
    fn an_end_before_the_known_end_or_position_is_a_change() {
        let regressed = |ends: &[(i32, i64)], positions: &[(i32, i64)]| {
            let offsets = |list: &[(i32, i64)]| list.iter().copied().collect::<TableOffsets>();
            known().regressed(&offsets(ends), &offsets(positions))
        };
        assert_eq!(regressed(&[(0, 10), (1, 0), (2, 0)], &[(0, 10)]), None);
        let regression =
            |partition, known, end| Some(Change::EndRegressed { partition, known, end });
        assert_eq!(regressed(&[(0, 9), (1, 0)], &[]), regression(0, 10, 9));
        assert_eq!(regressed(&[(0, 11), (1, 0)], &[(0, 12)]), regression(0, 12, 11));
        assert_eq!(regressed(&[(0, 10), (1, 0)], &[(1, 1)]), regression(1, 1, 0));
    }

    #[test]
    fn a_change_must_last_and_temporary_signs_are_dropped() {
        let (mut watch, now) = (known(), Instant::now());
        let regression = Change::EndRegressed { partition: 0, known: 10, end: 9 };
        assert!(watch.is_first_sign() && !watch.is_certain(regression, now));
        assert!(!watch.is_first_sign());
        assert!(!watch.is_certain(regression, now + CONFIRMATION));
        watch.accept(topic(ID, 2), &TableOffsets::from([(0, 10), (1, 0)]));
        assert!(watch.is_first_sign());
        let later = now + END_CONFIRMATION;
        assert!(!watch.is_certain(regression, later));
        assert!(watch.is_certain(regression, later + END_CONFIRMATION));
        assert_eq!(watch.partitions(), 0, "nothing is known of the new topic");
        assert!(!known().is_certain(Change::Recreated, now));
        let mut watch = known();
        watch.is_certain(Change::Missing, now);
        assert!(watch.is_certain(Change::Recreated, now + CONFIRMATION));
    }
}
