//! Plants output that is missing, doubled, late, for nothing, of nothing, or gone with its topic;
//! and a load that is not what it says.

use super::Finds;
use super::stage::{LAST, MALFORMED, SKIPPED, Stage, id};
use crate::complaints::Wrong;
use crate::ledger::{Gone, Ledger, Offsets};

/// Plants, and looks.
pub fn find(finds: &Finds) -> Result<(), String> {
    let must_be = |stage: &Stage, what: &str, expected: &[(Wrong, u64)]| {
        let ledger = &stage.ledger;
        ledger.complain_of_missing(&ledger.ends(), Wrong::Lost);
        finds.must_be(ledger, what, expected)
    };
    must_be(&Stage::with_all_but(&[]), "nothing", &[])?;
    let stage = Stage::with_all_but(&[1, MALFORMED]);
    must_be(&stage, "two are missing", &[(Wrong::Lost, 2)])?;

    let stage = Stage::with_all_but(&[]);
    stage.see_right(0);
    must_be(&stage, "one is there twice", &[(Wrong::Doubled, 1)])?;

    let stage = Stage::with_all_but(&[1]);
    stage.see_right(1);
    must_be(&stage, "one is late", &[(Wrong::Reordered, 1)])?;

    let stage = Stage::with_all_but(&[]);
    stage.see(&stage.event(SKIPPED));
    must_be(&stage, "audited for nothing", &[(Wrong::Decision, 1)])?;

    let stage = Stage::with_all_but(&[MALFORMED, LAST]);
    let mut quarantined = stage.quarantined(MALFORMED, false);
    quarantined.set_header("audit-relay-reason", "unknown_device")?;
    stage.see(&quarantined);
    stage.see_right(LAST);
    must_be(&stage, "for another reason", &[(Wrong::Decision, 1)])?;

    let stage = Stage::with_all_but(&[]);
    let mut stranger = stage.event(0);
    stranger.replace("\"correlationId\":\"0\"", "\"correlationId\":\"17\"")?;
    stage.see(&stranger);
    must_be(&stage, "from nowhere", &[(Wrong::Unexpected, 1)])?;

    let stage = Stage::with_all_but(&[1]);
    let mut twin = stage.event(1);
    twin.replace(&id(1), &id(0))?;
    twin.set_header("id", &id(0))?;
    stage.see(&twin);
    let found = [(Wrong::SharedId, 1), (Wrong::Reordered, 1)];
    must_be(&stage, "one id for two", &found)?;

    let stage = Stage::with_all_but(&[]);
    let mut again = stage.event(3);
    again.replace(&id(3), &id(9))?;
    again.set_header("id", &id(9))?;
    stage.see(&again);
    let found = [(Wrong::Doubled, 1), (Wrong::Changed, 1)];
    must_be(&stage, "two ids for one", &found)?;

    // What may have gone with its topic is no loss; what was written after it was deleted is.
    let stage = Stage::with_all_but(&[1, 3]);
    stage.ledger.add_gone(Gone {
        region: stage.device.region,
        from: Offsets::from([(0, 1)]),
        to: Offsets::from([(0, 3)]),
    });
    must_be(&stage, "one is gone, one is lost", &[(Wrong::Lost, 1)])?;
    find_new_partition(finds)?;
    find_false_load(finds)
}

/// A device may have another partition in a topic that was made anew, and in no other.
fn find_new_partition(finds: &Finds) -> Result<(), String> {
    for is_new in [false, true] {
        let stage = Stage::with_all_but(&[3]);
        if is_new {
            stage.ledger.add_gone(Gone {
                region: stage.device.region,
                from: Offsets::new(),
                to: Offsets::new(),
            });
        }
        let mut moved = stage.event(3);
        moved.partition = 2;
        stage.see(&moved);
        let found = [(Wrong::Misrouted, 1)];
        let expected = if is_new { &[][..] } else { &found };
        finds.must_be(&stage.ledger, "in another partition", expected)?;
    }
    Ok(())
}

/// The brokers have put a record elsewhere than the load believes.
fn find_false_load(finds: &Finds) -> Result<(), String> {
    let stage = Stage::new();
    let ledger: &Ledger = &stage.ledger;
    let again = ledger.expect(stage.expected(SKIPPED));
    ledger.delivered(again, 0, 17);
    finds.must_be(ledger, "at another offset", &[(Wrong::Unexpected, 1)])
}
