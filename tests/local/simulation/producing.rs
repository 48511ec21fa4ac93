//! The writing half of a simulated connection: one transaction at a time, the steps in the order of
//! `src/kafka/session.rs`, and every way in which the client can fail at each of them. What the broker
//! answers is decided in `transactions.rs`.

use audit_relay::stream::{Failure, Output, Position};

use super::broker::SimulatedBroker;
use super::client::Membership;
use super::faults::{Fault, Sight};
use super::transactions::Refusal;

/// Where the client's producer is in a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Ready,
    InTransaction,
    /// A commit was sent, its result is not known.
    InDoubt,
    /// A fatal error: every call fails.
    Failed,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Producer {
    pub(super) epoch: u32,
    pub(super) step: Step,
}

impl SimulatedBroker {
    pub(super) fn begin(&mut self) -> Result<u32, Failure> {
        let producer = self.producer.ok_or_else(|| {
            Failure::Broken("the last producer could not be replaced".to_string())
        })?;
        match producer.step {
            Step::Ready => {}
            // Only a worker that did not rebuild comes here: its client sends the commit once more.
            Step::InDoubt => drop(self.end(producer.epoch, true)?),
            Step::InTransaction | Step::Failed => return Err(self.broken("not ready to begin")),
        }
        self.step(Step::InTransaction);
        Ok(producer.epoch)
    }

    pub(super) fn transact(
        &mut self,
        outputs: &[Output],
        positions: &[Position],
    ) -> Result<usize, Failure> {
        let Some(membership) = self.membership else {
            self.stage.faults.saw(Sight::NoMembership);
            return Err(Self::aborted("this member has left the consumer group"));
        };
        let epoch = self.begin()?;
        for output in outputs {
            self.produce(epoch, output)?;
        }
        self.breathe()?;
        if !positions.is_empty() {
            self.send_offsets(epoch, membership, positions)?;
        }
        self.breathe()?;
        let transaction = self.commit(epoch)?;
        self.breathe()?;
        Ok(transaction)
    }

    pub(super) fn produce(&mut self, epoch: u32, output: &Output) -> Result<(), Failure> {
        self.breathe()?;
        if self.strikes_rarely(Fault::ProduceAborts) {
            return Err(Self::aborted("a record was not accepted"));
        }
        if self.strikes_rarely(Fault::ProduceBreaks) {
            return Err(self.broken("fatal error while producing"));
        }
        let answer = self
            .stage
            .cluster
            .borrow_mut()
            .produce(&self.id, epoch, output);
        self.answer(answer)
    }

    pub(super) fn send_offsets(
        &mut self,
        epoch: u32,
        membership: Membership,
        positions: &[Position],
    ) -> Result<(), Failure> {
        if self.strikes(Fault::OffsetsAbort) {
            return Err(Self::aborted("positions were not accepted"));
        }
        if self.strikes(Fault::OffsetsBreak) {
            return Err(self.broken("fatal error while sending positions"));
        }
        let mut cluster = self.stage.cluster.borrow_mut();
        let answer = cluster.send_offsets(&self.id, epoch, membership, positions);
        drop(cluster);
        self.answer(answer)
    }

    pub(super) fn commit(&mut self, epoch: u32) -> Result<usize, Failure> {
        if self.strikes(Fault::CommitAborts) {
            return Err(Self::aborted("flush timed out"));
        }
        let in_doubt = |broker: &mut Self, what: &str| {
            broker.step(Step::InDoubt);
            Err(Failure::Broken(what.to_string()))
        };
        if self.strikes(Fault::CommitLost) {
            return in_doubt(self, "commit timed out");
        }
        if self.strikes(Fault::CommitDelayed) {
            self.stage
                .cluster
                .borrow_mut()
                .delay_commit(&self.id, epoch);
            return in_doubt(self, "commit timed out");
        }
        let transaction = self.end(epoch, true)?;
        if self.strikes(Fault::CommitAnswerLost) {
            return in_doubt(self, "commit got no answer");
        }
        if self.strikes(Fault::CommitRepeated) {
            self.stage
                .cluster
                .borrow_mut()
                .delay_commit(&self.id, epoch);
            return in_doubt(self, "commit got no answer");
        }
        self.step(Step::Ready);
        Ok(transaction)
    }

    pub(super) fn end(&mut self, epoch: u32, commit: bool) -> Result<usize, Failure> {
        let late = self.strikes(Fault::MarkersLate);
        let answer = self
            .stage
            .cluster
            .borrow_mut()
            .end(&self.id, epoch, commit, late);
        self.answer(answer)
    }

    pub(super) fn open_producer(&mut self) -> Result<(), Failure> {
        if self.strikes(Fault::RebuildFails) {
            return Err(Failure::Broken("init_transactions timed out".to_string()));
        }
        let epoch = self.stage.cluster.borrow_mut().init_producer(&self.id);
        if self.strikes(Fault::RebuildAnswerLost) {
            return Err(Failure::Broken(
                "init_transactions lost its answer".to_string(),
            ));
        }
        let step = Step::Ready;
        self.producer = Some(Producer { epoch, step });
        Ok(())
    }

    pub(super) fn aborted(what: &str) -> Failure {
        Failure::Aborted(what.to_string())
    }

    /// A fatal error of the producer.
    pub(super) fn broken(&mut self, what: &str) -> Failure {
        self.step(Step::Failed);
        Failure::Broken(what.to_string())
    }

    pub(super) fn step(&mut self, step: Step) {
        if let Some(producer) = &mut self.producer {
            producer.step = step;
        }
    }

    pub(super) fn answer<T>(&mut self, answer: Result<T, Refusal>) -> Result<T, Failure> {
        answer.map_err(|refusal| match refusal {
            Refusal::Fenced => {
                self.stage.faults.saw(Sight::ProducerFenced);
                self.step(Step::Failed);
                Failure::Fenced("a newer epoch exists".to_string())
            }
            Refusal::NotAMember => {
                self.stage.faults.saw(Sight::MembershipRefused);
                Self::aborted("not a member of this generation")
            }
            Refusal::InvalidState => self.broken("invalid transaction state"),
        })
    }
}
