//! What the outputs have, in few bytes for each record, and which of it has found its input.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::quarantine::outcomes::Outcome;

/// Where a record of an output stands. `topic` is an index of the topics that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub(super) topic: u16,
    pub(super) partition: i32,
    pub(super) offset: i64,
}

/// What an event is looked for by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Subject {
    /// The time of the record, in milliseconds since 1970.
    pub(super) time_ms: i64,
    /// Stands for the device.
    pub(super) device: u64,
}

impl Subject {
    pub(super) fn new(time_ms: i64, device: &[u8]) -> Self {
        Subject { time_ms, device: number(device) }
    }
}

/// Returns a number that stands for a text.
pub(super) fn number(text: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// An event in the outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) subject: Subject,
    pub(super) place: Place,
    /// Stands for its id.
    pub(super) id: u64,
    /// Stands for all that is compared.
    pub(super) digest: u64,
    /// Whether it is that of a quarantined record, and so stands where it was replayed.
    pub(super) is_replayed: bool,
    is_taken: bool,
}

impl Event {
    pub(super) fn new(
        subject: Subject,
        place: Place,
        (id, digest): (u64, u64),
        is_replayed: bool,
    ) -> Self {
        Event { subject, place, id, digest, is_replayed, is_taken: false }
    }
}

/// All events in the outputs that may be compared.
#[derive(Debug, Default)]
pub(super) struct Events(Vec<Event>);

impl Events {
    pub(super) fn of(mut events: Vec<Event>) -> Self {
        events.sort_unstable_by_key(|event| (event.subject, event.place));
        Events(events)
    }

    /// Returns whether an event of this time is left, of whatever device.
    pub(super) fn has_time(&self, time_ms: i64) -> bool {
        let start = self.0.partition_point(|event| event.subject.time_ms < time_ms);
        let same = self.0.iter().skip(start);
        let mut same = same.take_while(|event| event.subject.time_ms == time_ms);
        same.any(|event| !event.is_taken)
    }

    /// Returns whether an event of this subject is left.
    pub(super) fn has(&self, subject: Subject) -> bool {
        self.same(subject).any(|event| !event.is_taken)
    }

    /// Takes the first event of this subject that is left and is the one.
    pub(super) fn take(
        &mut self,
        subject: Subject,
        is_it: impl Fn(&Event) -> bool,
    ) -> Option<Event> {
        let start = self.start(subject);
        let same = self.0.iter_mut().skip(start);
        let mut same = same.take_while(|event| event.subject == subject);
        let event = same.find(|event| !event.is_taken && is_it(event))?;
        event.is_taken = true;
        Some(*event)
    }

    /// Takes the first event of this subject that is left and is no copy of another one.
    pub(super) fn take_rest(&mut self, subject: Subject) -> Option<Event> {
        let left = self.same(subject).find(|event| !event.is_taken && !self.is_copy(event));
        let place = left?.place;
        self.take(subject, |event| event.place == place)
    }

    /// Returns the events that are left, each with whether it is a copy of one that was taken.
    pub(super) fn left(&self) -> impl Iterator<Item = (&Event, bool)> {
        let left = self.0.iter().filter(|event| !event.is_taken);
        left.map(|event| (event, self.is_copy(event)))
    }

    fn is_copy(&self, event: &Event) -> bool {
        self.same(event.subject).any(|other| other.is_taken && other.digest == event.digest)
    }

    fn same(&self, subject: Subject) -> impl Iterator<Item = &Event> {
        let from = self.0.iter().skip(self.start(subject));
        from.take_while(move |event| event.subject == subject)
    }

    fn start(&self, subject: Subject) -> usize {
        self.0.partition_point(|event| event.subject < subject)
    }
}

/// A record in quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quarantined {
    /// The partition and the offset in the input.
    pub(super) source: (i32, i64),
    pub(super) place: Place,
    /// The index of its reason.
    pub(super) reason: u16,
    /// Stands for all that is compared; none of a stub, which depends on the topic's limit.
    pub(super) digest: Option<u64>,
    /// What became of it, if it is closed.
    pub(super) closed: Option<Outcome>,
}

