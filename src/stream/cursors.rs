//! How far each partition was read, and which are held. A client is to hand a partition's records
//! out in order, each once, from the committed offset on. The loop holds it to that: a record that
//! passes twice is an event that is written twice. A partition whose client does otherwise, or
//! cannot read, is held and tried again, while the others go on.

use std::time::Duration;

use super::retry_budget::pause_after;
use super::{Partition, PartitionFault, Place, Rewound};

/// The cursors of all partitions.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    /// By the number of the partition.
    cursors: Vec<Cursor>,
    /// How many are held, so that nothing is searched for while none is.
    held: usize,
}

#[derive(Debug, Default)]
struct Cursor {
    place: Stand,
    /// The last offset that was committed since the assignment. Whatever the group says later, it
    /// cannot be less.
    committed: Option<i64>,
    /// How often it was held since it last moved.
    attempts: u32,
}

#[derive(Debug, Default)]
enum Stand {
    /// The partition is somebody else's.
    Gone,
    /// It was assigned; its floor is not known yet.
    #[default]
    Unplaced,
    /// No record may come before this offset.
    At(i64),
    Held {
        fault: PartitionFault,
        /// When to try again; none until the client was told to leave it alone.
        retry_at: Option<Duration>,
    },
}

impl Cursors {
    /// These were assigned. No record of them may be judged before their floor is known.
    pub(super) fn assigned(&mut self, partitions: &[Partition]) {
        for partition in partitions {
            self.set(*partition, Stand::Unplaced);
            self.forget_past(*partition);
        }
    }

    /// These are somebody else's.
    pub(super) fn gone(&mut self, partitions: &[Partition]) {
        for partition in partitions {
            self.set(*partition, Stand::Gone);
            self.forget_past(*partition);
        }
    }

    /// No record of a partition that was just assigned may come before this floor.
    pub(super) fn placed(&mut self, partition: Partition, floor: i64) {
        if matches!(self.cursor(partition).place, Stand::Unplaced) {
            self.set(partition, Stand::At(floor));
        }
    }

    /// Whether a record may be judged. If it lies before what was judged already, its partition is
    /// held.
    pub(super) fn admits(&mut self, partition: Partition, offset: i64) -> bool {
        if let Stand::At(next) = &mut self.cursor(partition).place
            && offset >= *next
        {
            *next = offset.saturating_add(1);
            return true;
        }
        self.refuse(partition, offset);
        false
    }

    /// Whether the end of a partition is believed. One that lies before what was judged already
    /// tells of a shorter log.
    pub(super) fn reaches_end(&mut self, partition: Partition, end: i64) -> bool {
        if let Stand::At(next) = self.cursor(partition).place
            && end >= next
        {
            return true;
        }
        self.refuse(partition, end);
        false
    }

    fn refuse(&mut self, partition: Partition, offset: i64) {
        let fault = match self.cursor(partition).place {
            Stand::At(floor) => PartitionFault::WentBack { offset, floor },
            Stand::Unplaced => {
                PartitionFault::Unplaced { cause: "the client did not wait for it".to_string() }
            }
            Stand::Gone | Stand::Held { .. } => return,
        };
        self.hold(partition, fault);
    }

    /// A partition cannot go on. The first fault counts: what follows it follows from it.
    pub(super) fn hold(&mut self, partition: Partition, fault: PartitionFault) {
        if let Stand::At(_) | Stand::Unplaced = self.cursor(partition).place {
            let held = Stand::Held { fault, retry_at: None };
            self.set(partition, held);
        }
    }

    /// The partitions that are held and that the client still reads, with what is wrong.
    pub(super) fn unparked(&self) -> Vec<(Partition, PartitionFault)> {
        self.held(|fault, retry_at| retry_at.is_none().then(|| fault.clone()))
    }

    /// The client leaves this partition alone. Says how often it was held in a row.
    pub(super) fn parked(&mut self, partition: Partition, now: Duration) -> u32 {
        let cursor = self.cursor(partition);
        if let Stand::Held { retry_at, .. } = &mut cursor.place {
            cursor.attempts = cursor.attempts.saturating_add(1);
            *retry_at = Some(now + pause_after(cursor.attempts));
        }
        cursor.attempts
    }

    /// The held partitions that are to be tried again now, and whether what failed was to write
    /// their output.
    pub(super) fn due(&self, now: Duration) -> Vec<(Partition, bool)> {
        self.held(|fault, retry_at| {
            let is_due = retry_at.is_some_and(|at| at <= now);
            is_due.then_some(matches!(fault, PartitionFault::Unpublishable { .. }))
        })
    }

