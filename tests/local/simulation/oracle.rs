//! What ought to come out. The judge is a pure function of the payload; mapped over the input it
//! says which outputs there must be, and the ledger compares what was committed with that: at every
//! commit, and once more at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::client::ClientId;
use super::seam::{KINDS, Partition, kind_index};

/// Violations of one run beyond this many tell nothing new.
const VIOLATIONS_MAX: usize = 50;

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// The record's output is not there, though its offset is committed.
    Lost(Partition, i64),
    /// The record's output is there more than once, or for a record that has none.
    Doubled(Partition, i64),
    /// The record's output stands behind that of a later record.
    Reordered(Partition, i64),
    /// The record's output is not what the judge made of it.
    Changed(Partition, i64),
    /// After a commit the outputs do not reach exactly as far as the committed offset.
    Torn(Partition, i64),
    /// The committed offset went back to this one.
    Regressed(Partition, i64),
    /// What was counted is not what was committed.
    Miscounted(Partition),
    /// No fault is left, and still the partition is not read to its end.
    Stalled(Partition, i64),
    /// A process repairs without end.
    Endless(ClientId),
    /// A process committed by tables that had not been heard of for too long.
    Guessed(ClientId),
    /// A process that knew its place to be taken took the transactional id from its successor.
    Usurped(ClientId),
}

/// What is to become of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Unlisted,
    NoAccess,
    UnknownDevice,
    Audited { region: usize },
}

/// What is written for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Event { region: usize, event: Vec<u8> },
    Original { key: Option<Vec<u8>>, payload: Option<Vec<u8>>, reason: &'static str },
}

/// The key of every input record.
pub const KEY: &[u8] = b"key";
/// Numbers of the records of one partition.
const NUMBERS: usize = 1_000;

/// Where records are counted that cannot be read and are passed over: behind the kinds of fates.
const PASSED_OVER: usize = KINDS;
/// One count for each kind of fate, and one for what is passed over.
type Counts = [u64; KINDS + 1];

/// In a damaged input these offsets of each partition can never be read.
pub fn damaged_stretches() -> impl Iterator<Item = Range<i64>> {
    (7..NUMBERS as i64).step_by(12).map(|first| first..first + 2)
}

/// An input record, and what is to become of it.
#[derive(Debug)]
pub struct InputRecord {
    pub payload: Vec<u8>,
    /// Whether it can never be read, which the relay is configured to pass over.
    pub is_damaged: bool,
    /// Where it is counted.
    pub kind: usize,
    content: Option<Content>,
    /// Outputs of the records before it in its partition.
    outputs_before: usize,
}

/// The number that is a record's payload.
pub fn number(payload: Option<&[u8]>) -> u64 {
    let text = payload.and_then(|bytes| std::str::from_utf8(bytes).ok());
    let number = text.and_then(|text| text.parse().ok());
    number.expect("the loop hands over payloads as they are")
}

/// Partition and offset of the record with this number.
pub fn place(number: u64) -> (usize, usize) {
    let number = number as usize;
    (number / NUMBERS, number % NUMBERS)
}

/// Decides by the number alone. Every fourth run of eight records is skipped whole, so that batches
/// without outputs occur.
pub fn judge(number: u64) -> Verdict {
    match (number / 8 % 4, number % 7) {
        (3, _) | (_, 3) => Verdict::Unlisted,
        (_, 4) => Verdict::NoAccess,
        (_, 5) => Verdict::UnknownDevice,
        (_, remainder) => Verdict::Audited { region: remainder as usize % 3 },
    }
}

pub fn event(number: u64) -> Vec<u8> {
    format!("event {number}").into_bytes()
}

impl InputRecord {
    /// The record that comes after these in the partition.
    pub fn after(records: &[InputRecord], partition: usize, is_damaged: bool) -> Self {
        let offset = records.len() as i64;
        let is_damaged = is_damaged && damaged_stretches().any(|it| it.contains(&offset));
        let number = (partition * NUMBERS + records.len()) as u64;
        let payload = number.to_string().into_bytes();
        let verdict = judge(number);
        InputRecord {
            is_damaged,
            kind: if is_damaged { PASSED_OVER } else { kind_index(verdict) },
            content: content(number, verdict, &payload).filter(|_| !is_damaged),
            payload,
            outputs_before: records.last().map_or(0, InputRecord::outputs),
        }
    }

