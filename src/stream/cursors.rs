//! The next offset of each partition. The client must hand out a partition's records in order, each
//! once, from the committed offset on. The loop holds it to that: a record that is accepted twice
//! is an event that is written twice. A partition whose client does otherwise, or cannot read, is
//! held and tried again, while the others go on.

use std::ops::Range;
use std::time::Duration;

use super::broker::{PassOver, Place, Rewound};
use super::fault::PartitionFault;
use super::record::Partition;
use super::retry_budget::BACKOFF;

/// The cursors of all partitions.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    /// Indexed by the number of the partition.
    cursors: Vec<Cursor>,
    /// How many are held, so that nothing is searched for while none is.
    held: usize,
}

#[derive(Debug, Default)]
struct Cursor {
    state: State,
    /// The last offset that was committed since the assignment. The group's committed offset can
    /// never be less.
    committed: Option<i64>,
    /// How often it was held since it last moved.
    attempts: u32,
}

#[derive(Debug, Default)]
enum State {
    /// Another member owns the partition.
    Unassigned,
    /// It was assigned; its floor is not known yet.
    #[default]
    Unplaced,
    /// The group has committed nothing: the first record may have any offset.
    Beginning,
    /// No record may come before this offset.
    At(i64),
    Held(Hold),
}

#[derive(Debug)]
struct Hold {
    fault: PartitionFault,
    /// Every record before this offset had been accepted; none if no record had.
    read_to: Option<i64>,
    /// When to try again; none until the client was told to stop reading the partition.
    retry_at: Option<Duration>,
}

impl Cursors {
    /// Partitions were assigned. No record of them may be judged before their floor is known.
    pub(super) fn assigned(&mut self, partitions: &[Partition]) {
        self.reset(partitions, || State::Unplaced);
    }

    /// Partitions belong to other members now.
    pub(super) fn unassigned(&mut self, partitions: &[Partition]) {
        self.reset(partitions, || State::Unassigned);
    }

    fn reset(&mut self, partitions: &[Partition], state: impl Fn() -> State) {
        for partition in partitions {
            self.set(*partition, state());
            let cursor = self.cursor(*partition);
            cursor.committed = None;
            cursor.attempts = 0;
        }
    }

    /// Sets the floor of a partition that was just assigned.
    pub(super) fn placed(&mut self, partition: Partition, place: &Place) {
        if matches!(self.cursor(partition).state, State::Unplaced) {
            self.set(partition, State::at(place));
        }
    }

    /// Accepts a record if it comes after all that was accepted before, and returns the offsets
    /// that were skipped: usually none. Otherwise holds its partition.
    pub(super) fn accept(&mut self, partition: Partition, offset: i64) -> Option<Range<i64>> {
        self.advance(partition, offset, offset.saturating_add(1))
    }

    /// Accepts the end of a partition like a record. An end that lies before accepted records
    /// belongs to a shorter log.
    pub(super) fn accept_end(&mut self, partition: Partition, end: i64) -> Option<Range<i64>> {
        self.advance(partition, end, end)
    }

    fn advance(&mut self, partition: Partition, offset: i64, next: i64) -> Option<Range<i64>> {
        let cursor = self.cursor(partition);
        let skipped = match cursor.state {
            State::At(expected) if offset >= expected => expected..offset,
            State::Beginning => offset..offset,
            _ => {
                self.refuse(partition, offset);
                return None;
            }
        };
        cursor.state = State::At(next);
        Some(skipped)
    }

    fn refuse(&mut self, partition: Partition, offset: i64) {
        let fault = match self.cursor(partition).state {
            State::At(floor) => PartitionFault::WentBack { offset, floor },
            State::Unplaced => PartitionFault::Unplaced {
                cause: "a record came before the group's committed offset".to_string(),
            },
            State::Beginning | State::Unassigned | State::Held(_) => return,
        };
        self.hold(partition, fault);
    }

