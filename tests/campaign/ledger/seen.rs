//! Checks each record that a reader saw: it must be seen once, after the earlier records of the
//! same device, and in the same partition as they.

use std::borrow::Cow;

use super::{Book, Ledger};
use crate::violations::Violation;

/// The topic of an output record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OutputTopic {
    /// The topic of the region of this index.
    Region(usize),
    Quarantine,
}

/// Names and values, in order.
pub type Headers = Vec<(String, Vec<u8>)>;

/// A committed record of an output topic, as a reader saw it.
#[derive(Clone, Debug)]
pub struct SeenRecord<'a> {
    pub output: OutputTopic,
    pub topic: &'a str,
    pub partition: i32,
    pub offset: i64,
    pub timestamp_ms: Option<i64>,
    pub key: &'a [u8],
    pub value: &'a [u8],
    pub headers: Headers,
}

impl SeenRecord<'_> {
    /// The last header of a name, as text.
    pub(super) fn header(&self, name: &str) -> Cow<'_, str> {
        let found = self.headers.iter().rev().find(|(other, _)| other == name);
        found.map_or(Cow::default(), |(_, value)| String::from_utf8_lossy(value))
    }

    /// The headers as text, for descriptions of violations.
    pub(super) fn shown_headers(&self) -> Vec<String> {
        let shown = |(name, value): &(String, Vec<u8>)| {
            let value = &value[..value.len().min(100)];
            format!("{name}={}", String::from_utf8_lossy(value))
        };
        self.headers.iter().map(shown).collect()
    }

    pub(super) fn spot(&self) -> String {
        format!("{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

impl Ledger {
    /// Compares a record that was seen with its expected record.
    pub fn observe(&self, record: &SeenRecord<'_>) {
        match record.output {
            OutputTopic::Region(region) => self.observe_event(record, region),
            OutputTopic::Quarantine => self.observe_quarantined(record),
        }
    }
}

impl Book {
    /// Notes that the output of a record was seen, and checks what holds for all output. Returns
    /// `None` if there is no such input record.
    pub(super) fn note(&mut self, record: &SeenRecord<'_>, number: Option<u32>) -> Option<u32> {
        let number = number.filter(|number| (*number as usize) < self.expected.len());
        let Some(number) = number else {
            let value =
                String::from_utf8_lossy(&record.value[..record.value.len().min(200)]).into_owned();
            let what = format!("{}: {value}", record.spot());
            self.violations.add(Violation::Unexpected, what);
            return None;
        };
        self.check_stamp(record, number);
        self.check_home(record, number);
        let seen = &mut self.seen[number as usize];
        *seen = seen.saturating_add(1);
        if *seen > 1 {
            self.add_violation(Violation::Doubled, number, &record.spot());
            return Some(number);
        }
        self.check_order(record, number);
        let offset = self.offsets[number as usize];
        if offset >= 0 {
            let device = self.expected[number as usize].device;
            let partition = self.devices[device as usize].partition;
            self.advance_seen(partition, offset);
        }
        Some(number)
    }

    fn check_order(&mut self, record: &SeenRecord<'_>, number: u32) {
        let device = self.expected[number as usize].device;
        let last = self.last.insert((record.output, device), number);
        if let Some(last) = last.filter(|last| *last > number) {
            let what = format!("{} comes after {last}", record.spot());
            self.add_violation(Violation::Reordered, number, &what);
        }
    }

    /// Checks that all output of a device is in one partition of a topic, since there is no order
    /// between partitions.
    fn check_home(&mut self, record: &SeenRecord<'_>, number: u32) {
        let device = self.expected[number as usize].device;
        let home = self.homes.entry((record.output, device));
        let home = *home.or_insert(record.partition);
        if home != record.partition {
            let what = format!(
                "{}, where the device's other output is in partition {home}",
                record.spot()
            );
            self.add_violation(Violation::Misrouted, number, &what);
        }
    }

    fn check_stamp(&mut self, record: &SeenRecord<'_>, number: u32) {
        let expected = self.expected[number as usize].stamp_ms;
        if record.timestamp_ms != Some(expected) {
            let what = format!(
                "{} has the timestamp {:?}, not {expected}",
                record.spot(),
                record.timestamp_ms
            );
            self.add_violation(Violation::Changed, number, &what);
        }
    }

    pub(super) fn add_violation(&mut self, violation: Violation, number: u32, what: &str) {
        let what = format!("{what}; {}", self.describe(number));
        self.violations.add(violation, what);
    }
}
