//! State changes as the real serializers put them on a topic (`recorded/framings.py` made them):
//! each is judged as what stands in it, byte for byte.

use std::collections::BTreeMap;

use audit_cases::case;
use audit_judge::fate::Fate;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

const RECORDED: &str = include_str!("../recorded/framings.jsonl");

/// One state change, as it was written.
#[derive(Deserialize)]
struct Recorded {
    /// The case that was written.
    example: String,
    framing: String,
    /// What a producer writes that frames nothing.
    plain: String,
    /// The value of the record, in base64.
    value: String,
}

#[test]
fn what_serializers_write_is_judged_as_what_stands_in_it() {
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

/// The same with other attributes, and with data in base64, beside the cases that show them.
#[test]
fn a_framed_example_gives_the_event_of_the_plain_one() {
    let plain = &case("power-on").outcome;
    assert_eq!(plain["fate"], "audited");
    for framed in
        ["framed-by-a-schema-registry", "cloud-event-structured", "cloud-event-with-base64"]
    {
        assert_eq!(&case(framed).outcome, plain, "{framed}");
    }
}
