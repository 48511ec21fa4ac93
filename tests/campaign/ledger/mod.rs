//! The ledger judges the relay from outside. It gets the expected fate of each record when the
//! record is created, and the committed records that the readers see, and compares the two.

mod events;
mod quarantined;
mod recovery;
mod seen;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::expected::{Device, ExpectedFate, ExpectedRecord};
use crate::violations::{Violation, Violations};

pub use seen::{Headers, OutputTopic, SeenRecord};

/// Offsets by input partition.
pub type Offsets = BTreeMap<i32, i64>;

/// Everything that was expected and seen.
#[derive(Default)]
pub struct Ledger(Mutex<Book>);

#[derive(Default)]
struct Book {
    /// The name of the input.
    input: String,
    devices: Vec<Device>,
    /// The expected records by number, as are the fields below.
    expected: Vec<ExpectedRecord>,
    seen: Vec<u8>,
    /// The offset of each record in the input; -1 until the brokers have it.
    offsets: Vec<i64>,
    /// The record numbers of each input partition, in offset order.
    inputs: Vec<Vec<u32>>,
    /// For each input partition, the offset after the last record whose output was seen.
    seen_up_to: Vec<i64>,
    /// For each input partition, how many records from the first on have their expected output.
    settled: Vec<usize>,
    /// The last record of a device that was seen in an output topic.
    last: HashMap<(OutputTopic, u32), u32>,
    /// The partition of an output topic that has the output of a device.
    homes: HashMap<(OutputTopic, u32), i32>,
    /// The record that an event id was first seen for.
    ids: HashMap<u128, u32>,
    gone: Vec<Gone>,
    violations: Violations,
    tally: Tally,
}

/// Output that was deleted with its topic, possibly before a reader saw it, as ranges of input
/// offsets.
#[derive(Clone, Debug)]
pub struct Gone {
    pub region: usize,
    /// The output of all records before these offsets was read.
    pub from: Offsets,
    /// No output of records from these offsets on was written to the deleted topic.
    pub to: Offsets,
}

/// Counts of the output that was seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub audited: u64,
    pub quarantined: u64,
    /// Audited although a revocation had just been written.
    pub before_revocation: u64,
}

