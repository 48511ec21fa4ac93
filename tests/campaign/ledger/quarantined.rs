//! Quarantined records, held against what was demanded: the original, whole or as a stub, its
//! headers, and after them why it is there and where it came from.

use openssl::sha::sha256;

use super::{Book, Ledger, Sighting};
use crate::change;
use crate::complaints::Wrong;
use crate::demand::{Demand, Device, Expected, Reason};

/// Of the value of an original that is larger, a stub has so much.
const STUB_BYTES: usize = 1_000;

impl Ledger {
    pub(super) fn saw_quarantined(&self, sighting: &Sighting<'_>) {
        let mut book = self.lock();
        let number = sighting.header("number").parse().ok();
        let Some(number) = book.note(sighting, number) else {
            return;
        };
        let expected = book.expected[number as usize];
        let device = book.devices[expected.device as usize];
        let spot = sighting.spot();
        book.tally.quarantined += 1;
        let reason = sighting.header("audit-relay-reason");
        if expected.demand.reason().map(Reason::name) != Some(reason.as_ref()) {
            let what = format!("quarantined as {reason}, {spot}");
            book.complain(Wrong::Decision, number, &what);
        }
        let original = change::value(number, &expected, &device);
        let is_stub = sighting.header("audit-relay-stub") == "true";
        if !has_original(sighting, is_stub, &original, &device) {
            book.complain(Wrong::Changed, number, &format!("{spot}: not the original"));
        }
        let stub_of = is_stub.then_some(original.as_slice());
        if !book.has_headers(sighting, number, &expected, stub_of) {
            let what = format!("{spot} has the headers {:?}", sighting.shown_headers());
            book.complain(Wrong::Changed, number, &what);
        }
    }
}

/// Whether it holds this original, or is a stub of it where it may be: of what is larger than a
/// topic was told to take.
fn has_original(sighting: &Sighting<'_>, is_stub: bool, original: &[u8], device: &Device) -> bool {
    let has_value = match is_stub {
        false => sighting.value == original,
        true => {
            original.len() >= change::OVERSIZED_BYTES && sighting.value == &original[..STUB_BYTES]
        }
    };
    has_value && sighting.key == device.id.to_string().as_bytes()
}

impl Book {
    /// Whether the headers are those of the original and the relay's, in this order. What stands in
    /// the reason is judged elsewhere, and what in the detail is free.
    fn has_headers(
        &self,
        sighting: &Sighting<'_>,
        number: u32,
        expected: &Expected,
        stub_of: Option<&[u8]>,
    ) -> bool {
        let partition = self.devices[expected.device as usize].partition;
        // The offset is not known while the broker's answer is on its way to the load.
        let offset = Some(self.offsets[number as usize]).filter(|offset| *offset >= 0);
        let mut demanded = vec![
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
            demanded.extend(stub_headers(original, sighting.key));
        }
        let mut both = sighting.headers.iter().zip(&demanded);
        sighting.headers.len() == demanded.len()
            && both.all(|((name, value), (demanded_name, demanded))| {
                let is_value = |demanded: &String| demanded.as_bytes() == value;
                name == demanded_name && demanded.as_ref().map_or(!value.is_empty(), is_value)
            })
    }
}

/// What the original was that a stub stands for.
fn stub_headers(original: &[u8], key: &[u8]) -> [(&'static str, Option<String>); 4] {
    let hash = sha256(original).map(|byte| format!("{byte:02x}"));
    [
        ("audit-relay-value-bytes", Some(original.len().to_string())),
        ("audit-relay-value-sha256", Some(hash.concat())),
        ("audit-relay-key-bytes", Some(key.len().to_string())),
        ("audit-relay-headers-dropped", Some("0".to_string())),
    ]
}

impl Demand {
    fn reason(self) -> Option<Reason> {
        match self {
            Demand::Quarantined(reason) => Some(reason),
            Demand::Audited | Demand::Skipped | Demand::AuditedOrSkipped => None,
        }
    }
}
