//! Where each partition goes on: from the group's committed offset, never before it. It knows which
//! offsets will never be read, because they were deleted or are passed over, and why a partition
//! cannot go on. It moves nothing itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::error::KafkaResult;

use super::group_positions::{Committed, GroupPositions};
use super::reach::{Reach, deleted};
use crate::config::PassOver;
use crate::kafka::native::TopicId;
use crate::stream::{Arrival, Gap, GapCause, Partition, PartitionFault, Place, Position};

/// Longest wait for the group's committed offset of a partition, which the client has just begun to
/// read from there.
const COMMITTED_LIMIT: Duration = Duration::from_secs(2);
/// Longest wait for the group's positions to go back to; a predecessor's open transaction is waited
/// for.
const POSITIONS_LIMIT: Duration = Duration::from_secs(20);
/// A leader that was deposed and does not know it may tell an end of the past until its session is
/// over, not longer.
const LONGEST_DEPOSED: Duration = Duration::from_secs(10);

/// What is known of the places of this consumer's partitions.
pub(in crate::kafka) struct Placing {
    positions: GroupPositions,
    pass_over: Vec<PassOver>,
    reach: Reach,
    /// Assigned, and nothing of them came yet.
    unplaced: BTreeSet<Partition>,
    /// Whether the group did not say where it is, since the last assignment.
    asked_in_vain: bool,
    /// What this consumer knows to be committed.
    committed: BTreeMap<Partition, i64>,
    /// Where partitions could not be read, since they were moved last.
    unreadable: BTreeMap<Partition, Unreadable>,
    /// Gaps that were decided on and not reported yet.
    gaps: BTreeMap<Partition, Gap>,
    /// Committed offsets that were found behind the end of the log.
    behind: BTreeMap<Partition, Behind>,
    /// What tells the topic from another of its name, once it was asked for.
    topic_id: Option<Option<TopicId>>,
    /// Partitions of a topic that is not there any more: what is known to be committed is of that
    /// one.
    of_old_topic: BTreeSet<Partition>,
}

/// A committed offset that was found behind the end of the log.
#[derive(Debug, Clone, Copy)]
struct Behind {
    committed: i64,
    end: i64,
    since: Instant,
    /// Whether it was found so for long enough. Then it stays wrong when the log has grown past
    /// it: the records are others.
    certain: bool,
}

/// The first error of a partition since it was moved.
#[derive(Debug, Clone, Copy)]
struct Unreadable {
    /// The offset of the error.
    offset: i64,
    /// Everything before this offset had been handed on by then.
    read_to: i64,
}

/// Where a partition is to be read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kafka) enum ReadFrom {
    /// The beginning of the log.
    Beginning,
    /// An offset, with the leader epoch of the record before it, if that is known.
    Offset(i64, Option<i32>),
}

/// Where a partition goes on: what to tell the client and what to tell the loop.
pub(in crate::kafka) type Course = Result<(ReadFrom, Place), PartitionFault>;

impl Placing {
    /// Knows nothing yet.
    pub(super) fn new(positions: GroupPositions, pass_over: &[PassOver]) -> Self {
        Placing {
            positions,
            pass_over: pass_over.to_vec(),
            reach: Reach::default(),
            unplaced: BTreeSet::new(),
            asked_in_vain: false,
            committed: BTreeMap::new(),
            unreadable: BTreeMap::new(),
            gaps: BTreeMap::new(),
            behind: BTreeMap::new(),
            topic_id: None,
            of_old_topic: BTreeSet::new(),
        }
    }

    /// Serves the client that asks; to be called now and then.
    pub(super) fn serve(&self) {
        self.positions.serve();
    }

    /// These were assigned.
    pub(super) fn assigned(&mut self, partitions: &[Partition]) {
        self.gone(partitions);
        self.unplaced.extend(partitions);
        self.asked_in_vain = false;
    }

    /// These are somebody else's.
    pub(super) fn gone(&mut self, partitions: &[Partition]) {
        self.reach.forget(partitions);
        for partition in partitions {
            self.unplaced.remove(partition);
            self.committed.remove(partition);
            self.unreadable.remove(partition);
            self.gaps.remove(partition);
            self.of_old_topic.remove(partition);
        }
    }

    /// These positions were committed.
    pub(super) fn committed(&mut self, positions: &[Position]) {
        for position in positions {
            self.committed.insert(position.partition, position.next_offset);
            self.of_old_topic.remove(&position.partition);
        }
        if self.topic_id.is_none() {
            self.topic_id = Some(self.positions.topic_id());
        }
    }

    /// A partition could not be read at this offset.
    pub(super) fn unreadable(&mut self, partition: Partition, offset: i64) {
        let read_to = self.reach.of(partition).unwrap_or(offset);
        let unreadable = Unreadable { offset, read_to };
        self.unreadable.entry(partition).or_insert(unreadable);
    }