    /// Holds a partition. The first fault counts: later ones follow from it.
    pub(super) fn hold(&mut self, partition: Partition, fault: PartitionFault) {
        let read_to = match self.cursor(partition).state {
            State::At(next) => Some(next),
            State::Unplaced | State::Beginning => None,
            State::Unassigned | State::Held(_) => return,
        };
        self.set(partition, State::Held(Hold { fault, read_to, retry_at: None }));
    }

    /// Returns the held partitions that the client still reads, with their faults.
    pub(super) fn unparked(&self) -> Vec<(Partition, PartitionFault)> {
        self.held(|hold| hold.retry_at.is_none().then(|| hold.fault.clone()))
    }

    /// The client has stopped reading this partition. Returns how often it was held in a row.
    pub(super) fn parked(&mut self, partition: Partition, now: Duration) -> u32 {
        let cursor = self.cursor(partition);
        if let State::Held(hold) = &mut cursor.state {
            cursor.attempts = cursor.attempts.saturating_add(1);
            hold.retry_at = Some(now + BACKOFF.after(cursor.attempts));
        }
        cursor.attempts
    }

    /// Returns the held partitions that are due to be tried again, each with whether its output
    /// could not be written.
    pub(super) fn due(&self, now: Duration) -> Vec<(Partition, bool)> {
        self.held(|hold| {
            let is_due = hold.retry_at.is_some_and(|at| at <= now);
            is_due.then_some(matches!(hold.fault, PartitionFault::Unpublishable { .. }))
        })
    }

    fn held<T>(&self, pick: impl Fn(&Hold) -> Option<T>) -> Vec<(Partition, T)> {
        if self.held == 0 {
            return Vec::new();
        }
        let cursors = (0..).map(Partition).zip(&self.cursors);
        let picked = cursors.filter_map(|(partition, cursor)| match &cursor.state {
            State::Held(hold) => Some((partition, pick(hold)?)),
            _ => None,
        });
        picked.collect()
    }

    /// Returns whether a partition is held.
    pub(super) fn is_held(&self, partition: Partition) -> bool {
        let cursor = index(partition).and_then(|index| self.cursors.get(index));
        cursor.is_some_and(|cursor| matches!(cursor.state, State::Held(_)))
    }

    /// Notes where a rewound partition resumes. If it is held because it cannot be read there, and
    /// `pass_over` lists those offsets, it stays held and the offsets to skip are returned:
    /// [`Cursors::skipped`] releases it.
    pub(super) fn rewound(
        &mut self,
        Rewound { partition, place }: Rewound,
        pass_over: &[PassOver],
    ) -> Option<Range<i64>> {
        if matches!(self.cursor(partition).state, State::Unassigned) {
            return None;
        }
        match place.and_then(|place| self.check_floor(partition, place)) {
            Ok(place) => {
                let skipped = self.unreadable_at(partition, &place, pass_over);
                if skipped.is_none() {
                    self.set(partition, State::at(&place));
                }
                skipped
            }
            Err(fault) => {
                self.fail(partition, fault);
                None
            }
        }
    }

    fn fail(&mut self, partition: Partition, fault: PartitionFault) {
        self.set(partition, State::Unplaced);
        self.hold(partition, fault);
    }

    /// Refuses a place before what this member has committed, unless it is in another log. The
    /// attempts are kept: the partition counts as released when it moves.
    fn check_floor(&mut self, partition: Partition, place: Place) -> Result<Place, PartitionFault> {
        let committed = &mut self.cursor(partition).committed;
        let offset = match &place {
            Place::At(position) => position.next_offset,
            Place::Beginning => 0,
            Place::NewLog => {
                *committed = None;
                return Ok(place);
            }
        };
        match *committed {
            Some(floor) if offset < floor => Err(PartitionFault::WentBack { offset, floor }),
            _ => Ok(place),
        }
    }

