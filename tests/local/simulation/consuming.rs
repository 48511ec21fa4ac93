//! The reading half of a simulated connection: news of the group, positions in memory, records, and
//! the committed offsets that a rewind returns to.

use std::time::Duration;

use super::broker::SimulatedBroker;
use super::client::News;
use super::faults::{Fault, Moment, Probe};
use super::planted::PlantedFault;
use super::seam::{Failure, Partition};

/// How long the client waits for stable committed offsets before it gives up.
const COMMITTED_LIMIT: Duration = Duration::from_secs(20);
/// How often it asks meanwhile.
const COMMITTED_INTERVAL: Duration = Duration::from_millis(500);
/// Maximum number of records that one poll hands over.
const AT_ONCE_MAX: usize = 3;

/// Maximum number of polls that hand over records fetched before a rebalance.
const POLLS_BEFORE_NEWS_MAX: usize = 8;

/// The result of a poll; the news are older than the rest.
#[derive(Debug, Default)]
pub struct Fetched {
    pub news: Vec<News>,
    pub arrived: Vec<Arrived>,
    /// Whether the poll returns statistics, which the loop only passes on.
    pub has_statistics: bool,
}

/// What arrives from a partition.
#[derive(Debug)]
pub enum Arrived {
    /// The offset at which the loop begins to read.
    Placed(Partition, i64),
    Record(Partition, i64, Vec<u8>),
    End(Partition, i64),
    /// The partition cannot be read at this offset, or its committed offset is not known.
    Faulty(Partition, i64),
}

impl Arrived {
    fn partition(&self) -> Partition {
        match self {
            Arrived::Placed(partition, _)
            | Arrived::Record(partition, ..)
            | Arrived::End(partition, _)
            | Arrived::Faulty(partition, _) => *partition,
        }
    }
}

