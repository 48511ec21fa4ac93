//! The writing half of a simulated connection: one transaction at a time, the steps in the order of
//! `src/kafka/session.rs`, and every way in which the client can fail at each of them.
//! `transactions.rs` decides the broker's answers.

use std::time::Duration;

use super::broker::SimulatedBroker;
use super::client::Membership;
use super::faults::{Fault, Moment, Probe};
use super::planted::PlantedFault;
use super::seam::{Failure, Position};
use super::transactions::{Draft, Late, Refusal};

/// The transaction step that the client's producer is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Ready,
    InTransaction,
    /// A commit was sent, and its result is unknown.
    InDoubt,
    /// A fatal error: every call fails.
    Failed,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Producer {
    pub(super) epoch: u32,
    pub(super) step: Step,
    /// The client may have sent a request twice by itself. The first copy may arrive in any later
    /// transaction of the same epoch, and take effect there.
    pub(super) resent: bool,
}

impl SimulatedBroker {
    fn begin(&mut self) -> Result<u32, Failure> {
        self.renew()?;
        let producer = self.producer.ok_or_else(Self::no_producer)?;
        match producer.step {
            Step::Ready => {}
            // Only a worker that did not rebuild gets here: its client sends the commit once more.
            Step::InDoubt => drop(self.end(producer.epoch, true)?),
            Step::InTransaction | Step::Failed => return Err(self.broken("not ready to begin")),
        }
        self.step(Step::InTransaction);
        Ok(producer.epoch)
    }

    /// Replaces the producer if a request may have been sent twice in its epoch.
    fn renew(&mut self) -> Result<(), Failure> {
        let resent = self.producer.is_some_and(|producer| producer.resent);
        if resent && !self.context.is_planted(PlantedFault::ResendIgnored) {
            self.check_consumer()?;
            self.open_producer()?;
            self.hit(Probe::EpochRenewed);
        }
        Ok(())
    }

    /// Returns the number of the committed transaction.
    pub(super) fn transact(
        &mut self,
        drafts: &[Draft],
        positions: &[Position],
    ) -> Result<usize, Failure> {
        let Some(membership) = self.membership.clone() else {
            self.hit(Probe::NoMembership);
            return Err(Self::aborted("this member has left the consumer group"));
        };
        let epoch = self.begin()?;
        self.check_size(drafts.iter().filter(|draft| !draft.is_seal()).count())?;
        for draft in drafts {
            self.produce(epoch, draft)?;
        }
        self.preempt(Moment::SendingPositions)?;
        if !positions.is_empty() {
            self.send_offsets(epoch, membership, positions)?;
        }
        self.preempt(Moment::Committing)?;
        let transaction = self.commit(epoch)?;
        self.preempt(Moment::Committed)?;
        Ok(transaction)
    }

    /// Fails a large transaction, which times out behind a quota or with slow replication.
    fn check_size(&mut self, outputs: usize) -> Result<(), Failure> {
        if outputs > 1 && self.injects(Fault::LargeBatchFails) {
            let most = self.context.random.count(1, outputs);
            self.lasting.most_outputs = Some((most, self.some_time()));
        }
        let quota = self.context.cluster.borrow().quota;
        let exceeds = |most: usize| outputs > most;
        let is_late = self
            .lasting
            .most_outputs
            .is_some_and(|(most, until)| exceeds(most) && self.lasts(until));
        if quota.is_some_and(exceeds) {
            self.hit(Probe::QuotaExceeded);
        } else if !is_late {
            return Ok(());
        }
        self.context.advance(Duration::from_secs(1));
        Err(Self::aborted("not everything was delivered in time"))
    }

    fn produce(&mut self, epoch: u32, draft: &Draft) -> Result<(), Failure> {
        self.preempt(Moment::Producing)?;
        let injects = |fault| self.context.injects_one_in(5, fault, self.client);
        if injects(Fault::ProduceAborts) {
            return Err(Self::aborted("a record was not accepted"));
        }
        if injects(Fault::OutputRefused) {
            let until = self.some_time();
            self.lasting.refused = Some((draft.partition, draft.offset, until));
        }
        let is_this = |(partition, offset, until): (_, _, _)| {
            partition == draft.partition && offset == draft.offset && self.lasts(until)
        };
        if self.lasting.refused.is_some_and(is_this) {
            return Err(Self::aborted("this record is not accepted"));
        }
        if injects(Fault::ProduceBreaks) {
            return Err(self.broken("fatal error while producing"));
        }
        let mut cluster = self.context.cluster.borrow_mut();
        let answer = cluster.produce(&self.id, epoch, draft);
        drop(cluster);
        self.answer(answer)
    }

    fn send_offsets(
        &mut self,
        epoch: u32,
        membership: Membership,
        positions: &[Position],
    ) -> Result<(), Failure> {
        if self.injects(Fault::OffsetsAbort) {
            return Err(Self::aborted("positions were not accepted"));
        }
        if self.injects(Fault::OffsetsBreak) {
            return Err(self.broken("fatal error while sending positions"));
        }
        if self.injects(Fault::OffsetsFailLate) {
            let positions = positions.to_vec();
            self.send_later(epoch, Late::Positions(positions, membership));
            if !self.context.is_planted(PlantedFault::LateFailureIgnored) {
                self.resent();
            }
            return Err(Self::aborted("no attempt to send the positions was answered"));
        }
        if self.injects(Fault::OffsetsSentTwice) {
            let positions = positions.to_vec();
            self.send_later(epoch, Late::Positions(positions, membership.clone()));
            self.resent();
        }
        let mut cluster = self.context.cluster.borrow_mut();
        let answer = cluster.send_offsets(&self.id, epoch, &membership, positions);
        drop(cluster);
        self.answer(answer)
    }

