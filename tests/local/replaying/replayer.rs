//! A simulated replayer: what the protocol asks of a cluster, step by step as `kafka/replayer.rs`
//! and `commands/quarantine` do it with the real client, every way in which a step can fail, and
//! the planted faults.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use audit_judge::fate::{Audited, Envelope, RegionIndex};
use audit_relay::quarantine::batch::{Batch, Closed, Decision, Quarantined};
use audit_relay::quarantine::case::{CaseId, Place};
use audit_relay::quarantine::closing::{
    CaseDigest, CaseWriter, Cases, Decide, Progress, Refused, Stop,
};
use audit_relay::quarantine::outcomes::{Author, Outcome, Outcomes, Standing};
use audit_relay::stream::Failure;
use jiff::Timestamp;
use uuid::Uuid;

use super::coordinator::{Entry, Refusal};
use super::faults::{Fault, Moment, Planted};
use super::world::World;

/// The transactional id that all replayers share.
const SHARED_ID: usize = 0;

/// A replayer's view of the cases.
pub struct Replayer<'w> {
    world: &'w World,
    id: usize,
    outcomes: Outcomes,
    attempts: u32,
    /// The epoch of its last writer.
    epoch: Option<u32>,
    /// Whether the result of its last commit is unknown.
    in_doubt: Rc<Cell<bool>>,
    /// How many cases there were when it read them last.
    pub known: usize,
    /// Cases that it did not want to close.
    pub left_open: BTreeSet<usize>,
    pub has_retried: bool,
}

/// What an open producer writes with.
pub struct Writer<'w> {
    world: &'w World,
    producer: (usize, u32),
    in_transaction: bool,
    in_doubt: Rc<Cell<bool>>,
    /// It must not begin another transaction.
    is_spent: bool,
}

/// Where a replayer waits.
pub struct Seat<'w>(pub &'w World);

impl<'w> Replayer<'w> {
    pub fn new(world: &'w World, number: usize) -> Self {
        let has_own = world.is_planted(Planted::IdOfItsOwn);
        Replayer {
            world,
            id: if has_own { number + 1 } else { SHARED_ID },
            outcomes: Outcomes::default(),
            attempts: 0,
            epoch: None,
            in_doubt: Rc::default(),
            known: 0,
            left_open: BTreeSet::new(),
            has_retried: false,
        }
    }

    fn read(&mut self) -> anyhow::Result<()> {
        let mut outcomes = Outcomes::default();
        for (_, entry) in self.world.coordinator.borrow().committed() {
            if let Entry::Outcome { key, value, .. } = entry {
                outcomes.take(Some(key), Some(value)).map_err(anyhow::Error::msg)?;
            }
        }
        self.outcomes = outcomes;
        Ok(())
    }

    /// Counts what a new epoch meets of a commit whose result is unknown.
    fn note_doubt(&self) {
        let was_in_doubt = self.in_doubt.take();
        if let Some(epoch) = self.epoch.filter(|_| was_in_doubt) {
            match self.world.coordinator.borrow().is_open((self.id, epoch)) {
                Some(true) => self.world.hit("an unknown commit was aborted by the next epoch"),
                Some(false) => self.world.hit("an unknown commit had been done"),
                None => {}
            }
        }
    }

    /// Decides what becomes of a case: always the same for the last replayer.
    fn decide(&mut self, number: usize) -> Result<Closed, Refused> {
        let random = &self.world.random;
        let is_fickle = self.world.faults.are_on() && number % 5 == 4;
        let outcome = match number % 5 {
            3 => Outcome::Skipped,
            _ if is_fickle && random.per_mille(300) => {
                self.left_open.insert(number);
                return Err(Refused("a stub"));
            }
            _ if is_fickle && random.per_mille(500) => {
                self.left_open.insert(number);
                Outcome::Again
            }
            _ => Outcome::Audited,
        };
        let event = (outcome == Outcome::Audited).then(|| event(number));
        let decision = Decision { event, ..Decision::of(outcome) };
        let by = "a replayer".to_string();
        let author = Author { by, host: String::new(), note: None, config: 0 };
        let record = Quarantined { case: case(number), place: place(number), timestamp_ms: 0 };
        Ok(Closed::new(record, decision, &author, &[], Timestamp::UNIX_EPOCH))
    }
}

impl<'w> Cases for Replayer<'w> {
    type Writer = Writer<'w>;

