//! The judge outside the program. It is told what is demanded of each record when that is made, and
//! what the readers of committed records see; it compares the two, and neither with the relay's own
//! opinion.

mod events;
mod quarantined;
mod recovery;
mod sighting;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::complaints::{Complaints, Wrong};
use crate::demand::{Demand, Device, Expected};

pub use sighting::{Headers, Place, Sighting};

/// Offsets by input partition.
pub type Offsets = BTreeMap<i32, i64>;

/// Everything that was demanded and seen.
#[derive(Default)]
pub struct Ledger(Mutex<Book>);

#[derive(Default)]
struct Book {
    /// The name of the input.
    input: String,
    devices: Vec<Device>,
    /// By number, as everything below.
    expected: Vec<Expected>,
    seen: Vec<u8>,
    /// The offset in the input; -1 until the brokers have it.
    offsets: Vec<i64>,
    /// The numbers in each partition of the input, in the order of their offsets.
    inputs: Vec<Vec<u32>>,
    /// Behind the last record of each input partition whose output was seen.
    seen_up_to: Vec<i64>,
    /// How many records of each input partition, from the first on, have all that is demanded.
    settled: Vec<usize>,
    /// The last record of a device that was seen in a place.
    last: HashMap<(Place, u32), u32>,
    /// The partition of a place in which the output of a device stands.
    homes: HashMap<(Place, u32), i32>,
    /// Which record an event id was first seen for.
    ids: HashMap<u128, u32>,
    gone: Vec<Gone>,
    complaints: Complaints,
    tally: Tally,
}

/// Output that was deleted with its topic, perhaps before anybody could read it: of records in
/// these ranges of input offsets.
#[derive(Clone, Debug)]
pub struct Gone {
    pub region: usize,
    /// Before these, all was read.
    pub from: Offsets,
    /// From these on, nothing was written to the topic that is gone.
    pub to: Offsets,
}

/// What was seen, in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub audited: u64,
    pub quarantined: u64,
    /// Audited, where a revocation had only just been written.
    pub before_revocation: u64,
}

impl Ledger {
    /// Of records that stand in this topic.
    pub fn of(input: &str) -> Ledger {
        Ledger(Mutex::new(Book { input: input.to_string(), ..Book::default() }))
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a device known, and returns its index.
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

    /// Takes a demand, and returns the number of its record.
    pub fn expect(&self, expected: Expected) -> u32 {
        let mut book = self.lock();
        book.expected.push(expected);
        book.seen.push(0);
        book.offsets.push(-1);
        book.expected.len() as u32 - 1
    }

    /// The brokers have this record. Those of one partition are told of in the order of their
    /// offsets.
    pub fn delivered(&self, number: u32, partition: i32, offset: i64) {
        let mut book = self.lock();
        let input = &mut book.inputs[partition as usize];
        let place = input.len() as i64;
        input.push(number);
        // The client does not know the offset of what it had to send twice.
        if offset >= 0 && offset != place {
            let what = format!("record {number} is at {partition}/{offset}, not {place}");
            book.complaints.add(Wrong::Unexpected, format!("the load itself: {what}"));
        }
        book.offsets[number as usize] = place;
        if book.seen[number as usize] > 0 {
            book.saw_of(partition, place);
        }
    }

    /// How many records the brokers have, by partition.
    pub fn ends(&self) -> Offsets {
        let book = self.lock();
        let ends =
            (0..).zip(&book.inputs).map(|(partition, input)| (partition, input.len() as i64));
        ends.collect()
    }

    /// How many records the brokers have, and how many were to be sent.
    pub fn records(&self) -> (usize, usize) {
        let book = self.lock();
        (book.inputs.iter().map(Vec::len).sum(), book.expected.len())
    }

    /// How many records from each partition's first on have all that is demanded of them.
    pub fn settled(&self) -> Offsets {
        let mut book = self.lock();
        book.settle();
        let settled = (0..).zip(&book.settled);
        settled.map(|(partition, count)| (partition, *count as i64)).collect()
    }

    /// Behind the last record of each partition whose output was seen.
    pub fn seen_up_to(&self) -> Offsets {
        let book = self.lock();
        (0..).zip(book.seen_up_to.iter().copied()).collect()
    }

    /// These were deleted with their topic. In the one that follows it, devices may have another
    /// partition.
    pub fn add_gone(&self, gone: Gone) {
        let mut book = self.lock();
        let place = Place::Region(gone.region);
        book.homes.retain(|(of, _), _| *of != place);
        book.gone.push(gone);
    }

    /// How many records had their output deleted before it was read, if it was ever written.
    pub fn count_gone(&self) -> usize {
        let book = self.lock();
        let missing = |number: &&u32| !book.is_seen(**number) && book.is_gone(**number);
        book.inputs.iter().flatten().filter(missing).count()
    }

    /// The same, with those that need not have been written.
    pub fn count_perhaps_gone(&self) -> u64 {
        let book = self.lock();
        let perhaps = |number: &&u32| {
            let demand = book.expected[**number as usize].demand;
            let may_be = matches!(demand, Demand::Audited | Demand::AuditedOrSkipped);
            may_be && !book.is_seen(**number) && book.was_deleted(**number)
        };
        book.inputs.iter().flatten().filter(perhaps).count() as u64
    }

    /// How many records rightly have no output.
    pub fn count_skipped(&self) -> u64 {
        let book = self.lock();
        let skipped = |number: &&u32| {
            let demand = book.expected[**number as usize].demand;
            let may_be = matches!(demand, Demand::Skipped | Demand::AuditedOrSkipped);
            may_be && !book.is_seen(**number)
        };
        book.inputs.iter().flatten().filter(skipped).count() as u64
    }

    /// Complains of every record before these offsets that lacks what is demanded.
    pub fn complain_of_missing(&self, before: &Offsets, wrong: Wrong) {
        let mut book = self.lock();
        book.settle();
        for (partition, end) in before {
            let from = book.settled[*partition as usize];
            let numbers = book.inputs[*partition as usize].clone();
            let until = numbers.len().min(usize::try_from(*end).unwrap_or(0));
            for number in &numbers[from.min(until)..until] {
                if !book.is_met(*number) {
                    let what = book.describe(*number);
                    book.complaints.add(wrong, what);
                }
            }
        }
    }

    pub fn complain(&self, wrong: Wrong, what: impl std::fmt::Display) {
        self.lock().complaints.add(wrong, what);
    }

    pub fn complaints(&self) -> Complaints {
        self.lock().complaints.clone()
    }

    pub fn tally(&self) -> Tally {
        self.lock().tally
    }
}

impl Book {
    fn saw_of(&mut self, partition: i32, offset: i64) {
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
        match self.expected[number as usize].demand {
            Demand::Audited => self.is_seen(number) || self.is_gone(number),
            Demand::Quarantined(_) => self.is_seen(number),
            Demand::Skipped | Demand::AuditedOrSkipped => true,
        }
    }

    fn is_gone(&self, number: u32) -> bool {
        self.expected[number as usize].demand == Demand::Audited && self.was_deleted(number)
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
