//! Writes what becomes of records: in transactions of a producer that no other replayer of the
//! group can have at the same time, and sealed if the trail is.

use std::collections::BTreeMap;

use anyhow::anyhow;
use jiff::Timestamp;

use super::archive::{Archive, Outcomes};
use crate::commands::arguments::SelectionArgs;
use crate::config::Config;
use crate::deployment::Deployment;
use crate::kafka::Ranges;
use crate::kafka::replayer::Replayer;
use crate::kafka::topics::TopicNames;
use crate::quarantine::batch::{Batch, Closed};
use crate::quarantine::closing::CaseWriter;
use crate::quarantine::resolved::Resolved;
use crate::sealing::{ReplaySealer, SealedPartition, SealingSettings};
use crate::stream::{Failure, Partition};

/// What is written to, and how it is sealed.
#[derive(Debug)]
pub(super) struct Written {
    topics: TopicNames,
    pub(super) regions: Vec<String>,
    sealing: Option<SealingSettings>,
}

/// Writes what becomes of records.
pub(super) struct Writer {
    replayer: Replayer,
    sealer: Option<ReplaySealer>,
}

impl Written {
    pub(super) fn new(deployment: &Deployment) -> Self {
        Written {
            topics: deployment.topics.clone(),
            regions: deployment.rules.routes.regions().to_vec(),
            sealing: deployment.sealing.clone(),
        }
    }

    pub(super) fn topics(&self) -> &TopicNames {
        &self.topics
    }
}

impl Writer {
    /// Fences every other replayer of the group, and waits until whatever it had begun has ended.
    pub(super) fn open(
        config: &Config,
        written: &Written,
        archive: &Archive,
    ) -> Result<Self, Failure> {
        let Written { topics, regions, .. } = written;
        let replayer = Replayer::open(config, topics, regions, archive.outcomes_topic())?;
        Ok(Writer { replayer, sealer: None })
    }

    /// Continues the chains of the partitions of the quarantine that have selected records.
    ///
    /// # Errors
    /// If the seals cannot be read, or do not fit to the outcomes.
    pub(super) fn load_chains(
        &mut self,
        written: &Written,
        archive: &Archive,
        everything: &Ranges,
        outcomes: &Outcomes,
        selection: &SelectionArgs,
    ) -> anyhow::Result<()> {
        let (Some(sealing), Some(topic)) = (&written.sealing, &written.topics.checkpoints) else {
            return Ok(());
        };
        let partitions = u32::try_from(everything.len()).unwrap_or_default();
        let mut sealer = ReplaySealer::new(sealing, &written.topics.quarantine, partitions);
        let mut found = BTreeMap::<Partition, SealedPartition>::new();
        archive.select(everything, outcomes, (selection, false), &mut |record| {
            found.entry(Partition(record.place.partition)).or_default();
            Ok(())
        })?;
        let chains = &outcomes.chains;
        let rotating = sealer.rotating(chains).into_iter();
        found.extend(rotating.map(|partition| (partition, SealedPartition::default())));
        let mut since = BTreeMap::new();
        for partition in found.keys() {
            let time = sealer.search_from(*partition, chains).map_err(|why| anyhow!(why))?;
            since.insert(*partition, time);
        }
        archive.read_seals(topic, &since, &mut |key, note| sealer.take(key, note, &mut found))?;
        sealer.load(&found, chains).map_err(|why| anyhow!(why))?;
        self.sealer = Some(sealer);
        Ok(())
    }

    /// Lets the new key sign, if the signing key is being replaced: in transactions of seals alone.
    ///
    /// # Errors
    /// As [`Replayer::publish`].
    pub(super) fn rotate_key(&mut self) -> Result<(), Failure> {
        let Some(sealer) = &mut self.sealer else { return Ok(()) };
        while let Some(proof) = sealer.rotate(now_ms()).map_err(Failure::Fatal)? {
            self.replayer.publish(&[], Some(proof))?;
            sealer.committed();
        }
        Ok(())
    }

    /// Anchors the newest seals.
    pub(super) fn anchor(&self) {
        if let Some(sealer) = &self.sealer {
            sealer.anchor();
        }
    }
}

impl CaseWriter for Writer {
    /// Where the trail is sealed, a seal names one partition for what its transaction adds to a
    /// stream, and partitions follow from those of the input: so the records of each partition of
    /// the quarantine are of one partition of the input.
    fn transactions(&self, batch: Batch) -> Vec<Vec<Closed>> {
        match &self.sealer {
            Some(_) => batch.by_input_partition(),
            None => vec![batch.records()],
        }
    }

    fn publish(&mut self, records: &[Closed]) -> Result<(), Failure> {
        let resolved: Vec<Resolved<'_>> = records.iter().map(Closed::resolved).collect();
        let Writer { replayer, sealer } = self;
        let proof = match sealer.as_mut() {
            Some(sealer) => {
                let sealed = sealer.seal(&resolved, |it| replayer.destination(it), now_ms());
                Some(sealed.map_err(Failure::Fatal)?)
            }
            None => None,
        };
        replayer.publish(&resolved, proof)?;
        if let Some(sealer) = sealer {
            sealer.committed();
        }
        Ok(())
    }

    fn abort(&mut self) -> Result<(), Failure> {
        self.replayer.abort()
    }
}

/// Returns the time, in milliseconds since 1970.
fn now_ms() -> u64 {
    u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default()
}
