//! The seam between the simulation and the loop: the only folder that implements the traits of
//! `src/stream`, and that builds and reads the types they pass. The rest of the simulation has its
//! own, plainer types, so a change of the seam is a change of this folder. It also holds the
//! planted faults of the seam; those of the edge are in the files that simulate it.

mod drafts;
mod sealing;

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use audit_judge::fate::{
    Audited, Envelope, Fate, FateKind, Quarantine, QuarantineReason, RegionIndex, SkipReason,
};
use audit_relay::stream::batch::Batch;
use audit_relay::stream::worker::Worker;
use audit_relay::stream::{
    Broker, GroupEvent, GroupStatistics, Judge, Observer, OwnedHeaders, PartitionEvent,
    PartitionFault, PassOver, Polled, ResumePoint, Rewound, SealLog, SourceRecord, Transaction,
    WorkerEvent,
};
use uuid::Uuid;

pub use audit_relay::stream::batch::BatchLimits;
pub use audit_relay::stream::{Failure, Partition, Position, StopRequest};
pub use sealing::signing_key;

use super::broker::SimulatedBroker;
use super::client::News;
use super::cluster::Cluster;
use super::consuming::{Arrived, Fetched};
use super::context::Context;
use super::faults::{Moment, Probe};
use super::oracle::{self, Content, Counted, ExpectedFate};
use super::planted::PlantedFault;
use super::tables::Tables;
use super::trail::START_MS;
use super::transactions::Draft;
use audit_testkit::random::Random;
use drafts::drafts;

/// Upper bound of the partitions of a run.
const PARTITIONS_MAX: i32 = 32;
/// Number of kinds of fates.
pub const KINDS: usize = FateKind::COUNT;

/// The loop under test, as the scheduler drives it.
pub struct Relay(Worker<Link, TableJudge, Recorder>);

/// Draws the limits at which the relays of a run close their batches.
pub fn draw_limits(random: &Random) -> BatchLimits {
    BatchLimits {
        max_records: random.count(1, 12),
        max_bytes: random.count(10, 300),
        max_age: Duration::from_millis(random.pick(&[5, 50, 150, 3_000]).unwrap_or(50)),
    }
}

impl Relay {
    pub fn new(
        context: &Rc<Context>,
        broker: SimulatedBroker,
        tables: Tables,
        limits: BatchLimits,
        stop: StopRequest,
    ) -> Self {
        let tables = Rc::new(tables);
        let recorder =
            Recorder { context: context.clone(), tables: tables.clone(), held: BTreeSet::new() };
        let link = Link {
            context: context.clone(),
            tables: tables.clone(),
            broker,
            uncleared: Vec::new(),
        };
        let judge = TableJudge { context: context.clone(), tables };
        let pass_over = pass_over(&context.cluster.borrow());
        let worker = Worker::new(link, judge, recorder, limits, stop).with_pass_over(pass_over);
        Relay(if context.is_sealed { worker.with_sealer(sealing::sealer(context)) } else { worker })
    }

    pub fn turn(&mut self) -> Result<(), Failure> {
        self.0.turn()
    }

    /// Runs what the loop still does after a stop request.
    pub fn finish(self) -> Result<(), Failure> {
        self.0.run().map(drop)
    }
}

/// The stretches that the operator has listed: everything that is damaged.
fn pass_over(cluster: &Cluster) -> Vec<PassOver> {
    if !cluster.is_damaged {
        return Vec::new();
    }
    // Includes partitions that are added later.
    let partitions = (0..PARTITIONS_MAX).map(Partition);
    let listed = partitions.flat_map(|partition| {
        oracle::damaged_stretches().map(move |offsets| PassOver { partition, offsets })
    });
    listed.collect()
}

/// A broker as the loop expects it, with the faults that are planted between the two.
struct Link {
    context: Rc<Context>,
    tables: Rc<Tables>,
    broker: SimulatedBroker,
    /// Outputs of failed publications, for the planted fault that writes them again.
    uncleared: Vec<Draft>,
}

