//! Seals the trail: a hash chain over the records of each output, and a signed seal for each input
//! partition and transaction (`schemas/integrity.md`). What is sealed and committed is all that is
//! known: after any failure a partition's chains are read from the committed metadata again, and
//! compared with the newest seal.
//!
//! `chains.rs` is the state of one set's chains and how a transaction extends them; it is pure.
//! `load.rs` decides, as pure, whether they may be continued, and `resume.rs` continues them on
//! purpose. This file brings the first two to the loop. `replay.rs` seals what replays of
//! quarantined records write.

mod anchors;
mod chains;
mod consumed;
mod found;
mod load;
mod replay;
mod resume;
mod settings;

use std::collections::BTreeMap;
use std::time::Duration;

use audit_chain::time::Time;
use audit_judge::fate::RegionIndex;

pub use self::anchors::{AnchorCounts, AnchorSink};
use self::chains::{Chains, Sealing};
use self::consumed::Consumed;
use self::found::Found;
pub use self::load::Refusal;
use self::load::load;
pub use self::replay::{ReplaySealer, SealedOutcomes};
pub use self::resume::{ContinueAt, Resumed, SealedPartition};
pub use self::settings::{Keys, SealingSettings};
use crate::stream::batch::Batch;
use crate::stream::{
    Content, Failure, Output, Partition, PartitionFault, Proof, ResumePoint, SealLog, SealSearch,
    SealedBatch, Sealer,
};

/// How long an idle partition goes without a seal: signed silence.
const HEARTBEAT: Duration = Duration::from_secs(60);
/// The pause between two anchors.
const ANCHOR_INTERVAL: Duration = Duration::from_secs(60);

/// Seals what one worker writes.
#[derive(Debug)]
pub struct ChainSealer {
    settings: SealingSettings,
    partitions: BTreeMap<Partition, Known>,
    /// The chains after the transaction that was sealed last, until it is committed.
    next: BTreeMap<Partition, Chains>,
    proof: Proof,
    /// How many partitions the input has.
    input_partitions: u32,
    /// When the last batch was sealed.
    time: Time,
    /// When the newest seals were anchored last; at first, when something was first committed.
    anchored: Option<Duration>,
}

/// What is known of a partition.
#[derive(Debug)]
enum Known {
    /// Where it resumes. Its chains were not compared with the newest seal yet.
    Placed(ResumePoint),
    /// Its chains, as they are committed, and when they were sealed here.
    Chains { chains: Box<Chains>, sealed: Option<Duration> },
}

impl ChainSealer {
    /// Starts without any partition.
    pub fn new(settings: SealingSettings) -> Self {
        ChainSealer {
            settings,
            partitions: BTreeMap::new(),
            next: BTreeMap::new(),
            proof: Proof::default(),
            input_partitions: 0,
            time: Time::EPOCH,
            anchored: None,
        }
    }

    /// Loads the chains of partitions that were placed since the last batch. Returns those that
    /// must not be continued.
    fn load(
        &mut self,
        batch: &Batch,
        log: &mut dyn SealLog,
    ) -> Result<Vec<(Partition, PartitionFault)>, Failure> {
        let is_new = |partition: &&Partition| {
            !matches!(self.partitions.get(partition), Some(Known::Chains { .. }))
        };
        let new: Vec<Partition> = batch.partitions().keys().filter(is_new).copied().collect();
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let mut found = BTreeMap::<Partition, Found>::new();
        let mut searches = Vec::new();
        for partition in &new {
            let Some(Known::Placed(place)) = self.partitions.get(partition) else {
                return Err(Failure::Held(format!("partition {partition} was not placed yet")));
            };
            let since_ms = load::search_from(place, *partition, &self.settings);
            searches.push(SealSearch { partition: *partition, since_ms });
            found.insert(*partition, Found::default());
        }
        let settings = &self.settings;
        log.read(&searches, &mut |key, note| {
            if let Some((set, partition)) = settings.set_of(key)
                && let Some(found) = found.get_mut(&partition)
            {
                _ = found.take(&set, note, settings);
            }
        })?;
        let partitions = u32::try_from(log.input_partitions()?).unwrap_or(0);
        self.input_partitions = self.input_partitions.max(partitions);
        let mut refused = Vec::new();
        for (partition, found) in found {
            let Some(Known::Placed(place)) = self.partitions.get(&partition) else { continue };
            match load(place, partition, &found, &self.settings) {
                Ok(chains) => {
                    let known = Known::Chains { chains: Box::new(chains), sealed: None };
                    self.partitions.insert(partition, known);
                }
                Err(refusal) => {
                    let cause = refusal.to_string();
                    refused.push((partition, PartitionFault::Unsealable { cause }));
                }
            }
        }
        Ok(refused)
    }

    /// Anchors the newest seals, if it is time.
    fn anchor(&mut self, now: Duration) {
        if now.saturating_sub(*self.anchored.get_or_insert(now)) < ANCHOR_INTERVAL {
            return;
        }
        self.anchored = Some(now);
        let sealed = self.partitions.values().filter_map(|known| match known {
            Known::Chains { chains, .. } => chains.last_seal(),
            Known::Placed(_) => None,
        });
        _ = anchors::anchor(sealed.collect(), self.time, &self.settings);
    }

