//! A ledger with a few records, and what is rightly seen of them, for the plantings to spoil.

use openssl::sha::sha256;

use crate::change::{self, Variant};
use crate::demand::{Demand, Device, Expected, Reason};
use crate::event;
use crate::ledger::{Headers, Ledger, Place, Sighting};

const TIME_MS: i64 = 1_700_000_000_120;
const USER: u64 = 6_100_001;
const INPUT: &str = "changes";
/// A record that is to be quarantined whole.
pub const MALFORMED: u32 = 2;
/// One that is to be skipped.
pub const SKIPPED: u32 = 4;
/// Another one; on a stage for stubs, it is so large that a stub may stand for it.
pub const LAST: u32 = 5;

/// A ledger that expects six records of one device.
pub struct Stage {
    pub ledger: Ledger,
    pub device: Device,
    expected: Vec<Expected>,
}

/// What a reader would see.
#[derive(Clone)]
pub struct Seen {
    pub place: Place,
    pub partition: i32,
    pub timestamp_ms: Option<i64>,
    pub key: String,
    pub value: Vec<u8>,
    pub headers: Headers,
}

impl Seen {
    /// Puts something else into the text of the value, which must have the first.
    pub fn replace(&mut self, from: &str, to: &str) -> Result<(), String> {
        let text = String::from_utf8_lossy(&self.value).into_owned();
        if !text.contains(from) {
            return Err(format!("{from:?} is not in {text}"));
        }
        self.value = text.replace(from, to).into_bytes();
        Ok(())
    }

    /// Gives a header another value.
    pub fn set_header(&mut self, name: &str, value: &str) -> Result<(), String> {
        let header = self.headers.iter_mut().find(|(other, _)| other == name);
        let (_, old) = header.ok_or_else(|| format!("there is no header {name}"))?;
        *old = value.as_bytes().to_vec();
        Ok(())
    }
}

impl Stage {
    pub fn new() -> Stage {
        Stage::with_last(Variant::Truncated)
    }

    /// One with a record of which a stub may be kept; it takes some time to make that.
    pub fn for_stubs() -> Stage {
        Stage::with_last(Variant::Oversized)
    }

    fn with_last(last: Variant) -> Stage {
        let ledger = Ledger::of(INPUT);
        let (index, device) = ledger.add_device(0);
        let expected = |demand, variant| Expected {
            demand,
            variant,
            device: index,
            deed: 1,
            user: USER,
            time_ms: TIME_MS,
            stamp_ms: TIME_MS + 70,
        };
        let malformed = Demand::Quarantined(Reason::Malformed);
        let expected = vec![
            expected(Demand::Audited, Variant::User),
            expected(Demand::Audited, Variant::User),
            expected(malformed, Variant::Truncated),
            expected(Demand::Audited, Variant::User),
            expected(Demand::Skipped, Variant::System),
            expected(malformed, last),
        ];
        for (offset, record) in expected.iter().enumerate() {
            let number = ledger.expect(*record);
            ledger.delivered(number, 0, offset as i64);
        }
        Stage { ledger, device, expected }
    }

    /// One that sees all that it should, but for these.
    pub fn with_all_but(missing: &[u32]) -> Stage {
        let stage = Stage::new();
        for number in (0..=LAST).filter(|number| !missing.contains(number)) {
            stage.see_right(number);
        }
        stage
    }

    /// Sees of a record what it should, if anything.
    pub fn see_right(&self, number: u32) {
        match number {
            SKIPPED => {}
            MALFORMED | LAST => self.see(&self.quarantined(number, false)),
            _ => self.see(&self.event(number)),
        }
    }

    /// What is demanded of a record.
    pub fn expected(&self, number: u32) -> Expected {
        self.expected[number as usize]
    }

    /// The event of a record.
    pub fn event(&self, number: u32) -> Seen {
        let expected = &self.expected[number as usize];
        let id = id(number);
        Seen {
            place: Place::Region(self.device.region),
            partition: 0,
            timestamp_ms: Some(expected.stamp_ms),
            key: self.device.id.to_string(),
            value: event::text(number, expected, &self.device, &id).into_bytes(),
            headers: event::headers(&self.device, &id),
        }
    }

    /// A record in the quarantine topic, whole or as a stub.
    pub fn quarantined(&self, number: u32, is_stub: bool) -> Seen {
        let expected = &self.expected[number as usize];
        let mut value = change::value(number, expected, &self.device);
        let key = self.device.id.to_string();
        let offset = number.to_string();
        let mut headers = vec![
            ("number", offset.clone()),
            ("audit-relay-reason", "malformed".to_string()),
            ("audit-relay-detail", "cut off".to_string()),
            ("audit-relay-topic", INPUT.to_string()),
            ("audit-relay-partition", "0".to_string()),
            ("audit-relay-offset", offset),
            ("audit-relay-version", env!("CARGO_PKG_VERSION").to_string()),
            ("audit-relay-stub", is_stub.to_string()),
        ];
        if is_stub {
            let hash = sha256(&value).map(|byte| format!("{byte:02x}")).concat();
            headers.extend([
                ("audit-relay-value-bytes", value.len().to_string()),
                ("audit-relay-value-sha256", hash),
                ("audit-relay-key-bytes", key.len().to_string()),
                ("audit-relay-headers-dropped", "0".to_string()),
            ]);
            value.truncate(1_000);
        }
        let own = |(name, value): (&str, String)| (name.to_string(), value.into_bytes());
        Seen {
            place: Place::Quarantine,
            partition: 0,
            timestamp_ms: Some(expected.stamp_ms),
            key,
            value,
            headers: headers.into_iter().map(own).collect(),
        }
    }

    pub fn see(&self, seen: &Seen) {
        self.ledger.saw(&Sighting {
            place: seen.place,
            topic: "output",
            partition: seen.partition,
            offset: 0,
            timestamp_ms: seen.timestamp_ms,
            key: seen.key.as_bytes(),
            value: &seen.value,
            headers: seen.headers.clone(),
        });
    }
}

/// The id of the event of a record.
pub fn id(number: u32) -> String {
    format!("0d9b1a34-6f0e-5c11-8a55-{number:012x}")
}
