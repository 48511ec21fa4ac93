//! Plants events of which one part is wrong: each part, one at a time.

use super::Finds;
use super::stage::{Seen, Stage, id};
use crate::complaints::Wrong;
use crate::ledger::Place;

/// What stands in the event of record 1, and what is planted there.
const TEXTS: [(&str, &str); 22] = [
    ("cloud/audit/1.0/event", "cloud/audit/1.1/event"),
    ("\"activity\"", "\"monitor\""),
    (".12+0000", ".13+0000"),
    ("\"audit-log.bare-metal.power-on\"", "\"audit-log.bare-metal.power-off\""),
    ("\"success\"", "\"pending\""),
    ("\"severity\":\"normal\"", "\"severity\":\"critical\""),
    (": power-on bare-metal", ": power-off bare-metal"),
    ("IBMid-0006100001", "IBMid-0006100002"),
    ("user6100001@", "user6100002@"),
    ("account/user", "account/serviceid"),
    ("::bare-metal:1000000", "::bare-metal:1000001"),
    ("\"name\":\"web1000000\"", "\"name\":\"\""),
    ("\"audit-log/bare-metal\"", "\"audit-log/vsi\""),
    ("\"ActivityTracker\"", "\"Nobody\""),
    ("\"reasonCode\":200", "\"reasonCode\":201"),
    ("\"requestData\":{}", "\"requestData\":{\"a\":\"b\"}"),
    ("\"dataEvent\":false", "\"dataEvent\":true"),
    ("/307608:::", "/307609:::"),
    ("\"saveServiceCopy\":true", "\"saveServiceCopy\":false"),
    (",\"saveServiceCopy\":true", ",\"saveServiceCopy\":true,\"more\":1"),
    ("\"eventType\":\"activity\",", ""),
    ("\"requestData\":{}", "\"requestData\": {}"),
];

/// Spoils what is seen of record 1, and what must be found then.
type Case = (&'static str, fn(&mut Seen) -> Result<(), String>, Wrong);

const CASES: [Case; 13] = [
    ("another id in the header", |seen| seen.set_header("id", &id(7)), Wrong::Changed),
    (
        "a UUID of version 4",
        |seen| {
            let other = id(1).replace("-5c11-", "-4c11-");
            seen.replace(&id(1), &other)?;
            seen.set_header("id", &other)
        },
        Wrong::Changed,
    ),
    (
        "an id that is no UUID",
        |seen| {
            seen.replace(&id(1), "1")?;
            seen.set_header("id", "1")
        },
        Wrong::Changed,
    ),
    (
        "no header",
        |seen| {
            seen.headers.clear();
            Ok(())
        },
        Wrong::Changed,
    ),
    (
        "a header less",
        |seen| {
            seen.headers.retain(|(name, _)| name != "location");
            Ok(())
        },
        Wrong::Changed,
    ),
    (
        "a header more",
        |seen| {
            seen.headers.push(("more".to_string(), Vec::new()));
            Ok(())
        },
        Wrong::Changed,
    ),
    ("another type", |seen| seen.set_header("type", "data"), Wrong::Changed),
    ("another account", |seen| seen.set_header("account", "1"), Wrong::Changed),
    ("another region in the header", |seen| seen.set_header("region", "eu-de"), Wrong::Changed),
    (
        "no timestamp",
        |seen| {
            seen.timestamp_ms = None;
            Ok(())
        },
        Wrong::Changed,
    ),
    (
        "the time of the event as timestamp",
        |seen| {
            seen.timestamp_ms = seen.timestamp_ms.map(|stamp_ms| stamp_ms - 70);
            Ok(())
        },
        Wrong::Changed,
    ),
    (
        "another key",
        |seen| {
            seen.key = "1000001".to_string();
            Ok(())
        },
        Wrong::Misrouted,
    ),
    (
        "another partition",
        |seen| {
            seen.partition = 1;
            Ok(())
        },
        Wrong::Misrouted,
    ),
];

/// Plants, and looks.
pub fn find(finds: &Finds) -> Result<(), String> {
    for (from, to) in TEXTS {
        must_find(finds, to, Wrong::Changed, |seen| seen.replace(from, to))?;
    }
    for (what, spoil, wrong) in CASES {
        must_find(finds, what, wrong, spoil)?;
    }
    must_find(finds, "another region", Wrong::Misrouted, |seen| {
        seen.place = Place::Region(1);
        Ok(())
    })
}

fn must_find(
    finds: &Finds,
    what: &str,
    wrong: Wrong,
    spoil: impl Fn(&mut Seen) -> Result<(), String>,
) -> Result<(), String> {
    let stage = Stage::new();
    let mut event = stage.event(1);
    spoil(&mut event)?;
    stage.see_right(0);
    stage.see(&event);
    (2..6).for_each(|number| stage.see_right(number));
    let ledger = &stage.ledger;
    ledger.complain_of_missing(&ledger.ends(), Wrong::Lost);
    finds.must_be(ledger, what, &[(wrong, 1)])
}
