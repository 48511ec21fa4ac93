//! Recovery of the loop. After a failure of the whole worker it rewinds to the committed positions.
//! After a fault of one partition it holds that partition, continues with the others, and retries.

use super::Worker;
use crate::stream::broker::{Broker, Failure, Gap, GapCause};
use crate::stream::fault::PartitionFault;
use crate::stream::judge::Judge;
use crate::stream::observer::{Observer, WorkerEvent};
use crate::stream::record::Partition;

impl<B: Broker, J: Judge, O: Observer> Worker<B, J, O> {
    /// Parks newly held partitions, and rewinds those whose retry is due. The batch must be empty.
    pub(super) fn retry_held(&mut self) -> Result<(), Failure> {
        let now = self.broker.now();
        let due = self.cursors.due(now);
        if due.iter().any(|(_, is_unpublishable)| *is_unpublishable) {
            // A record that could not be written is retried alone, so that it fails no other.
            self.reduced.single_record();
        }
        let due: Vec<Partition> = due.into_iter().map(|(partition, _)| partition).collect();
        self.rewind(&due)?;
        self.park()
    }

    fn rewind(&mut self, partitions: &[Partition]) -> Result<(), Failure> {
        if partitions.is_empty() {
            return Ok(());
        }
        for rewound in self.broker.rewind(partitions)? {
            let partition = rewound.partition;
            if let Ok(place) = &rewound.place {
                self.sealer.placed(partition, place);
            }
            if let Some(offsets) = self.cursors.rewound(rewound, &self.pass_over) {
                let moved = self.broker.skip_to(partition, offsets.end)?;
                if let Some(offsets) = self.cursors.skipped(partition, offsets.start, moved) {
                    self.batch.pass(partition, Gap { offsets, cause: GapCause::PassedOver });
                }
            }
        }
        Ok(())
    }

    fn park(&mut self) -> Result<(), Failure> {
        let unparked = self.cursors.unparked();
        if unparked.is_empty() {
            return Ok(());
        }
        let partitions: Vec<Partition> = unparked.iter().map(|(partition, _)| *partition).collect();
        self.broker.park(&partitions)?;
        let now = self.broker.now();
        for (partition, fault) in &unparked {
            let attempt = self.cursors.parked(*partition, now);
            self.observer.on_event(WorkerEvent::Held(*partition, fault, attempt));
        }
        Ok(())
    }

    /// Makes the next batch smaller, after one could not be published. If the batch was a single
    /// record, holds its partition instead, so that a record that can never be written does not
    /// block the others.
    pub(super) fn unpublished(&mut self, failure: &Failure) {
        if self.batch.records() == 0 {
            // Positions alone cannot be made fewer.
            return;
        }
        match failure {
            Failure::TooLarge(cause) => {
                // At once, not by halves: the error does not tell which record is too large.
                self.reduced.single_record();
                match self.batch.lowered_limit() {
                    // The next attempt writes a smaller stub.
                    Some(limit) => self.batch.set_limit(limit),
                    None if self.batch.records() == 1 => self.hold_unpublishable(cause),
                    None => {}
                }
                return;
            }
            Failure::Aborted(cause)
                if self.reduced.is_single_record() && self.batch.records() == 1 =>
            {
                self.hold_unpublishable(cause);
            }
            _ => {}
        }
        self.reduced.halve(&self.batch);
    }

    /// Holds the partition of the batch's only output.
    fn hold_unpublishable(&mut self, cause: &str) {
        let only = self.batch.outputs().iter().next();
        if let Some(output) = only {
            let fault = PartitionFault::Unpublishable {
                offset: output.source_offset,
                cause: cause.to_string(),
            };
            self.cursors.hold(output.source_partition, fault);
        }
    }

    /// Recovers from a failure, in as many attempts as the retry budget allows.
    pub(super) fn recover(&mut self, mut failure: Failure) -> Result<(), Failure> {
        // Held partitions are rewound when they are retried.
        let mut partitions = std::mem::take(&mut self.missed);
        partitions.extend(self.batch.partitions().keys());
        partitions.retain(|partition| !self.cursors.is_held(*partition));
        let partitions: Vec<Partition> = partitions.into_iter().collect();
        self.batch.clear();
        self.timer.idle();
        loop {
            self.observer.on_event(WorkerEvent::Failed(&failure));
            if self.stop.is_requested() {
                // The next owner resumes from the committed position, as this worker would have.
                return Ok(());
            }
            let pause = self.retries.after(&failure)?;
            self.broker.pause(pause);
            match self.try_recover(&failure, &partitions) {
                Ok(()) => break,
                Err(next) => failure = next,
            }
        }
        self.observer.on_event(WorkerEvent::Recovered);
        Ok(())
    }

    fn try_recover(&mut self, failure: &Failure, partitions: &[Partition]) -> Result<(), Failure> {
        match failure {
            Failure::Aborted(_) | Failure::TooLarge(_) => self.broker.abort()?,
            Failure::Broken(_) | Failure::Fenced(_) => self.broker.rebuild()?,
            Failure::Held(_) => {}
            Failure::ConsumerDead(_) | Failure::Unreleased(_) | Failure::Fatal(_) => {
                return Err(failure.clone());
            }
        }
        self.rewind(partitions)
    }
}
