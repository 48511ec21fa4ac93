//! Seals: made from their fields, and read from their texts.

use std::collections::BTreeMap;

use audit_chain::Number;
use audit_chain::key::PublicKey;
use audit_chain::name::StreamName;
use audit_chain::note::{Note, sign};
use audit_chain::seal::{After, Counts, Extension, Gap, Head, Input, Seal, Writer};
use serde_json::Value;

use crate::json::{assert_refused, list, number, parse, parse_all, parsed, text};
use crate::keys::key;

fn big(value: &Value) -> Number {
    Number::new(number(value)).expect("below 2^63")
}

fn inner(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn seal(case: &Value) -> Seal {
    let config = u64::from_str_radix(text(case, "config"), 16).expect("hexadecimal");
    let writer = Writer::new(text(case, "group"), text(case, "instance"), config);
    let after = case["after"].as_array().map(|after| After {
        set: parsed(inner(&after[0])),
        seal: big(&after[1]),
        digest: parsed(inner(&after[2])),
    });
    let extensions = case["extensions"].as_array().expect("a list").iter();
    Seal {
        origin: parse(case, "origin"),
        set: parse(case, "set"),
        partitions: big(&case["partitions"]),
        number: big(&case["number"]),
        previous: parse(case, "prev"),
        input: Input { start: big(&case["start"]), end: big(&case["end"]) },
        counts: Counts {
            read: big(&case["read"]),
            events: big(&case["events"]),
            skipped: big(&case["skipped"]),
            quarantined: big(&case["quarantined"]),
        },
        writer: writer.expect("named"),
        time: parse(case, "time"),
        after,
        resumed: case["resumed"].as_str().map(parsed),
        gaps: case["gaps"].as_array().expect("a list").iter().map(gap).collect(),
        extensions: extensions
            .map(|line| Extension::new(inner(&line[0]), inner(&line[1])).expect("a line"))
            .collect(),
        heads: heads(&case["heads"]),
        next_key: case["next_key"].as_str().map(parsed),
    }
}

fn gap(gap: &Value) -> Gap {
    Gap { start: big(&gap[0]), end: big(&gap[1]), cause: parsed(inner(&gap[2])) }
}

fn heads(heads: &Value) -> BTreeMap<StreamName, Head> {
    let heads = heads.as_array().expect("a list").iter().map(|head| {
        let partition = Some(&head[3]).filter(|partition| !partition.is_null()).map(big);
        let digest = parsed(inner(&head[2]));
        (parsed(inner(&head[0])), Head { size: big(&head[1]), digest, partition })
    });
    heads.collect()
}

#[test]
fn seals() {
    for case in list("/seal/valid") {
        let (name, seal) = (text(case, "name"), seal(case));
        assert_eq!(seal.text().as_deref(), Ok(text(case, "text")), "{name}");
        assert_eq!(text(case, "text").parse(), Ok(seal.clone()), "{name}");
        assert_eq!(seal.digest(), Ok(parse(case, "digest")), "{name}");
        let known: Vec<PublicKey> = parse_all(&case["vkeys"]);
        let keys: Vec<_> = known.iter().map(|known| key(&known.to_string())).collect();
        let note = sign(text(case, "text"), &keys.iter().collect::<Vec<_>>()).expect("a note");
        assert_eq!(note, text(case, "note"), "{name}");
        let note = Note::split(note.as_bytes()).expect("a note");
        assert_eq!(note.verify(&known), Ok(known.iter().collect()));
    }
}

#[test]
fn what_is_not_a_seal_is_refused() {
    assert_refused("/seal/invalid", |text| text.parse::<Seal>());
}