    fn open(&mut self) -> Result<Writer<'w>, Failure> {
        let world = self.world;
        self.attempts += 1;
        self.has_retried = self.attempts > 1;
        if world.is_planted(Planted::OutcomesBeforeOpen) {
            self.read().map_err(|error| Failure::Fatal(error.to_string()))?;
        }
        step(world, Moment::Opening)?;
        if world.injects(Fault::OpenFails) {
            return Err(Failure::Broken("init_transactions timed out".to_string()));
        }
        let kept = self.epoch.filter(|_| world.is_planted(Planted::ProducerKept));
        let epoch = match kept {
            Some(epoch) => {
                let aborted = world.coordinator.borrow_mut().end((self.id, epoch), false, false);
                if aborted == Err(Refusal::Fenced) {
                    return Err(Failure::Fenced("a newer epoch exists".to_string()));
                }
                epoch
            }
            None => {
                self.note_doubt();
                world.coordinator.borrow_mut().init(self.id)
            }
        };
        if world.injects(Fault::OpenAnswerLost) {
            return Err(Failure::Broken("init_transactions got no answer".to_string()));
        }
        self.epoch = Some(epoch);
        let producer = (self.id, epoch);
        world.log(|| format!("epoch {epoch}"));
        let in_doubt = Rc::clone(&self.in_doubt);
        Ok(Writer { world, producer, in_transaction: false, in_doubt, is_spent: false })
    }

    fn read_outcomes(&mut self) -> anyhow::Result<()> {
        step(self.world, Moment::ReadingOutcomes)?;
        let is_read = self.world.is_planted(Planted::OutcomesBeforeOpen)
            || self.world.is_planted(Planted::OutcomesReadOnce) && self.attempts > 1;
        if !is_read {
            self.read()?;
        }
        self.known = self.world.cases.get();
        Ok(())
    }

    fn is_closed(&self, case: &CaseDigest) -> bool {
        self.world.is_planted(Planted::UnclearTakenForClosed)
            || self.outcomes.of(case).is_some_and(Standing::is_closed)
    }

    fn prepare(&mut self, _: &mut Writer<'w>) -> Result<(), Stop> {
        Ok(())
    }

    fn read_open(
        &mut self,
        receive: &mut dyn FnMut(CaseDigest, &mut Decide<'_>),
    ) -> anyhow::Result<()> {
        for number in 0..self.known {
            step(self.world, Moment::ReadingCases)?;
            let digest = case(number).digest();
            if !self.outcomes.of(&digest).is_some_and(Standing::is_closed) {
                receive(digest, &mut || self.decide(number));
            }
        }
        Ok(())
    }

    fn finish(&mut self, _: Writer<'w>) {}
}

impl Writer<'_> {
    fn check_reusable(&self) -> Result<(), Failure> {
        if self.is_spent && !self.world.is_planted(Planted::ResendIgnored) {
            self.world.hit("a producer was not used again");
            return Err(broken("the producer cannot be used again"));
        }
        Ok(())
    }

    fn send(&mut self, record: &Closed, entry: Entry) -> Result<(), Failure> {
        let world = self.world;
        step(world, Moment::Producing)?;
        if world.injects(Fault::TimedOut) {
            world.coordinator.borrow_mut().init(self.producer.0);
        }
        if world.injects(Fault::ProduceAborts) {
            // Refused by the client, or by the broker: then the client fails the next one too.
            self.is_spent |= world.random.per_mille(500);
            return Err(Failure::Aborted("a record was not accepted".to_string()));
        }
        if world.injects(Fault::ProduceBreaks) {
            return Err(broken("fatal error while producing"));
        }
        let case = record.resolved().place.offset as usize;
        let written = world.coordinator.borrow_mut().write(self.producer, case, entry);
        self.answer(written)
    }

    fn send_event(&mut self, record: &Closed) -> Result<(), Failure> {
        match record.resolved().event {
            Some(_) => self.send(record, Entry::Event),
            None => Ok(()),
        }
    }

    fn send_outcome(&mut self, record: &Closed) -> Result<(), Failure> {
        let resolved = record.resolved();
        let (key, value) = (resolved.key.to_vec(), resolved.value.to_vec());
        self.send(record, Entry::Outcome { outcome: resolved.outcome, key, value })
    }

    fn commit(&mut self) -> Result<(), Failure> {
        let world = self.world;
        step(world, Moment::Committing)?;
        if world.injects(Fault::CommitAborts) {
            return Err(Failure::Aborted("flush timed out".to_string()));
        }
        if world.injects(Fault::CommitLost) {
            return Err(self.in_doubt());
        }
        if world.injects(Fault::CommitDelayed) {
            world.coordinator.borrow_mut().delay(self.producer, true);
            return Err(self.in_doubt());
        }
        self.end(true)?;
        if world.injects(Fault::CommitAnswerLost) {
            return Err(self.in_doubt());
        }
        if world.injects(Fault::CommitRepeated) {
            world.coordinator.borrow_mut().delay(self.producer, true);
            return Err(self.in_doubt());
        }
        if world.injects(Fault::CommitSentTwice) {
            world.coordinator.borrow_mut().delay(self.producer, true);
            self.is_spent = true;
        }
        self.in_transaction = false;
        step(world, Moment::Committed)
    }

    fn in_doubt(&self) -> Failure {
        self.in_doubt.set(true);
        broken("the commit has no answer")
    }

    fn end(&mut self, commit: bool) -> Result<(), Failure> {
        let late = self.world.injects(Fault::MarkersLate);
        let ended = self.world.coordinator.borrow_mut().end(self.producer, commit, late);
        self.answer(ended)
    }

    fn answer(&self, answer: Result<(), Refusal>) -> Result<(), Failure> {
        answer.map_err(|refusal| match refusal {
            Refusal::Fenced => {
                self.world.hit("a replayer was fenced");
                Failure::Fenced("a newer epoch exists".to_string())
            }
            Refusal::InvalidState => broken("invalid transaction state"),
        })
    }

    fn transact(&mut self, records: &[Closed]) -> Result<(), Failure> {
        self.in_transaction = true;
        if records.len() > self.world.accepted {
            self.world.hit("a transaction was too large");
            // The broker refused it, or already the client.
            self.is_spent |= self.world.random.per_mille(700);
            return Err(Failure::TooLarge("the batch is too large".to_string()));
        }
        let splits = self.world.is_planted(Planted::OutcomeInOwnTransaction);
        for record in records {
            self.send_event(record)?;
            if !splits {
                self.send_outcome(record)?;
            }
        }
        if splits {
            self.commit()?;
            records.iter().try_for_each(|record| self.send_outcome(record))?;
        }
        self.commit()
    }
}

