//! Any input at all: no reader panics, and what a reader accepts is what the writer writes.

use std::fmt::Debug;
use std::str::FromStr;

use audit_chain::anchor::{Anchor, split_file};
use audit_chain::header::ChainHeader;
use audit_chain::key::{PublicKey, SigningKey};
use audit_chain::name::{Origin, Set, Source, Stream, StreamName};
use audit_chain::note::Note;
use audit_chain::seal::{Reason, Seal, Writer};
use audit_chain::state::State;
use audit_chain::time::Time;
use audit_chain::trust::Trust;
use audit_chain::{Digest, Number};
use proptest::prelude::*;
use serde_json::Value;

use crate::json::{list, parsed, text};

/// Every text that is read is written the same.
fn check<T: FromStr + ToString + Debug>(text: &str) {
    if let Ok(read) = text.parse::<T>() {
        assert_eq!(read.to_string(), text, "{read:?}");
    }
}

fn check_seal(text: &str) {
    if let Ok(read) = text.parse::<Seal>() {
        assert_eq!(read.text().as_deref(), Ok(text), "{read:?}");
    }
}

fn check_all(bytes: &[u8]) {
    let _ = (Note::split(bytes), split_file(bytes), ChainHeader::parse(bytes));
    let text = String::from_utf8_lossy(bytes);
    check::<Number>(&text);
    check::<Digest>(&text);
    check::<Time>(&text);
    check::<Origin>(&text);
    check::<Set>(&text);
    check::<Source>(&text);
    check::<Stream>(&text);
    check::<StreamName>(&text);
    check::<ChainHeader>(&text);
    check::<PublicKey>(&text);
    check::<Writer>(&text);
    check::<Reason>(&text);
    check::<Anchor>(&text);
    check_seal(&text);
    let _ = text.parse::<Trust>();
    let (origin, set) = (parsed("a"), parsed("b/0#1"));
    let _ = (State::decode(&text, &origin, &set, &[]), SigningKey::from_pem(origin, &text));
}

/// Every text with one byte left out, one byte doubled, and cut off at every place.
fn neighbours(text: &str) -> impl Iterator<Item = Vec<u8>> + '_ {
    let bytes = text.as_bytes();
    (0..bytes.len()).flat_map(move |at| {
        let (before, after) = bytes.split_at(at);
        let without = [before, &after[1..]].concat();
        let doubled = [before, &after[..1], after].concat();
        [without, doubled, before.to_vec()]
    })
}

fn texts(path: &str, key: &str) -> impl Iterator<Item = &'static str> {
    list(path).iter().map(move |case: &Value| text(case, key))
}

#[test]
fn nothing_near_a_seal_is_read_as_another_text() {
    for seal in texts("/seal/valid", "text") {
        for near in neighbours(seal) {
            check_seal(&String::from_utf8(near).expect("ASCII"));
        }
    }
}

#[test]
fn nothing_near_an_anchor_or_a_header_is_read_as_another_text() {
    for anchor in texts("/anchor/valid", "text") {
        for near in neighbours(anchor) {
            check::<Anchor>(&String::from_utf8(near).expect("ASCII"));
        }
    }
    for header in texts("/header/valid", "text") {
        for near in neighbours(header) {
            check::<ChainHeader>(&String::from_utf8(near).expect("ASCII"));
        }
    }
}

#[test]
fn nothing_near_a_vkey_is_a_key() {
    for vkey in texts("/key/valid", "vkey") {
        for near in neighbours(vkey) {
            let near = String::from_utf8(near).expect("ASCII");
            assert!(near.parse::<PublicKey>().is_err(), "{near}");
        }
    }
}

#[test]
fn nothing_near_a_note_is_signed() {
    for case in list("/seal/valid").iter().take(2) {
        let known: Vec<PublicKey> = crate::json::parse_all(&case["vkeys"]);
        for near in neighbours(text(case, "note")) {
            let verified = Note::split(&near).and_then(|note| note.verify(&known).map(|_| ()));
            assert!(verified.is_err(), "{}", String::from_utf8_lossy(&near));
        }
    }
}

proptest! {
    #[test]
    fn no_reader_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check_all(&bytes);
    }

    #[test]
    fn no_reader_panics_at_texts(text in "([ -~]|\n|\u{2014}|é){0,200}") {
        check_all(text.as_bytes());
    }

    #[test]
    fn no_reader_panics_at_states(encoded in "[A-Za-z0-9_-]{0,400}") {
        check_all(format!("aj1.AQ{encoded}").as_bytes());
    }
}
