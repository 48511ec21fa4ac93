//! Whether a table's topic is still the one that was read, by what look-ups say of it. Pure: what
//! the brokers said goes in.

use std::fmt;
use std::time::{Duration, Instant};

use crate::kafka::native::{TopicId, TopicIdentity};
use crate::tables::Offsets;

/// How long a sign must last until the topic is read anew: a broker that is starting may not know
/// everything yet.
const PATIENCE: Duration = Duration::from_secs(3);
/// The same for an end that went back: until its session ends, a leader that was deposed may answer
/// what it knew last.
const LONG_PATIENCE: Duration = Duration::from_secs(10);

/// A sign that the topic is no longer the one that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kafka) enum Change {
    /// There is no topic of this name any more.
    Missing,
    /// A topic of the same name has another id.
    MadeAnew,
    /// It had more partitions.
    LostPartitions { had: i32, has: i32 },
    /// A partition ended behind this offset before, or was read so far.
    WentBack { partition: i32, known: i64, end: i64 },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Missing => f.write_str("was deleted"),
            Change::MadeAnew => f.write_str("was made anew"),
            Change::LostPartitions { had, has } => {
                write!(f, "has {has} partitions where it had {had}")
            }
            Change::WentBack { partition, known, end } => write!(
                f,
                "went back: partition {partition} ends at {end}, where it reached {known}"
            ),
        }
    }
}

impl Change {
    fn patience(&self) -> Duration {
        match self {
            Change::WentBack { .. } => LONG_PATIENCE,
            Change::Missing | Change::MadeAnew | Change::LostPartitions { .. } => PATIENCE,
        }
    }
}

/// What is known of a topic.
#[derive(Debug, Default)]
pub(in crate::kafka) struct TopicWatch {
    id: Option<TopicId>,
    ends: Offsets,
    /// Since when look-ups have been showing that it changed.
    suspected: Option<Instant>,
}

impl TopicWatch {
    /// How many partitions it has, as far as is known.
    pub(super) fn partitions(&self) -> i32 {
        i32::try_from(self.ends.len()).unwrap_or(i32::MAX)
    }

    /// Whether this cannot be the topic that is known.
    pub(super) fn compare(&self, identity: TopicIdentity) -> Option<Change> {
        let (had, has) = (self.partitions(), identity.partitions);
        match (self.id, identity.id) {
            (Some(known), Some(id)) if known != id => Some(Change::MadeAnew),
            _ => (has < had).then_some(Change::LostPartitions { had, has }),
        }
    }

    /// That there is no such topic: a change if there was one.
    pub(super) fn missing(&self) -> Option<Change> {
        (!self.ends.is_empty()).then_some(Change::Missing)
    }

    /// Whether a partition ends before the end that is known, or before what was read.
    pub(super) fn went_back(&self, ends: &Offsets, positions: &Offsets) -> Option<Change> {
        ends.iter().find_map(|(partition, end)| {
            let known = [self.ends.get(partition), positions.get(partition)];
            let known = known.into_iter().flatten().max().copied()?;
            (*end < known).then_some(Change::WentBack { partition: *partition, known, end: *end })
        })
    }

    /// The topic is as it was, and goes so far now.
    pub(super) fn accept(&mut self, identity: TopicIdentity, ends: &Offsets) {
        self.id = identity.id.or(self.id);
        self.ends.clone_from(ends);
        self.suspected = None;
    }

    /// Whether this is the first sign of a change.
    pub(super) fn is_news(&self) -> bool {
        self.suspected.is_none()
    }

    /// Whether the topic changed for sure: the signs have lasted. Then nothing is known any more.
    pub(super) fn is_certain(&mut self, change: Change, now: Instant) -> bool {
        let since = *self.suspected.get_or_insert(now);
        let certain = now.duration_since(since) >= change.patience();
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

    /// A topic of two partitions, of which the first ends at 10.
    fn known() -> TopicWatch {
        let mut watch = TopicWatch::default();
        watch.accept(topic(ID, 2), &Offsets::from([(0, 10), (1, 0)]));
        watch
    }

    #[test]
    fn a_topic_is_told_from_its_successor() {
        let other = Some(TopicId(1, 2));
        let lost = Change::LostPartitions { had: 2, has: 1 };
        let cases = [
            (topic(ID, 2), None),
            (topic(ID, 3), None),
            (topic(None, 2), None),
            (topic(other, 2), Some(Change::MadeAnew)),
            (topic(other, 9), Some(Change::MadeAnew)),
            (topic(ID, 1), Some(lost)),
            (topic(None, 1), Some(lost)),
        ];
        for (identity, expected) in cases {
            assert_eq!(known().compare(identity), expected, "{identity:?}");
            assert_eq!(TopicWatch::default().compare(identity), None);
        }
        assert_eq!(known().missing(), Some(Change::Missing));
        assert_eq!(TopicWatch::default().missing(), None, "it is waited for");
    }

    #[test]
    fn an_end_before_what_was_seen_or_read_is_a_change() {
        let went_back = |ends: &[(i32, i64)], positions: &[(i32, i64)]| {
            let offsets = |list: &[(i32, i64)]| list.iter().copied().collect::<Offsets>();
            known().went_back(&offsets(ends), &offsets(positions))
        };
        assert_eq!(went_back(&[(0, 10), (1, 0), (2, 0)], &[(0, 10)]), None);
        let back = |partition, known, end| Some(Change::WentBack { partition, known, end });
        assert_eq!(went_back(&[(0, 9), (1, 0)], &[]), back(0, 10, 9));
        assert_eq!(went_back(&[(0, 11), (1, 0)], &[(0, 12)]), back(0, 12, 11));
        assert_eq!(went_back(&[(0, 10), (1, 0)], &[(1, 1)]), back(1, 1, 0));
    }

    #[test]
    fn one_sign_is_not_enough_and_signs_that_pass_are_forgotten() {
        let (mut watch, now) = (known(), Instant::now());
        let back = Change::WentBack { partition: 0, known: 10, end: 9 };
        assert!(watch.is_news() && !watch.is_certain(back, now));
        assert!(!watch.is_news());
        assert!(!watch.is_certain(back, now + PATIENCE));
        watch.accept(topic(ID, 2), &Offsets::from([(0, 10), (1, 0)]));
        assert!(watch.is_news());
        let later = now + LONG_PATIENCE;
        assert!(!watch.is_certain(back, later));
        assert!(watch.is_certain(back, later + LONG_PATIENCE));
        assert_eq!(watch.partitions(), 0, "nothing is known of the new topic");
        assert!(!known().is_certain(Change::MadeAnew, now));
        let mut watch = known();
        watch.is_certain(Change::Missing, now);
        assert!(watch.is_certain(Change::MadeAnew, now + PATIENCE));
    }
}