    fn held<T>(
        &self,
        pick: impl Fn(&PartitionFault, Option<Duration>) -> Option<T>,
    ) -> Vec<(Partition, T)> {
        if self.held == 0 {
            return Vec::new();
        }
        let cursors = (0..).map(Partition).zip(&self.cursors);
        let picked = cursors.filter_map(|(partition, cursor)| match &cursor.place {
            Stand::Held { fault, retry_at } => Some((partition, pick(fault, *retry_at)?)),
            _ => None,
        });
        picked.collect()
    }

    /// Whether a partition is held.
    pub(super) fn is_held(&self, partition: Partition) -> bool {
        let cursor = index(partition).and_then(|index| self.cursors.get(index));
        cursor.is_some_and(|cursor| matches!(cursor.place, Stand::Held { .. }))
    }

    /// A partition was rewound, or could not be.
    pub(super) fn rewound(&mut self, Rewound { partition, place }: Rewound) {
        if matches!(self.cursor(partition).place, Stand::Gone) {
            return;
        }
        match place {
            Ok(Place::At(offset)) => match self.cursor(partition).committed {
                Some(floor) if offset < floor => {
                    self.fail(partition, PartitionFault::WentBack { offset, floor });
                }
                _ => self.set(partition, Stand::At(offset)),
            },
            Ok(Place::Anew) => {
                // The attempts stay: that it was held is taken back when it has moved.
                self.cursor(partition).committed = None;
                self.set(partition, Stand::At(0));
            }
            Err(fault) => self.fail(partition, fault),
        }
    }

    fn fail(&mut self, partition: Partition, fault: PartitionFault) {
        self.set(partition, Stand::Unplaced);
        self.hold(partition, fault);
    }

    /// Everything before this offset is committed. Whether the partition had been held before.
    pub(super) fn committed(&mut self, partition: Partition, next: i64) -> bool {
        self.cursor(partition).committed = Some(next);
        self.moved(partition)
    }

    /// The partition got further. Whether it had been held before, and is no more.
    pub(super) fn moved(&mut self, partition: Partition) -> bool {
        let cursor = self.cursor(partition);
        !matches!(cursor.place, Stand::Held { .. }) && std::mem::take(&mut cursor.attempts) > 0
    }

    fn forget_past(&mut self, partition: Partition) {
        let cursor = self.cursor(partition);
        cursor.committed = None;
        cursor.attempts = 0;
    }

    fn set(&mut self, partition: Partition, place: Stand) {
        let is_held = |place: &Stand| usize::from(matches!(place, Stand::Held { .. }));
        let after = is_held(&place);
        let before = std::mem::replace(&mut self.cursor(partition).place, place);
        self.held = self.held + after - is_held(&before);
    }

    fn cursor(&mut self, partition: Partition) -> &mut Cursor {
        // There are no partitions below zero.
        let index = index(partition).unwrap_or_default();
        if self.cursors.len() <= index {
            self.cursors.resize_with(index + 1, Cursor::default);
        }
        &mut self.cursors[index]
    }
}

