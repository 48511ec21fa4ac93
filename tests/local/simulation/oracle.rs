//! The oracle: it knows the expected output. The judge is a pure function of the payload; mapped
//! over the input it yields the outputs that must exist. The ledger compares the committed outputs
//! with them at every commit and once more at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::client::ClientId;
use super::seam::{KINDS, Partition, kind_index};

/// Maximum number of violations that a run keeps; more add no information.
const VIOLATIONS_MAX: usize = 50;

/// A broken promise of the relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// The record's output is missing, although its offset is committed.
    Lost(Partition, i64),
    /// The record has more than one output, or one where none is expected.
    Doubled(Partition, i64),
    /// The record's output comes after that of a later record.
    Reordered(Partition, i64),
    /// The record's output differs from what the judge made of it.
    Changed(Partition, i64),
    /// After a commit the outputs do not reach exactly as far as the committed offset.
    Torn(Partition, i64),
    /// The committed offset went back to this one.
    Regressed(Partition, i64),
    /// The worker's counts differ from what was committed.
    Unaccounted(Partition),
    /// The partition is not read to its end although no fault is in force.
    Stalled(Partition, i64),
    /// A process retries forever without publishing anything.
    Livelocked(ClientId),
    /// A process committed decisions of tables that had been silent for too long.
    StaleTables(ClientId),
    /// A verifier of the trail finds something wrong.
    Unproven(String),
    /// A process that knew it was fenced in the group took the transactional id from its successor.
    FencedSuccessor(ClientId),
}

/// The expected fate of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedFate {
    Unlisted,
    NoAccess,
    UnknownDevice,
    Audited { region: usize },
}

/// The output that is written for a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Event {
        region: usize,
        event: Vec<u8>,
    },
    Original {
        key: Option<Vec<u8>>,
        payload: Option<Vec<u8>>,
        reason: &'static str,
    },
    /// A seal, which no record expects.
    Seal {
        key: String,
        note: String,
        time_ms: u64,
    },
}

/// The key of every input record.
pub const KEY: &[u8] = b"key";
/// Size of the range from which the records of one partition are numbered.
const NUMBERS: usize = 1_000;

/// Index of the count of records that cannot be read and are passed over, after all kinds of fates.
const PASSED_OVER: usize = KINDS;
/// One count for each kind of fate, and one for records that are passed over.
type Counts = [u64; KINDS + 1];

/// The offsets of each partition that can never be read if the input is damaged.
pub fn damaged_stretches() -> impl Iterator<Item = Range<i64>> {
    (7..NUMBERS as i64).step_by(12).map(|first| first..first + 2)
}

/// An input record and its expected output.
#[derive(Debug)]
pub struct InputRecord {
    pub payload: Vec<u8>,
    /// Whether it can never be read; the relay is configured to pass such records over.
    pub is_damaged: bool,
    /// Index of the count that includes it.
    pub kind: usize,
    content: Option<Content>,
    /// Number of outputs of the records before it in its partition.
    outputs_before: usize,
}

/// Reads the number that makes up a record's payload.
pub fn number(payload: Option<&[u8]>) -> u64 {
    let text = payload.and_then(|bytes| std::str::from_utf8(bytes).ok());
    let number = text.and_then(|text| text.parse().ok());
    number.expect("the loop hands over payloads as they are")
}

/// Partition and offset of the record with this number.
pub fn partition_and_offset(number: u64) -> (usize, usize) {
    let number = number as usize;
    (number / NUMBERS, number % NUMBERS)
}

/// Decides by the number alone. Skips every fourth group of eight records entirely, so that batches
/// without outputs occur.
pub fn judge(number: u64) -> ExpectedFate {
    match (number / 8 % 4, number % 7) {
        (3, _) | (_, 3) => ExpectedFate::Unlisted,
        (_, 4) => ExpectedFate::NoAccess,
        (_, 5) => ExpectedFate::UnknownDevice,
        (_, remainder) => ExpectedFate::Audited { region: remainder as usize % 3 },
    }
}

pub fn event(number: u64) -> Vec<u8> {
    format!("event {number}").into_bytes()
}

impl InputRecord {
    /// Creates the record that follows these in the partition.
    pub fn after(records: &[InputRecord], partition: usize, is_damaged: bool) -> Self {
        let offset = records.len() as i64;
        let is_damaged = is_damaged && damaged_stretches().any(|it| it.contains(&offset));
        let number = (partition * NUMBERS + records.len()) as u64;
        let payload = number.to_string().into_bytes();
        let expected = judge(number);
        InputRecord {
            is_damaged,
            kind: if is_damaged { PASSED_OVER } else { kind_index(expected) },
            content: content(number, expected, &payload).filter(|_| !is_damaged),
            payload,
            outputs_before: records.last().map_or(0, InputRecord::outputs),
        }
    }

    /// Number of outputs of this record and of those before it.
    fn outputs(&self) -> usize {
        self.outputs_before + usize::from(self.content.is_some())
    }
}

