//! Finds where each partition resumes: at the group's committed offset, never before it. It looks
//! offsets up on a connection of its own, and seeks nothing itself. During a rebalance the broker
//! answers a member nothing on the connection of its JoinGroup: a member that asked there for
//! committed offsets would wait for the slowest member.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::error::KafkaResult;

use crate::kafka::client::context::PlainContext;
use crate::kafka::client::lookup::{Bound, Committed, TopicLookup};
use crate::kafka::native::{TopicId, Undescribed};
use crate::stream::{Partition, PartitionFault, Position, ResumePoint};

/// Longest wait for the committed offset of a partition that was just assigned. The client itself
/// read it a moment ago.
const ASSIGNED_WAIT_MAX: Duration = Duration::from_secs(2);
/// Longest wait for the committed offsets to rewind to, which includes a predecessor's open
/// transaction.
const REWIND_WAIT_MAX: Duration = Duration::from_secs(20);
/// Longest wait for the ends of the log, and for the topic's id.
const LOOKUP_WAIT_MAX: Duration = Duration::from_secs(5);
/// A deposed leader may report an outdated end until its session expires, not longer.
const DEPOSED_LEADER_MAX: Duration = Duration::from_secs(10);

/// The resume points of this consumer's partitions.
pub(in crate::kafka) struct ResumePoints {
    group: TopicLookup<PlainContext>,
    /// Assigned partitions whose floor was not passed on yet.
    unplaced: BTreeSet<Partition>,
    /// Whether the group coordinator has failed to answer since the last assignment.
    is_unanswered: bool,
    known: BTreeMap<Partition, Known>,
    /// Committed offsets that were found past the end of the log.
    behind: BTreeMap<Partition, Behind>,
    /// The topic's id at the first commit. The outer `None` means no commit yet, the inner one
    /// that the broker reports no ids.
    topic_id: Option<Option<TopicId>>,
}

/// What this consumer knows of a partition's committed offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// This offset is committed.
    Committed(i64),
    /// The offset belonged to a topic that was deleted and created again.
    OldTopic,
}

/// A committed offset that was found past the end of the log.
#[derive(Debug, Clone, Copy)]
struct Behind {
    committed: i64,
    end: i64,
    since: Instant,
    /// Whether it was past the end for long enough. The offset then stays invalid even when the
    /// log grows past it, since the records before it are different ones.
    certain: bool,
}

/// Where the client must read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kafka) enum ReadFrom {
    /// The beginning of the log.
    Beginning,
    /// An offset, with the leader epoch of the record before it, if known.
    Offset(i64, Option<i32>),
}

impl ReadFrom {
    /// Returns where the client must read from to resume at this place.
    pub(super) fn place(place: &ResumePoint) -> Self {
        match place {
            ResumePoint::At(position) => {
                ReadFrom::Offset(position.next_offset, position.leader_epoch)
            }
            ResumePoint::Beginning | ResumePoint::NewLog => ReadFrom::Beginning,
        }
    }
}

impl ResumePoints {
    /// Starts without any knowledge of the partitions. The client must have a group id.
    pub(super) fn new(group: TopicLookup<PlainContext>) -> Self {
        ResumePoints {
            group,
            unplaced: BTreeSet::new(),
            is_unanswered: false,
            known: BTreeMap::new(),
            behind: BTreeMap::new(),
            topic_id: None,
        }
    }

    /// Serves the look-up client's own events. Must be called regularly.
    pub(super) fn serve(&self) {
        self.group.serve();
    }

    /// Records that partitions were assigned.
    pub(super) fn assigned(&mut self, partitions: &[Partition]) {
        self.unassigned(partitions);
        self.unplaced.extend(partitions);
        self.is_unanswered = false;
    }

    /// Records that partitions belong to other members now.
    pub(super) fn unassigned(&mut self, partitions: &[Partition]) {
        for partition in partitions {
            self.unplaced.remove(partition);
            self.known.remove(partition);
        }
    }