impl Link {
    fn deliver(&self, fetched: &Fetched, receive: &mut dyn FnMut(Polled<'_>)) {
        for news in &fetched.news {
            if !matches!(news, News::Assigned(_)) {
                self.tables.taken_away();
            }
            match news {
                News::Revoked(_)
                    if self.context.is_planted(PlantedFault::RevocationNotDelivered) => {}
                News::Lost(_) if self.context.is_planted(PlantedFault::LossNotDelivered) => {}
                news => receive(Polled::Group(&group_event(news))),
            }
        }
        for arrived in &fetched.arrived {
            receive(self.polled(arrived));
        }
        if fetched.has_statistics {
            receive(Polled::Group(&GroupEvent::Statistics(GroupStatistics::default())));
        }
    }

    fn publish_drafts(
        &mut self,
        mut drafts: Vec<Draft>,
        positions: &[Position],
    ) -> Result<(), Failure> {
        match self.context.planted {
            Some(PlantedFault::OffsetShifted(by)) => {
                let mut positions = positions.to_vec();
                positions.iter_mut().for_each(|p| p.next_offset += by);
                self.broker.publish(&drafts, &positions)
            }
            Some(PlantedFault::OutputsReversed) => {
                drafts.reverse();
                self.broker.publish(&drafts, positions)
            }
            Some(PlantedFault::WrongRegions) => {
                for draft in &mut drafts {
                    if let Content::Event { region, .. } = &mut draft.content {
                        *region += 1;
                    }
                }
                self.broker.publish(&drafts, positions)
            }
            Some(PlantedFault::EmptyBatchesNotCommitted) if drafts.is_empty() => Ok(()),
            Some(PlantedFault::SealNotWritten) => {
                drafts.retain(|draft| !draft.is_seal() || draft.partition.0 != 0);
                self.broker.publish(&drafts, positions)
            }
            Some(PlantedFault::BatchNotCleared) => {
                self.uncleared.extend(drafts);
                self.broker.publish(&self.uncleared, positions)?;
                self.uncleared.clear();
                Ok(())
            }
            Some(PlantedFault::PositionsInOwnTransaction) => {
                self.broker.publish(&drafts, &[])?;
                self.broker.publish(&[], positions)
            }
            Some(PlantedFault::UnknownResultTakenForSuccess) => {
                match self.broker.publish(&drafts, positions) {
                    Err(Failure::Broken(_)) => Ok(()),
                    result => result,
                }
            }
            _ => self.broker.publish(&drafts, positions),
        }
    }
}

impl Broker for Link {
    fn poll(
        &mut self,
        wait: Duration,
        most: usize,
        receive: &mut dyn FnMut(Polled<'_>),
    ) -> Result<(), Failure> {
        let fetched = self.broker.fetch(wait, most)?;
        self.deliver(&fetched, receive);
        Ok(())
    }

    fn publish(&mut self, transaction: &Transaction<'_>) -> Result<(), Failure> {
        self.publish_drafts(drafts(transaction), transaction.positions)
    }

    fn seal_log(&mut self) -> Option<&mut dyn SealLog> {
        self.context.is_sealed.then_some(self as &mut dyn SealLog)
    }

    fn abort(&mut self) -> Result<(), Failure> {
        self.broker.abort()
    }

    fn rebuild(&mut self) -> Result<(), Failure> {
        match self.context.planted {
            Some(PlantedFault::NoRebuild) => Ok(()),
            Some(PlantedFault::AbortInsteadOfRebuild) => self.broker.abort(),
            _ => self.broker.rebuild(),
        }
    }

    fn rewind(&mut self, partitions: &[Partition]) -> Result<Vec<Rewound>, Failure> {
        let rewound = match self.context.planted {
            Some(PlantedFault::NoRewind) => partitions.iter().map(|p| (*p, Ok(0))).collect(),
            Some(PlantedFault::RewindNeverSucceeds) => {
                self.broker.preempt(Moment::Rewinding)?;
                return Err(Failure::Held("not yet".to_string()));
            }
            _ => self.broker.rewind(partitions)?,
        };
        let trusting = self.context.is_planted(PlantedFault::StalePositionsTrusted);
        let rewound = rewound.into_iter().map(|(partition, at)| Rewound {
            partition,
            place: match at {
                // For a new log there is no confirmed offset to compare with.
                Ok(_) if trusting => Ok(ResumePoint::NewLog),
                Ok(offset) => Ok(self.place(partition, offset)),
                Err(cause) => Err(PartitionFault::Unplaced { cause: cause.to_string() }),
            },
        });
        Ok(rewound.collect())
    }

    fn skip_to(
        &mut self,
        partition: Partition,
        offset: i64,
    ) -> Result<Result<i64, PartitionFault>, Failure> {
        let moved = self.broker.skip_to(partition, offset)?;
        Ok(moved.map_err(|cause| PartitionFault::Unplaced { cause: cause.to_string() }))
    }

    fn park(&mut self, partitions: &[Partition]) -> Result<(), Failure> {
        self.broker.park(partitions)
    }

    fn pause(&mut self, time: Duration) {
        self.broker.pause(time);
    }

    fn now(&self) -> Duration {
        self.context.now()
    }
}

fn group_event(news: &News) -> GroupEvent {
    match news {
        News::Assigned(partitions) => GroupEvent::Assigned(partitions.clone()),
        News::Revoked(partitions) => GroupEvent::Revoked(partitions.clone()),
        News::Lost(partitions) => GroupEvent::Lost(partitions.clone()),
    }
}

impl Link {
    fn polled<'a>(&self, arrived: &'a Arrived) -> Polled<'a> {
        const NO_HEADERS: &OwnedHeaders = &Vec::new();
        match arrived {
            Arrived::Placed(partition, floor) => Polled::Partition(
                *partition,
                PartitionEvent::Placed(self.place(*partition, *floor)),
            ),
            Arrived::Record(partition, offset, payload) => Polled::Record(SourceRecord {
                partition: *partition,
                offset: *offset,
                timestamp_ms: Some(START_MS as i64 + *offset),
                key: Some(oracle::KEY),
                payload: Some(payload),
                headers: NO_HEADERS,
                leader_epoch: None,
                log: &None,
            }),
            Arrived::End(partition, end) => {
                Polled::Partition(*partition, PartitionEvent::End { offset: *end, log: &None })
            }
            Arrived::Faulty(partition, offset) => {
                let cause = "the client reported an error".to_string();
                let fault = PartitionFault::Unreadable { offset: *offset, cause };
                Polled::Partition(*partition, PartitionEvent::Failed(fault))
            }
        }
    }

