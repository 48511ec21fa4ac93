//! Faults in which a topic is deleted and made anew: an output, also with fewer partitions, and the
//! topic of the principals.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::ledger::{Gone, Offsets, Place};
use crate::people::SETTLED;
use crate::producer::Sender;
use crate::strike::{Undo, patiently};
use crate::world::{RECOVERY_LIMIT, TABLE_PARTITIONS, TABLE_SETTINGS, World};

/// No transaction is older: the broker ends it after 10 s, and looks once a second.
const OLDEST_TRANSACTION: Duration = Duration::from_secs(12);

impl World {
    pub(crate) fn delete_output(
        &mut self,
        region: usize,
        hold_ms: u64,
    ) -> anyhow::Result<(Undo, Duration)> {
        let topic = self.output(region);
        // Before these offsets all was read; what comes after may be written and gone before
        // anybody sees it.
        let from = self.ledger.settled();
        self.cluster.kafka().try_delete_topic(&topic)?;
        self.readers.stop(Place::Region(region))?;
        let hold = Duration::from_millis(hold_ms).max(OLDEST_TRANSACTION);
        Ok((Undo::Recreate { region, from }, hold))
    }

    /// To one partition: whoever still counts those of the old topic cannot spread a device's
    /// events over several then.
    pub(crate) fn shrink_output(
        &mut self,
        region: usize,
        hold_ms: u64,
    ) -> anyhow::Result<(Undo, Duration)> {
        self.output_partitions[region] = 1;
        self.delete_output(region, hold_ms)
    }

    pub(crate) fn recreate_output(&mut self, region: usize, from: Offsets) -> anyhow::Result<()> {
        // What is committed by now was written to the topic that is gone; nothing else of this
        // region can be.
        let mut to = Offsets::new();
        patiently(|| {
            to = self.committed()?;
            Ok(())
        })?;
        self.ledger.add_gone(Gone { region, from, to });
        let (topic, partitions) = (self.output(region), self.output_partitions[region]);
        let kafka = self.cluster.kafka();
        patiently(|| kafka.try_create_topic(&topic, partitions, &[]))?;
        self.readers.start(Place::Region(region), &topic, partitions)
    }

    /// Nothing is sent from before the topic is deleted until it is whole again: a relay cannot
    /// know that a topic is still to be filled, and would be right to quarantine whom it does
    /// not name.
    pub(crate) fn remake_table(&mut self, away: Duration) -> anyhow::Result<(Undo, Duration)> {
        let (controls, people) = (Arc::clone(&self.controls), Arc::clone(&self.people));
        let _at_rest = (controls.rest(), people.rest());
        self.await_sent()?;
        self.await_recovery()?;
        let topic = self.principals.clone();
        self.cluster.kafka().try_delete_topic(&topic)?;
        self.wait(away)?;
        let kafka = self.cluster.kafka();
        patiently(|| kafka.try_create_topic(&topic, TABLE_PARTITIONS, &TABLE_SETTINGS))?;
        let sender = Sender::connect(kafka.bootstrap(), Box::new(|_, _, _| {}))?;
        people.write_again(&sender)?;
        // Meanwhile it comes to be demanded that relays have forgotten whom the topic does not name
        // any more.
        Ok((Undo::Nothing, SETTLED + Duration::from_secs(1)))
    }

    /// Waits until the brokers have all that was made up; while no more is.
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
