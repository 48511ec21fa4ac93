//! Injects the faults that delete and recreate a topic: an output topic, also with fewer
//! partitions, or the topic of the principals.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::injection::{Undo, patiently};
use crate::ledger::{Gone, Offsets, OutputTopic};
use crate::principals::SETTLED;
use crate::producer::Sender;
use crate::world::{RECOVERY_LIMIT, TABLE_PARTITIONS, TABLE_SETTINGS, World};

/// Maximum age of a transaction: the broker ends it after 10 s, and checks once per second.
const OLDEST_TRANSACTION: Duration = Duration::from_secs(12);

impl World {
    pub(crate) fn delete_output(
        &mut self,
        region: usize,
        hold_ms: u64,
    ) -> anyhow::Result<(Undo, Duration)> {
        let topic = self.output(region);
        // The output of all records before these offsets was read; later output may be deleted
        // before a reader sees it.
        let from = self.ledger.settled();
        self.cluster.kafka().try_delete_topic(&topic)?;
        self.readers.stop(OutputTopic::Region(region))?;
        let hold = Duration::from_millis(hold_ms).max(OLDEST_TRANSACTION);
        Ok((Undo::Recreate { region, from }, hold))
    }

    /// Recreates the topic with one partition, so that a relay that still uses the old number
    /// cannot spread a device's events over several partitions.
    pub(crate) fn shrink_output(
        &mut self,
        region: usize,
        hold_ms: u64,
    ) -> anyhow::Result<(Undo, Duration)> {
        self.output_partitions[region] = 1;
        self.delete_output(region, hold_ms)
    }

    pub(crate) fn recreate_output(&mut self, region: usize, from: Offsets) -> anyhow::Result<()> {
        // Only records that are committed by now can have been written to the deleted topic.
        let mut to = Offsets::new();
        patiently(|| {
            to = self.committed()?;
            Ok(())
        })?;
        self.ledger.add_gone(Gone { region, from, to });
        let (topic, partitions) = (self.output(region), self.output_partitions[region]);
        let kafka = self.cluster.kafka();
        patiently(|| kafka.try_create_topic(&topic, partitions, &[]))?;
        self.readers.start(OutputTopic::Region(region), &topic, partitions)
    }

    /// Sends nothing from before the topic is deleted until it is complete again: a relay cannot
    /// know that a topic is incomplete, and rightly quarantines records of users that it lacks.
    pub(crate) fn remake_table(&mut self, away: Duration) -> anyhow::Result<(Undo, Duration)> {
        let (controls, principals) = (Arc::clone(&self.controls), Arc::clone(&self.principals));
        let _paused = (controls.pause(), principals.pause());
        self.await_sent()?;
        self.await_recovery()?;
        let topic = self.principals_topic.clone();
        self.cluster.kafka().try_delete_topic(&topic)?;
        self.wait(away)?;
        let kafka = self.cluster.kafka();
        patiently(|| kafka.try_create_topic(&topic, TABLE_PARTITIONS, &TABLE_SETTINGS))?;
        let sender = Sender::connect(kafka.bootstrap(), Box::new(|_, _, _| {}))?;
        principals.write_again(&sender)?;
        // After this time the relays must have forgotten the users that the topic lacks.
        Ok((Undo::Nothing, SETTLED + Duration::from_secs(1)))
    }

    /// Waits until the brokers have all records of the paused load.
    fn await_sent(&mut self) -> anyhow::Result<()> {
        let since = Instant::now();
        loop {
            let (delivered, sent) = self.ledger.records();
            if delivered == sent {
                return Ok(());
            }
            anyhow::ensure!(
                since.elapsed() < RECOVERY_LIMIT,
                "the brokers have {delivered} of {sent} records"
            );
            self.wait(Duration::from_millis(50))?;
        }
    }
}
