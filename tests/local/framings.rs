//! State changes as the real serializers put them on a topic (`tests/recorded/framings.py` made
//! them): each is judged as what stands in it, byte for byte.

use std::collections::BTreeMap;

use audit_judge::fate::Fate;
use audit_judge::judge;
use audit_relay::deployment::Assembly;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::golden::cases;

const RECORDED: &str = include_str!("../recorded/framings.jsonl");

/// One state change, as it was written.
#[derive(Deserialize)]
struct Recorded {
    /// The example of `schemas/examples` that was written.
    example: String,
    framing: String,
    /// What a producer writes that frames nothing.
    plain: String,
    /// The value of the record, in base64.
    value: String,
}

#[test]
fn what_serializers_write_is_judged_as_what_stands_in_it() {
    let cases = cases();
    let mut audited: BTreeMap<String, usize> = BTreeMap::new();
    for line in RECORDED.lines() {
        let recorded: Recorded = serde_json::from_str(line).expect("a line");
        let Recorded { example, framing, .. } = &recorded;
        let case = cases.iter().find(|case| case.name == *example);
        let assembly = case.expect("an example").assembly();
        let Assembly { rules, directory, .. } = &assembly;
        let value = STANDARD.decode(&recorded.value).expect("base64");
        let fate = judge(Some(&value), rules, || directory);
        let plain = judge(Some(recorded.plain.as_bytes()), rules, || directory);
        assert_eq!(fate, plain, "{example} as {framing}");
        let count = audited.entry(framing.clone()).or_default();
        *count += usize::from(matches!(fate, Fate::Audited(_)));
    }
    assert_eq!(audited.len(), 4, "{audited:?}");
    assert!(audited.values().all(|count| *count >= 5), "{audited:?}");
}

/// The same with other attributes, and with data in base64, beside the examples that show them.
#[test]
fn a_framed_example_gives_the_event_of_the_plain_one() {
    let cases = cases();
    let outcome = |name: &str| {
        let case = cases.iter().find(|case| case.name == name);
        case.expect(name).outcome().clone()
    };
    let plain = outcome("power-on");
    assert_eq!(plain["fate"], "audited");
    for framed in
        ["framed-by-a-schema-registry", "cloud-event-structured", "cloud-event-with-base64"]
    {
        assert_eq!(outcome(framed), plain, "{framed}");
    }
}
