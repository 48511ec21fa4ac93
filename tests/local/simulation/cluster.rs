//! A fake Kafka cluster: an input topic, a log of outputs, committed offsets, virtual time. The
//! transaction coordinator is in `transactions.rs`, the consumer group in `group.rs`. The cluster
//! never fails by itself; its callers inject the faults.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::group::Group;
use super::oracle::{Content, InputRecord, Ledger, Violation};
use super::seam::{Partition, Position};
use super::transactions::{Delayed, Draft, ProducerState, Transaction};

/// An output in the log, whether its transaction is committed or not.
#[derive(Debug)]
pub struct Written {
    pub draft: Draft,
    pub transaction: usize,
}

/// All brokers in one.
#[derive(Debug, Default)]
pub struct Cluster {
    pub now: Duration,
    pub input: Vec<Vec<InputRecord>>,
    /// Whether some records can never be read.
    pub is_damaged: bool,
    pub group: Group,
    pub ledger: Ledger,
    pub(super) written: Vec<Written>,
    pub(super) committed: BTreeMap<Partition, Position>,
    /// The metadata that was committed with each offset, last.
    pub(super) metadata: BTreeMap<(Partition, i64), String>,
    pub(super) producers: BTreeMap<String, ProducerState>,
    pub(super) transactions: Vec<Transaction>,
    /// Transactions that are neither committed nor aborted.
    pub(super) unfinished: BTreeSet<usize>,
    /// How often a process took an id back from the process that had taken it.
    pub alternations: u64,
    /// A transaction with more outputs than this always times out, as behind a quota.
    pub quota: Option<usize>,
    /// Requests that have not arrived yet.
    pub(super) delayed: Vec<Delayed>,
}

impl Cluster {
    pub fn add_partition(&mut self) {
        self.input.push(Vec::new());
        self.group.partition_added(self.input.len(), self.now);
    }

    pub fn append(&mut self, partition: usize) {
        let record = InputRecord::after(&self.input[partition], partition, self.is_damaged);
        self.input[partition].push(record);
    }

    pub fn end_offset(&self, partition: Partition) -> i64 {
        self.input[partition.0 as usize].len() as i64
    }

    pub fn committed_offset(&self, partition: Partition) -> i64 {
        let position = self.committed.get(&partition);
        position.map_or(0, |position| position.next_offset)
    }

    /// The metadata that was committed with an offset.
    pub fn metadata(&self, partition: Partition, offset: i64) -> String {
        self.metadata.get(&(partition, offset)).cloned().unwrap_or_default()
    }

    /// What a `read_committed` reader sees of the log: all committed records before the first one
    /// of an unfinished transaction.
    pub fn stable_log(&self) -> impl Iterator<Item = &Written> {
        let is_finished = |written: &&Written| !self.unfinished.contains(&written.transaction);
        let finished = self.written.iter().take_while(is_finished);
        finished.filter(|written| self.transactions[written.transaction].is_committed())
    }

    fn partitions(&self) -> impl Iterator<Item = Partition> + use<> {
        (0..self.input.len() as i32).map(Partition)
    }

    /// Whether every record is committed, and no transaction or request is unfinished.
    pub fn is_drained(&self) -> bool {
        self.unfinished.is_empty()
            && self.delayed.is_empty()
            && self.partitions().all(|p| self.committed_offset(p) == self.end_offset(p))
    }

    /// Checks the final state, after the last fault and the time to drain.
    pub fn check_end(&mut self) {
        for partition in self.partitions() {
            let committed = self.committed_offset(partition);
            if committed < self.end_offset(partition) {
                self.ledger.add_violation(Violation::Stalled(partition, committed));
            }
            let committed_outputs = self.written.iter().filter(|output| {
                output.draft.partition == partition
                    && !output.draft.is_seal()
                    && self.transactions[output.transaction].is_committed()
            });
            let view: Vec<(i64, &Content)> = committed_outputs
                .map(|output| (output.draft.offset, &output.draft.content))
                .collect();
            let records = &self.input[partition.0 as usize];
            self.ledger.check_view(partition, records, &view);
        }
        let unreported = self.unreported().flat_map(|transaction| transaction.ranges.clone());
        let ranges: Vec<_> = unreported.collect();
        self.ledger.check_counts(&self.input, &ranges);
    }

    /// Committed transactions whose commit was never reported to the worker.
    pub fn unreported(&self) -> impl Iterator<Item = &Transaction> {
        let transactions = self.transactions.iter();
        transactions.filter(|transaction| transaction.is_committed() && !transaction.reported)
    }
}