/// Where a partition continues after a rewind, or why it could not be rewound.
pub type Rewound = (Partition, Result<i64, &'static str>);

impl SimulatedBroker {
    pub fn fetch(&mut self, wait: Duration, most: usize) -> Result<Fetched, Failure> {
        self.preempt(Moment::Polling)?;
        self.context.advance(Duration::from_millis(1));
        if self.is_fenced() {
            self.hit(Probe::ConsumerFenced);
            return Err(Failure::Fatal("this group instance id is taken".to_string()));
        }
        if self.is_over() && !self.context.is_planted(PlantedFault::StaleMemberIgnored) {
            return Err(Failure::ConsumerDead(
                "the group continued without this member".to_string(),
            ));
        }
        let mut fetched = Fetched::default();
        let mut arrived = Vec::new();
        if self.delays_news() {
            arrived = self.next_records(most);
        }
        if arrived.is_empty() {
            fetched.news = self.serve_news();
            self.may_reset();
            self.resolve_positions();
            arrived = self.next_records(most);
        }
        self.preempt(Moment::Polling)?;
        fetched.news.iter().for_each(|news| self.apply_news(news));
        self.handed_over.extend(arrived.iter().map(Arrived::partition));
        match arrived.len() {
            0 => {
                self.context.advance(wait);
                fetched.has_statistics = self.context.random.per_mille(50);
                arrived = self.ends();
            }
            1 => {}
            _ => self.hit(Probe::SeveralRecordsAtOnce),
        }
        let placed = arrived.into_iter().flat_map(|arrived| self.placed(arrived));
        fetched.arrived = placed.collect();
        Ok(fetched)
    }

    /// Puts the floor of a partition before the first thing that arrives from it. Returns an error
    /// instead if the floor is not stable.
    fn placed(&mut self, arrived: Arrived) -> Vec<Arrived> {
        let partition = arrived.partition();
        if !self.unplaced.contains(&partition) {
            return vec![arrived];
        }
        let floor = self.context.cluster.borrow().stable_offset(partition);
        match floor {
            None => vec![Arrived::Faulty(partition, 0)],
            Some(floor) => {
                self.unplaced.remove(&partition);
                let reported_floor = if self.context.is_planted(PlantedFault::FloorNotDelivered) {
                    0
                } else {
                    floor
                };
                vec![Arrived::Placed(partition, reported_floor), arrived]
            }
        }
    }

    /// Resets the client to the beginning of a partition, whatever its position was.
    fn may_reset(&mut self) {
        if !self.context.injects_one_in(3, Fault::ClientReset, self.client) {
            return;
        }
        let mut cluster = self.context.cluster.borrow_mut();
        let client = cluster.group.client(self.client);
        let partitions: Vec<Partition> = client.positions.keys().copied().collect();
        if let Some(partition) = self.context.random.pick(&partitions) {
            client.positions.insert(partition, Some(0));
        }
    }

    /// Reports, now and then, the partitions whose end the client has reached.
    fn ends(&self) -> Vec<Arrived> {
        if !self.context.random.per_mille(300) {
            return Vec::new();
        }
        let mut cluster = self.context.cluster.borrow_mut();
        let positions = cluster.group.client(self.client).positions.clone();
        let known = positions.iter().filter_map(|(p, at)| Some((*p, (*at)?)));
        let at_end = known.filter(|(p, at)| *at >= cluster.end_offset(*p));
        at_end.map(|(p, at)| Arrived::End(p, at)).collect()
    }

    /// Decides whether records that were fetched earlier come before the news, for a few polls.
    fn delays_news(&mut self) -> bool {
        if self.polls_before_news == 0 && self.injects(Fault::RecordBeforeNews) {
            self.polls_before_news = self.context.random.count(1, POLLS_BEFORE_NEWS_MAX);
        }
        let wait = self.polls_before_news > 0;
        self.polls_before_news = self.polls_before_news.saturating_sub(1);
        wait
    }

    /// Runs the rebalance callbacks and returns what they reported.
    fn serve_news(&mut self) -> Vec<News> {
        let mut cluster = self.context.cluster.borrow_mut();
        let client = cluster.group.client(self.client);
        let news: Vec<News> = client.news.drain(..).collect();
        news.iter().for_each(|news| client.serve(news));
        news
    }

    /// Updates the state that the session itself keeps.
    fn apply_news(&mut self, news: &News) {
        self.context.log(self.client, || format!("{news:?}"));
        match news {
            News::Assigned(partitions) => {
                self.membership = self.current_membership();
                self.unplaced.extend(partitions);
            }
            News::Revoked(partitions) => self.taken_away(partitions, Probe::PartitionsRevoked),
            News::Lost(partitions) => {
                self.taken_away(partitions, Probe::PartitionsLost);
                self.membership = None;
            }
        }
    }

    fn taken_away(&mut self, partitions: &[Partition], how: Probe) {
        self.hit(how);
        for partition in partitions {
            self.unplaced.remove(partition);
            self.confirmed.remove(partition);
        }
        let forgotten = partitions.iter().filter(|p| self.handed_over.remove(p));
        if forgotten.count() > 0 {
            self.hit(Probe::BatchDropped);
        }
    }

    /// Asks for the committed offsets of newly assigned partitions; asks again later for those that
    /// a transaction is about to change.
    fn resolve_positions(&mut self) {
        let mut cluster = self.context.cluster.borrow_mut();
        let positions = &cluster.group.client(self.client).positions;
        let unknown = positions.iter().filter(|(_, at)| at.is_none());
        let unknown: Vec<Partition> = unknown.map(|(partition, _)| *partition).collect();
        for partition in unknown {
            let mut offset = cluster.stable_offset(partition);
            if offset.is_none() {
                self.context.faults.hit(Probe::OffsetsUnstable);
                if self.context.is_planted(PlantedFault::UnstableOffsetsUsed) {
                    offset = Some(cluster.committed_offset(partition));
                }
            }
            let client = cluster.group.client(self.client);
            client.positions.insert(partition, offset);
        }
    }

    fn next_records(&mut self, most: usize) -> Vec<Arrived> {
        let several = self.context.random.per_mille(200);
        let most = if several { most.min(AT_ONCE_MAX) } else { 1 };
        (0..most).map_while(|_| self.next_record()).collect()
    }

    fn next_record(&mut self) -> Option<Arrived> {
        let is_repeated = self.context.injects_one_in(5, Fault::RecordTwice, self.client);
        self.may_become_unreadable();
        let unreadable = self.unreadable();
        let mut cluster = self.context.cluster.borrow_mut();
        let positions = cluster.group.client(self.client).positions.clone();
        let known = positions.iter().filter_map(|(p, at)| Some((*p, (*at)?)));
        let ready = known.filter(|(p, at)| *at < cluster.end_offset(*p));
        let ready: Vec<(Partition, i64)> = ready.collect();
        let (partition, at) = self.context.random.pick(&ready)?;
        let next = if is_repeated { at } else { at + 1 };
        let is_damaged = cluster.input[partition.0 as usize][at as usize].is_damaged;
        let client = cluster.group.client(self.client);
        if unreadable == Some(partition) || is_damaged {
            // The client reads the damaged bytes as a header, is out of range, and resets to the
            // beginning.
            client.positions.insert(partition, Some(0));
            return Some(Arrived::Faulty(partition, at));
        }
        client.positions.insert(partition, Some(next));
        let record = &cluster.input[partition.0 as usize][at as usize];
        Some(Arrived::Record(partition, at, record.payload.clone()))
    }

    fn unreadable(&self) -> Option<Partition> {
        let (partition, until) = self.lasting.unreadable?;
        self.lasts(until).then_some(partition)
    }

    fn may_become_unreadable(&mut self) {
        if self.context.injects_one_in(5, Fault::PartitionUnreadable, self.client) {
            let mut cluster = self.context.cluster.borrow_mut();
            let positions = &cluster.group.client(self.client).positions;
            let partitions: Vec<Partition> = positions.keys().copied().collect();
            drop(cluster);
            let some = self.context.random.pick(&partitions);
            self.lasting.unreadable = some.map(|partition| (partition, self.some_time()));
        }
    }

    pub(super) fn go_back(&mut self, partitions: &[Partition]) -> Result<Vec<Rewound>, Failure> {
        if self.injects(Fault::RewindFails) {
            return Err(Failure::Held("committed offsets timed out".to_string()));
        }
        let mut offsets = self.committed_offsets(partitions)?;
        if self.injects(Fault::PositionsStale) {
            for (partition, offset) in partitions.iter().zip(&mut offsets) {
                if let Some((before, _)) = self.confirmed.get(partition) {
                    *offset = *before;
                }
            }
        }
        let fails = self.injects(Fault::RewindHalfFails);
        let unmoved = fails.then(|| self.context.random.index(partitions.len()));
        let overlooked = self.context.is_planted(PlantedFault::RewindFailureIgnored);
        let moves = partitions.iter().zip(offsets).enumerate();
        let rewound = moves.map(|(index, (partition, offset))| {
            let moved = match unmoved == Some(index) {
                true if overlooked => Ok(()),
                true => Err("the seek failed"),
                false => self.seek(*partition, offset),
            };
            self.unplaced.remove(partition);
            (*partition, moved.map(|()| offset))
        });
        Ok(rewound.collect())
    }

    /// Moves a partition past the records that cannot be read, but not past its end.
    pub fn skip_to(
        &mut self,
        partition: Partition,
        offset: i64,
    ) -> Result<Result<i64, &'static str>, Failure> {
        self.check_consumer()?;
        if self.injects(Fault::RewindFails) {
            return Ok(Err("the seek timed out"));
        }
        let end = self.context.cluster.borrow().end_offset(partition);
        let too_far = i64::from(self.context.is_planted(PlantedFault::SkippedTooFar));
        let next = (offset + too_far).min(end);
        Ok(self.seek(partition, next).map(|()| next))
    }

    /// Keeps the client from reading partitions.
    pub fn park(&mut self, partitions: &[Partition]) -> Result<(), Failure> {
        self.check_consumer()?;
        for partition in partitions {
            let end = self.context.cluster.borrow().end_offset(*partition);
            // A partition that is not assigned any more is not read anyway.
            _ = self.seek(*partition, end);
        }
        Ok(())
    }

    /// Asks for committed offsets until they are stable.
    fn committed_offsets(&mut self, partitions: &[Partition]) -> Result<Vec<i64>, Failure> {
        let mut waited = Duration::ZERO;
        loop {
            self.preempt(Moment::Rewinding)?;
            if self.is_fenced() {
                return Err(Failure::Held("the consumer is fenced".to_string()));
            }
            let cluster = self.context.cluster.borrow();
            let offsets = partitions.iter().map(|p| cluster.stable_offset(*p));
            let mut offsets: Option<Vec<i64>> = offsets.collect();
            if self.context.is_planted(PlantedFault::UnstableOffsetsUsed) {
                let unstable = partitions.iter().map(|p| cluster.committed_offset(*p));
                offsets.get_or_insert_with(|| unstable.collect());
            }
            drop(cluster);
            if let Some(offsets) = offsets {
                if waited > Duration::ZERO {
                    self.hit(Probe::RewindWaited);
                }
                return Ok(offsets);
            }
            self.hit(Probe::OffsetsUnstable);
            if waited >= COMMITTED_LIMIT {
                return Err(Failure::Held("committed offsets are unstable".to_string()));
            }
            self.context.advance(COMMITTED_INTERVAL);
            waited += COMMITTED_INTERVAL;
        }
    }

    fn seek(&self, partition: Partition, offset: i64) -> Result<(), &'static str> {
        let mut cluster = self.context.cluster.borrow_mut();
        let client = cluster.group.client(self.client);
        let position = client.positions.get_mut(&partition);
        *position.ok_or("the partition is not assigned")? = Some(offset);
        Ok(())
    }
}
