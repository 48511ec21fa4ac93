//! State changes as real serializers write them (recorded by `recorded/framings.py`): each is
//! judged exactly like its content.

use std::collections::BTreeMap;

use audit_cases::case;
use audit_judge::fate::Fate;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

const RECORDED: &str = include_str!("../recorded/framings.jsonl");

/// One recorded state change.
#[derive(Deserialize)]
struct Recorded {
    /// The name of the case.
    example: String,
    framing: String,
    /// The same state change without framing.
    plain: String,
    /// The value of the record, in base64.
    value: String,
}

#[test]
fn framed_records_are_judged_by_their_content() {
    let mut audited: BTreeMap<String, usize> = BTreeMap::new();
    for line in RECORDED.lines() {
        let recorded: Recorded = serde_json::from_str(line).expect("a line");
        let Recorded { example, framing, .. } = &recorded;
        let setup = case(example).setup();
        let value = STANDARD.decode(&recorded.value).expect("base64");
        let fate = setup.judge(Some(&value));
        let plain = setup.judge(Some(recorded.plain.as_bytes()));
        assert_eq!(fate, plain, "{example} as {framing}");
        let count = audited.entry(framing.clone()).or_default();
        *count += usize::from(matches!(fate, Fate::Audited(_)));
    }
    assert_eq!(audited.len(), 4, "{audited:?}");
    assert!(audited.values().all(|count| *count >= 5), "{audited:?}");
}

/// Also covers other attributes and base64 data, which the cases contain.
#[test]
fn a_framed_example_has_the_event_of_the_plain_one() {
    let plain = &case("power-on").outcome;
    assert_eq!(plain["fate"], "audited");
    for framed in
        ["framed-by-a-schema-registry", "cloud-event-structured", "cloud-event-with-base64"]
    {
        assert_eq!(&case(framed).outcome, plain, "{framed}");
    }
}