    /// Returns the offsets that cannot be read at this place and may be skipped. Only if every
    /// record that can be read before them is committed.
    fn unreadable_at(
        &mut self,
        partition: Partition,
        place: &Place,
        pass_over: &[PassOver],
    ) -> Option<Range<i64>> {
        let State::Held(Hold {
            fault: PartitionFault::Unreadable { offset: failed, .. },
            read_to,
            ..
        }) = &self.cursor(partition).state
        else {
            return None;
        };
        let (start, read_to) = match place {
            Place::At(position) => (position.next_offset, read_to.unwrap_or(*failed)),
            // Nothing was read and nothing committed: the log begins with what cannot be read.
            Place::Beginning if read_to.is_none() => (*failed, *failed),
            Place::Beginning | Place::NewLog => return None,
        };
        let is_listed = |listed: &&PassOver| {
            listed.partition == partition
                && (listed.offsets.contains(failed) || listed.offsets.contains(&start))
        };
        let end = pass_over.iter().find(is_listed)?.offsets.end;
        (read_to <= start && start < end).then_some(start..end)
    }

    /// The client was moved from `start` behind offsets that cannot be read, or failed to be.
    /// Returns the offsets that were skipped, if any.
    pub(super) fn skipped(
        &mut self,
        partition: Partition,
        start: i64,
        moved: Result<i64, PartitionFault>,
    ) -> Option<Range<i64>> {
        match moved {
            Ok(next) => {
                self.set(partition, State::At(next));
                (start < next).then_some(start..next)
            }
            Err(fault) => {
                self.fail(partition, fault);
                None
            }
        }
    }

    /// Everything before this offset is committed. Returns whether that releases the partition.
    pub(super) fn committed(&mut self, partition: Partition, next: i64) -> bool {
        self.cursor(partition).committed = Some(next);
        self.moved(partition)
    }

    /// The partition was read further. Returns whether that releases it: it had been held, and is
    /// not any more.
    pub(super) fn moved(&mut self, partition: Partition) -> bool {
        let cursor = self.cursor(partition);
        !matches!(cursor.state, State::Held(_)) && std::mem::take(&mut cursor.attempts) > 0
    }

