//! A test fixture: a ledger with a few records and their correct output, for tests to plant faults
//! in.

use openssl::sha::sha256;

use crate::change::{self, Variant};
use crate::event;
use crate::expected::{Device, ExpectedFate, ExpectedRecord, Reason};
use crate::ledger::{Headers, Ledger, OutputTopic, SeenRecord};

const TIME_MS: i64 = 1_700_000_000_120;
const USER: u64 = 6_100_001;
const INPUT: &str = "changes";
/// A record that must be quarantined whole.
pub const MALFORMED: u32 = 2;
/// A record that must be skipped.
pub const SKIPPED: u32 = 4;
/// Another record that must be quarantined; in [`Fixture::for_stubs`] it may be kept as a stub.
pub const LAST: u32 = 5;

/// A ledger that expects six records of one device.
pub struct Fixture {
    pub ledger: Ledger,
    pub device: Device,
    expected: Vec<ExpectedRecord>,
}

/// An output record as a reader would see it, for a test to change.
#[derive(Clone)]
pub struct PlantedRecord {
    pub output: OutputTopic,
    pub partition: i32,
    pub timestamp_ms: Option<i64>,
    pub key: String,
    pub value: Vec<u8>,
    pub headers: Headers,
}

impl PlantedRecord {
    /// Replaces a text in the value; fails if the value does not contain it.
    pub fn replace(&mut self, from: &str, to: &str) -> Result<(), String> {
        let text = String::from_utf8_lossy(&self.value).into_owned();
        if !text.contains(from) {
            return Err(format!("{from:?} is not in {text}"));
        }
        self.value = text.replace(from, to).into_bytes();
        Ok(())
    }

    /// Changes the value of a header.
    pub fn set_header(&mut self, name: &str, value: &str) -> Result<(), String> {
        let header = self.headers.iter_mut().find(|(other, _)| other == name);
        let (_, old) = header.ok_or_else(|| format!("there is no header {name}"))?;
        *old = value.as_bytes().to_vec();
        Ok(())
    }
}

impl Fixture {
    pub fn new() -> Fixture {
        Fixture::with_last(Variant::Truncated)
    }

    /// A fixture whose last record may be kept as a stub; creating such a record takes some time.
    pub fn for_stubs() -> Fixture {
        Fixture::with_last(Variant::Oversized)
    }

    fn with_last(last: Variant) -> Fixture {
        let ledger = Ledger::of(INPUT);
        let (index, device) = ledger.add_device(0);
        let expected = |fate, variant| ExpectedRecord {
            fate,
            variant,
            device: index,
            action_kind: 1,
            user: USER,
            time_ms: TIME_MS,
            stamp_ms: TIME_MS + 70,
        };
        let malformed = ExpectedFate::Quarantined(Reason::Malformed);
        let expected = vec![
            expected(ExpectedFate::Audited, Variant::User),
            expected(ExpectedFate::Audited, Variant::User),
            expected(malformed, Variant::Truncated),
            expected(ExpectedFate::Audited, Variant::User),
            expected(ExpectedFate::Skipped, Variant::System),
            expected(malformed, last),
        ];
        for (offset, record) in expected.iter().enumerate() {
            let number = ledger.expect(*record);
            ledger.delivered(number, 0, offset as i64);
        }
        Fixture { ledger, device, expected }
    }

    /// A fixture whose ledger has seen all expected output, except of these records.
    pub fn with_all_but(missing: &[u32]) -> Fixture {
        let fixture = Fixture::new();
        for number in (0..=LAST).filter(|number| !missing.contains(number)) {
            fixture.observe_expected(number);
        }
        fixture
    }

    /// Passes the expected output of a record, if any, to the ledger.
    pub fn observe_expected(&self, number: u32) {
        match number {
            SKIPPED => {}
            MALFORMED | LAST => self.observe(&self.quarantined(number, false)),
            _ => self.observe(&self.event(number)),
        }
    }

    /// The expected record of a number.
    pub fn expected(&self, number: u32) -> ExpectedRecord {
        self.expected[number as usize]
    }

    /// The correct event of a record.
    pub fn event(&self, number: u32) -> PlantedRecord {
        let expected = &self.expected[number as usize];
        let id = id(number);
        PlantedRecord {
            output: OutputTopic::Region(self.device.region),
            partition: 0,
            timestamp_ms: Some(expected.stamp_ms),
            key: self.device.id.to_string(),
            value: event::text(number, expected, &self.device, &id).into_bytes(),
            headers: event::headers(&self.device, &id),
        }
    }

    /// The correct quarantined record, whole or as a stub.
    pub fn quarantined(&self, number: u32, is_stub: bool) -> PlantedRecord {
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
        PlantedRecord {
            output: OutputTopic::Quarantine,
            partition: 0,
            timestamp_ms: Some(expected.stamp_ms),
            key,
            value,
            headers: headers.into_iter().map(own).collect(),
        }
    }

    pub fn observe(&self, record: &PlantedRecord) {
        self.ledger.observe(&SeenRecord {
            output: record.output,
            topic: "output",
            partition: record.partition,
            offset: 0,
            timestamp_ms: record.timestamp_ms,
            key: record.key.as_bytes(),
            value: &record.value,
            headers: record.headers.clone(),
        });
    }
}

/// The id of the event of a record.
pub fn id(number: u32) -> String {
    format!("0d9b1a34-6f0e-5c11-8a55-{number:012x}")
}
