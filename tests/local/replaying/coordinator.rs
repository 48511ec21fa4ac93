//! The transaction coordinator and the log, as the replayers see them: a transactional id has an
//! epoch, a higher epoch fences a lower one, and a request to end a transaction names the epoch but
//! not the transaction. So a late one can take effect in a later transaction of the same epoch.

use std::collections::BTreeMap;

use audit_relay::quarantine::outcomes::Outcome;

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A newer epoch exists.
    Fenced,
    /// No transaction can be ended this way.
    InvalidState,
}

/// What is written of a case.
#[derive(Debug, Clone)]
pub enum Entry {
    /// The audit event.
    Event,
    /// The record of the outcome, and what it says.
    Outcome { outcome: Outcome, key: Vec<u8>, value: Vec<u8> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Decided, but its markers are not written yet, so nobody can read it.
    Decided {
        commit: bool,
    },
    Committed,
    Aborted,
}

#[derive(Debug, Default)]
struct Producer {
    epoch: u32,
    /// The open transaction, or the last one.
    last: Option<usize>,
}

#[derive(Debug)]
struct Written {
    case: usize,
    entry: Entry,
    transaction: usize,
}

/// A request to end a transaction that has not arrived yet.
#[derive(Debug)]
struct Late {
    id: usize,
    epoch: u32,
    commit: bool,
}

/// What became of a late request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    Refused,
    /// It ended the open transaction of its epoch.
    Ended {
        commit: bool,
    },
    /// There was nothing left to end.
    WithoutEffect,
}

#[derive(Debug, Default)]
pub struct Coordinator {
    producers: BTreeMap<usize, Producer>,
    transactions: Vec<State>,
    log: Vec<Written>,
    late: Vec<Late>,
}

impl Coordinator {
    /// Aborts the open transaction of the id, waits for the markers of a decided one, and raises
    /// the epoch: for a new producer, or because the transaction took too long.
    pub fn init(&mut self, id: usize) -> u32 {
        let last = self.producers.entry(id).or_default().last;
        if let Some(last) = last {
            self.settle(last);
            if self.transactions[last] == State::Open {
                self.transactions[last] = State::Aborted;
            }
        }
        let producer = self.producers.entry(id).or_default();
        producer.epoch += 1;
        producer.epoch
    }

    /// Returns whether the last transaction of an epoch is open; `None` if it was aborted or the
    /// epoch is over.
    pub fn is_open(&self, (id, epoch): (usize, u32)) -> Option<bool> {
        let last = self.checked(id, epoch).ok().flatten()?;
        match self.transactions[last] {
            State::Open => Some(true),
            State::Decided { commit: true } | State::Committed => Some(false),
            State::Decided { commit: false } | State::Aborted => None,
        }
    }

    pub fn write(
        &mut self,
        (id, epoch): (usize, u32),
        case: usize,
        entry: Entry,
    ) -> Result<(), Refusal> {
        let last = self.checked(id, epoch)?;
        last.into_iter().for_each(|last| self.settle(last));
        let open = last.filter(|last| self.transactions[*last] == State::Open);
        let transaction = open.unwrap_or_else(|| {
            self.transactions.push(State::Open);
            self.transactions.len() - 1
        });
        self.producers.entry(id).or_default().last = Some(transaction);
        self.log.push(Written { case, entry, transaction });
        Ok(())
    }

    /// Ends the open transaction; with `late`, its markers are written later.
    pub fn end(
        &mut self,
        (id, epoch): (usize, u32),
        commit: bool,
        late: bool,
    ) -> Result<(), Refusal> {
        let last = self.checked(id, epoch)?.ok_or(Refusal::InvalidState)?;
        match self.transactions[last] {
            State::Open => {
                self.transactions[last] = State::Decided { commit };
                if !late {
                    self.settle(last);
                }
                Ok(())
            }
            // A repeated request gets the same answer as the first.
            State::Decided { commit: decided } if decided == commit => Ok(()),
            State::Committed if commit => Ok(()),
            State::Aborted if !commit => Ok(()),
            State::Decided { .. } | State::Committed | State::Aborted => Err(Refusal::InvalidState),
        }
    }

    /// A request to end a transaction arrives later.
    pub fn delay(&mut self, (id, epoch): (usize, u32), commit: bool) {
        self.late.push(Late { id, epoch, commit });
    }

    /// Returns how many requests have not arrived yet.
    pub fn late_requests(&self) -> usize {
        self.late.len()
    }

    pub fn deliver(&mut self, which: usize) -> Arrival {
        let Late { id, epoch, commit } = self.late.swap_remove(which);
        let was_open = self.is_open((id, epoch)) == Some(true);
        match self.end((id, epoch), commit, false) {
            Err(Refusal::Fenced) => Arrival::Refused,
            Ok(()) if was_open => Arrival::Ended { commit },
            Ok(()) | Err(Refusal::InvalidState) => Arrival::WithoutEffect,
        }
    }

    /// Writes all markers.
    pub fn settle_all(&mut self) {
        (0..self.transactions.len()).for_each(|number| self.settle(number));
    }

    /// Returns what is committed, as a reader gets it: the case and what is written of it.
    pub fn committed(&self) -> impl Iterator<Item = (usize, &Entry)> {
        let is_committed =
            |written: &&Written| self.transactions[written.transaction] == State::Committed;
        self.log.iter().filter(is_committed).map(|written| (written.case, &written.entry))
    }

    fn checked(&self, id: usize, epoch: u32) -> Result<Option<usize>, Refusal> {
        let producer = self.producers.get(&id).ok_or(Refusal::InvalidState)?;
        if epoch == producer.epoch { Ok(producer.last) } else { Err(Refusal::Fenced) }
    }

    fn settle(&mut self, number: usize) {
        self.transactions[number] = match self.transactions[number] {
            State::Decided { commit: true } => State::Committed,
            State::Decided { commit: false } => State::Aborted,
            other => other,
        };
    }
}
