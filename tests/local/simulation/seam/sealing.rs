//! The sealed runs' part of the seam: what sealing asks of the cluster, and the planted faults
//! around the sealer.

use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use audit_chain::key::SigningKey;
use audit_chain::seal::Writer;
use audit_relay::compose::RecordFormat;
use audit_relay::sealing::{ChainSealer, Keys, SealingSettings};
use audit_relay::stream::batch::Batch;
use audit_relay::stream::{
    Failure, Output, Partition, Position, Proof, ResumePoint, SealLog, SealSearch, SealedBatch,
    Sealer,
};

use super::Link;
use crate::simulation::context::Context;
use crate::simulation::oracle::Content;
use crate::simulation::planted::PlantedFault;
use crate::simulation::trail::{INPUT, ORIGIN, REGIONS, START_MS};

/// The key that signs in every run.
pub fn signing_key() -> SigningKey {
    SigningKey::from_seed(ORIGIN.parse().expect("an origin"), &[7; 32])
}

/// The format of the records in a sealed run.
pub(super) fn format() -> RecordFormat {
    let regions = REGIONS.map(String::from).to_vec();
    RecordFormat { regions, event_headers: true, input: INPUT.to_string(), is_sealed: true }
}

/// The sealer of a relay.
pub(super) fn sealer(context: &Rc<Context>) -> Box<dyn Sealer> {
    // Deriving keys for each relay of each run would take most of the time.
    static KEYS: OnceLock<Arc<Keys>> = OnceLock::new();
    let keys = KEYS.get_or_init(|| Arc::new(Keys::new(signing_key(), None)));
    let origin = ORIGIN.parse().expect("an origin");
    let writer = Writer::new("group", "relay", 0).expect("names");
    let settings = SealingSettings::new(origin, Arc::clone(keys), writer, format(), Arc::default());
    let sealer = ChainSealer::new(settings.expect("names that can stand in a seal"));
    Box::new(PlantedSealer { context: context.clone(), sealer, sealed: false })
}

/// A sealer with the faults that are planted between it and the loop.
struct PlantedSealer {
    context: Rc<Context>,
    sealer: ChainSealer,
    sealed: bool,
}

impl Sealer for PlantedSealer {
    fn placed(&mut self, partition: Partition, place: &ResumePoint) {
        let keeps = [PlantedFault::ChainsNotReloaded, PlantedFault::ChainsNotRestored];
        let is_kept = self.sealed && keeps.iter().any(|fault| self.context.is_planted(*fault));
        if !is_kept {
            self.sealer.placed(partition, place);
        }
    }

    fn due(&self, now: Duration) -> Vec<Partition> {
        self.sealer.due(now)
    }

    fn seal(
        &mut self,
        batch: &Batch,
        log: Option<&mut dyn SealLog>,
    ) -> Result<SealedBatch, Failure> {
        let mut sealed = self.sealer.seal(batch, log)?;
        if let SealedBatch::Positions(positions) = &mut sealed {
            if self.context.is_planted(PlantedFault::ChainsNotRestored) {
                self.sealer.committed(self.context.now());
                self.sealed = true;
            }
            if self.context.is_planted(PlantedFault::MetadataOfAnotherPartition) {
                swap_metadata(positions);
            }
            if self.context.is_planted(PlantedFault::MetadataNotCommitted) {
                positions.iter_mut().for_each(|position| position.metadata.clear());
            }
        }
        Ok(sealed)
    }

    fn proof(&self) -> Option<&Proof> {
        self.sealer.proof()
    }

    fn committed(&mut self, now: Duration) {
        self.sealed = true;
        self.sealer.committed(now);
    }
}

fn swap_metadata(positions: &mut [Position]) {
    if let [first, .., last] = positions {
        std::mem::swap(&mut first.metadata, &mut last.metadata);
    }
}

impl SealLog for Link {
    fn read(
        &mut self,
        searches: &[SealSearch],
        receive: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), Failure> {
        let since = searches.iter().map(|search| search.since_ms).min().unwrap_or_default();
        let cluster = self.context.cluster.borrow();
        for written in cluster.stable_log() {
            if let Content::Seal { key, note, time_ms } = &written.draft.content
                && *time_ms >= since
            {
                receive(key.as_bytes(), note.as_bytes());
            }
        }
        Ok(())
    }

    fn input_partitions(&mut self) -> Result<i32, Failure> {
        Ok(self.context.cluster.borrow().input.len() as i32)
    }

    fn output_partition(&self, output: &Output<'_>) -> Option<i32> {
        Some(output.source_partition.0)
    }

    fn time_ms(&self) -> u64 {
        START_MS + self.context.now().as_millis() as u64
    }
}
