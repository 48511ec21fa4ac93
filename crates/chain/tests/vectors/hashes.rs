//! Hashes, and the headers that carry them.

use audit_chain::hash::leaf::{Event, leaf};
use audit_chain::hash::{genesis, seal_genesis, step};
use audit_chain::header::{ChainHeader, HEADER_NAME};
use audit_chain::{Digest, Number};
use serde_json::Value;

use crate::json::{assert_refused, assert_texts, bytes, hex, list, number, parse, parsed, text};

/// Compares a digest with the vector's, in both forms, and with the hash of its preimage.
#[track_caller]
fn assert_digest(digest: Digest, case: &Value) {
    assert_eq!(digest.as_bytes()[..], hex(text(case, "sha256")), "{case}");
    assert_eq!(digest.to_string(), text(case, "text"));
    assert_eq!(digest, Digest::of(&hex(text(case, "preimage"))));
}

fn big(value: &Value) -> Number {
    Number::new(number(value)).expect("below 2^63")
}

#[test]
fn geneses() {
    for case in list("/hash/genesis") {
        assert_digest(genesis(&parse(case, "origin"), &parse(case, "stream")), case);
    }
    for case in list("/hash/seal_genesis") {
        let last = case["last"].as_str().map(parsed::<Digest>);
        let digest = seal_genesis(&parse(case, "origin"), &parse(case, "set"), last.as_ref());
        assert_digest(digest.expect("linked as it must be"), case);
    }
}

#[test]
fn leaves() {
    for case in list("/hash/leaf") {
        let (key, value) = (bytes(&case["key"]), bytes(&case["value"]));
        let event = Event {
            source: parse(case, "source"),
            timestamp_ms: case["timestamp_ms"].as_i64().expect("a time"),
            key: key.as_deref(),
            value: value.as_deref(),
        };
        let headers = case["headers"].as_array().expect("a list").iter();
        let headers = headers.map(|pair| (bytes(&pair[0]).expect("a name"), bytes(&pair[1])));
        let headers: Vec<_> = headers.collect();
        let headers = headers.iter().map(|(name, value)| (name.as_slice(), value.as_deref()));
        assert_digest(leaf(&event, headers).expect("short parts"), case);
    }
}

#[test]
fn parts_have_their_lengths_before_them() {
    // The only part of a leaf that differs is its key, which ends where the null value begins.
    let source = parsed("0.0");
    for case in list("/hash/lp") {
        let key = bytes(&case["part"]);
        let event = Event { source, timestamp_ms: 0, key: key.as_deref(), value: None };
        let preimage = [&hex("0000000003302e300000000000000000"), &hex(text(case, "bytes"))[..]];
        let preimage = [&preimage.concat(), &hex("ffffffff00000000")[..]].concat();
        assert_eq!(leaf(&event, [].into_iter()), Ok(Digest::of(&preimage)));
    }
}

#[test]
fn steps() {
    for case in list("/hash/step") {
        let number = big(&case["number"]);
        assert_digest(step(number, &parse(case, "head"), &parse(case, "leaf")), case);
        let Some(header) = case["header"].as_str() else { continue };
        let header: ChainHeader = parsed(header);
        assert_eq!((header.number, header.previous), (number, parse(case, "head")));
    }
}

#[test]
fn digests() {
    assert_texts::<Digest>("/hash/digest/valid");
    assert_refused("/hash/digest/invalid", |text| text.parse::<Digest>());
}

#[test]
fn headers() {
    assert_eq!(HEADER_NAME, "audit-chain");
    for case in list("/header/valid") {
        let header = ChainHeader {
            stream: parse(case, "stream"),
            number: big(&case["number"]),
            source: parse(case, "source"),
            previous: parse(case, "previous"),
        };
        assert_eq!(header.to_string(), text(case, "text"));
        assert_eq!(ChainHeader::bytes_max(&header.stream), number::<usize>(&case["bytes_max"]));
        assert_eq!(ChainHeader::parse(text(case, "text").as_bytes()), Ok(header));
    }
    for case in list("/header/invalid") {
        let read = ChainHeader::parse(&hex(text(case, "hex")));
        assert!(read.is_err(), "{}: {read:?}", text(case, "reason"));
    }
}
