//! Planted faults, one for each rule that the loop and its edge must keep. Each sits at the seam, in a
//! wrapper around the broker, so that production code has no hooks. The simulation must catch them all:
//! that is the proof that its silence means something.

use std::time::Duration;

use audit_relay::stream::{Arrival, Broker, Failure, Output, Partition, Position};

/// The rule that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// After a failure, reading goes on where it was.
    NoRewind,
    /// Positions are this much too high.
    OffsetOff(i64),
    /// The worker is not told of revoked partitions.
    RevokedUnheard,
    /// The worker is not told of lost partitions.
    LostUnheard,
    /// The outputs of a failed publication are written with the next.
    BatchNotCleared,
    /// After a result that is not known the same producer commits again and goes on.
    NoRebuild,
    /// After a result that is not known the same producer aborts and goes on.
    AbortInsteadOfRebuild,
    /// The positions have a transaction of their own.
    PositionsApart,
    /// A commit whose result is not known is taken for done.
    DoubtTakenForSuccess,
}

/// A broker with a planted fault.
pub struct Sabotaged<B> {
    broker: B,
    sabotage: Sabotage,
    uncleared: Vec<Output>,
}

impl<B> Sabotaged<B> {
    pub fn new(broker: B, sabotage: Sabotage) -> Self {
        Sabotaged {
            broker,
            sabotage,
            uncleared: Vec::new(),
        }
    }
}

impl<B: Broker> Sabotaged<B> {
    fn publish_uncleared(
        &mut self,
        outputs: &[Output],
        positions: &[Position],
    ) -> Result<(), Failure> {
        self.uncleared.extend_from_slice(outputs);
        self.broker.publish(&self.uncleared, positions)?;
        self.uncleared.clear();
        Ok(())
    }
}

impl<B: Broker> Broker for Sabotaged<B> {
    fn poll(
        &mut self,
        wait: Duration,
        most: usize,
        receive: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<(), Failure> {
        let sabotage = self.sabotage;
        self.broker
            .poll(wait, most, &mut |arrival| match (sabotage, &arrival) {
                (Sabotage::RevokedUnheard, Arrival::Revoked(_))
                | (Sabotage::LostUnheard, Arrival::Lost(_)) => {}
                _ => receive(arrival),
            })
    }

    fn publish(&mut self, outputs: &[Output], positions: &[Position]) -> Result<(), Failure> {
        match self.sabotage {
            Sabotage::OffsetOff(by) => {
                let mut positions = positions.to_vec();
                positions
                    .iter_mut()
                    .for_each(|position| position.next_offset += by);
                self.broker.publish(outputs, &positions)
            }
            Sabotage::BatchNotCleared => self.publish_uncleared(outputs, positions),
            Sabotage::PositionsApart => {
                self.broker.publish(outputs, &[])?;
                self.broker.publish(&[], positions)
            }
            Sabotage::DoubtTakenForSuccess => match self.broker.publish(outputs, positions) {
                Err(Failure::Broken(_)) => Ok(()),
                result => result,
            },
            _ => self.broker.publish(outputs, positions),
        }
    }

    fn abort(&mut self) -> Result<(), Failure> {
        self.broker.abort()
    }

    fn rebuild(&mut self) -> Result<(), Failure> {
        match self.sabotage {
            Sabotage::NoRebuild => Ok(()),
            Sabotage::AbortInsteadOfRebuild => self.broker.abort(),
            _ => self.broker.rebuild(),
        }
    }

    fn rewind(&mut self, partitions: &[Partition]) -> Result<(), Failure> {
        match self.sabotage {
            Sabotage::NoRewind => Ok(()),
            _ => self.broker.rewind(partitions),
        }
    }

    fn pause(&mut self, time: Duration) {
        self.broker.pause(time);
    }

    fn now(&self) -> Duration {
        self.broker.now()
    }
}
