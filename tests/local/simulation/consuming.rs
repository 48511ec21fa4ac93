//! The reading half of a simulated connection: news of the group, positions in memory, records, and the
//! committed offsets that reading goes back to.

use std::time::Duration;

use audit_relay::stream::{Arrival, Failure, GroupStatistics, Partition, SourceRecord};

use super::broker::SimulatedBroker;
use super::client::News;
use super::faults::Sight;

/// How long the client looks for committed offsets before it gives up.
const COMMITTED_LIMIT: Duration = Duration::from_secs(20);
/// How often it asks meanwhile.
const COMMITTED_INTERVAL: Duration = Duration::from_millis(500);

impl SimulatedBroker {
    /// Runs the rebalance callbacks and returns what they reported.
    pub(super) fn serve_news(&mut self) -> Vec<News> {
        let mut cluster = self.stage.cluster.borrow_mut();
        let client = cluster.group.client(self.client);
        let news: Vec<News> = client.news.drain(..).collect();
        news.iter().for_each(|news| client.serve(news));
        news
    }

    pub(super) fn deliver(&mut self, news: Vec<News>, receive: &mut dyn FnMut(Arrival<'_>)) {
        for news in news {
            self.log(|| format!("{news:?}"));
            match news {
                News::Assigned(partitions) => {
                    self.membership = self.current_membership();
                    receive(Arrival::Assigned(&partitions));
                }
                News::Revoked(partitions) => {
                    self.taken_away(&partitions, Sight::PartitionsRevoked);
                    receive(Arrival::Revoked(&partitions));
                }
                News::Lost(partitions) => {
                    self.taken_away(&partitions, Sight::PartitionsLost);
                    self.membership = None;
                    receive(Arrival::Lost(&partitions));
                }
            }
        }
    }

    pub(super) fn taken_away(&mut self, partitions: &[Partition], how: Sight) {
        self.stage.faults.saw(how);
        if partitions
            .iter()
            .any(|partition| self.handed_over.remove(partition))
        {
            self.stage.faults.saw(Sight::BatchForgotten);
        }
    }

    /// Asks for the committed offsets of newly assigned partitions; those that a transaction is about to
    /// change are asked for again later.
    pub(super) fn resolve_positions(&mut self) {
        let mut cluster = self.stage.cluster.borrow_mut();
        let client = cluster.group.client(self.client);
        let unknown = client
            .positions
            .iter()
            .filter(|(_, position)| position.is_none());
        let unknown: Vec<Partition> = unknown.map(|(partition, _)| *partition).collect();
        for partition in unknown {
            let offset = cluster.stable_offset(partition);
            if offset.is_none() {
                self.stage.faults.saw(Sight::OffsetsUnstable);
            }
            cluster
                .group
                .client(self.client)
                .positions
                .insert(partition, offset);
        }
    }

    pub(super) fn next_record(&mut self) -> Option<(Partition, i64, Vec<u8>)> {
        let mut cluster = self.stage.cluster.borrow_mut();
        let positions = &cluster.group.client(self.client).positions;
        let known = positions
            .iter()
            .filter_map(|(p, position)| Some((*p, (*position)?)));
        let known: Vec<(Partition, i64)> = known.collect();
        let ready = known
            .into_iter()
            .filter(|(p, at)| *at < cluster.end_offset(*p));
        let ready: Vec<(Partition, i64)> = ready.collect();
        let (partition, at) = self.stage.random.pick(&ready)?;
        let positions = &mut cluster.group.client(self.client).positions;
        positions.insert(partition, Some(at + 1));
        let record = &cluster.input[partition.0 as usize][at as usize];
        Some((partition, at, record.payload.clone()))
    }

    pub(super) fn deliver_none(&mut self, wait: Duration, receive: &mut dyn FnMut(Arrival<'_>)) {
        self.pass(wait);
        if self.stage.random.happens(50) {
            receive(Arrival::Statistics(GroupStatistics::default()));
            receive(Arrival::CaughtUp(Partition(0)));
        }
    }

    /// Asks for committed offsets until they are stable.
    pub(super) fn committed_offsets(
        &mut self,
        partitions: &[Partition],
    ) -> Result<Vec<i64>, Failure> {
        let mut waited = Duration::ZERO;
        loop {
            self.breathe()?;
            let cluster = self.stage.cluster.borrow();
            let offsets = partitions.iter().map(|p| cluster.stable_offset(*p));
            let offsets: Option<Vec<i64>> = offsets.collect();
            drop(cluster);
            if let Some(offsets) = offsets {
                return Ok(offsets);
            }
            self.stage.faults.saw(Sight::OffsetsUnstable);
            if waited >= COMMITTED_LIMIT {
                return Err(Failure::Broken(
                    "committed offsets are unstable".to_string(),
                ));
            }
            self.pass(COMMITTED_INTERVAL);
            waited += COMMITTED_INTERVAL;
        }
    }

    pub(super) fn seek(&mut self, partition: Partition, offset: i64) -> Result<(), Failure> {
        let mut cluster = self.stage.cluster.borrow_mut();
        let position = cluster
            .group
            .client(self.client)
            .positions
            .get_mut(&partition);
        let position = position
            .ok_or_else(|| Failure::Broken(format!("seek of {partition}, which is not ours")))?;
        *position = Some(offset);
        Ok(())
    }
}

pub(super) fn source_record(partition: Partition, offset: i64, payload: &[u8]) -> SourceRecord<'_> {
    SourceRecord {
        partition,
        offset,
        timestamp_ms: Some(offset),
        key: Some(b"key"),
        payload: Some(payload),
        headers: Vec::new(),
    }
}
