//! The reading half of a simulated connection: news of the group, positions in memory, records, and the
//! committed offsets that reading goes back to.

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
const MOST_AT_ONCE: usize = 3;

/// So many polls may hand over what was fetched before a rebalance.
const MOST_POLLS_BEFORE_NEWS: usize = 8;

/// What a poll brought; the news are older than the records.
#[derive(Debug, Default)]
pub struct Fetched {
    pub news: Vec<News>,
    pub records: Vec<(Partition, i64, Vec<u8>)>,
    /// Whether things are told that the loop only passes on.
    pub chatter: bool,
}

impl SimulatedBroker {
    pub fn fetch(&mut self, wait: Duration) -> Result<Fetched, Failure> {
        self.breathe(Moment::Polling)?;
        self.stage.pass(Duration::from_millis(1));
        if self.is_fenced() {
            self.saw(Sight::ConsumerFenced);
            return Err(Failure::Fatal(
                "this group instance id is taken".to_string(),
            ));
        }
        if self.is_over() && !self.stage.planted(Sabotage::DeafnessUnnoticed) {
            return Err(Failure::Fatal("the group has gone on".to_string()));
        }
        let mut fetched = Fetched::default();
        if self.news_wait() {
            fetched.records = self.next_records();
        }
        if fetched.records.is_empty() {
            fetched.news = self.serve_news();
            self.resolve_positions();
            fetched.records = self.next_records();
        }
        self.breathe(Moment::Polling)?;
        fetched.news.iter().for_each(|news| self.heed(news));
        let partitions = fetched.records.iter().map(|(partition, ..)| *partition);
        self.handed_over.extend(partitions);
        match fetched.records.len() {
            0 => {
                self.stage.pass(wait);
                fetched.chatter = self.stage.random.happens(50);
            }
            1 => {}
            _ => self.saw(Sight::SeveralRecordsAtOnce),
        }
        Ok(fetched)
    }

    /// Whether what was fetched earlier comes first, for a few polls.
    fn news_wait(&mut self) -> bool {
        if self.polls_before_news == 0 && self.strikes(Fault::RecordBeforeNews) {
            self.polls_before_news = self.stage.random.within(1, MOST_POLLS_BEFORE_NEWS);
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
            News::Assigned(_) => self.membership = self.current_membership(),
            News::Revoked(partitions) => self.taken_away(partitions, Sight::PartitionsRevoked),
            News::Lost(partitions) => {
                self.taken_away(partitions, Sight::PartitionsLost);
                self.membership = None;
            }
        }
    }

    fn taken_away(&mut self, partitions: &[Partition], how: Sight) {
        self.saw(how);
        let forgotten = partitions.iter().filter(|p| self.handed_over.remove(p));
        if forgotten.count() > 0 {
            self.saw(Sight::BatchForgotten);
        }
    }

    /// Asks for the committed offsets of newly assigned partitions; those that a transaction is about to
    /// change are asked for again later.
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

    fn next_records(&mut self) -> Vec<(Partition, i64, Vec<u8>)> {
        let several = self.stage.random.happens(200);
        let most = if several { MOST_AT_ONCE } else { 1 };
        (0..most).map_while(|_| self.next_record()).collect()
    }

    fn next_record(&mut self) -> Option<(Partition, i64, Vec<u8>)> {
        let is_repeated = self
            .stage
            .strikes_one_in(5, Fault::RecordTwice, self.client);
        let mut cluster = self.stage.cluster.borrow_mut();
        let positions = cluster.group.client(self.client).positions.clone();
        let known = positions.iter().filter_map(|(p, at)| Some((*p, (*at)?)));
        let ready = known.filter(|(p, at)| *at < cluster.end_offset(*p));
        let ready: Vec<(Partition, i64)> = ready.collect();
        let (partition, at) = self.stage.random.pick(&ready)?;
        let next = if is_repeated { at } else { at + 1 };
        let client = cluster.group.client(self.client);
        client.positions.insert(partition, Some(next));
        let record = &cluster.input[partition.0 as usize][at as usize];
        Some((partition, at, record.payload.clone()))
    }

    pub(super) fn go_back(&mut self, partitions: &[Partition]) -> Result<(), Failure> {
        if self.strikes(Fault::RewindFails) {
            return Err(Failure::Broken("committed offsets timed out".to_string()));
        }
        let offsets = self.committed_offsets(partitions)?;
        let fails = self.strikes(Fault::RewindHalfFails);
        let unmoved = fails.then(|| self.stage.random.below(partitions.len()));
        for (index, (partition, offset)) in partitions.iter().zip(offsets).enumerate() {
            if unmoved != Some(index) {
                self.seek(*partition, offset)?;
            }
        }
        if fails && !self.stage.planted(Sabotage::RewindFailureOverlooked) {
            return Err(Failure::Broken("seek of a partition failed".to_string()));
        }
        Ok(())
    }

    /// Asks for committed offsets until they are stable.
    fn committed_offsets(&mut self, partitions: &[Partition]) -> Result<Vec<i64>, Failure> {
        let mut waited = Duration::ZERO;
        loop {
            self.breathe(Moment::Rewinding)?;
            if self.is_fenced() {
                return Err(Failure::Broken("the consumer asks no more".to_string()));
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
                return Err(Failure::Broken(
                    "committed offsets are unstable".to_string(),
                ));
            }
            self.stage.pass(COMMITTED_INTERVAL);
            waited += COMMITTED_INTERVAL;
        }
    }

    fn seek(&mut self, partition: Partition, offset: i64) -> Result<(), Failure> {
        let mut cluster = self.stage.cluster.borrow_mut();
        let client = cluster.group.client(self.client);
        let position = client.positions.get_mut(&partition);
        let position = position
            .ok_or_else(|| Failure::Broken(format!("seek of {partition}, which is not ours")))?;
        *position = Some(offset);
        Ok(())
    }
}
