//! Plants events with one wrong part: each part, one at a time.

use super::Caught;
use super::fixture::{Fixture, PlantedRecord, id};
use crate::ledger::OutputTopic;
use crate::violations::Violation;

/// A text in the event of record 1, and the text that is planted instead.
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

/// A name, a change of the output of record 1, and the violation that must be found.
type Case = (&'static str, fn(&mut PlantedRecord) -> Result<(), String>, Violation);

const CASES: [Case; 13] = [
    ("another id in the header", |record| record.set_header("id", &id(7)), Violation::Changed),
    (
        "a UUID of version 4",
        |record| {
            let other = id(1).replace("-5c11-", "-4c11-");
            record.replace(&id(1), &other)?;
            record.set_header("id", &other)
        },
        Violation::Changed,
    ),
    (
        "an id that is no UUID",
        |record| {
            record.replace(&id(1), "1")?;
            record.set_header("id", "1")
        },
        Violation::Changed,
    ),
    (
        "no headers",
        |record| {
            record.headers.clear();
            Ok(())
        },
        Violation::Changed,
    ),
    (
        "a missing header",
        |record| {
            record.headers.retain(|(name, _)| name != "location");
            Ok(())
        },
        Violation::Changed,
    ),
    (
        "an additional header",
        |record| {
            record.headers.push(("more".to_string(), Vec::new()));
            Ok(())
        },
        Violation::Changed,
    ),
    ("another type", |record| record.set_header("type", "data"), Violation::Changed),
    ("another account", |record| record.set_header("account", "1"), Violation::Changed),
    (
        "another region in the header",
        |record| record.set_header("region", "eu-de"),
        Violation::Changed,
    ),
    (
        "no timestamp",
        |record| {
            record.timestamp_ms = None;
            Ok(())
        },
        Violation::Changed,
    ),
    (
        "the time of the event as timestamp",
        |record| {
            record.timestamp_ms = record.timestamp_ms.map(|stamp_ms| stamp_ms - 70);
            Ok(())
        },
        Violation::Changed,
    ),
    (
        "another key",
        |record| {
            record.key = "1000001".to_string();
            Ok(())
        },
        Violation::Misrouted,
    ),
    (
        "another partition",
        |record| {
            record.partition = 1;
            Ok(())
        },
        Violation::Misrouted,
    ),
];

/// Plants each fault, and checks what is found.
pub fn find(caught: &Caught) -> Result<(), String> {
    for (from, to) in TEXTS {
        must_find(caught, to, Violation::Changed, |record| record.replace(from, to))?;
    }
    for (what, corrupt, violation) in CASES {
        must_find(caught, what, violation, corrupt)?;
    }
    must_find(caught, "another region", Violation::Misrouted, |record| {
        record.output = OutputTopic::Region(1);
        Ok(())
    })
}

fn must_find(
    caught: &Caught,
    what: &str,
    violation: Violation,
    corrupt: impl Fn(&mut PlantedRecord) -> Result<(), String>,
) -> Result<(), String> {
    let fixture = Fixture::new();
    let mut event = fixture.event(1);
    corrupt(&mut event)?;
    fixture.observe_expected(0);
    fixture.observe(&event);
    (2..6).for_each(|number| fixture.observe_expected(number));
    let ledger = &fixture.ledger;
    ledger.add_missing(&ledger.ends(), Violation::Lost);
    caught.must_be(ledger, what, &[(violation, 1)])
}
