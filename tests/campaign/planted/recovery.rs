//! Plants a world that does not recover: committed offsets without output, output without committed
//! offset, and partitions that make no progress.

use super::Caught;
use super::fixture::Fixture;
use crate::diagnosis::Diagnosis;
use crate::ledger::Offsets;
use crate::violations::Violation;

/// The health that the relays report meanwhile.
const HEALTH: &str = "200 ready";

/// Plants each fault, and checks what is found.
pub fn find(caught: &Caught) -> Result<(), String> {
    find_torn(caught)?;
    find_stalled(caught)?;
    find_held(caught)?;
    find_silence(caught)
}

fn at(partition: i32, offset: i64) -> Offsets {
    Offsets::from([(partition, offset)])
}

fn find_torn(caught: &Caught) -> Result<(), String> {
    let fixture = Fixture::with_all_but(&[]);
    let (ledger, seen) = (&fixture.ledger, fixture.ledger.seen_up_to());
    if seen != at(0, 6) {
        return Err(format!("seen up to {seen:?}"));
    }
    ledger.check_for_torn_output(&seen, &at(0, 6));
    caught.must_be(ledger, "all is committed", &[])?;
    ledger.check_for_torn_output(&seen, &at(0, 5));
    caught.must_be(ledger, "output before its offset", &[(Violation::Torn, 1)])?;

    let fixture = Fixture::with_all_but(&[]);
    let ledger = &fixture.ledger;
    ledger.check_for_torn_output(&seen, &Offsets::new());
    caught.must_be(ledger, "output without any offset", &[(Violation::Torn, 1)])?;

    let fixture = Fixture::with_all_but(&[1, 5]);
    let (ledger, target) = (&fixture.ledger, fixture.ledger.ends());
    if ledger.is_delivered(&target, &target) {
        return Err("two are missing, but all counts as delivered".to_string());
    }
    ledger.add_stall(&target, &target, HEALTH);
    caught.must_be(ledger, "offsets before their output", &[(Violation::Torn, 2)])
}

fn find_stalled(caught: &Caught) -> Result<(), String> {
    let fixture = Fixture::with_all_but(&[5]);
    let (ledger, target) = (&fixture.ledger, fixture.ledger.ends());
    let whole = Fixture::with_all_but(&[]);
    for committed in [at(0, 5), Offsets::new()] {
        if whole.ledger.is_delivered(&committed, &target) {
            return Err(format!("{committed:?} counts as {target:?}"));
        }
    }
    ledger.add_stall(&at(0, 5), &target, HEALTH);
    caught.must_be(ledger, "the last one is not committed", &[(Violation::Stalled, 1)])?;
    match whole.ledger.is_delivered(&target, &target) {
        true => Ok(()),
        false => {
            Err("all output was seen and committed, but does not count as delivered".to_string())
        }
    }
}

/// While one partition is held, all others must make progress.
fn find_held(caught: &Caught) -> Result<(), String> {
    let fixture = Fixture::with_all_but(&[5]);
    let (ledger, target) = (&fixture.ledger, fixture.ledger.ends());
    let committed = at(0, 5);
    if !ledger.is_delivered_but(0, &committed, &target) {
        return Err("the held partition is required".to_string());
    }
    if ledger.is_delivered_but(1, &committed, &target) {
        return Err("another partition is not required".to_string());
    }
    ledger.add_blocked_others(1, &committed, &target, HEALTH);
    caught.must_be(ledger, "other partitions make no progress", &[(Violation::Stalled, 1)])
}

/// The whole diagnosis must be reported, by a relay that is not ready or that exited for it.
fn find_silence(caught: &Caught) -> Result<(), String> {
    let diagnosis = Diagnosis {
        words: vec!["changes".to_string(), "offset 7:".to_string()],
        exits: 0,
        held: Some(0),
    };
    let answers = [
        ("503 holding changes at offset 7: bad CRC", true),
        ("503 holding changes at offset 70: bad CRC", false),
        ("503 the brokers do not answer", false),
        ("200 changes at offset 7: all is well", false),
    ];
    for (answer, names) in answers {
        if diagnosis.is_in_unready(answer) != names {
            return Err(format!("{answer:?} counts as {}", !names));
        }
    }
    let fixture = Fixture::new();
    fixture.ledger.add_undiagnosed(&diagnosis.words, HEALTH);
    caught.must_be(&fixture.ledger, "no relay reports it", &[(Violation::Stalled, 1)])
}