impl CaseWriter for Writer<'_> {
    fn transactions(&self, batch: Batch) -> Vec<Vec<Closed>> {
        let mut transactions = vec![Vec::new()];
        for record in batch.records() {
            if self.world.random.per_mille(300) {
                transactions.push(Vec::new());
            }
            transactions.last_mut().expect("never empty").push(record);
        }
        transactions
    }

    fn publish(&mut self, records: &[Closed]) -> Result<(), Failure> {
        self.check_reusable()?;
        match self.transact(records) {
            Err(Failure::Broken(_)) if self.world.is_planted(Planted::UnknownTakenForDone) => {
                self.in_transaction = false;
                Ok(())
            }
            result => result,
        }
    }

    fn abort(&mut self) -> Result<(), Failure> {
        let world = self.world;
        step(world, Moment::Aborting)?;
        if self.in_transaction && world.coordinator.borrow().is_open(self.producer) == Some(true) {
            if world.injects(Fault::AbortDelayed) {
                world.coordinator.borrow_mut().delay(self.producer, false);
                return Err(broken("abort timed out"));
            }
            let fails = world.injects(Fault::AbortFails);
            if !fails || world.random.per_mille(500) {
                self.end(false)?;
            }
            if fails {
                return Err(broken("abort got no answer"));
            }
            if world.injects(Fault::AbortSentTwice) {
                world.coordinator.borrow_mut().delay(self.producer, false);
                self.is_spent = true;
            }
        }
        self.in_transaction = false;
        self.check_reusable()
    }
}

impl Progress for Seat<'_> {
    fn pause(&mut self, _: Duration) {
        self.0.others_act(Moment::Pausing);
        self.0.late_request_arrives();
    }

    fn retrying(&mut self, cause: &str) {
        self.0.log(|| format!("retrying: {cause}"));
    }

    fn handled(&mut self, _: usize) {}
}

/// Lets others act; fails if the process is killed.
fn step(world: &World, moment: Moment) -> Result<(), Failure> {
    if world.is_killed(moment) {
        return Err(Failure::Fatal("killed".to_string()));
    }
    world.others_act(moment);
    Ok(())
}

fn broken(what: &str) -> Failure {
    Failure::Broken(what.to_string())
}

fn case(number: usize) -> CaseId {
    CaseId { topic: "changes".to_string(), partition: 0, offset: number as i64, hash: [7; 8] }
}

fn place(number: usize) -> Place {
    Place { partition: 0, offset: number as i64 }
}

fn event(number: usize) -> Audited {
    Audited {
        envelope: Envelope {
            region: RegionIndex(0),
            device: "device".into(),
            account: "account".into(),
            location: "location".into(),
            id: Uuid::from_u128(number as u128),
        },
        event: b"event".to_vec(),
        awaits_tables: false,
    }
}
