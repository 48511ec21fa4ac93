//! Plants output that is missing, doubled, late, not expected, without an input record, or deleted
//! with its topic; and a load that differs from the input.

use super::Caught;
use super::fixture::{Fixture, LAST, MALFORMED, SKIPPED, id};
use crate::ledger::{Gone, Ledger, Offsets};
use crate::violations::Violation;

/// Plants each fault, and checks what is found.
pub fn find(caught: &Caught) -> Result<(), String> {
    let must_be = |fixture: &Fixture, what: &str, expected: &[(Violation, u64)]| {
        let ledger = &fixture.ledger;
        ledger.add_missing(&ledger.ends(), Violation::Lost);
        caught.must_be(ledger, what, expected)
    };
    must_be(&Fixture::with_all_but(&[]), "all is as expected", &[])?;
    let fixture = Fixture::with_all_but(&[1, MALFORMED]);
    must_be(&fixture, "two are missing", &[(Violation::Lost, 2)])?;

    let fixture = Fixture::with_all_but(&[]);
    fixture.observe_expected(0);
    must_be(&fixture, "one is doubled", &[(Violation::Doubled, 1)])?;

    let fixture = Fixture::with_all_but(&[1]);
    fixture.observe_expected(1);
    must_be(&fixture, "one is late", &[(Violation::Reordered, 1)])?;

    let fixture = Fixture::with_all_but(&[]);
    fixture.observe(&fixture.event(SKIPPED));
    must_be(&fixture, "audited instead of skipped", &[(Violation::Decision, 1)])?;

    let fixture = Fixture::with_all_but(&[MALFORMED, LAST]);
    let mut quarantined = fixture.quarantined(MALFORMED, false);
    quarantined.set_header("audit-relay-reason", "unknown_device")?;
    fixture.observe(&quarantined);
    fixture.observe_expected(LAST);
    must_be(&fixture, "quarantined for another reason", &[(Violation::Decision, 1)])?;

    let fixture = Fixture::with_all_but(&[]);
    let mut stranger = fixture.event(0);
    stranger.replace("\"correlationId\":\"0\"", "\"correlationId\":\"17\"")?;
    fixture.observe(&stranger);
    must_be(&fixture, "output without an input record", &[(Violation::Unexpected, 1)])?;

    let fixture = Fixture::with_all_but(&[1]);
    let mut twin = fixture.event(1);
    twin.replace(&id(1), &id(0))?;
    twin.set_header("id", &id(0))?;
    fixture.observe(&twin);
    let found = [(Violation::SharedId, 1), (Violation::Reordered, 1)];
    must_be(&fixture, "two records with one id", &found)?;

    let fixture = Fixture::with_all_but(&[]);
    let mut again = fixture.event(3);
    again.replace(&id(3), &id(9))?;
    again.set_header("id", &id(9))?;
    fixture.observe(&again);
    let found = [(Violation::Doubled, 1), (Violation::Changed, 1)];
    must_be(&fixture, "one record with two ids", &found)?;

    // Output that may have been deleted with its topic is not lost; later output is.
    let fixture = Fixture::with_all_but(&[1, 3]);
    fixture.ledger.add_gone(Gone {
        region: fixture.device.region,
        from: Offsets::from([(0, 1)]),
        to: Offsets::from([(0, 3)]),
    });
    must_be(&fixture, "one is deleted, one is lost", &[(Violation::Lost, 1)])?;
    find_new_partition(caught)?;
    find_false_load(caught)
}

/// A device may have another partition in a recreated topic only.
fn find_new_partition(caught: &Caught) -> Result<(), String> {
    for is_new in [false, true] {
        let fixture = Fixture::with_all_but(&[3]);
        if is_new {
            fixture.ledger.add_gone(Gone {
                region: fixture.device.region,
                from: Offsets::new(),
                to: Offsets::new(),
            });
        }
        let mut moved = fixture.event(3);
        moved.partition = 2;
        fixture.observe(&moved);
        let found = [(Violation::Misrouted, 1)];
        let expected = if is_new { &[][..] } else { &found };
        caught.must_be(&fixture.ledger, "output in another partition", expected)?;
    }
    Ok(())
}

/// The brokers report another offset than the load expects.
fn find_false_load(caught: &Caught) -> Result<(), String> {
    let fixture = Fixture::new();
    let ledger: &Ledger = &fixture.ledger;
    let again = ledger.expect(fixture.expected(SKIPPED));
    ledger.delivered(again, 0, 17);
    caught.must_be(ledger, "a record at another offset", &[(Violation::Unexpected, 1)])
}
