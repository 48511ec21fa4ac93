//! Committed states.

use audit_chain::Number;
use audit_chain::state::{Chain, EncodeError, MetadataKey, State, StateError};
use serde_json::Value;

use crate::json::{hex, list, number, parse, parse_all, parsed, text};
use crate::keys::key;

fn big(value: &Value) -> Number {
    Number::new(number(value)).expect("below 2^63")
}

fn state(case: &Value) -> State {
    let streams = case["streams"].as_array().expect("a list").iter().map(|stream| {
        let inner = |at: usize| stream[at].as_str().expect("a text");
        (parsed(inner(0)), Chain { size: big(&stream[1]), head: parsed(inner(2)) })
    });
    State {
        next_offset: big(&case["next_offset"]),
        next_seal: big(&case["next_seal"]),
        last_seal: parse(case, "last_seal"),
        sealed_at: parse(case, "sealed_at"),
        next_key_announced: case["announced"].as_bool().expect("a flag"),
        streams: streams.collect(),
    }
}

fn metadata_keys(vkeys: &Value) -> Vec<MetadataKey> {
    let vkeys: Vec<String> = parse_all(vkeys);
    vkeys.iter().map(|vkey| MetadataKey::derive(&key(vkey))).collect()
}

#[test]
fn states() {
    for case in list("/state/valid") {
        let (origin, set) = (parse(case, "origin"), parse(case, "set"));
        let key = MetadataKey::derive(&key(text(case, "vkey")));
        let encoded = state(case).encode(&origin, &set, &key);
        assert_eq!(encoded.as_deref(), Ok(text(case, "text")), "{}", text(case, "name"));
        let decoded = State::decode(text(case, "text"), &origin, &set, &[key]);
        assert_eq!(decoded, Ok(state(case)), "{}", text(case, "name"));
        let bytes = hex(text(case, "body")).len() + hex(text(case, "tag")).len();
        assert_eq!(text(case, "text").len(), 4 + (bytes * 4).div_ceil(3));
    }
}

fn error_name(error: StateError) -> &'static str {
    match error {
        StateError::Missing => "missing",
        StateError::NotOurs => "not-ours",
        StateError::OtherVersion(_) => "other-version",
        StateError::UnknownKey(_) => "unknown-key",
        StateError::FalseTag => "false-tag",
        StateError::OtherOrigin => "other-origin",
        StateError::OtherSet => "other-set",
        StateError::Malformed => "malformed",
    }
}

#[test]
fn what_is_not_the_state_is_refused_by_name() {
    for case in list("/state/invalid") {
        let (origin, set) = (parse(case, "origin"), parse(case, "set"));
        let decoded =
            State::decode(text(case, "text"), &origin, &set, &metadata_keys(&case["vkeys"]));
        let error = decoded.map_err(error_name);
        assert_eq!(error, Err(text(case, "error")), "{}", text(case, "reason"));
    }
}

#[test]
fn what_does_not_fit_says_how_much_does() {
    for case in list("/state/too_long") {
        let state = state(&case["state"]);
        let (given, fitting) = (state.streams.len(), number(&case["fitting"]));
        let vkey = list("/state/valid")[0]["vkey"].as_str().expect("a vkey");
        let key = MetadataKey::derive(&key(vkey));
        let encoded = state.encode(&parsed("a"), &parsed("b/0#1"), &key);
        assert_eq!(encoded, Err(EncodeError::TooManyStreams { given, fitting }));
    }
}