fn content(number: u64, expected: ExpectedFate, payload: &[u8]) -> Option<Content> {
    match expected {
        ExpectedFate::Unlisted | ExpectedFate::NoAccess => None,
        ExpectedFate::UnknownDevice => Some(Content::Original {
            key: Some(KEY.to_vec()),
            payload: Some(payload.to_vec()),
            reason: "unknown_device",
        }),
        ExpectedFate::Audited { region } => Some(Content::Event { region, event: event(number) }),
    }
}

/// What a worker counted of a partition in a batch that it committed.
#[derive(Debug, Clone)]
pub struct Counted {
    pub read: u64,
    pub kinds: [u64; KINDS],
    pub passed_over: u64,
}

/// Records what was committed and what was counted, and keeps every violation.
#[derive(Debug, Default)]
pub struct Ledger {
    pub violations: Vec<Violation>,
    visible: BTreeMap<Partition, BTreeSet<i64>>,
    counted: BTreeMap<Partition, Counts>,
}

impl Ledger {
    pub fn add_violation(&mut self, violation: Violation) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(violation);
        }
    }

    /// Records an output that became visible.
    pub fn committed_output(&mut self, partition: Partition, offset: i64) {
        if !self.visible.entry(partition).or_default().insert(offset) {
            self.add_violation(Violation::Doubled(partition, offset));
        }
    }

    /// Checks a partition after a transaction that touched it: the visible outputs must reach
    /// exactly as far as the committed offset, since both were committed atomically.
    pub fn committed_all(&mut self, partition: Partition, input: &[InputRecord], committed: i64) {
        let visible = self.visible.entry(partition).or_default();
        let beyond = visible.last().is_some_and(|last| *last >= committed);
        let due = outputs_below(input, committed);
        if beyond || due.is_none_or(|due| due != visible.len()) {
            self.add_violation(Violation::Torn(partition, committed));
        }
    }

    /// Adds what a worker counted of a batch that it committed.
    pub fn count_committed(
        &mut self,
        tallies: &[(Partition, Counted)],
        input: &[Vec<InputRecord>],
    ) {
        for (partition, tally) in tallies {
            let counted = self.counted.entry(*partition).or_default();
            let counts = tally.kinds.into_iter().chain([tally.passed_over]);
            counted.iter_mut().zip(counts).for_each(|(sum, n)| *sum += n);
            let total: u64 = counted.iter().sum();
            let whole = tally.read == tally.kinds.iter().sum::<u64>();
            if !whole || total > input[partition.0 as usize].len() as u64 {
                self.add_violation(Violation::Unaccounted(*partition));
            }
        }
    }

    /// Checks the accounting identity. A worker counts a batch when its commit is confirmed. A
    /// commit that the worker never learned of (its answer was lost, or the process died first) is
    /// never counted, since the next reader starts after it. So the counts plus the records that
    /// the `unreported` commits cover must equal the input, for each partition and kind of fate.
    pub fn check_counts(
        &mut self,
        input: &[Vec<InputRecord>],
        unreported: &[(Partition, i64, i64)],
    ) {
        for (index, records) in input.iter().enumerate() {
            let partition = Partition(index as i32);
            let counted = self.counted.get(&partition).copied();
            let mut sum = counted.unwrap_or_default();
            let uncounted = unreported.iter().filter(|(of, ..)| *of == partition);
            for (_, from, to) in uncounted {
                let covered = records.iter().take(*to as usize).skip(*from as usize);
                covered.for_each(|record| sum[record.kind] += 1);
            }
            let mut due = Counts::default();
            records.iter().for_each(|record| due[record.kind] += 1);
            if sum != due {
                self.add_violation(Violation::Unaccounted(partition));
            }
        }
    }

    /// Checks the whole read_committed view of one partition's outputs, in log order.
    pub fn check_view(
        &mut self,
        partition: Partition,
        input: &[InputRecord],
        view: &[(i64, &Content)],
    ) {
        let mut seen = BTreeSet::new();
        for (offset, content) in view {
            if seen.last().is_some_and(|last| last > offset) {
                self.add_violation(Violation::Reordered(partition, *offset));
            }
            let due = input.get(*offset as usize).and_then(|record| record.content.as_ref());
            if !seen.insert(*offset) || due.is_none() {
                self.add_violation(Violation::Doubled(partition, *offset));
            } else if due != Some(*content) {
                self.add_violation(Violation::Changed(partition, *offset));
            }
        }
        for (offset, record) in (0..).zip(input) {
            if record.content.is_some() && !seen.contains(&offset) {
                self.add_violation(Violation::Lost(partition, offset));
            }
        }
    }
}

/// Number of outputs of the records below this offset; `None` if there are fewer records.
fn outputs_below(input: &[InputRecord], offset: i64) -> Option<usize> {
    let records = usize::try_from(offset).ok()?;
    match input.get(records) {
        Some(next) => Some(next.outputs_before),
        None if records == input.len() => Some(input.last().map_or(0, InputRecord::outputs)),
        None => None,
    }
}
