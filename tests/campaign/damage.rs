//! Injects a disk fault: the leader of an input partition gets a damaged batch that is not yet
//! read. The other replicas stay intact.

use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::injection::{Undo, patiently};
use crate::plan::RELAYS;
use crate::world::World;
use audit_testkit::kafka::Stop;
use audit_testkit::wire;

/// Number of records that must be unread before one of them is damaged.
const UNREAD: i64 = 20;
const LIMIT: Duration = Duration::from_secs(60);

/// A replica with a damaged batch.
#[derive(Clone, Copy, Debug)]
pub struct Damage {
    pub broker: usize,
    pub partition: i32,
    /// First offset of the batch.
    pub offset: i64,
}

impl World {
    /// Stops the relays meanwhile, so that they do not read the batch before it is damaged.
    pub(crate) fn damage_log(
        &mut self,
        partition: i32,
        hold: Duration,
    ) -> anyhow::Result<(Undo, Duration)> {
        self.await_whole()?;
        for relay in RELAYS {
            self.fleet.stop(relay)?;
        }
        let from = self.await_unread(partition)?;
        let input = self.deployment.input.clone();
        let (_, broker) = self.cluster.leaders(&input, partition)?;
        self.cluster.stop(broker, Stop::Graceful)?;
        let offsets = self.cluster.damage(broker, (&input, partition), from)?;
        self.cluster.restart(broker)?;
        self.await_whole()?;
        self.await_leader(&input, partition, broker)?;
        for relay in RELAYS {
            self.fleet.start(relay, relay)?;
        }
        let damage = Damage { broker, partition, offset: offsets.start };
        Ok((Undo::Replace(damage), hold))
    }

    /// Replaces the replica as an operator would: while the broker is down another replica leads,
    /// and after its start it copies the partition again.
    pub(crate) fn replace_replica(&mut self, damage: Damage) -> anyhow::Result<()> {
        self.await_whole()?;
        let Damage { broker, partition, .. } = damage;
        self.cluster.stop(broker, Stop::Graceful)?;
        self.cluster.forget_partition(broker, &self.deployment.input, partition)?;
        self.cluster.restart(broker)
    }

    /// Waits until enough records follow the group's committed offset, and returns that offset.
    fn await_unread(&mut self, partition: i32) -> anyhow::Result<i64> {
        let mut committed = 0;
        patiently(|| {
            committed = self.committed()?.get(&partition).copied().unwrap_or(0);
            Ok(())
        })?;
        let since = Instant::now();
        while self.ledger.ends()[&partition] < committed + UNREAD {
            ensure!(
                since.elapsed() < LIMIT,
                "no load in partition {partition} after offset {committed}"
            );
            self.wait(Duration::from_millis(50))?;
        }
        Ok(committed)
    }

    fn await_leader(&mut self, topic: &str, partition: i32, broker: usize) -> anyhow::Result<()> {
        let since = Instant::now();
        while self.cluster.leaders(topic, partition)?.0 != broker {
            ensure!(since.elapsed() < LIMIT, "broker {broker} does not lead");
            let address = self.cluster.any_address()?;
            patiently(|| wire::elect_preferred_leaders(address))?;
            self.wait(Duration::from_millis(200))?;
        }
        Ok(())
    }
}