    fn place(&self, partition: Partition, next_offset: i64) -> ResumePoint {
        let metadata = self.context.cluster.borrow().metadata(partition, next_offset);
        ResumePoint::At(Position { partition, next_offset, leader_epoch: None, metadata })
    }
}

/// Decides as the oracle does, but from what its tables know so far.
struct TableJudge {
    context: Rc<Context>,
    tables: Rc<Tables>,
}

impl Judge for TableJudge {
    fn judge(&self, payload: Option<&[u8]>) -> Fate {
        let number = oracle::number(payload);
        fate(number, self.tables.decide(number))
    }

    fn is_final(&self, fate: &Fate) -> bool {
        self.context.is_planted(PlantedFault::NoBarrier) || !fate.awaits_tables()
    }

    fn trusted(&self) -> Result<(), String> {
        if self.context.is_planted(PlantedFault::StaleTablesTrusted) {
            return Ok(());
        }
        self.tables.trusted()
    }

    fn catch_up(&self) -> Result<(), String> {
        if self.context.is_planted(PlantedFault::BarrierSkipped) {
            return Ok(());
        }
        self.tables.catch_up()
    }
}

/// Records what a worker reports as committed.
struct Recorder {
    context: Rc<Context>,
    tables: Rc<Tables>,
    held: BTreeSet<Partition>,
}

impl Recorder {
    fn count(&self, batch: &Batch) {
        let cluster = &mut *self.context.cluster.borrow_mut();
        cluster.ledger.count_committed(&tallies(batch), &cluster.input);
    }
}

impl Observer for Recorder {
    fn on_event(&mut self, event: WorkerEvent<'_>) {
        match event {
            WorkerEvent::Publishing(batch) => {
                self.tables.publishing();
                if self.context.is_planted(PlantedFault::CountedBeforeCommit) {
                    self.count(batch);
                }
            }
            WorkerEvent::Held(partition, _, attempt) => {
                self.held.insert(partition);
                self.context.faults.hit(Probe::PartitionHeld);
                if attempt > 2 {
                    self.context.faults.hit(Probe::PartitionHeldForLong);
                }
            }
            WorkerEvent::Released(partition) => {
                self.held.remove(&partition);
                self.context.faults.hit(Probe::PartitionReleased);
            }
            WorkerEvent::Committed(batch, _) => {
                if !self.held.is_empty() {
                    self.context.faults.hit(Probe::OthersCommittedMeanwhile);
                }
                if batch.partitions().values().any(|tally| !tally.gaps.is_empty()) {
                    self.context.faults.hit(Probe::DamagePassedOver);
                }
                // A batch that repeats positions rests on no table.
                if batch.partitions().values().any(|tally| !tally.is_silent()) {
                    self.tables.committed();
                }
                if !self.context.is_planted(PlantedFault::CountedBeforeCommit) {
                    self.count(batch);
                }
            }
            WorkerEvent::Group(GroupEvent::Revoked(partitions) | GroupEvent::Lost(partitions)) => {
                self.held.retain(|partition| !partitions.contains(partition));
            }
            WorkerEvent::Group(_)
            | WorkerEvent::EndReached(_)
            | WorkerEvent::Failed(_)
            | WorkerEvent::Recovered => {}
        }
    }
}

fn tallies(batch: &Batch) -> Vec<(Partition, Counted)> {
    let partitions = batch.partitions().iter();
    let tallies = partitions.map(|(partition, tally)| {
        let read = tally.read;
        let kinds = tally.fates;
        let gaps = tally.gaps.iter().map(|gap| gap.offsets.end - gap.offsets.start);
        let passed_over = gaps.sum::<i64>() as u64;
        (*partition, Counted { read, kinds, passed_over })
    });
    tallies.collect()
}

fn fate(number: u64, expected: ExpectedFate) -> Fate {
    match expected {
        ExpectedFate::Unlisted => Fate::Skipped(SkipReason::UnlistedAction.into()),
        ExpectedFate::NoAccess => Fate::Skipped(SkipReason::NoInfrastructureAccess.into()),
        ExpectedFate::UnknownDevice => {
            Fate::Quarantined(Quarantine::new(QuarantineReason::UnknownDevice, number))
        }
        ExpectedFate::Audited { region } => Fate::Audited(Audited {
            envelope: Envelope {
                region: RegionIndex(region),
                device: "device".into(),
                account: "account".into(),
                location: "location".into(),
                id: Uuid::from_u128(u128::from(number)),
            },
            event: oracle::event(number),
            awaits_tables: false,
        }),
    }
}

/// Index of the count for an expected fate.
pub fn kind_index(expected: ExpectedFate) -> usize {
    fate(0, expected).kind().index()
}
