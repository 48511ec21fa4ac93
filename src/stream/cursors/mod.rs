//! The next offset of each partition. The client must hand out a partition's records in order, each
//! once, from the committed offset on. The loop holds it to that: a record that is accepted twice
//! is an event that is written twice. A partition whose client does otherwise, or cannot read, is
//! held and tried again, while the others go on.

use std::ops::Range;
use std::time::Duration;

use super::broker::{PassOver, ResumePoint, Rewound};
use super::fault::PartitionFault;
use super::record::{Partition, Position};
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
    state: CursorState,
    /// Leader epoch that belongs to the group's committed offset, where one is known.
    leader_epoch: Option<i32>,
    /// The last offset that was committed since the assignment. The group's committed offset can
    /// never be less.
    committed: Option<i64>,
    /// How often it was held since it last moved.
    attempts: u32,
}

#[derive(Debug, Default)]
enum CursorState {
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
        self.reset(partitions, || CursorState::Unplaced);
    }

    /// Partitions belong to other members now.
    pub(super) fn unassigned(&mut self, partitions: &[Partition]) {
        self.reset(partitions, || CursorState::Unassigned);
    }

    fn reset(&mut self, partitions: &[Partition], state: impl Fn() -> CursorState) {
        for partition in partitions {
            self.set(*partition, state());
            let cursor = self.cursor(*partition);
            cursor.committed = None;
            cursor.attempts = 0;
        }
    }

    /// Sets the floor of a partition that was just assigned.
    pub(super) fn placed(&mut self, partition: Partition, place: &ResumePoint) {
        if matches!(self.cursor(partition).state, CursorState::Unplaced) {
            self.place(partition, place);
        }
    }

    fn place(&mut self, partition: Partition, place: &ResumePoint) {
        let (state, leader_epoch) = match place {
            ResumePoint::At(Position { next_offset, leader_epoch, .. }) => {
                (CursorState::At(*next_offset), *leader_epoch)
            }
            ResumePoint::Beginning | ResumePoint::NewLog => (CursorState::Beginning, None),
        };
        self.set(partition, state);
        self.cursor(partition).leader_epoch = leader_epoch;
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
            CursorState::At(expected) if offset >= expected => expected..offset,
            CursorState::Beginning => offset..offset,
            _ => {
                self.refuse(partition, offset);
                return None;
            }
        };
        cursor.state = CursorState::At(next);
        Some(skipped)
    }

    /// Returns where a partition stands of which everything that was read is committed. `None` if
    /// it is not being read, or its offset is not known.
    pub(super) fn idle_position(&self, partition: Partition) -> Option<Position> {
        let cursor = self.cursors.get(index(partition)?)?;
        let CursorState::At(next_offset) = cursor.state else { return None };
        let leader_epoch = cursor.leader_epoch;
        Some(Position { partition, next_offset, leader_epoch, metadata: String::new() })
    }

    fn refuse(&mut self, partition: Partition, offset: i64) {
        let fault = match self.cursor(partition).state {
            CursorState::At(floor) => PartitionFault::WentBack { offset, floor },
            CursorState::Unplaced => PartitionFault::Unplaced {
                cause: "a record came before the group's committed offset".to_string(),
            },
            CursorState::Beginning | CursorState::Unassigned | CursorState::Held(_) => return,
        };
        self.hold(partition, fault);
    }

    /// Holds a partition. The first fault counts: later ones follow from it.
    pub(super) fn hold(&mut self, partition: Partition, fault: PartitionFault) {
        let read_to = match self.cursor(partition).state {
            CursorState::At(next) => Some(next),
            CursorState::Unplaced | CursorState::Beginning => None,
            CursorState::Unassigned | CursorState::Held(_) => return,
        };
        self.set(partition, CursorState::Held(Hold { fault, read_to, retry_at: None }));
    }

    /// Returns the held partitions that the client still reads, with their faults.
    pub(super) fn unparked(&self) -> Vec<(Partition, PartitionFault)> {
        self.held(|hold| hold.retry_at.is_none().then(|| hold.fault.clone()))
    }

    /// The client has stopped reading this partition. Returns how often it was held in a row.
    pub(super) fn parked(&mut self, partition: Partition, now: Duration) -> u32 {
        let cursor = self.cursor(partition);
        if let CursorState::Held(hold) = &mut cursor.state {
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
            CursorState::Held(hold) => Some((partition, pick(hold)?)),
            _ => None,
        });
        picked.collect()
    }

    /// Returns whether a partition is held.
    pub(super) fn is_held(&self, partition: Partition) -> bool {
        let cursor = index(partition).and_then(|index| self.cursors.get(index));
        cursor.is_some_and(|cursor| matches!(cursor.state, CursorState::Held(_)))
    }

    /// Notes where a rewound partition resumes. If it is held because it cannot be read there, and
    /// `pass_over` lists those offsets, it stays held and the offsets to skip are returned:
    /// [`Cursors::skipped`] releases it.
    pub(super) fn rewound(
        &mut self,
        Rewound { partition, place }: Rewound,
        pass_over: &[PassOver],
    ) -> Option<Range<i64>> {
        if matches!(self.cursor(partition).state, CursorState::Unassigned) {
            return None;
        }
        match place.and_then(|place| self.check_floor(partition, place)) {
            Ok(place) => {
                let skipped = self.unreadable_at(partition, &place, pass_over);
                if skipped.is_none() {
                    self.place(partition, &place);
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
        self.set(partition, CursorState::Unplaced);
        self.hold(partition, fault);
    }

    /// Refuses a place before what this member has committed, unless it is in another log. The
    /// attempts are kept: the partition counts as released when it moves.
    fn check_floor(
        &mut self,
        partition: Partition,
        place: ResumePoint,
    ) -> Result<ResumePoint, PartitionFault> {
        let committed = &mut self.cursor(partition).committed;
        let offset = match &place {
            ResumePoint::At(position) => position.next_offset,
            ResumePoint::Beginning => 0,
            ResumePoint::NewLog => {
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
        place: &ResumePoint,
        pass_over: &[PassOver],
    ) -> Option<Range<i64>> {
        let CursorState::Held(Hold {
            fault: PartitionFault::Unreadable { offset: failed, .. },
            read_to,
            ..
        }) = &self.cursor(partition).state
        else {
            return None;
        };
        let (start, read_to) = match place {
            ResumePoint::At(position) => (position.next_offset, read_to.unwrap_or(*failed)),
            // Nothing was read and nothing committed: the log begins with what cannot be read.
            ResumePoint::Beginning if read_to.is_none() => (*failed, *failed),
            ResumePoint::Beginning | ResumePoint::NewLog => return None,
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
                self.set(partition, CursorState::At(next));
                (start < next).then_some(start..next)
            }
            Err(fault) => {
                self.fail(partition, fault);
                None
            }
        }
    }

    /// A position is committed. Returns whether that releases its partition.
    pub(super) fn committed(&mut self, position: &Position) -> bool {
        let cursor = self.cursor(position.partition);
        cursor.committed = Some(position.next_offset);
        cursor.leader_epoch = position.leader_epoch;
        self.moved(position.partition)
    }

    /// The partition was read further. Returns whether that releases it: it had been held, and is
    /// not any more.
    pub(super) fn moved(&mut self, partition: Partition) -> bool {
        let cursor = self.cursor(partition);
        !matches!(cursor.state, CursorState::Held(_)) && std::mem::take(&mut cursor.attempts) > 0
    }

    fn set(&mut self, partition: Partition, state: CursorState) {
        let is_held = |state: &CursorState| usize::from(matches!(state, CursorState::Held(_)));
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
mod tests;