    /// Records positions that this consumer committed.
    pub(super) fn committed(&mut self, positions: &[Position]) {
        for position in positions {
            self.known.insert(position.partition, Known::Committed(position.next_offset));
        }
        if self.topic_id.is_none() {
            self.topic_id = Some(self.topic_id());
        }
    }

    /// Returns the floor of a partition, once after it was assigned; then `None`.
    ///
    /// # Errors
    /// Fails if the group coordinator does not report the committed offset.
    pub(super) fn floor(
        &mut self,
        partition: Partition,
    ) -> Result<Option<ResumePoint>, PartitionFault> {
        if !self.unplaced.contains(&partition) {
            return Ok(None);
        }
        let unplaced = |cause: String| PartitionFault::Unplaced { cause };
        if self.is_unanswered {
            // Many partitions would wait one after another; a rewind looks them all up at once.
            return Err(unplaced("the group coordinator did not answer".to_string()));
        }
        let mut found =
            self.group.committed([partition.0], ASSIGNED_WAIT_MAX).map_err(|error| {
                self.is_unanswered = true;
                unplaced(error.to_string())
            })?;
        self.unplaced.remove(&partition);
        let Some(committed) = found.remove(&partition.0) else {
            return Ok(Some(ResumePoint::Beginning));
        };
        self.known.insert(partition, Known::Committed(committed.offset));
        Ok(Some(ResumePoint::At(position(partition, committed))))
    }

    /// Returns the end offsets of these partitions, as far as they are known.
    pub(super) fn ends(&self, partitions: &[Partition]) -> BTreeMap<Partition, i64> {
        let numbers = partitions.iter().map(|partition| partition.0);
        let ends = self.group.bounds(Bound::End, numbers, LOOKUP_WAIT_MAX).unwrap_or_default();
        let ends =
            ends.into_iter().filter_map(|(number, end)| Some((Partition(number), end.ok()?)));
        ends.collect()
    }

    /// Returns where each of these partitions resumes, or why it cannot.
    ///
    /// # Errors
    /// Fails if the group coordinator does not answer.
    pub(super) fn find(
        &mut self,
        partitions: &[Partition],
    ) -> KafkaResult<BTreeMap<Partition, Result<ResumePoint, PartitionFault>>> {
        let numbers = partitions.iter().map(|partition| partition.0);
        let mut found = self.group.committed(numbers, REWIND_WAIT_MAX)?;
        let with_offset: Vec<Partition> = found.keys().copied().map(Partition).collect();
        let ends = self.ends(&with_offset);
        self.notice_new_topic(partitions, &found);
        let places = partitions.iter().map(|partition| {
            let place = match found.remove(&partition.0) {
                Some(committed) => self
                    .check_end(*partition, committed.offset, ends.get(partition).copied())
                    .map(|()| ResumePoint::At(position(*partition, committed))),
                None => self.place_without(*partition),
            };
            (*partition, place)
        });
        Ok(places.collect())
    }

    /// Records that a partition was moved to its resume point.
    pub(super) fn moved(&mut self, partition: Partition) {
        self.unplaced.remove(&partition);
    }

    /// Detects that the topic was deleted and created again: the broker has no offset where this
    /// consumer committed one, and the topic has another id.
    fn notice_new_topic(&mut self, partitions: &[Partition], found: &BTreeMap<i32, Committed>) {
        let is_forgotten = |partition: &Partition| {
            let known = self.known.get(partition);
            matches!(known, Some(Known::Committed(_))) && !found.contains_key(&partition.0)
        };
        if !partitions.iter().any(is_forgotten) {
            return;
        }
        let (before, now) = (self.topic_id.flatten(), self.topic_id());
        if before.is_some() && now.is_some() && before != now {
            tracing::warn!(
                "the input topic was deleted and created again; reading it from its beginning"
            );
            self.topic_id = Some(now);
            self.known.values_mut().for_each(|known| *known = Known::OldTopic);
        }
    }

    /// Returns how many partitions the topic has.
    pub(super) fn partition_count(&self) -> Result<i32, Undescribed> {
        self.group.identity(LOOKUP_WAIT_MAX).map(|identity| identity.partitions)
    }

