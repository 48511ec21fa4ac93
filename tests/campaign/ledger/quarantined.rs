//! Compares quarantined records with the expected records: the original, whole or as a stub, its
//! headers, and the relay's headers for reason and origin.

use openssl::sha::sha256;

use super::{Book, Ledger, SeenRecord};
use crate::change;
use crate::expected::{Device, ExpectedFate, ExpectedRecord, Reason};
use crate::violations::Violation;

/// Number of bytes that a stub keeps of a larger value.
const STUB_BYTES: usize = 1_000;

impl Ledger {
    pub(super) fn observe_quarantined(&self, record: &SeenRecord<'_>) {
        let mut book = self.lock();
        let number = record.header("number").parse().ok();
        let Some(number) = book.note(record, number) else {
            return;
        };
        let expected = book.expected[number as usize];
        let device = book.devices[expected.device as usize];
        let spot = record.spot();
        book.tally.quarantined += 1;
        let reason = record.header("audit-relay-reason");
        if expected.fate.reason().map(Reason::name) != Some(reason.as_ref()) {
            let what = format!("quarantined as {reason}, {spot}");
            book.add_violation(Violation::Decision, number, &what);
        }
        let original = change::value(number, &expected, &device);
        let is_stub = record.header("audit-relay-stub") == "true";
        if !has_original(record, is_stub, &original, &device) {
            book.add_violation(Violation::Changed, number, &format!("{spot}: not the original"));
        }
        let stub_of = is_stub.then_some(original.as_slice());
        if !book.has_headers(record, number, &expected, stub_of) {
            let what = format!("{spot} has the headers {:?}", record.shown_headers());
            book.add_violation(Violation::Changed, number, &what);
        }
    }
}

/// Whether the record holds this original, or a stub of it if the original is larger than the
/// lowered limit of the topic.
fn has_original(record: &SeenRecord<'_>, is_stub: bool, original: &[u8], device: &Device) -> bool {
    let has_value = match is_stub {
        false => record.value == original,
        true => {
            original.len() >= change::OVERSIZED_BYTES && record.value == &original[..STUB_BYTES]
        }
    };
    has_value && record.key == device.id.to_string().as_bytes()
}

impl Book {
    /// Whether the headers are those of the original and then those of the relay. The reason is
    /// checked elsewhere; the detail may be any text.
    fn has_headers(
        &self,
        record: &SeenRecord<'_>,
        number: u32,
        expected: &ExpectedRecord,
        stub_of: Option<&[u8]>,
    ) -> bool {
        let partition = self.devices[expected.device as usize].partition;
        // The offset is not known while the broker's answer is on its way to the load.
        let offset = Some(self.offsets[number as usize]).filter(|offset| *offset >= 0);
        let mut expected_headers = vec![
            ("number", Some(number.to_string())),
            ("audit-relay-reason", None),
            ("audit-relay-detail", None),
            ("audit-relay-topic", Some(self.input.clone())),
            ("audit-relay-partition", Some(partition.to_string())),
            ("audit-relay-offset", offset.map(|offset| offset.to_string())),
            ("audit-relay-version", Some(env!("CARGO_PKG_VERSION").to_string())),
            ("audit-relay-stub", Some(stub_of.is_some().to_string())),
        ];
        if let Some(original) = stub_of {
            expected_headers.extend(stub_headers(original, record.key));
        }
        let mut both = record.headers.iter().zip(&expected_headers);
        record.headers.len() == expected_headers.len()
            && both.all(|((name, value), (expected_name, expected))| {
                let is_value = |expected: &String| expected.as_bytes() == value;
                name == expected_name && expected.as_ref().map_or(!value.is_empty(), is_value)
            })
    }
}

/// The expected headers that describe the original of a stub.
fn stub_headers(original: &[u8], key: &[u8]) -> [(&'static str, Option<String>); 4] {
    let hash = sha256(original).map(|byte| format!("{byte:02x}"));
    [
        ("audit-relay-value-bytes", Some(original.len().to_string())),
        ("audit-relay-value-sha256", Some(hash.concat())),
        ("audit-relay-key-bytes", Some(key.len().to_string())),
        ("audit-relay-headers-dropped", Some("0".to_string())),
    ]
}

impl ExpectedFate {
    fn reason(self) -> Option<Reason> {
        match self {
            ExpectedFate::Quarantined(reason) => Some(reason),
            ExpectedFate::Audited | ExpectedFate::Skipped | ExpectedFate::AuditedOrSkipped => None,
        }
    }
}