fn index(partition: Partition) -> Option<usize> {
    usize::try_from(partition.0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: Partition = Partition(3);
    const OTHER: Partition = Partition(1);
    const NOW: Duration = Duration::from_secs(7);

    fn placed(partitions: &[Partition], floor: i64) -> Cursors {
        let mut cursors = Cursors::default();
        cursors.assigned(partitions);
        for partition in partitions {
            cursors.placed(*partition, floor);
        }
        cursors
    }

    fn reasons(cursors: &Cursors) -> Vec<(Partition, &'static str)> {
        let held = cursors.held(|fault, _| Some(fault.reason()));
        held.into_iter().collect()
    }

    fn rewind(cursors: &mut Cursors, place: Result<Place, PartitionFault>) {
        cursors.rewound(Rewound { partition: P, place });
    }

    fn damaged() -> PartitionFault {
        PartitionFault::Unreadable { offset: 9, cause: "bad CRC".to_string() }
    }

    #[test]
    fn offsets_only_grow_from_the_floor_on() {
        let mut cursors = placed(&[P, OTHER], 7);
        assert!(cursors.admits(P, 7));
        assert!(cursors.admits(P, 9), "offsets have gaps");
        assert!(cursors.admits(OTHER, 8), "of each partition by itself");
        assert_eq!(reasons(&cursors), []);
        assert!(!cursors.admits(P, 9));
        assert!(!cursors.admits(P, 10), "until it is rewound");
        assert_eq!(reasons(&cursors), [(P, "went_back")]);
        assert!(cursors.admits(OTHER, 9));
        rewind(&mut cursors, Ok(Place::At(9)));
        assert_eq!(reasons(&cursors), []);
        assert!(!cursors.admits(P, 8), "the committed offset is the floor");
        assert_eq!(reasons(&cursors), [(P, "went_back")]);
    }

    #[test]
    fn nothing_is_judged_before_the_floor_is_known() {
        let mut cursors = Cursors::default();
        cursors.assigned(&[P]);
        assert!(!cursors.admits(P, 100));
        assert_eq!(reasons(&cursors), [(P, "unplaced")]);
        cursors.placed(P, 5);
        assert!(cursors.is_held(P), "only a rewind helps now");
        rewind(&mut cursors, Ok(Place::At(5)));
        assert!(cursors.admits(P, 5));
    }

    #[test]
    fn an_end_before_the_floor_is_no_end() {
        let mut cursors = placed(&[P], 100);
        assert!(cursors.reaches_end(P, 100));
        assert!(!cursors.reaches_end(P, 15));
        assert_eq!(reasons(&cursors), [(P, "went_back")]);
    }

    #[test]
    fn nothing_of_what_was_taken_away_is_taken() {
        let mut cursors = placed(&[P], 0);
        assert!(cursors.admits(P, 7));
        assert!(!cursors.admits(P, 7));
        cursors.gone(&[P]);
        assert_eq!(reasons(&cursors), [], "somebody else reads it");
        assert!(!cursors.admits(P, 8));
        rewind(&mut cursors, Ok(Place::At(0)));
        cursors.hold(P, damaged());
        assert!(!cursors.admits(P, 8) && reasons(&cursors).is_empty());
        cursors.assigned(&[P]);
        cursors.placed(P, 2);
        assert!(cursors.admits(P, 2));
    }

    #[test]
    fn the_group_cannot_be_behind_what_it_confirmed() {
        let mut cursors = placed(&[P], 0);
        assert!(cursors.admits(P, 9) && !cursors.committed(P, 10));
        rewind(&mut cursors, Ok(Place::At(8)));
        assert_eq!(reasons(&cursors), [(P, "went_back")]);
        rewind(&mut cursors, Ok(Place::At(10)));
        assert_eq!(reasons(&cursors), []);
        rewind(&mut cursors, Ok(Place::Anew));
        assert!(cursors.admits(P, 0), "another log");
        rewind(&mut cursors, Ok(Place::At(8)));
        assert!(!cursors.is_held(P), "what was confirmed was of the old one");
    }

    #[test]
    fn a_partition_that_was_held_until_its_topic_was_made_anew_is_released() {
        let mut cursors = placed(&[P], 7);
        assert!(!cursors.admits(P, 0));
        assert_eq!(cursors.parked(P, NOW), 1);
        rewind(&mut cursors, Ok(Place::Anew));
        assert!(cursors.admits(P, 0) && cursors.committed(P, 1));
    }

    #[test]
    fn a_held_partition_is_tried_again_after_growing_pauses() {
        let mut cursors = placed(&[P, OTHER], 0);
        cursors.hold(P, damaged());
        cursors.hold(P, PartitionFault::WentBack { offset: 0, floor: 9 });
        assert_eq!(cursors.unparked(), [(P, damaged())], "the first counts");
        assert_eq!(cursors.due(NOW), [], "the client reads it still");
        let mut pauses = Vec::new();
        for attempt in 1..=3 {
            assert_eq!(cursors.parked(P, NOW), attempt);
            assert_eq!(cursors.unparked(), []);
            let is_due = |ms: &u64| !cursors.due(NOW + Duration::from_millis(*ms)).is_empty();
            pauses.extend((0..10_000).step_by(50).find(is_due));
            rewind(&mut cursors, Ok(Place::At(5)));
            cursors.hold(P, damaged());
        }
        assert_eq!(pauses, [50, 100, 200]);
        assert!(!cursors.moved(P), "it is held still");
        rewind(&mut cursors, Ok(Place::At(5)));
        assert!(cursors.admits(P, 9) && cursors.committed(P, 10));
        assert!(!cursors.committed(P, 11), "said once");
        cursors.hold(P, damaged());
        assert_eq!(cursors.parked(P, NOW), 1, "it had got further");
    }
}