    /// A partition goes on at this offset, and then at the next. Before the first news of a
    /// partition its floor is told. If it was to go on elsewhere, it is looked up whether
    /// anything was deleted between the two. `log_start` says where its log begins. Whether
    /// what came may be handed on.
    pub(super) fn goes_on(
        &mut self,
        partition: Partition,
        (offset, next): (i64, i64),
        log_start: impl Fn() -> Option<i64>,
        receive: &mut dyn FnMut(Arrival<'_>),
    ) -> bool {
        let expected = self.reach.of(partition);
        self.reach.set(partition, next);
        if expected == Some(offset) && self.gaps.is_empty() {
            return true;
        }
        let expected = match self.place(partition, receive) {
            Ok(placed) => placed.or(expected),
            Err(fault) => {
                receive(Arrival::Faulty(partition, fault));
                return false;
            }
        };
        if let Some(gap) = self.gaps.remove(&partition) {
            receive(Arrival::Gap(partition, gap));
        }
        let begins = log_start().filter(|begins| *begins > 0);
        let gone =
            expected.zip(begins).and_then(|(expected, begins)| deleted(expected, offset, begins));
        if let Some(offsets) = gone {
            let cause = GapCause::Deleted;
            receive(Arrival::Gap(partition, Gap { offsets, cause }));
        }
        true
    }

    /// Tells the floor of a partition that was assigned, once. Returns the group's committed
    /// offset, if it is asked for now.
    fn place(
        &mut self,
        partition: Partition,
        receive: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<Option<i64>, PartitionFault> {
        if !self.unplaced.contains(&partition) {
            return Ok(None);
        }
        let unplaced = |cause: String| PartitionFault::Unplaced { cause };
        if self.asked_in_vain {
            // Many partitions would wait one after the other; when they are rewound they wait
            // together.
            return Err(unplaced("the group's coordinator did not answer".to_string()));
        }
        let found = self.positions.of(&[partition], COMMITTED_LIMIT).map_err(|error| {
            self.asked_in_vain = true;
            unplaced(error.to_string())
        })?;
        self.unplaced.remove(&partition);
        let committed = found.get(&partition).map(|committed| committed.offset);
        self.committed.extend(committed.map(|offset| (partition, offset)));
        receive(Arrival::Placed(partition, committed.unwrap_or(0)));
        Ok(committed)
    }

    /// Where these partitions end, as far as that is known.
    pub(super) fn ends(&self, partitions: &[Partition]) -> BTreeMap<Partition, i64> {
        self.positions.ends(partitions)
    }

    /// Where each of these partitions goes on.
    ///
    /// # Errors
    /// If the group does not say where it is.
    pub(super) fn courses(
        &mut self,
        partitions: &[Partition],
    ) -> KafkaResult<BTreeMap<Partition, Course>> {
        let committed = self.positions.of(partitions, POSITIONS_LIMIT)?;
        let with_one: Vec<Partition> = committed.keys().copied().collect();
        let ends = self.positions.ends(&with_one);
        self.notice_new_topic(partitions, &committed);
        let course = |partition: &Partition| {
            let course = match committed.get(partition) {
                Some(committed) => self.course(*partition, *committed, ends.get(partition)),
                None => self.course_without(*partition),
            };
            (*partition, course)
        };
        Ok(partitions.iter().map(course).collect())
    }

    /// Where offsets are gone that this consumer has committed, the topic may be another one: then
    /// the broker forgot them.
    fn notice_new_topic(
        &mut self,
        partitions: &[Partition],
        found: &BTreeMap<Partition, Committed>,
    ) {
        let is_lost =
            |partition| self.committed.contains_key(partition) && !found.contains_key(partition);
        if !partitions.iter().any(is_lost) {
            return;
        }
        let (known, now) = (self.topic_id.flatten(), self.positions.topic_id());
        if known.is_some() && now.is_some() && known != now {
            tracing::warn!("the input topic was made anew; reading begins at its beginning");
            self.topic_id = Some(now);
            self.of_old_topic.extend(self.committed.keys());
            self.committed.clear();
        }
    }

    fn course(&mut self, partition: Partition, committed: Committed, end: Option<&i64>) -> Course {
        let Committed { offset, leader_epoch } = committed;
        self.gaps.remove(&partition);
        let unreadable = self.unreadable.remove(&partition);
        self.check_end(partition, offset, end.copied())?;
        let Some(behind) = unreadable.and_then(|at| self.passed_over(partition, offset, at)) else {
            return Ok((ReadFrom::Offset(offset, leader_epoch), Place::At(offset)));
        };
        let gap = Gap { offsets: offset..behind, cause: GapCause::PassedOver };
        self.gaps.insert(partition, gap);
        Ok((ReadFrom::Offset(behind, None), Place::At(behind)))
    }

    /// The group has no offset of this partition: none was committed yet, or the topic was made
    /// anew. Offsets that got lost in any other way are no reason to judge everything again.
    fn course_without(&mut self, partition: Partition) -> Course {
        if self.of_old_topic.contains(&partition) {
            return Ok((ReadFrom::Beginning, Place::Anew));
        }
        match self.committed.get(&partition) {
            None => Ok((ReadFrom::Beginning, Place::At(0))),
            Some(known) => Err(PartitionFault::Unplaced {
                cause: format!("the group has none any more, although {known} was committed"),
            }),
        }
    }

    fn check_end(
        &mut self,
        partition: Partition,
        committed: i64,
        end: Option<i64>,
    ) -> Result<(), PartitionFault> {
        let known = self.behind.remove(&partition);
        let known = known.filter(|known| known.committed == committed);
        let found = behind(known, committed, end, Instant::now());
        found.map_or(Ok(()), |found| {
            self.behind.insert(partition, found);
            let end = found.end;
            Err(PartitionFault::BehindEnd { committed, end })
        })
    }

    /// Where reading goes on behind what can never be read: only if nothing that can be read lies
    /// before that.
    fn passed_over(&self, partition: Partition, committed: i64, at: Unreadable) -> Option<i64> {
        let is_met = |stretch: &&PassOver| {
            stretch.partition == partition.0
                && (stretch.contains(at.offset) || stretch.contains(committed))
        };
        let stretch = self.pass_over.iter().find(is_met)?;
        (at.read_to <= committed && committed <= stretch.last).then_some(stretch.last + 1)
    }

    /// A partition was moved there.
    pub(super) fn moved(&mut self, partition: Partition, place: Place) {
        self.unplaced.remove(&partition);
        match place {
            Place::At(offset) => self.reach.set(partition, offset),
            Place::Anew => self.reach.forget(&[partition]),
        }
    }
}

/// Whether a committed offset is behind the end of the log, by what is known and by an end that was
/// looked up now.
fn behind(known: Option<Behind>, committed: i64, end: Option<i64>, now: Instant) -> Option<Behind> {
    match (end.filter(|end| *end < committed), known) {
        (Some(end), known) => {
            let since = known.map_or(now, |known| known.since);
            let certain = now.duration_since(since) >= LONGEST_DEPOSED;
            Some(Behind {
                committed,
                end,
                since,
                certain: certain || known.is_some_and(|known| known.certain),
            })
        }
        // Not knowing the end is no reason to go on.
        (None, Some(known)) if known.certain || end.is_none() => Some(known),
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::config::ClientConfig;

    use super::*;

    #[test]
    fn an_offset_that_was_behind_the_end_for_long_stays_wrong_when_the_log_has_grown() {
        let start = Instant::now();
        let look = |known, end, after: Duration| behind(known, 100, end, start + after);
        assert!(look(None, Some(100), Duration::ZERO).is_none());
        assert!(look(None, None, Duration::ZERO).is_none());
        let first = look(None, Some(15), Duration::ZERO);
        assert!(first.is_some_and(|it| it.end == 15 && !it.certain));
        assert!(look(first, None, LONGEST_DEPOSED).is_some(), "nobody said otherwise");
        let passing = look(first, Some(120), LONGEST_DEPOSED);
        assert!(passing.is_none(), "a deposed leader had answered");
        let lasting = look(first, Some(16), LONGEST_DEPOSED);
        assert!(lasting.is_some_and(|it| it.certain));
        assert!(look(lasting, Some(120), LONGEST_DEPOSED).is_some(), "others");
    }

    /// Places of a group whose coordinator nobody can reach.
    fn unheard() -> Placing {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", "127.0.0.1:1").set("group.id", "unheard");
        let positions = GroupPositions::open(&config, "changes").expect("a client");
        Placing::new(positions, &[])
    }

    /// Why the first record of a partition may not be handed on.
    fn fault(placing: &mut Placing, partition: Partition) -> String {
        let mut said = None;
        let goes_on = placing.goes_on(partition, (7, 8), || None, &mut |arrival| {
            if let Arrival::Faulty(_, fault) = arrival {
                said = Some(fault.to_string());
            }
        });
        assert!(!goes_on);
        said.expect("a fault")
    }

    #[test]
    fn a_group_that_did_not_answer_is_asked_again_after_the_next_assignment() {
        const NOT_ASKED: &str = "the group's coordinator did not answer";
        let mut placing = unheard();
        let [first, second] = [0, 1].map(Partition);
        placing.assigned(&[first, second]);
        let why = fault(&mut placing, first);
        assert!(!why.contains(NOT_ASKED), "{why}");
        let why = fault(&mut placing, second);
        assert!(why.contains(NOT_ASKED), "{why}");
        placing.assigned(&[second]);
        let why = fault(&mut placing, second);
        assert!(!why.contains(NOT_ASKED), "asked anew: {why}");
    }
}
