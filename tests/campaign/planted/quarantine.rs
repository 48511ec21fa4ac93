//! Plants quarantined records of which one part is wrong: each part, one at a time, of a whole one
//! and of a stub.

use super::Finds;
use super::stage::{LAST, Seen, Stage};
use crate::complaints::Wrong;

/// Headers of a whole one, and what is planted there.
const HEADERS: [(&str, &str); 6] = [
    ("audit-relay-detail", ""),
    ("audit-relay-topic", "other"),
    ("audit-relay-partition", "1"),
    ("audit-relay-offset", "3"),
    ("audit-relay-version", "0"),
    ("audit-relay-stub", ""),
];
/// More of them, of a stub.
const STUB_HEADERS: [(&str, &str); 4] = [
    ("audit-relay-value-bytes", "1000"),
    ("audit-relay-value-sha256", "00"),
    ("audit-relay-key-bytes", "0"),
    ("audit-relay-headers-dropped", "1"),
];

/// Spoils what is seen, and what must be found then.
type Case = (&'static str, fn(&mut Seen), Wrong);

const CASES: [Case; 6] = [
    ("cut off", |seen| seen.value.truncate(20), Wrong::Changed),
    ("another key", |seen| seen.key.clear(), Wrong::Changed),
    ("another timestamp", |seen| seen.timestamp_ms = Some(0), Wrong::Changed),
    ("a header more", |seen| seen.headers.push(("more".to_string(), Vec::new())), Wrong::Changed),
    ("headers in another order", |seen| seen.headers.swap(0, 1), Wrong::Changed),
    ("another partition", |seen| seen.partition = 1, Wrong::Misrouted),
];

const STUB_CASES: [Case; 2] = [
    ("a stub that is cut off", |seen| seen.value.truncate(999), Wrong::Changed),
    ("a stub of another value", |seen| seen.value[500] ^= 1, Wrong::Changed),
];

/// Plants, and looks.
pub fn find(finds: &Finds) -> Result<(), String> {
    let (whole, stub) = (Stage::new(), Stage::for_stubs());
    let whole = (&Stage::new as &dyn Fn() -> Stage, whole.quarantined(LAST, false));
    let stub = (&Stage::for_stubs as &dyn Fn() -> Stage, stub.quarantined(LAST, true));
    for (of, cases) in [(&whole, &CASES[..]), (&stub, &STUB_CASES)] {
        for (what, spoil, wrong) in cases {
            let mut seen = of.1.clone();
            spoil(&mut seen);
            must_find(finds, what, of.0(), &seen, &[(*wrong, 1)])?;
        }
    }
    for (of, headers) in [(&whole, &HEADERS[..]), (&stub, &STUB_HEADERS)] {
        for (name, value) in headers {
            let mut seen = of.1.clone();
            seen.set_header(name, value)?;
            must_find(finds, name, of.0(), &seen, &[(Wrong::Changed, 1)])?;
        }
    }
    must_find(finds, "a stub that is right", stub.0(), &stub.1, &[])?;
    // What fits into the topic must be there whole.
    let needless = Stage::new().quarantined(LAST, true);
    let found = [(Wrong::Changed, 1)];
    must_find(finds, "a stub for nothing", Stage::new(), &needless, &found)
}

/// Sees this of the last record, and of all others what it should.
fn must_find(
    finds: &Finds,
    what: &str,
    stage: Stage,
    seen: &Seen,
    expected: &[(Wrong, u64)],
) -> Result<(), String> {
    (0..LAST).for_each(|number| stage.see_right(number));
    stage.see(seen);
    let ledger = &stage.ledger;
    ledger.complain_of_missing(&ledger.ends(), Wrong::Lost);
    finds.must_be(ledger, what, expected)
}
