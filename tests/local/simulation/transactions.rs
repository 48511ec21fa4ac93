//! The transaction coordinator, protocol version 1 as librdkafka speaks it: a transactional id has
//! an epoch, a higher epoch fences a lower one, and a request names the epoch but not the
//! transaction. So a delayed request can take effect in a later transaction of the same epoch.

use std::time::Duration;

use super::client::{ClientId, Membership};
use super::cluster::{Cluster, Written};
use super::faults::Probe;
use super::oracle::{Content, Violation};
use super::seam::{Partition, Position};
use super::trail::StoredRecord;

/// A transaction that lives longer is aborted, and its producer fenced.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the broker refused a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A newer epoch exists.
    Fenced,
    /// No transaction can be ended this way.
    InvalidState,
    /// The sender is not a member of the group, or not of this generation.
    NotAMember,
}

/// A transactional id.
#[derive(Debug, Default)]
pub struct ProducerState {
    epoch: u32,
    /// The open transaction, or the last one.
    last: Option<usize>,
    /// The client that took the id last, and the one that had it before.
    owner: Option<ClientId>,
    previous_owner: Option<ClientId>,
}

/// An output record that is to be written.
#[derive(Debug, Clone)]
pub struct Draft {
    pub partition: Partition,
    /// The offset of the input record; of a seal -1.
    pub offset: i64,
    pub content: Content,
    /// The record as it is stored, in a sealed run.
    pub record: Option<StoredRecord>,
}

impl Draft {
    pub fn is_seal(&self) -> bool {
        matches!(self.content, Content::Seal { .. })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Decided, but the markers are not written yet: neither outputs nor offsets are visible.
    Decided {
        commit: bool,
    },
    Committed,
    Aborted,
}

#[derive(Debug)]
pub struct Transaction {
    state: State,
    began: Duration,
    id: String,
    /// Indexes of its outputs in the log.
    outputs: Vec<usize>,
    offsets: Vec<Position>,
    /// The offsets that its commit moved: partition, offset before, offset after.
    pub ranges: Vec<(Partition, i64, i64)>,
    /// Whether the commit was reported to the worker.
    pub reported: bool,
}

impl Transaction {
    pub fn is_committed(&self) -> bool {
        self.state == State::Committed
    }
}

/// A request that has not arrived yet.
#[derive(Debug, Clone)]
pub struct Delayed {
    id: String,
    epoch: u32,
    what: Late,
}

/// A request that can arrive late.
#[derive(Debug, Clone)]
pub enum Late {
    End { commit: bool },
    Positions(Vec<Position>, Membership),
}

impl Cluster {
    /// Whether the id has an open transaction.
    pub fn has_open(&self, id: &str) -> bool {
        let last = self.producers.get(id).and_then(|producer| producer.last);
        last.is_some_and(|number| self.transactions[number].state == State::Open)
    }

    /// Ends the open transaction of the id, if any, and raises its epoch.
    pub fn init_producer(&mut self, id: &str, client: Option<ClientId>) -> u32 {
        if let Some(client) = client {
            self.takes_id(id, client);
        }
        let last = self.producers.entry(id.to_string()).or_default().last;
        if let Some(number) = last {
            self.settle(number);
            if self.transactions[number].state == State::Open {
                self.finish(number, false);
            }
        }
        let producer = self.producers.entry(id.to_string()).or_default();
        producer.epoch += 1;
        producer.epoch
    }

    fn takes_id(&mut self, id: &str, client: ClientId) {
        if self.group.client(client).is_fenced {
            self.ledger.add_violation(Violation::FencedSuccessor(client));
        }
        let producer = self.producers.entry(id.to_string()).or_default();
        if producer.owner != Some(client) {
            let is_back = producer.previous_owner == Some(client);
            self.alternations += u64::from(is_back);
            producer.previous_owner = producer.owner.replace(client);
        }
    }

    pub fn produce(&mut self, id: &str, epoch: u32, draft: &Draft) -> Result<(), Refusal> {
        let transaction = self.open_transaction(id, epoch)?;
        let place = self.written.len();
        self.transactions[transaction].outputs.push(place);
        self.written.push(Written { draft: draft.clone(), transaction });
        Ok(())
    }

    /// Checks member and generation, not the ownership of partitions, as the real broker does.
    pub fn send_offsets(
        &mut self,
        id: &str,
        epoch: u32,
        membership: &Membership,
        positions: &[Position],
    ) -> Result<(), Refusal> {
        let transaction = self.open_transaction(id, epoch)?;
        if !self.group.accepts(membership) {
            return Err(Refusal::NotAMember);
        }
        self.transactions[transaction].offsets.extend_from_slice(positions);
        Ok(())
    }

    /// Ends the open transaction and returns its number. With `late`, its markers are written
    /// later.
    pub fn end(
        &mut self,
        id: &str,
        epoch: u32,
        commit: bool,
        late: bool,
    ) -> Result<usize, Refusal> {
        let number = self.checked(id, epoch)?.ok_or(Refusal::InvalidState)?;
        match self.transactions[number].state {
            State::Open => {
                self.transactions[number].state = State::Decided { commit };
                if !late {
                    self.settle(number);
                }
                Ok(number)
            }
            // A repeated request gets the same answer as the first.
            State::Decided { commit: decided } if decided == commit => Ok(number),
            State::Committed if commit => Ok(number),
            State::Aborted if !commit => Ok(number),
            State::Decided { .. } | State::Committed | State::Aborted => Err(Refusal::InvalidState),
        }
    }

