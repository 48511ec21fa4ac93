//! The reading half of a simulated connection: news of the group, positions in memory, records, and
//! the committed offsets that reading goes back to.

use std::time::Duration;

use super::broker::SimulatedBroker;
use super::client::News;
use super::faults::{Fault, Moment, Sight};
use super::sabotage::Sabotage;
use super::seam::{Failure, Partition};

/// How long the client looks for committed offsets before it gives up.
const COMMITTED_LIMIT: Duration = Duration::from_secs(20);
/// How often it asks meanwhile.
const COMMITTED_INTERVAL: Duration = Duration::from_millis(500);
/// Most records that one poll hands over.
const AT_ONCE_MAX: usize = 3;

/// So many polls may hand over what was fetched before a rebalance.
const POLLS_BEFORE_NEWS_MAX: usize = 8;

/// What a poll brought; the news are older than the rest.
#[derive(Debug, Default)]
pub struct Fetched {
    pub news: Vec<News>,
    pub arrived: Vec<Arrived>,
    /// Whether things are told that the loop only passes on.
    pub chatter: bool,
}

/// What comes of a partition.
#[derive(Debug)]
pub enum Arrived {
    /// Where it begins, for the loop.
    Placed(Partition, i64),
    Record(Partition, i64, Vec<u8>),
    End(Partition, i64),
    /// It cannot be read at this offset, or it is not known where it begins.
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

/// Where a partition goes on after it was rewound, or why it could not be.
pub type Rewound = (Partition, Result<i64, &'static str>);

impl SimulatedBroker {
    pub fn fetch(&mut self, wait: Duration, most: usize) -> Result<Fetched, Failure> {
        self.breathe(Moment::Polling)?;
        self.stage.pass(Duration::from_millis(1));
        if self.is_fenced() {
            self.saw(Sight::ConsumerFenced);
            return Err(Failure::Fatal("this group instance id is taken".to_string()));
        }
        if self.is_over() && !self.stage.planted(Sabotage::StaleMemberUnnoticed) {
            return Err(Failure::ConsumerDead("the group has gone on".to_string()));
        }
        let mut fetched = Fetched::default();
        let mut arrived = Vec::new();
        if self.news_wait() {
            arrived = self.next_records(most);
        }
        if arrived.is_empty() {
            fetched.news = self.serve_news();
            self.may_reset();
            self.resolve_positions();
            arrived = self.next_records(most);
        }
        self.breathe(Moment::Polling)?;
        fetched.news.iter().for_each(|news| self.heed(news));
        self.handed_over.extend(arrived.iter().map(Arrived::partition));
        match arrived.len() {
            0 => {
                self.stage.pass(wait);
                fetched.chatter = self.stage.random.per_mille(50);
                arrived = self.ends();
            }
            1 => {}
            _ => self.saw(Sight::SeveralRecordsAtOnce),
        }
        let placed = arrived.into_iter().flat_map(|arrived| self.placed(arrived));
        fetched.arrived = placed.collect();
        Ok(fetched)
    }

    /// Puts the floor of a partition before the first that comes of it. Where it cannot be had,
    /// nothing comes.
    fn placed(&mut self, arrived: Arrived) -> Vec<Arrived> {
        let partition = arrived.partition();
        if !self.unplaced.contains(&partition) {
            return vec![arrived];
        }
        let floor = self.stage.cluster.borrow().stable_offset(partition);
        match floor {
            None => vec![Arrived::Faulty(partition, 0)],
            Some(floor) => {
                self.unplaced.remove(&partition);
                let told = if self.stage.planted(Sabotage::FloorUntold) { 0 } else { floor };
                vec![Arrived::Placed(partition, told), arrived]
            }
        }
    }

    /// The client goes back to the beginning of a partition, whatever it knows of it.
    fn may_reset(&mut self) {
        if !self.stage.strikes_one_in(3, Fault::ClientReset, self.client) {
            return;
        }
        let mut cluster = self.stage.cluster.borrow_mut();
        let client = cluster.group.client(self.client);
        let partitions: Vec<Partition> = client.positions.keys().copied().collect();
        if let Some(partition) = self.stage.random.pick(&partitions) {
            client.positions.insert(partition, Some(0));
        }
    }

    /// The ends of partitions at which the client is, now and then.
    fn ends(&self) -> Vec<Arrived> {
        if !self.stage.random.per_mille(300) {
            return Vec::new();
        }
        let mut cluster = self.stage.cluster.borrow_mut();
        let positions = cluster.group.client(self.client).positions.clone();
        let known = positions.iter().filter_map(|(p, at)| Some((*p, (*at)?)));
        let at_end = known.filter(|(p, at)| *at >= cluster.end_offset(*p));
        at_end.map(|(p, at)| Arrived::End(p, at)).collect()
    }

    /// Whether what was fetched earlier comes first, for a few polls.
    fn news_wait(&mut self) -> bool {
        if self.polls_before_news == 0 && self.strikes(Fault::RecordBeforeNews) {
            self.polls_before_news = self.stage.random.count(1, POLLS_BEFORE_NEWS_MAX);
        }
        let wait = self.polls_before_news > 0;
        self.polls_before_news = self.polls_before_news.saturating_sub(1);
        wait
    }

    /// Runs the rebalance callbacks and returns what they reported.
    fn serve_news(&mut self) -> Vec<News> {
        let mut cluster = self.stage.cluster.borrow_mut();
        let client = cluster.group.client(self.client);
        let news: Vec<News> = client.news.drain(..).collect();
        news.iter().for_each(|news| client.serve(news));
        news
    }

    /// What the session itself draws from the news.
    fn heed(&mut self, news: &News) {
        self.stage.log(self.client, || format!("{news:?}"));
        match news {
            News::Assigned(partitions) => {
                self.membership = self.current_membership();
                self.unplaced.extend(partitions);
            }
            News::Revoked(partitions) => self.taken_away(partitions, Sight::PartitionsRevoked),
            News::Lost(partitions) => {
                self.taken_away(partitions, Sight::PartitionsLost);
                self.membership = None;
            }
        }
    }

    fn taken_away(&mut self, partitions: &[Partition], how: Sight) {
        self.saw(how);
        for partition in partitions {
            self.unplaced.remove(partition);
            self.confirmed.remove(partition);
        }
        let forgotten = partitions.iter().filter(|p| self.handed_over.remove(p));
        if forgotten.count() > 0 {
            self.saw(Sight::BatchForgotten);
        }
    }

    /// Asks for the committed offsets of newly assigned partitions; those that a transaction is
    /// about to change are asked for again later.
    fn resolve_positions(&mut self) {
        let mut cluster = self.stage.cluster.borrow_mut();
        let positions = &cluster.group.client(self.client).positions;
        let unknown = positions.iter().filter(|(_, at)| at.is_none());
        let unknown: Vec<Partition> = unknown.map(|(partition, _)| *partition).collect();
        for partition in unknown {
            let mut offset = cluster.stable_offset(partition);
            if offset.is_none() {
                self.stage.faults.saw(Sight::OffsetsUnstable);
                if self.stage.planted(Sabotage::UnstableOffsetsTaken) {
                    offset = Some(cluster.committed_offset(partition));
                }
            }
            let client = cluster.group.client(self.client);
            client.positions.insert(partition, offset);
        }
    }

    fn next_records(&mut self, most: usize) -> Vec<Arrived> {
        let several = self.stage.random.per_mille(200);
        let most = if several { most.min(AT_ONCE_MAX) } else { 1 };
        (0..most).map_while(|_| self.next_record()).collect()
    }

    fn next_record(&mut self) -> Option<Arrived> {
        let is_repeated = self.stage.strikes_one_in(5, Fault::RecordTwice, self.client);
        self.may_become_unreadable();
        let unreadable = self.unreadable();
        let mut cluster = self.stage.cluster.borrow_mut();
        let positions = cluster.group.client(self.client).positions.clone();
        let known = positions.iter().filter_map(|(p, at)| Some((*p, (*at)?)));
        let ready = known.filter(|(p, at)| *at < cluster.end_offset(*p));
        let ready: Vec<(Partition, i64)> = ready.collect();
        let (partition, at) = self.stage.random.pick(&ready)?;
        let next = if is_repeated { at } else { at + 1 };
        let is_damaged = cluster.input[partition.0 as usize][at as usize].is_damaged;
        let client = cluster.group.client(self.client);
        if unreadable == Some(partition) || is_damaged {
            // The client takes what it cannot read for the next header, is out of range, and begins
            // anew.
            client.positions.insert(partition, Some(0));
            return Some(Arrived::Faulty(partition, at));
        }
        client.positions.insert(partition, Some(next));
        let record = &cluster.input[partition.0 as usize][at as usize];
        Some(Arrived::Record(partition, at, record.payload.clone()))
    }

    fn unreadable(&self) -> Option<Partition> {
        let (partition, until) = self.troubles.unreadable?;
        self.lasts(until).then_some(partition)
    }

    fn may_become_unreadable(&mut self) {
        if self.stage.strikes_one_in(5, Fault::PartitionUnreadable, self.client) {
            let mut cluster = self.stage.cluster.borrow_mut();
            let positions = &cluster.group.client(self.client).positions;
            let partitions: Vec<Partition> = positions.keys().copied().collect();
            drop(cluster);
            let some = self.stage.random.pick(&partitions);
            self.troubles.unreadable = some.map(|partition| (partition, self.some_time()));
        }
    }

    pub(super) fn go_back(&mut self, partitions: &[Partition]) -> Result<Vec<Rewound>, Failure> {
        if self.strikes(Fault::RewindFails) {
            return Err(Failure::Held("committed offsets timed out".to_string()));
        }
        let mut offsets = self.committed_offsets(partitions)?;
        if self.strikes(Fault::PositionsStale) {
            for (partition, offset) in partitions.iter().zip(&mut offsets) {
                if let Some((before, _)) = self.confirmed.get(partition) {
                    *offset = *before;
                }
            }
        }
        let fails = self.strikes(Fault::RewindHalfFails);
        let unmoved = fails.then(|| self.stage.random.index(partitions.len()));
        let overlooked = self.stage.planted(Sabotage::RewindFailureOverlooked);
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

    /// Moves a partition behind what cannot be read, but not behind its end.
    pub fn skip_to(
        &mut self,
        partition: Partition,
        offset: i64,
    ) -> Result<Result<i64, &'static str>, Failure> {
        self.check_consumer()?;
        if self.strikes(Fault::RewindFails) {
            return Ok(Err("the seek timed out"));
        }
        let end = self.stage.cluster.borrow().end_offset(partition);
        let too_far = i64::from(self.stage.planted(Sabotage::SkippedTooFar));
        let next = (offset + too_far).min(end);
        Ok(self.seek(partition, next).map(|()| next))
    }

    /// Keeps the client from reading partitions.
    pub fn park(&mut self, partitions: &[Partition]) -> Result<(), Failure> {
        self.check_consumer()?;
        for partition in partitions {
            let end = self.stage.cluster.borrow().end_offset(*partition);
            // What is not ours any more is not read anyway.
            _ = self.seek(*partition, end);
        }
        Ok(())
    }

    /// Asks for committed offsets until they are stable.
    fn committed_offsets(&mut self, partitions: &[Partition]) -> Result<Vec<i64>, Failure> {
        let mut waited = Duration::ZERO;
        loop {
            self.breathe(Moment::Rewinding)?;
            if self.is_fenced() {
                return Err(Failure::Held("the consumer asks no more".to_string()));
            }
            let cluster = self.stage.cluster.borrow();
            let offsets = partitions.iter().map(|p| cluster.stable_offset(*p));
            let mut offsets: Option<Vec<i64>> = offsets.collect();
            if self.stage.planted(Sabotage::UnstableOffsetsTaken) {
                let unstable = partitions.iter().map(|p| cluster.committed_offset(*p));
                offsets.get_or_insert_with(|| unstable.collect());
            }
            drop(cluster);
            if let Some(offsets) = offsets {
                if waited > Duration::ZERO {
                    self.saw(Sight::RewindWaited);
                }
                return Ok(offsets);
            }
            self.saw(Sight::OffsetsUnstable);
            if waited >= COMMITTED_LIMIT {
                return Err(Failure::Held("committed offsets are unstable".to_string()));
            }
            self.stage.pass(COMMITTED_INTERVAL);
            waited += COMMITTED_INTERVAL;
        }
    }

    fn seek(&self, partition: Partition, offset: i64) -> Result<(), &'static str> {
        let mut cluster = self.stage.cluster.borrow_mut();
        let client = cluster.group.client(self.client);
        let position = client.positions.get_mut(&partition);
        *position.ok_or("it is not ours")? = Some(offset);
        Ok(())
    }
}
