//! Plants a world that does not recover: offsets without their output, output without its offset,
//! and what stands still.

use super::Finds;
use super::stage::Stage;
use crate::complaints::Wrong;
use crate::ledger::Offsets;
use crate::naming::Unnamed;

/// What the relays say meanwhile.
const HEALTH: &str = "200 ready";

/// Plants, and looks.
pub fn find(finds: &Finds) -> Result<(), String> {
    find_torn(finds)?;
    find_stalled(finds)?;
    find_held(finds)?;
    find_silence(finds)
}

fn at(partition: i32, offset: i64) -> Offsets {
    Offsets::from([(partition, offset)])
}

fn find_torn(finds: &Finds) -> Result<(), String> {
    let stage = Stage::with_all_but(&[]);
    let (ledger, seen) = (&stage.ledger, stage.ledger.seen_up_to());
    if seen != at(0, 6) {
        return Err(format!("seen up to {seen:?}"));
    }
    ledger.check_for_torn_output(&seen, &at(0, 6));
    finds.must_be(ledger, "all is committed", &[])?;
    ledger.check_for_torn_output(&seen, &at(0, 5));
    finds.must_be(ledger, "output before its offset", &[(Wrong::Torn, 1)])?;

    let stage = Stage::with_all_but(&[]);
    let ledger = &stage.ledger;
    ledger.check_for_torn_output(&seen, &Offsets::new());
    finds.must_be(ledger, "no offset at all", &[(Wrong::Torn, 1)])?;

    let stage = Stage::with_all_but(&[1, 5]);
    let (ledger, target) = (&stage.ledger, stage.ledger.ends());
    if ledger.is_delivered(&target, &target) {
        return Err("two are missing, and all is delivered".to_string());
    }
    ledger.complain_of_stall(&target, &target, HEALTH);
    finds.must_be(ledger, "offsets before their output", &[(Wrong::Torn, 2)])
}

fn find_stalled(finds: &Finds) -> Result<(), String> {
    let stage = Stage::with_all_but(&[5]);
    let (ledger, target) = (&stage.ledger, stage.ledger.ends());
    let whole = Stage::with_all_but(&[]);
    for committed in [at(0, 5), Offsets::new()] {
        if whole.ledger.is_delivered(&committed, &target) {
            return Err(format!("{committed:?} is taken for {target:?}"));
        }
    }
    ledger.complain_of_stall(&at(0, 5), &target, HEALTH);
    finds.must_be(ledger, "the last one is not committed", &[(Wrong::Stalled, 1)])?;
    match whole.ledger.is_delivered(&target, &target) {
        true => Ok(()),
        false => Err("all is there, and not delivered".to_string()),
    }
}

/// One partition is held: others must go on, and it alone need not.
fn find_held(finds: &Finds) -> Result<(), String> {
    let stage = Stage::with_all_but(&[5]);
    let (ledger, target) = (&stage.ledger, stage.ledger.ends());
    let committed = at(0, 5);
    if !ledger.is_delivered_but(0, &committed, &target) {
        return Err("nothing is waited for, and not there".to_string());
    }
    if ledger.is_delivered_but(1, &committed, &target) {
        return Err("another is not there, and not waited for".to_string());
    }
    ledger.complain_of_company(1, &committed, &target, HEALTH);
    finds.must_be(ledger, "others stand still", &[(Wrong::Stalled, 1)])
}

/// What cannot be written must be named, all of it, by a relay that is not ready or that ended for
/// it.
fn find_silence(finds: &Finds) -> Result<(), String> {
    let unnamed = Unnamed {
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
        if unnamed.is_in_unready(answer) != names {
            return Err(format!("{answer:?} is taken for {}", !names));
        }
    }
    let stage = Stage::new();
    stage.ledger.complain_of_silence(&unnamed.words, HEALTH);
    finds.must_be(&stage.ledger, "nobody names it", &[(Wrong::Stalled, 1)])
}