    /// Returns the topic's id; `None` if the broker does not report it.
    fn topic_id(&self) -> Option<TopicId> {
        self.group.identity(LOOKUP_WAIT_MAX).ok()?.id
    }

    /// Returns the place of a partition for which the group has no committed offset: none was
    /// committed yet, or the topic was created again. Offsets that were lost in any other way do
    /// not justify judging everything again.
    fn place_without(&self, partition: Partition) -> Result<ResumePoint, PartitionFault> {
        match self.known.get(&partition) {
            None => Ok(ResumePoint::Beginning),
            Some(Known::OldTopic) => Ok(ResumePoint::NewLog),
            Some(Known::Committed(offset)) => Err(PartitionFault::Unplaced {
                cause: format!("the broker no longer has one, although {offset} was committed"),
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
}

fn position(partition: Partition, committed: Committed) -> Position {
    Position {
        partition,
        next_offset: committed.offset,
        leader_epoch: committed.leader_epoch,
        metadata: committed.metadata,
    }
}

/// Returns whether and how far a committed offset is past the end of the log, from what is known
/// and the end that was just looked up.
fn behind(known: Option<Behind>, committed: i64, end: Option<i64>, now: Instant) -> Option<Behind> {
    match (end.filter(|end| *end < committed), known) {
        (Some(end), known) => {
            let since = known.map_or(now, |known| known.since);
            let certain = now.duration_since(since) >= DEPOSED_LEADER_MAX;
            Some(Behind {
                committed,
                end,
                since,
                certain: certain || known.is_some_and(|known| known.certain),
            })
        }
        // An unknown end clears nothing.
        (None, Some(known)) if known.certain || end.is_none() => Some(known),
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::config::ClientConfig;

    use super::*;

    #[test]
    fn an_offset_that_was_past_the_end_for_long_stays_invalid_when_the_log_grows() {
        let start = Instant::now();
        let look = |known, end, after: Duration| behind(known, 100, end, start + after);
        assert!(look(None, Some(100), Duration::ZERO).is_none());
        assert!(look(None, None, Duration::ZERO).is_none());
        let first = look(None, Some(15), Duration::ZERO);
        assert!(first.is_some_and(|it| it.end == 15 && !it.certain));
        assert!(look(first, None, DEPOSED_LEADER_MAX).is_some(), "an unknown end clears nothing");
        let passing = look(first, Some(120), DEPOSED_LEADER_MAX);
        assert!(passing.is_none(), "a deposed leader had answered");
        let lasting = look(first, Some(16), DEPOSED_LEADER_MAX);
        assert!(lasting.is_some_and(|it| it.certain));
        assert!(
            look(lasting, Some(120), DEPOSED_LEADER_MAX).is_some(),
            "the records are different ones"
        );
    }

    /// The resume points of a group whose coordinator cannot be reached.
    fn unreachable() -> ResumePoints {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", "127.0.0.1:1").set("group.id", "unreachable");
        let client = config.create_with_context(PlainContext::default()).expect("a client");
        ResumePoints::new(TopicLookup::new(client, "changes"))
    }

    /// Returns why the first record of a partition may not be passed on.
    fn fault(points: &mut ResumePoints, partition: Partition) -> String {
        points.floor(partition).expect_err("no broker answers").to_string()
    }

    #[test]
    fn a_coordinator_that_did_not_answer_is_asked_again_after_the_next_assignment() {
        const NOT_ASKED: &str = "the group coordinator did not answer";
        let mut points = unreachable();
        let [first, second] = [0, 1].map(Partition);
        points.assigned(&[first, second]);
        let why = fault(&mut points, first);
        assert!(!why.contains(NOT_ASKED), "{why}");
        let why = fault(&mut points, second);
        assert!(why.contains(NOT_ASKED), "{why}");
        points.assigned(&[second]);
        let why = fault(&mut points, second);
        assert!(!why.contains(NOT_ASKED), "asked again: {why}");
    }
}