    fn set(&mut self, partition: Partition, state: State) {
        let is_held = |state: &State| usize::from(matches!(state, State::Held(_)));
        let after = is_held(&state);
        let before = std::mem::replace(&mut self.cursor(partition).state, state);
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

impl State {
    fn at(place: &Place) -> Self {
        match place {
            Place::At(position) => State::At(position.next_offset),
            Place::Beginning | Place::NewLog => State::Beginning,
        }
    }
}

fn index(partition: Partition) -> Option<usize> {
    usize::try_from(partition.0).ok()
}

/// Returns the offsets that the log has lost, of those that were skipped before `offset`. Other
/// gaps are what transactions and compaction leave. A log that begins behind `offset` was cut off
/// after that offset was fetched.
pub(super) fn deleted(skipped: &Range<i64>, log_start: i64) -> Option<Range<i64>> {
    (skipped.start < log_start && log_start <= skipped.end).then_some(skipped.start..log_start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::scripts::at;

    const P: Partition = Partition(3);
    const OTHER: Partition = Partition(1);
    const NOW: Duration = Duration::from_secs(7);

    fn placed(partitions: &[Partition], floor: i64) -> Cursors {
        let mut cursors = Cursors::default();
        cursors.assigned(partitions);
        for partition in partitions {
            cursors.placed(*partition, &at(*partition, floor));
        }
        cursors
    }

    fn reasons(cursors: &Cursors) -> Vec<(Partition, &'static str)> {
        let held = cursors.held(|hold| Some(hold.fault.reason()));
        held.into_iter().collect()
    }

    fn rewind(cursors: &mut Cursors, place: Result<Place, PartitionFault>) {
        assert_eq!(cursors.rewound(Rewound { partition: P, place }, &[]), None);
    }

    fn damaged() -> PartitionFault {
        PartitionFault::Unreadable { offset: 9, cause: "bad CRC".to_string() }
    }

    #[test]
    fn offsets_only_grow_from_the_floor_on() {
        let mut cursors = placed(&[P, OTHER], 7);
        assert!(cursors.accept(P, 7).is_some());
        assert!(cursors.accept(P, 9).is_some(), "offsets have gaps");
        assert!(cursors.accept(OTHER, 8).is_some(), "of each partition by itself");
        assert_eq!(reasons(&cursors), []);
        assert!(cursors.accept(P, 9).is_none());
        assert!(cursors.accept(P, 10).is_none(), "until it is rewound");
        assert_eq!(reasons(&cursors), [(P, "went_back")]);
        assert!(cursors.accept(OTHER, 9).is_some());
        rewind(&mut cursors, Ok(at(P, 9)));
        assert_eq!(reasons(&cursors), []);
        assert!(cursors.accept(P, 8).is_none(), "the committed offset is the floor");
        assert_eq!(reasons(&cursors), [(P, "went_back")]);
    }

    #[test]
    fn nothing_is_judged_before_the_floor_is_known() {
        let mut cursors = Cursors::default();
        cursors.assigned(&[P]);
        assert!(cursors.accept(P, 100).is_none());
        assert_eq!(reasons(&cursors), [(P, "unplaced")]);
        cursors.placed(P, &at(P, 5));
        assert!(cursors.is_held(P), "only a rewind helps now");
        rewind(&mut cursors, Ok(at(P, 5)));
        assert!(cursors.accept(P, 5).is_some());
    }

    #[test]
    fn an_end_before_the_floor_is_no_end() {
        let mut cursors = placed(&[P], 100);
        assert!(cursors.accept_end(P, 100).is_some());
        assert!(cursors.accept_end(P, 15).is_none());
        assert_eq!(reasons(&cursors), [(P, "went_back")]);
    }

    #[test]
    fn nothing_of_what_was_taken_away_is_taken() {
        let mut cursors = placed(&[P], 0);
        assert!(cursors.accept(P, 7).is_some());
        assert!(cursors.accept(P, 7).is_none());
        cursors.unassigned(&[P]);
        assert_eq!(reasons(&cursors), [], "another member reads it");
        assert!(cursors.accept(P, 8).is_none());
        rewind(&mut cursors, Ok(at(P, 0)));
        cursors.hold(P, damaged());
        assert!(cursors.accept(P, 8).is_none() && reasons(&cursors).is_empty());
        cursors.assigned(&[P]);
        cursors.placed(P, &at(P, 2));
        assert!(cursors.accept(P, 2).is_some());
    }

    #[test]
    fn the_group_cannot_be_behind_what_it_confirmed() {
        let mut cursors = placed(&[P], 0);
        assert!(cursors.accept(P, 9).is_some() && !cursors.committed(P, 10));
        rewind(&mut cursors, Ok(at(P, 8)));
        assert_eq!(reasons(&cursors), [(P, "went_back")]);
        rewind(&mut cursors, Ok(at(P, 10)));
        assert_eq!(reasons(&cursors), []);
        rewind(&mut cursors, Ok(Place::NewLog));
        assert!(cursors.accept(P, 0).is_some(), "another log");
        rewind(&mut cursors, Ok(at(P, 8)));
        assert!(!cursors.is_held(P), "what was confirmed was of the old one");
    }

    #[test]
    fn skipped_offsets_are_reported_unless_nothing_was_committed() {
        let mut cursors = placed(&[P], 7);
        assert_eq!(cursors.accept(P, 9), Some(7..9));
        assert_eq!(cursors.accept(P, 10), Some(10..10));
        assert_eq!(cursors.accept_end(P, 12), Some(11..12));
        assert_eq!(cursors.accept_end(P, 12), Some(12..12), "once");
        assert_eq!(cursors.accept(P, 12), Some(12..12));
        for place in [Place::Beginning, Place::NewLog] {
            let mut cursors = Cursors::default();
            cursors.assigned(&[P]);
            cursors.placed(P, &place);
            assert_eq!(cursors.accept(P, 9), Some(9..9), "nothing was missed");
            assert_eq!(cursors.accept(P, 12), Some(10..12));
        }
    }

    #[test]
    fn only_offsets_that_the_log_has_lost_are_deleted() {
        for (skipped, log_start, expected) in [
            (10..10, 0, None),
            // A transaction's marker, or a record that compaction removed.
            (10..12, 0, None),
            (10..12, 10, None),
            (10..30, 30, Some(10..30)),
            // The log may begin with a marker as well.
            (10..31, 30, Some(10..30)),
            // Offset 12 was fetched before the log was cut off at 30.
            (10..12, 30, None),
        ] {
            assert_eq!(deleted(&skipped, log_start), expected, "{skipped:?} {log_start}");
        }
    }

    /// A cursor that accepted these offsets, and the offsets to skip at a place behind which
    /// nothing can be read from offset 9 on.
    fn passed_over(begin: Place, accepted: &[i64], resumes: Place) -> Option<Range<i64>> {
        let mut cursors = Cursors::default();
        cursors.assigned(&[P]);
        cursors.placed(P, &begin);
        for offset in accepted {
            assert!(cursors.accept(P, *offset).is_some());
        }
        cursors.hold(P, damaged());
        let pass_over = [(OTHER, 0..99), (P, 9..12)];
        let pass_over = pass_over.map(|(partition, offsets)| PassOver { partition, offsets });
        let skipped = cursors.rewound(Rewound { partition: P, place: Ok(resumes) }, &pass_over);
        assert_eq!(cursors.is_held(P), skipped.is_some(), "until the client was moved");
        skipped
    }

    #[test]
    fn offsets_are_passed_over_only_if_everything_before_them_is_committed() {
        assert_eq!(passed_over(at(P, 7), &[7, 8], at(P, 9)), Some(9..12));
        assert_eq!(passed_over(at(P, 7), &[7, 8], at(P, 8)), None, "8 is not committed");
        assert_eq!(passed_over(at(P, 9), &[], at(P, 9)), Some(9..12), "nothing came before");
        assert_eq!(passed_over(at(P, 10), &[], at(P, 10)), Some(10..12), "in the middle");
        assert_eq!(passed_over(at(P, 7), &[7, 8], at(P, 12)), None, "they are behind it");
        // The log begins with them.
        assert_eq!(passed_over(Place::Beginning, &[], Place::Beginning), Some(9..12));
        assert_eq!(passed_over(Place::Beginning, &[3], Place::Beginning), None, "3 is not");
        assert_eq!(passed_over(at(P, 7), &[7, 8], Place::NewLog), None);
    }

    #[test]
    fn the_group_cannot_forget_what_it_confirmed() {
        let mut cursors = placed(&[P], 0);
        assert!(cursors.accept(P, 9).is_some() && !cursors.committed(P, 10));
        rewind(&mut cursors, Ok(Place::Beginning));
        assert_eq!(reasons(&cursors), [(P, "went_back")]);
    }

    #[test]
    fn a_partition_that_was_held_until_its_topic_was_recreated_is_released() {
        let mut cursors = placed(&[P], 7);
        assert!(cursors.accept(P, 0).is_none());
        assert_eq!(cursors.parked(P, NOW), 1);
        rewind(&mut cursors, Ok(Place::NewLog));
        assert!(cursors.accept(P, 0).is_some() && cursors.committed(P, 1));
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
            rewind(&mut cursors, Ok(at(P, 5)));
            cursors.hold(P, damaged());
        }
        assert_eq!(pauses, [50, 100, 200]);
        assert!(!cursors.moved(P), "it is held still");
        rewind(&mut cursors, Ok(at(P, 5)));
        assert!(cursors.accept(P, 9).is_some() && cursors.committed(P, 10));
        assert!(!cursors.committed(P, 11), "said once");
        cursors.hold(P, damaged());
        assert_eq!(cursors.parked(P, NOW), 1, "it had got further");
    }
}