    /// Outputs of this record and of those before it.
    fn outputs(&self) -> usize {
        self.outputs_before + usize::from(self.content.is_some())
    }
}

fn content(number: u64, verdict: Verdict, payload: &[u8]) -> Option<Content> {
    match verdict {
        Verdict::Unlisted | Verdict::NoAccess => None,
        Verdict::UnknownDevice => Some(Content::Original {
            key: Some(KEY.to_vec()),
            payload: Some(payload.to_vec()),
            reason: "unknown_device",
        }),
        Verdict::Audited { region } => Some(Content::Event { region, event: event(number) }),
    }
}

/// What a worker says of a partition in a batch that it committed.
#[derive(Debug, Clone)]
pub struct Tally {
    pub read: u64,
    pub kinds: [u64; KINDS],
    pub passed_over: u64,
}

/// What was committed and what was counted, and every promise broken on the way.
#[derive(Debug, Default)]
pub struct Ledger {
    pub violations: Vec<Violation>,
    visible: BTreeMap<Partition, BTreeSet<i64>>,
    counted: BTreeMap<Partition, Counts>,
}

impl Ledger {
    pub fn violated(&mut self, violation: Violation) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(violation);
        }
    }

    /// An output became visible.
    pub fn committed_output(&mut self, partition: Partition, offset: i64) {
        if !self.visible.entry(partition).or_default().insert(offset) {
            self.violated(Violation::Doubled(partition, offset));
        }
    }

    /// A transaction that touched the partition is committed: what is visible must reach exactly as
    /// far as what is committed, for the two were to become so together.
    pub fn committed_all(&mut self, partition: Partition, input: &[InputRecord], committed: i64) {
        let visible = self.visible.entry(partition).or_default();
        let beyond = visible.last().is_some_and(|last| *last >= committed);
        let due = outputs_below(input, committed);
        if beyond || due.is_none_or(|due| due != visible.len()) {
            self.violated(Violation::Torn(partition, committed));
        }
    }

    /// A worker said that it committed a batch with these tallies.
    pub fn noticed(&mut self, tallies: &[(Partition, Tally)], input: &[Vec<InputRecord>]) {
        for (partition, tally) in tallies {
            let counted = self.counted.entry(*partition).or_default();
            let counts = tally.kinds.into_iter().chain([tally.passed_over]);
            counted.iter_mut().zip(counts).for_each(|(sum, n)| *sum += n);
            let total: u64 = counted.iter().sum();
            let whole = tally.read == tally.kinds.iter().sum::<u64>();
            if !whole || total > input[partition.0 as usize].len() as u64 {
                self.violated(Violation::Miscounted(*partition));
            }
        }
    }

    /// The accounting identity. A worker counts a batch when its commit is confirmed; a commit that
    /// was done without the worker ever knowing (answer lost, or the process died before it
    /// came) is counted by nobody, for the next reader starts behind it. So what was counted,
    /// plus what the `unreported` commits cover, is the input: for each partition and each kind
    /// of fate, exactly.
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
                self.violated(Violation::Miscounted(partition));
            }
        }
    }

    /// The whole read_committed view of one partition's outputs, in the order of the log.
    pub fn check_view(
        &mut self,
        partition: Partition,
        input: &[InputRecord],
        view: &[(i64, &Content)],
    ) {
        let mut seen = BTreeSet::new();
        for (offset, content) in view {
            if seen.last().is_some_and(|last| last > offset) {
                self.violated(Violation::Reordered(partition, *offset));
            }
            let due = input.get(*offset as usize).and_then(|record| record.content.as_ref());
            if !seen.insert(*offset) || due.is_none() {
                self.violated(Violation::Doubled(partition, *offset));
            } else if due != Some(*content) {
                self.violated(Violation::Changed(partition, *offset));
            }
        }
        for (offset, record) in (0..).zip(input) {
            if record.content.is_some() && !seen.contains(&offset) {
                self.violated(Violation::Lost(partition, offset));
            }
        }
    }
}

/// How many outputs the records below this offset have; `None` if there are not that many records.
fn outputs_below(input: &[InputRecord], offset: i64) -> Option<usize> {
    let records = usize::try_from(offset).ok()?;
    match input.get(records) {
        Some(next) => Some(next.outputs_before),
        None if records == input.len() => Some(input.last().map_or(0, InputRecord::outputs)),
        None => None,
    }
}
