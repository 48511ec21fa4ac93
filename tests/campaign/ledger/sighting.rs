//! What a reader saw, held against what was demanded.

use serde_json::Value;

use super::{Book, Ledger};
use crate::change;
use crate::complaints::Wrong;
use crate::demand::{ACCOUNT, ACTIONS, Demand, Reason, event_time, iam_id};

/// Where output stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// The topic of the region of this index.
    Region(usize),
    Quarantine,
}

/// A committed record of an output topic.
#[derive(Clone, Debug)]
pub struct Sighting<'a> {
    pub place: Place,
    pub topic: &'a str,
    pub partition: i32,
    pub offset: i64,
    pub key: &'a [u8],
    pub value: &'a [u8],
    /// Of the quarantined ones: the number of the original, and what the relay says of it.
    pub number: Option<u32>,
    pub reason: &'a str,
    pub source: Option<(i32, i64)>,
    /// The length of the original value, if this is a stub.
    pub stub_of: Option<usize>,
}

impl Sighting<'_> {
    /// Whether it holds this original, or is a stub of it where it may be: of what is larger than a topic was told to take.
    fn has_value_of(&self, original: &[u8]) -> bool {
        match self.stub_of {
            None => self.value == original,
            Some(bytes) => {
                bytes == original.len()
                    && bytes > change::OVERSIZED_BYTES
                    && original.starts_with(self.value)
                    && self.value.len() == 1_000
            }
        }
    }

    fn place(&self) -> String {
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

    fn saw_event(&self, sighting: &Sighting<'_>, region: usize) {
        let event: Value = serde_json::from_slice(sighting.value).unwrap_or_default();
        let number = event["correlationId"]
            .as_str()
            .and_then(|id| id.parse().ok());
        let mut book = self.lock();
        let Some(number) = book.note(sighting, number) else {
            return;
        };
        let expected = book.expected[number as usize];
        let device = book.devices[expected.device as usize];
        let place = sighting.place();
        book.tally.audited += 1;
        match expected.demand {
            Demand::Audited => {}
            Demand::AuditedOrSkipped => book.tally.before_revocation += 1,
            _ => book.complain(Wrong::Decision, number, &format!("audited, {place}")),
        }
        if region != device.region || sighting.key != device.id.to_string().as_bytes() {
            book.complain(Wrong::Misrouted, number, &place);
        }
        let target = format!(
            "crn:v1:bluemix:public:audit-log:{}:a/{ACCOUNT}::bare-metal:{}",
            device.data_center(),
            device.id
        );
        let says = [
            (&event["action"], ACTIONS[usize::from(expected.action)].1),
            (&event["initiator"]["id"], &iam_id(expected.user)),
            (&event["target"]["id"], &target),
            (&event["eventTime"], &event_time(expected.time_ms)),
            (&event["outcome"], "success"),
        ];
        for (said, demanded) in says {
            if said != demanded {
                let what = format!("{place} says {said}, not {demanded:?}");
                book.complain(Wrong::Changed, number, &what);
            }
        }
    }

    fn saw_quarantined(&self, sighting: &Sighting<'_>) {
        let mut book = self.lock();
        let Some(number) = book.note(sighting, sighting.number) else {
            return;
        };
        let expected = book.expected[number as usize];
        let device = book.devices[expected.device as usize];
        let place = sighting.place();
        book.tally.quarantined += 1;
        if expected.demand.reason().map(Reason::name) != Some(sighting.reason) {
            let what = format!("quarantined as {}, {place}", sighting.reason);
            book.complain(Wrong::Decision, number, &what);
        }
        // The offset is not known while the broker's answer is on its way to the load.
        let offset = book.offsets[number as usize];
        let source = sighting
            .source
            .filter(|(_, source)| offset < 0 || *source == offset);
        let whole = sighting.has_value_of(&change::value(number, &expected, &device))
            && sighting.key == device.id.to_string().as_bytes()
            && source.is_some_and(|(partition, _)| partition == device.partition);
        if !whole {
            book.complain(
                Wrong::Changed,
                number,
                &format!("{place}: not the original"),
            );
        }
    }
}

impl Demand {
    fn reason(self) -> Option<Reason> {
        match self {
            Demand::Quarantined(reason) => Some(reason),
            Demand::Audited | Demand::Skipped | Demand::AuditedOrSkipped => None,
        }
    }
}

impl Book {
    /// Notes that the output of a record was seen: once, and after those of its device that came before. None if there is no such
    /// record.
    fn note(&mut self, sighting: &Sighting<'_>, number: Option<u32>) -> Option<u32> {
        let number = number.filter(|number| (*number as usize) < self.expected.len());
        let Some(number) = number else {
            let value = String::from_utf8_lossy(&sighting.value[..sighting.value.len().min(200)])
                .into_owned();
            let what = format!("{}: {value}", sighting.place());
            self.complaints.add(Wrong::Unexpected, what);
            return None;
        };
        let seen = &mut self.seen[number as usize];
        *seen = seen.saturating_add(1);
        if *seen > 1 {
            self.complain(Wrong::Doubled, number, &sighting.place());
            return Some(number);
        }
        let device = self.expected[number as usize].device;
        let last = self.last.insert((sighting.place, device), number);
        if let Some(last) = last.filter(|last| *last > number) {
            let what = format!("{} stands after {last}", sighting.place());
            self.complain(Wrong::Reordered, number, &what);
        }
        let offset = self.offsets[number as usize];
        if offset >= 0 {
            let partition = self.devices[device as usize].partition;
            self.saw_of(partition, offset);
        }
        Some(number)
    }

    fn complain(&mut self, wrong: Wrong, number: u32, what: &str) {
        let what = format!("{what}; {}", self.describe(number));
        self.complaints.add(wrong, what);
    }
}
