//! What a reader saw: once for each record, after what came before it of the same device, and in
//! the same partition.

use std::borrow::Cow;

use super::{Book, Ledger};
use crate::complaints::Wrong;

/// Where output stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// The topic of the region of this index.
    Region(usize),
    Quarantine,
}

/// Names and values, in their order.
pub type Headers = Vec<(String, Vec<u8>)>;

/// A committed record of an output topic.
#[derive(Clone, Debug)]
pub struct Sighting<'a> {
    pub place: Place,
    pub topic: &'a str,
    pub partition: i32,
    pub offset: i64,
    pub timestamp_ms: Option<i64>,
    pub key: &'a [u8],
    pub value: &'a [u8],
    pub headers: Headers,
}

impl Sighting<'_> {
    /// The last header of a name, as text.
    pub(super) fn header(&self, name: &str) -> Cow<'_, str> {
        let found = self.headers.iter().rev().find(|(other, _)| other == name);
        found.map_or(Cow::default(), |(_, value)| String::from_utf8_lossy(value))
    }

    /// For words to people.
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
    /// Takes note of what was seen.
    pub fn saw(&self, sighting: &Sighting<'_>) {
        match sighting.place {
            Place::Region(region) => self.saw_event(sighting, region),
            Place::Quarantine => self.saw_quarantined(sighting),
        }
    }
}

impl Book {
    /// Notes that the output of a record was seen: once, and after those of its device that came
    /// before. None if there is no such record.
    pub(super) fn note(&mut self, sighting: &Sighting<'_>, number: Option<u32>) -> Option<u32> {
        let number = number.filter(|number| (*number as usize) < self.expected.len());
        let Some(number) = number else {
            let value = String::from_utf8_lossy(&sighting.value[..sighting.value.len().min(200)])
                .into_owned();
            let what = format!("{}: {value}", sighting.spot());
            self.complaints.add(Wrong::Unexpected, what);
            return None;
        };
        self.check_stamp(sighting, number);
        self.check_home(sighting, number);
        let seen = &mut self.seen[number as usize];
        *seen = seen.saturating_add(1);
        if *seen > 1 {
            self.complain(Wrong::Doubled, number, &sighting.spot());
            return Some(number);
        }
        self.check_order(sighting, number);
        let offset = self.offsets[number as usize];
        if offset >= 0 {
            let device = self.expected[number as usize].device;
            let partition = self.devices[device as usize].partition;
            self.saw_of(partition, offset);
        }
        Some(number)
    }

    fn check_order(&mut self, sighting: &Sighting<'_>, number: u32) {
        let device = self.expected[number as usize].device;
        let last = self.last.insert((sighting.place, device), number);
        if let Some(last) = last.filter(|last| *last > number) {
            let what = format!("{} stands after {last}", sighting.spot());
            self.complain(Wrong::Reordered, number, &what);
        }
    }

    /// What is of one device stands in one partition of a topic: there is no order between two.
    fn check_home(&mut self, sighting: &Sighting<'_>, number: u32) {
        let device = self.expected[number as usize].device;
        let home = self.homes.entry((sighting.place, device));
        let home = *home.or_insert(sighting.partition);
        if home != sighting.partition {
            let what = format!(
                "{}, where the device's other output is in partition {home}",
                sighting.spot()
            );
            self.complain(Wrong::Misrouted, number, &what);
        }
    }

    fn check_stamp(&mut self, sighting: &Sighting<'_>, number: u32) {
        let demanded = self.expected[number as usize].stamp_ms;
        if sighting.timestamp_ms != Some(demanded) {
            let what = format!(
                "{} has the timestamp {:?}, not {demanded}",
                sighting.spot(),
                sighting.timestamp_ms
            );
            self.complain(Wrong::Changed, number, &what);
        }
    }

    pub(super) fn complain(&mut self, wrong: Wrong, number: u32, what: &str) {
        let what = format!("{what}; {}", self.describe(number));
        self.complaints.add(wrong, what);
    }
}