/// All records in quarantine that may be compared.
#[derive(Debug, Default)]
pub(super) struct Quarantine {
    records: Vec<Quarantined>,
    /// The names of the reasons.
    reasons: Vec<String>,
}

impl Quarantine {
    /// Returns the index of a reason.
    fn reason(&mut self, name: &str) -> u16 {
        let known = self.reasons.iter().position(|reason| reason == name);
        let index = known.unwrap_or_else(|| {
            self.reasons.push(name.to_string());
            self.reasons.len() - 1
        });
        u16::try_from(index).unwrap_or(u16::MAX)
    }

    pub(super) fn name(&self, reason: u16) -> &str {
        self.reasons.get(usize::from(reason)).map_or("", String::as_str)
    }

    /// Adds a record with its reason.
    pub(super) fn push(&mut self, reason: &str, record: Quarantined) {
        let reason = self.reason(reason);
        self.records.push(Quarantined { reason, ..record });
    }

    pub(super) fn sort(&mut self) {
        self.records.sort_unstable_by_key(|record| (record.source, record.place));
    }

    /// Returns the records of an input record: one, unless it is there twice.
    pub(super) fn of(&self, source: (i32, i64)) -> &[Quarantined] {
        let start = self.records.partition_point(|record| record.source < source);
        let end = self.records.partition_point(|record| record.source <= source);
        self.records.get(start..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(time_ms: i64, device: &str, offset: i64, digest: u64) -> Event {
        let place = Place { topic: 0, partition: 0, offset };
        Event::new(Subject::new(time_ms, device.as_bytes()), place, (digest, digest), false)
    }

    #[test]
    fn events_are_taken_once_and_in_order() {
        let mut events =
            Events::of(vec![event(2, "a", 3, 1), event(1, "a", 0, 1), event(2, "a", 2, 2)]);
        let subject = Subject::new(2, b"a");
        assert!(events.has(subject) && events.has_time(2) && !events.has_time(3));
        assert!(!events.has(Subject::new(2, b"b")));
        let offset = |event: Option<Event>| event.map(|event| event.place.offset);
        assert_eq!(offset(events.take(subject, |event| event.digest == 1)), Some(3));
        assert_eq!(offset(events.take(subject, |event| event.digest == 1)), None);
        assert_eq!(offset(events.take(subject, |_| true)), Some(2));
        assert_eq!(offset(events.take(subject, |_| true)), None);
        assert!(!events.has(subject) && !events.has_time(2) && events.has_time(1));
    }

    #[test]
    fn what_is_left_of_equal_ones_stands_twice() {
        let mut events =
            Events::of(vec![event(1, "a", 0, 1), event(1, "a", 1, 1), event(1, "a", 2, 2)]);
        assert!(events.take(Subject::new(1, b"a"), |event| event.digest == 1).is_some());
        let left: Vec<_> =
            events.left().map(|(event, twice)| (event.place.offset, twice)).collect();
        assert_eq!(left, [(1, true), (2, false)]);
        let rest = |events: &mut Events| events.take_rest(Subject::new(1, b"a"));
        assert_eq!(rest(&mut events).map(|event| event.place.offset), Some(2));
        assert_eq!(rest(&mut events), None);
    }

    #[test]
    fn quarantined_records_are_found_by_their_source() {
        let mut quarantine = Quarantine::default();
        let reason = quarantine.reason("malformed");
        assert_eq!((reason, quarantine.reason("x"), quarantine.reason("malformed")), (0, 1, 0));
        for (source, offset) in [((1, 5), 2), ((0, 9), 1), ((1, 5), 0)] {
            let place = Place { topic: 0, partition: 0, offset };
            let record = Quarantined { source, place, reason, digest: Some(1), closed: None };
            quarantine.push("malformed", record);
        }
        quarantine.sort();
        let offsets = |source| -> Vec<i64> {
            quarantine.of(source).iter().map(|record| record.place.offset).collect()
        };
        assert_eq!(
            (offsets((1, 5)), offsets((0, 9)), offsets((1, 6))),
            (vec![0, 2], vec![1], vec![])
        );
        assert_eq!((quarantine.name(0), quarantine.name(9)), ("malformed", ""));
    }
}
