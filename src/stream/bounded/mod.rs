//! A broker of which only a part of the input is read: a loop on it ends by itself, once everything
//! before given offsets is committed.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::stream::broker::{Broker, Failure, PartitionEvent, Polled, ResumePoint, Rewound};
use crate::stream::fault::PartitionFault;
use crate::stream::record::{Partition, Position, SourceRecord};
use crate::stream::sealer::Transaction;
use crate::stream::stop::StopRequest;

/// Where reading ends in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadingEnd {
    /// The first offset that is not read.
    pub offset: i64,
    /// The metadata of every position that is committed.
    pub metadata: String,
}

/// A broker that brings no record from the ends on.
#[derive(Debug)]
pub struct Bounded<B> {
    broker: B,
    partitions: BTreeMap<Partition, Progress>,
    stop: StopRequest,
}

/// How far a partition was read.
#[derive(Debug)]
struct Progress {
    end: ReadingEnd,
    /// Whether what comes was not skipped: from its placing to a fault.
    is_in_order: bool,
    /// Whether everything before the end was read since it was placed.
    is_reached: bool,
    /// The last record that was read since then.
    last: Option<i64>,
    /// The next offset, as it was committed.
    committed: i64,
    /// Whether everything before the end is committed.
    is_finished: bool,
    is_parked: bool,
}

impl Progress {
    fn new(end: ReadingEnd) -> Self {
        Progress {
            end,
            is_in_order: false,
            is_reached: false,
            last: None,
            committed: 0,
            is_finished: false,
            is_parked: false,
        }
    }

    fn placed(&mut self, place: &ResumePoint) {
        (self.is_in_order, self.is_reached, self.last) = (true, false, None);
        self.is_parked = false;
        if let ResumePoint::At(position) = place {
            self.committed = position.next_offset;
        }
    }

    /// Whatever comes now, something before it may be missing.
    fn leave(&mut self) {
        (self.is_in_order, self.is_reached) = (false, false);
    }

    /// Everything before this offset was read.
    fn reach(&mut self, offset: i64) {
        self.is_reached |= self.is_in_order && offset >= self.end.offset;
    }

    /// Returns whether the loop may have a record.
    fn takes(&mut self, record: &SourceRecord<'_>) -> bool {
        let next = record.offset + 1;
        let is_taken = next <= self.end.offset;
        if is_taken {
            self.last = Some(record.offset);
        }
        self.reach(next);
        is_taken
    }

    fn finish(&mut self) {
        let is_committed = self.last.is_none_or(|last| last < self.committed);
        self.is_finished |= self.is_reached && is_committed;
    }
}

impl<B: Broker> Bounded<B> {
    /// Reads these partitions to their ends, and no other. Requests the stop once everything before
    /// the ends is committed.
    pub fn new(broker: B, ends: BTreeMap<Partition, ReadingEnd>, stop: StopRequest) -> Self {
        let partitions = ends.into_iter().map(|(it, end)| (it, Progress::new(end)));
        Bounded { broker, partitions: partitions.collect(), stop }
    }

    /// Returns whether everything before the ends is committed.
    pub fn is_complete(&self) -> bool {
        self.partitions.values().all(|it| it.is_finished)
    }

    /// Takes note of what was read and committed.
    fn follow_up(&mut self) -> Result<(), Failure> {
        self.partitions.values_mut().for_each(Progress::finish);
        if self.is_complete() {
            self.stop.request();
            return Ok(());
        }
        // The rest of their logs need not be fetched.
        let idle = self.partitions.iter_mut().filter(|(_, it)| it.is_finished && !it.is_parked);
        let parked: Vec<Partition> = idle
            .map(|(partition, progress)| {
                progress.is_parked = true;
                *partition
            })
            .collect();
        if parked.is_empty() { Ok(()) } else { self.broker.park(&parked) }
    }
}

/// Returns whether the loop may have what a poll brought.
fn is_taken(partitions: &mut BTreeMap<Partition, Progress>, polled: &Polled<'_>) -> bool {
    match polled {
        Polled::Record(record) => {
            partitions.get_mut(&record.partition).is_some_and(|it| it.takes(record))
        }
        Polled::Partition(partition, event) => {
            let Some(progress) = partitions.get_mut(partition) else {
                // It must know where the partition begins, even if nothing of it is read.
                return matches!(event, PartitionEvent::Placed(_));
            };
            match event {
                PartitionEvent::Placed(place) => {
                    progress.placed(place);
                    true
                }
                PartitionEvent::End { offset, .. } => {
                    progress.reach(*offset);
                    !progress.is_finished && *offset <= progress.end.offset
                }
                PartitionEvent::Failed(_) => {
                    progress.leave();
                    !progress.is_finished
                }
            }
        }
        Polled::Group(_) => true,
    }
}

impl<B: Broker> Broker for Bounded<B> {
    fn poll(
        &mut self,
        wait: Duration,
        most: usize,
        receive: &mut dyn FnMut(Polled<'_>),
    ) -> Result<(), Failure> {
        let Bounded { broker, partitions, .. } = self;
        let mut is_other_log = false;
        broker.poll(wait, most, &mut |polled| {
            is_other_log |=
                matches!(polled, Polled::Partition(_, PartitionEvent::Placed(ResumePoint::NewLog)));
            if is_taken(partitions, &polled) {
                receive(polled);
            }
        })?;
        if is_other_log {
            return Err(Failure::Fatal(
                "the input topic was deleted and created again: its offsets are others now"
                    .to_string(),
            ));
        }
        self.follow_up()
    }

    fn publish(&mut self, transaction: &Transaction<'_>) -> Result<(), Failure> {
        let positions = transaction.positions.iter().map(|position| {
            let metadata = self.partitions.get(&position.partition);
            let metadata = metadata.map_or_else(String::new, |it| it.end.metadata.clone());
            Position { metadata, ..position.clone() }
        });
        let positions: Vec<Position> = positions.collect();
        self.broker.publish(&Transaction { positions: &positions, ..*transaction })?;
        for position in positions {
            if let Some(progress) = self.partitions.get_mut(&position.partition) {
                progress.committed = position.next_offset;
            }
        }
        self.follow_up()
    }

    fn abort(&mut self) -> Result<(), Failure> {
        self.broker.abort()
    }

    fn rebuild(&mut self) -> Result<(), Failure> {
        self.broker.rebuild()
    }

    fn rewind(&mut self, partitions: &[Partition]) -> Result<Vec<Rewound>, Failure> {
        let rewound = self.broker.rewind(partitions)?;
        for Rewound { partition, place } in &rewound {
            if let (Some(progress), Ok(place)) = (self.partitions.get_mut(partition), place) {
                progress.placed(place);
            }
        }
        Ok(rewound)
    }

    fn skip_to(
        &mut self,
        partition: Partition,
        offset: i64,
    ) -> Result<Result<i64, PartitionFault>, Failure> {
        self.broker.skip_to(partition, offset)
    }

    fn park(&mut self, partitions: &[Partition]) -> Result<(), Failure> {
        // Their next end says nothing of what was read.
        for partition in partitions {
            if let Some(progress) = self.partitions.get_mut(partition) {
                progress.leave();
            }
        }
        self.broker.park(partitions)
    }

    fn pause(&mut self, time: Duration) {
        self.broker.pause(time);
    }

    fn now(&self) -> Duration {
        self.broker.now()
    }
}

#[cfg(test)]
mod tests;