    /// Extends the chains by every output, and collects the headers.
    fn extend(&mut self, batch: &Batch, log: &dyn SealLog, time_ms: i64) -> Result<(), Failure> {
        self.next.clear();
        self.proof.begin(time_ms);
        for output in batch.outputs().iter() {
            let partition = output.source_partition;
            let chains = match self.next.get_mut(&partition) {
                Some(chains) => chains,
                None => {
                    let chains = committed(&self.partitions, partition)?.clone();
                    self.next.entry(partition).or_insert(chains)
                }
            };
            let written_to = log.output_partition(&output).ok_or_else(|| {
                Failure::Fatal(format!("no topic for an output of partition {partition}"))
            })?;
            let stream = stream_index(&output, &self.settings);
            let header = self.settings.format.compose(&output, time_ms, |composed| {
                chains.extend(stream, output.source_offset, composed, written_to)
            });
            self.proof.push_header(header.map_err(Failure::Fatal)?);
        }
        Ok(())
    }

    /// Seals each partition of the batch, and returns the positions to commit.
    fn close(&mut self, batch: &Batch, time: Time) -> Result<SealedBatch, Failure> {
        let mut positions = batch.positions();
        let mut refused = Vec::new();
        for position in &mut positions {
            let partition = position.partition;
            let Some(tally) = batch.partitions().get(&partition) else { continue };
            let mut chains = match self.next.remove(&partition) {
                Some(chains) => chains,
                None => committed(&self.partitions, partition)?.clone(),
            };
            let partitions = self.input_partitions.max(u32::try_from(partition.0).unwrap_or(0) + 1);
            let consumed = Consumed::input(tally).map_err(Failure::Fatal)?;
            let sealing = Sealing {
                settings: &self.settings,
                consumed: &consumed,
                partitions,
                time,
                resumed: None,
                names_all: false,
            };
            match chains.close(&sealing).map_err(Failure::Fatal)? {
                Ok(closed) => {
                    position.metadata = closed.metadata;
                    self.proof.push_seal(closed.seal);
                    self.next.insert(partition, chains);
                }
                Err(cause) => refused.push((partition, PartitionFault::Unsealable { cause })),
            }
        }
        Ok(if refused.is_empty() {
            SealedBatch::Positions(positions)
        } else {
            SealedBatch::Refused(refused)
        })
    }
}

impl Sealer for ChainSealer {
    fn placed(&mut self, partition: Partition, place: &ResumePoint) {
        self.partitions.insert(partition, Known::Placed(place.clone()));
    }

    fn due(&self, now: Duration) -> Vec<Partition> {
        let due = self.partitions.iter().filter(|(_, known)| match known {
            Known::Placed(_) | Known::Chains { sealed: None, .. } => true,
            Known::Chains { sealed: Some(sealed), .. } => *sealed + HEARTBEAT <= now,
        });
        due.map(|(partition, _)| *partition).collect()
    }

    fn seal(
        &mut self,
        batch: &Batch,
        log: Option<&mut dyn SealLog>,
    ) -> Result<SealedBatch, Failure> {
        let log = log.ok_or_else(|| Failure::Fatal("nothing to seal with".to_string()))?;
        let refused = self.load(batch, log)?;
        if !refused.is_empty() {
            return Ok(SealedBatch::Refused(refused));
        }
        let time = Time::from_epoch_ms(log.time_ms());
        let time = time.ok_or_else(|| Failure::Fatal("the clock is beyond 9999".to_string()))?;
        self.time = time;
        self.extend(batch, log, i64::try_from(time.epoch_ms()).unwrap_or(i64::MAX))?;
        self.close(batch, time)
    }

    fn proof(&self) -> Option<&Proof> {
        Some(&self.proof)
    }

    fn committed(&mut self, now: Duration) {
        for (partition, chains) in std::mem::take(&mut self.next) {
            let known = Known::Chains { chains: Box::new(chains), sealed: Some(now) };
            self.partitions.insert(partition, known);
        }
        self.anchor(now);
    }
}

/// Returns the chains of a partition, as they are committed.
fn committed(
    partitions: &BTreeMap<Partition, Known>,
    partition: Partition,
) -> Result<&Chains, Failure> {
    match partitions.get(&partition) {
        Some(Known::Chains { chains, .. }) => Ok(chains),
        _ => Err(Failure::Held(format!("the chains of partition {partition} were not loaded"))),
    }
}

/// Returns the index of an output's stream.
fn stream_index(output: &Output<'_>, settings: &SealingSettings) -> usize {
    match output.content {
        Content::Event { envelope, .. } => {
            let RegionIndex(index) = envelope.region;
            index
        }
        Content::Quarantined(_) => settings.streams.len().saturating_sub(1),
    }
}

#[cfg(test)]
mod tests;
