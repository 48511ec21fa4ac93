//! Plants quarantined records with one wrong part: each part, one at a time, of a whole record and
//! of a stub.

use super::Caught;
use super::fixture::{Fixture, LAST, PlantedRecord};
use crate::violations::Violation;

/// Headers of a whole record, and the values that are planted instead.
const HEADERS: [(&str, &str); 6] = [
    ("audit-relay-detail", ""),
    ("audit-relay-topic", "other"),
    ("audit-relay-partition", "1"),
    ("audit-relay-offset", "3"),
    ("audit-relay-version", "0"),
    ("audit-relay-stub", ""),
];
/// Additional headers of a stub, and the values that are planted instead.
const STUB_HEADERS: [(&str, &str); 4] = [
    ("audit-relay-value-bytes", "1000"),
    ("audit-relay-value-sha256", "00"),
    ("audit-relay-key-bytes", "0"),
    ("audit-relay-headers-dropped", "1"),
];

/// A name, a change of the output, and the violation that must be found.
type Case = (&'static str, fn(&mut PlantedRecord), Violation);

const CASES: [Case; 6] = [
    ("cut off", |record| record.value.truncate(20), Violation::Changed),
    ("another key", |record| record.key.clear(), Violation::Changed),
    ("another timestamp", |record| record.timestamp_ms = Some(0), Violation::Changed),
    (
        "an additional header",
        |record| record.headers.push(("more".to_string(), Vec::new())),
        Violation::Changed,
    ),
    ("headers in another order", |record| record.headers.swap(0, 1), Violation::Changed),
    ("another partition", |record| record.partition = 1, Violation::Misrouted),
];

const STUB_CASES: [Case; 2] = [
    ("a stub that is cut off", |record| record.value.truncate(999), Violation::Changed),
    ("a stub of another value", |record| record.value[500] ^= 1, Violation::Changed),
];

/// Plants each fault, and checks what is found.
pub fn find(caught: &Caught) -> Result<(), String> {
    let (whole, stub) = (Fixture::new(), Fixture::for_stubs());
    let whole = (&Fixture::new as &dyn Fn() -> Fixture, whole.quarantined(LAST, false));
    let stub = (&Fixture::for_stubs as &dyn Fn() -> Fixture, stub.quarantined(LAST, true));
    for (of, cases) in [(&whole, &CASES[..]), (&stub, &STUB_CASES)] {
        for (what, corrupt, violation) in cases {
            let mut record = of.1.clone();
            corrupt(&mut record);
            must_find(caught, what, of.0(), &record, &[(*violation, 1)])?;
        }
    }
    for (of, headers) in [(&whole, &HEADERS[..]), (&stub, &STUB_HEADERS)] {
        for (name, value) in headers {
            let mut record = of.1.clone();
            record.set_header(name, value)?;
            must_find(caught, name, of.0(), &record, &[(Violation::Changed, 1)])?;
        }
    }
    must_find(caught, "a correct stub", stub.0(), &stub.1, &[])?;
    // A record that fits into the topic must be kept whole.
    let needless = Fixture::new().quarantined(LAST, true);
    let found = [(Violation::Changed, 1)];
    must_find(caught, "a stub that is not needed", Fixture::new(), &needless, &found)
}

/// Passes this output of the last record, and the expected output of all others, to the ledger.
fn must_find(
    caught: &Caught,
    what: &str,
    fixture: Fixture,
    record: &PlantedRecord,
    expected: &[(Violation, u64)],
) -> Result<(), String> {
    (0..LAST).for_each(|number| fixture.observe_expected(number));
    fixture.observe(record);
    let ledger = &fixture.ledger;
    ledger.add_missing(&ledger.ends(), Violation::Lost);
    caught.must_be(ledger, what, expected)
}
