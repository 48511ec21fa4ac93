//! Takes what one poll brings: refuses records that were accepted before, judges the others, and
//! adds them to the batch.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::stream::batch::Batch;
use crate::stream::batch_timer::BatchTimer;
use crate::stream::broker::{Gap, GapCause, GroupEvent, PartitionEvent, Polled};
use crate::stream::cursors::{Cursors, deleted};
use crate::stream::judge::Judge;
use crate::stream::observer::{Observer, WorkerEvent};
use crate::stream::record::{Partition, SourceLog, SourceRecord};
use crate::stream::sealer::Sealer;

/// The parts of a worker that a poll changes.
pub(super) struct Intake<'a, J, O> {
    pub(super) judge: &'a J,
    pub(super) observer: &'a mut O,
    pub(super) sealer: &'a mut dyn Sealer,
    pub(super) batch: &'a mut Batch,
    pub(super) cursors: &'a mut Cursors,
    pub(super) missed: &'a mut BTreeSet<Partition>,
    pub(super) timer: &'a mut BatchTimer,
    /// Whether the tables may be relied on, asked before the first record is judged; `None` until
    /// then. A fate stands, so the tables must be reliable when it is decided, not only when the
    /// batch is published.
    pub(super) trusted: Option<Result<(), String>>,
}

impl<J: Judge, O: Observer> Intake<'_, J, O> {
    pub(super) fn take(&mut self, polled: Polled<'_>) {
        match polled {
            Polled::Record(record) => self.record(&record),
            Polled::Partition(partition, event) => self.partition(partition, event),
            Polled::Group(event) => self.group(event),
        }
    }

    fn record(&mut self, record: &SourceRecord<'_>) {
        let Some(skipped) = self.cursors.accept(record.partition, record.offset) else {
            return;
        };
        self.note_deleted(record.partition, &skipped, record.log);
        let trusted = self.trusted.get_or_insert_with(|| self.judge.trusted());
        if trusted.is_err() {
            self.missed.insert(record.partition);
            return;
        }
        let fate = self.judge.judge(record.payload);
        if self.judge.is_final(&fate) {
            self.batch.add(record, fate);
        } else {
            self.batch.defer(record);
        }
    }

    fn partition(&mut self, partition: Partition, event: PartitionEvent<'_>) {
        match event {
            PartitionEvent::Placed(place) => {
                self.cursors.placed(partition, &place);
                self.sealer.placed(partition, &place);
            }
            PartitionEvent::Failed(fault) => self.cursors.hold(partition, fault),
            PartitionEvent::End { offset, log } => {
                if let Some(skipped) = self.cursors.accept_end(partition, offset) {
                    self.note_deleted(partition, &skipped, log);
                    self.end(partition);
                }
            }
        }
    }

    fn end(&mut self, partition: Partition) {
        self.timer.caught_up();
        if self.batch.reached_end(partition) {
            return;
        }
        self.observer.on_event(WorkerEvent::EndReached(partition));
        if self.cursors.moved(partition) {
            self.observer.on_event(WorkerEvent::Released(partition));
        }
    }

    fn group(&mut self, event: &GroupEvent) {
        match event {
            GroupEvent::Assigned(partitions) => self.cursors.assigned(partitions),
            GroupEvent::Revoked(partitions) | GroupEvent::Lost(partitions) => {
                self.batch.forget(partitions);
                self.cursors.unassigned(partitions);
            }
            GroupEvent::Statistics(_) => {}
        }
        self.observer.on_event(WorkerEvent::Group(event));
    }

    /// Retention does not wait for readers: the client resumes at the beginning of what is left.
    /// Whatever was deleted is counted, since every record is accounted for.
    fn note_deleted(&mut self, partition: Partition, skipped: &Range<i64>, log: &dyn SourceLog) {
        if skipped.is_empty() {
            return;
        }
        if let Some(offsets) = log.first_offset().and_then(|start| deleted(skipped, start)) {
            self.batch.pass(partition, Gap { offsets, cause: GapCause::Deleted });
        }
    }
}