    fn commit(&mut self, epoch: u32) -> Result<usize, Failure> {
        if self.injects(Fault::CommitAborts) {
            return Err(Self::aborted("flush timed out"));
        }
        if self.injects(Fault::CommitLost) {
            return Err(self.in_doubt("commit timed out"));
        }
        if self.injects(Fault::CommitDelayed) {
            self.send_later(epoch, Late::End { commit: true });
            if self.context.is_planted(PlantedFault::LateCommitAborted) {
                return Err(Self::aborted("the commit was refused"));
            }
            return Err(self.in_doubt("commit timed out"));
        }
        let transaction = self.end(epoch, true)?;
        if self.injects(Fault::CommitAnswerLost) {
            return Err(self.in_doubt("commit got no answer"));
        }
        if self.injects(Fault::CommitRepeated) {
            self.send_later(epoch, Late::End { commit: true });
            return Err(self.in_doubt("commit got no answer"));
        }
        if self.injects(Fault::CommitSentTwice) {
            self.send_later(epoch, Late::End { commit: true });
            self.resent();
        }
        self.step(Step::Ready);
        Ok(transaction)
    }

    /// Aborts the open transaction, if there is one.
    pub(super) fn abort_transaction(&mut self) -> Result<(), Failure> {
        let producer = self.producer.ok_or_else(Self::no_producer)?;
        match producer.step {
            Step::Ready => return Ok(()),
            Step::InTransaction | Step::InDoubt => {}
            Step::Failed => return Err(self.broken("the producer is broken")),
        }
        let late = Late::End { commit: false };
        if self.injects(Fault::AbortDelayed) {
            self.send_later(producer.epoch, late);
            return Err(self.broken("abort timed out"));
        }
        let done = !self.context.random.per_mille(500);
        let fails = self.injects(Fault::AbortFails);
        if !fails || done {
            self.end(producer.epoch, false)?;
        }
        if fails {
            return Err(self.broken("abort got no answer"));
        }
        if self.injects(Fault::AbortSentTwice) {
            self.send_later(producer.epoch, late);
            self.resent();
        }
        self.step(Step::Ready);
        Ok(())
    }

    fn end(&mut self, epoch: u32, commit: bool) -> Result<usize, Failure> {
        let late = self.injects(Fault::MarkersLate);
        let mut cluster = self.context.cluster.borrow_mut();
        let answer = cluster.end(&self.id, epoch, commit, late);
        drop(cluster);
        self.answer(answer)
    }

    fn send_later(&mut self, epoch: u32, what: Late) {
        let mut cluster = self.context.cluster.borrow_mut();
        cluster.delay(&self.id, epoch, what);
    }

    /// Discards the producer, if there is one, and creates another with the next epoch.
    pub(super) fn open_producer(&mut self) -> Result<(), Failure> {
        let was_in_doubt = matches!(self.producer, Some(p) if p.step == Step::InDoubt);
        self.producer = None;
        if self.injects(Fault::RebuildFails) {
            return Err(Failure::Broken("init_transactions timed out".to_string()));
        }
        let mut cluster = self.context.cluster.borrow_mut();
        let ended_open = cluster.has_open(&self.id);
        let epoch = cluster.init_producer(&self.id, Some(self.client));
        drop(cluster);
        if was_in_doubt {
            self.hit(match ended_open {
                true => Probe::DoubtAborted,
                false => Probe::DoubtCommitted,
            });
        }
        if self.injects(Fault::RebuildAnswerLost) {
            let what = "the answer of init_transactions was lost";
            return Err(Failure::Broken(what.to_string()));
        }
        self.producer = Some(Producer { epoch, step: Step::Ready, resent: false });
        Ok(())
    }

    fn no_producer() -> Failure {
        Failure::Broken("the last producer could not be replaced".to_string())
    }

    fn aborted(what: &str) -> Failure {
        Failure::Aborted(what.to_string())
    }

    /// A fatal error of the producer.
    fn broken(&mut self, what: &str) -> Failure {
        self.step(Step::Failed);
        Failure::Broken(what.to_string())
    }

    fn in_doubt(&mut self, what: &str) -> Failure {
        self.step(Step::InDoubt);
        Failure::Broken(what.to_string())
    }

    fn step(&mut self, step: Step) {
        if let Some(producer) = &mut self.producer {
            producer.step = step;
        }
    }

    fn resent(&mut self) {
        if let Some(producer) = &mut self.producer {
            producer.resent = true;
        }
    }

    fn answer<T>(&mut self, answer: Result<T, Refusal>) -> Result<T, Failure> {
        answer.map_err(|refusal| match refusal {
            Refusal::Fenced => {
                self.hit(Probe::ProducerFenced);
                self.step(Step::Failed);
                Failure::Fenced("a newer epoch exists".to_string())
            }
            Refusal::NotAMember => {
                self.hit(Probe::MembershipRefused);
                Self::aborted("not a member of this generation")
            }
            Refusal::InvalidState => self.broken("invalid transaction state"),
        })
    }
}