    pub fn delay(&mut self, id: &str, epoch: u32, what: Late) {
        let id = id.to_string();
        self.delayed.push(Delayed { id, epoch, what });
    }

    /// Delivers a delayed request, and returns the probe that this hits, if any.
    pub fn deliver_delayed(&mut self, which: usize) -> Option<Probe> {
        let Delayed { id, epoch, what } = self.delayed.swap_remove(which);
        if self.checked(&id, epoch).is_err() {
            return Some(Probe::StaleRequestRefused);
        }
        let was_open = self.has_open(&id);
        match what {
            Late::End { commit } => {
                let done = self.end(&id, epoch, commit, false).is_ok() && was_open;
                done.then_some(match commit {
                    true => Probe::LateCommitDone,
                    false => Probe::LateAbortDone,
                })
            }
            Late::Positions(positions, membership) => {
                // The broker checks that the group's offsets are part of an open transaction.
                let last = self.producers.get(&id).and_then(|producer| producer.last);
                let expected = last.is_some_and(|n| !self.transactions[n].offsets.is_empty());
                if was_open && expected {
                    let _ = self.send_offsets(&id, epoch, &membership, &positions);
                }
                None
            }
        }
    }

    pub fn delayed_requests(&self) -> usize {
        self.delayed.len()
    }

    /// Notes that the commit of this transaction was reported to the worker.
    pub fn reported(&mut self, transaction: usize) {
        self.transactions[transaction].reported = true;
    }

    /// Writes all pending markers.
    pub fn write_markers(&mut self) {
        for number in self.unfinished.clone() {
            self.settle(number);
        }
    }

    /// Aborts transactions that took too long, and returns their number.
    pub fn expire_transactions(&mut self) -> usize {
        let expired = |number: &usize| {
            let transaction = &self.transactions[*number];
            transaction.state == State::Open && transaction.began + TRANSACTION_TIMEOUT < self.now
        };
        let expired: Vec<usize> = self.unfinished.iter().copied().filter(expired).collect();
        for number in &expired {
            let id = self.transactions[*number].id.clone();
            self.finish(*number, false);
            self.producers.entry(id).or_default().epoch += 1;
        }
        expired.len()
    }

    /// The committed offset as a `read_committed` reader gets it: `None` while a transaction is
    /// about to change it.
    pub fn stable_offset(&self, partition: Partition) -> Option<i64> {
        let touches = |number: &usize| {
            let offsets = &self.transactions[*number].offsets;
            offsets.iter().any(|position| position.partition == partition)
        };
        let stable = !self.unfinished.iter().any(touches);
        stable.then(|| self.committed_offset(partition))
    }

    fn checked(&self, id: &str, epoch: u32) -> Result<Option<usize>, Refusal> {
        let producer = self.producers.get(id).ok_or(Refusal::InvalidState)?;
        if epoch == producer.epoch { Ok(producer.last) } else { Err(Refusal::Fenced) }
    }

    /// Returns the open transaction, or begins one. The broker lets none begin before the markers
    /// of the last one are written; the client waits for that.
    fn open_transaction(&mut self, id: &str, epoch: u32) -> Result<usize, Refusal> {
        if let Some(last) = self.checked(id, epoch)? {
            self.settle(last);
            if self.transactions[last].state == State::Open {
                return Ok(last);
            }
        }
        let number = self.transactions.len();
        self.transactions.push(Transaction {
            state: State::Open,
            began: self.now,
            id: id.to_string(),
            outputs: Vec::new(),
            offsets: Vec::new(),
            ranges: Vec::new(),
            reported: false,
        });
        self.unfinished.insert(number);
        self.producers.entry(id.to_string()).or_default().last = Some(number);
        Ok(number)
    }

    fn settle(&mut self, number: usize) {
        if let State::Decided { commit } = self.transactions[number].state {
            self.finish(number, commit);
        }
    }

    fn finish(&mut self, number: usize, commit: bool) {
        self.unfinished.remove(&number);
        let transaction = &mut self.transactions[number];
        if !commit {
            transaction.state = State::Aborted;
            return;
        }
        transaction.state = State::Committed;
        let positions = std::mem::take(&mut transaction.offsets);
        let mut touched: Vec<Partition> = positions.iter().map(|p| p.partition).collect();
        for position in positions {
            self.commit_position(number, position);
        }
        let outputs = std::mem::take(&mut self.transactions[number].outputs);
        let outputs = outputs.iter().map(|index| &self.written[*index]);
        for output in outputs.filter(|output| !output.draft.is_seal()) {
            let Draft { partition, offset, .. } = output.draft;
            self.ledger.committed_output(partition, offset);
            touched.push(partition);
        }
        touched.sort_unstable();
        touched.dedup();
        for partition in touched {
            let committed = self.committed_offset(partition);
            let records = &self.input[partition.0 as usize];
            self.ledger.committed_all(partition, records, committed);
        }
    }

    fn commit_position(&mut self, number: usize, position: Position) {
        let (partition, after) = (position.partition, position.next_offset);
        let before = self.committed_offset(partition);
        if after < before {
            self.ledger.add_violation(Violation::Regressed(partition, after));
        }
        self.transactions[number].ranges.push((partition, before, after));
        self.metadata.insert((partition, after), position.metadata.clone());
        self.committed.insert(partition, position);
    }
}