impl Ledger {
    /// Creates the ledger of the records of this input topic.
    pub fn of(input: &str) -> Ledger {
        Ledger(Mutex::new(Book { input: input.to_string(), ..Book::default() }))
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a device, and returns its index.
    pub fn add_device(&self, partition: i32) -> (u32, Device) {
        let mut book = self.lock();
        let index = book.devices.len() as u32;
        let device = Device::new(index, partition);
        book.devices.push(device);
        let partitions = partition as usize + 1;
        if book.inputs.len() < partitions {
            book.inputs.resize(partitions, Vec::new());
            book.settled.resize(partitions, 0);
            book.seen_up_to.resize(partitions, 0);
        }
        (index, device)
    }

    pub fn device(&self, index: u32) -> Device {
        self.lock().devices[index as usize]
    }

    /// Adds an expected record, and returns its number.
    pub fn expect(&self, expected: ExpectedRecord) -> u32 {
        let mut book = self.lock();
        book.expected.push(expected);
        book.seen.push(0);
        book.offsets.push(-1);
        book.expected.len() as u32 - 1
    }

    /// Notes that the brokers have this record. The calls for one partition come in offset order.
    pub fn delivered(&self, number: u32, partition: i32, offset: i64) {
        let mut book = self.lock();
        let input = &mut book.inputs[partition as usize];
        let position = input.len() as i64;
        input.push(number);
        // The client does not know the offset of a record that it had to send twice.
        if offset >= 0 && offset != position {
            let what = format!("record {number} is at {partition}/{offset}, not {position}");
            book.violations.add(Violation::Unexpected, format!("the load itself: {what}"));
        }
        book.offsets[number as usize] = position;
        if book.seen[number as usize] > 0 {
            book.advance_seen(partition, position);
        }
    }

    /// Number of records that the brokers have, by partition.
    pub fn ends(&self) -> Offsets {
        let book = self.lock();
        let ends =
            (0..).zip(&book.inputs).map(|(partition, input)| (partition, input.len() as i64));
        ends.collect()
    }

    /// Number of records that the brokers have, and number of records created.
    pub fn records(&self) -> (usize, usize) {
        let book = self.lock();
        (book.inputs.iter().map(Vec::len).sum(), book.expected.len())
    }

    /// For each input partition, how many records from the first on have their expected output.
    pub fn settled(&self) -> Offsets {
        let mut book = self.lock();
        book.settle();
        let settled = (0..).zip(&book.settled);
        settled.map(|(partition, count)| (partition, *count as i64)).collect()
    }

    /// For each input partition, the offset after the last record whose output was seen.
    pub fn seen_up_to(&self) -> Offsets {
        let book = self.lock();
        (0..).zip(book.seen_up_to.iter().copied()).collect()
    }

    /// Adds output that was deleted with its topic. In the recreated topic, devices may have
    /// another partition.
    pub fn add_gone(&self, gone: Gone) {
        let mut book = self.lock();
        let output = OutputTopic::Region(gone.region);
        book.homes.retain(|(of, _), _| *of != output);
        book.gone.push(gone);
    }

    /// Number of records whose output must have been deleted before it was read.
    pub fn count_gone(&self) -> usize {
        let book = self.lock();
        let missing = |number: &&u32| !book.is_seen(**number) && book.is_gone(**number);
        book.inputs.iter().flatten().filter(missing).count()
    }

    /// Number of records whose output may have been deleted before it was read.
    pub fn count_perhaps_gone(&self) -> u64 {
        let book = self.lock();
        let perhaps = |number: &&u32| {
            let fate = book.expected[**number as usize].fate;
            let may_be = matches!(fate, ExpectedFate::Audited | ExpectedFate::AuditedOrSkipped);
            may_be && !book.is_seen(**number) && book.was_deleted(**number)
        };
        book.inputs.iter().flatten().filter(perhaps).count() as u64
    }

    /// Number of records that have no output and need none.
    pub fn count_skipped(&self) -> u64 {
        let book = self.lock();
        let skipped = |number: &&u32| {
            let fate = book.expected[**number as usize].fate;
            let may_be = matches!(fate, ExpectedFate::Skipped | ExpectedFate::AuditedOrSkipped);
            may_be && !book.is_seen(**number)
        };
        book.inputs.iter().flatten().filter(skipped).count() as u64
    }

    /// Adds a violation for every record before these offsets that lacks its expected output.
    pub fn add_missing(&self, before: &Offsets, violation: Violation) {
        let mut book = self.lock();
        book.settle();
        for (partition, end) in before {
            let from = book.settled[*partition as usize];
            let numbers = book.inputs[*partition as usize].clone();
            let until = numbers.len().min(usize::try_from(*end).unwrap_or(0));
            for number in &numbers[from.min(until)..until] {
                if !book.is_met(*number) {
                    let what = book.describe(*number);
                    book.violations.add(violation, what);
                }
            }
        }
    }

    pub fn add_violation(&self, violation: Violation, what: impl std::fmt::Display) {
        self.lock().violations.add(violation, what);
    }

    pub fn violations(&self) -> Violations {
        self.lock().violations.clone()
    }

    pub fn tally(&self) -> Tally {
        self.lock().tally
    }
}

impl Book {
    fn advance_seen(&mut self, partition: i32, offset: i64) {
        let seen_up_to = &mut self.seen_up_to[partition as usize];
        *seen_up_to = (*seen_up_to).max(offset + 1);
    }

    fn settle(&mut self) {
        for partition in 0..self.inputs.len() {
            let mut settled = self.settled[partition];
            while let Some(number) = self.inputs[partition].get(settled) {
                if !self.is_met(*number) {
                    break;
                }
                settled += 1;
            }
            self.settled[partition] = settled;
        }
    }

    fn is_seen(&self, number: u32) -> bool {
        self.seen[number as usize] > 0
    }

    fn is_met(&self, number: u32) -> bool {
        match self.expected[number as usize].fate {
            ExpectedFate::Audited => self.is_seen(number) || self.is_gone(number),
            ExpectedFate::Quarantined(_) => self.is_seen(number),
            ExpectedFate::Skipped | ExpectedFate::AuditedOrSkipped => true,
        }
    }

    fn is_gone(&self, number: u32) -> bool {
        self.expected[number as usize].fate == ExpectedFate::Audited && self.was_deleted(number)
    }

    /// Whether its output was deleted with its topic, if it was ever written.
    fn was_deleted(&self, number: u32) -> bool {
        let expected = &self.expected[number as usize];
        let device = &self.devices[expected.device as usize];
        let offset = self.offsets[number as usize];
        let within = |gone: &Gone| {
            let from = gone.from.get(&device.partition).copied().unwrap_or(0);
            let to = gone.to.get(&device.partition).copied().unwrap_or(0);
            gone.region == device.region && (from..to).contains(&offset)
        };
        self.gone.iter().any(within)
    }

    fn describe(&self, number: u32) -> String {
        let expected = &self.expected[number as usize];
        let device = &self.devices[expected.device as usize];
        let offset = self.offsets[number as usize];
        format!(
            "record {number} at input {}/{offset}, of device {}, region {}: {:?}",
            device.partition, device.id, device.region, expected
        )
    }
}
