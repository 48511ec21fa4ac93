//! States: that they are read as they were written, and that no change and no other place passes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;

use super::*;
use crate::key::SigningKey;

fn origin(text: &str) -> Origin {
    text.parse().expect(text)
}

fn set(text: &str) -> Set {
    text.parse().expect(text)
}

fn key(seed: u8) -> MetadataKey {
    MetadataKey::derive(&SigningKey::from_seed(origin("a"), &[seed; 32]))
}

/// A state with this many streams, with names of this length.
fn state(streams: usize, length: usize) -> State {
    let chain = |at: usize| {
        let name = format!("{at:0length$}").parse().expect("a name");
        (name, Chain { size: (at as u32 + 1).into(), head: Digest::of(b"head") })
    };
    State {
        next_offset: 9_183.into(),
        next_seal: 4_712.into(),
        last_seal: Digest::of(b"seal"),
        sealed_at: Time::from_epoch_ms(1_795_331_703_120).expect("a time"),
        next_key_announced: false,
        streams: (0..streams).map(chain).collect(),
    }
}

fn encode(state: &State) -> String {
    state.encode(&origin("a"), &set("b/7#1"), &key(1)).expect("it fits")
}

fn decode(text: &str) -> Result<State, StateError> {
    State::decode(text, &origin("a"), &set("b/7#1"), &[key(2), key(1)])
}

#[test]
fn as_many_streams_fit_as_said() {
    for (length, most) in [(14, 54), (25, 45)] {
        let text = encode(&state(most, length));
        assert!(text.len() <= MAX_CHARACTERS, "{}", text.len());
        let more = state(most + 1, length).encode(&origin("a"), &set("b/7#1"), &key(1));
        let error = EncodeError::TooManyStreams { given: most + 1, fitting: most };
        assert_eq!(more, Err(error));
    }
}

#[test]
fn sizes_have_48_bits() {
    for (size, is_good) in [(0, false), (1, true), (SIZE_MAX, true), (SIZE_MAX + 1, false)] {
        let mut state = state(1, 1);
        state.streams.values_mut().for_each(|chain| {
            chain.size = Number::new(size).expect("below 2^63");
        });
        let text = state.encode(&origin("a"), &set("b/7#1"), &key(1));
        assert_eq!(text.is_ok(), is_good, "{size}");
        assert_eq!(text.is_ok_and(|text| decode(&text) == Ok(state)), is_good, "{size}");
    }
}

#[test]
fn each_failure_has_its_name() {
    let text = encode(&state(2, 9));
    let (a, b) = (origin("a"), set("b/7#1"));
    assert_eq!(decode(""), Err(StateError::Missing));
    assert_eq!(decode("aj1."), Err(StateError::NotOurs));
    assert_eq!(decode("another string"), Err(StateError::NotOurs));
    assert_eq!(decode(&format!("aj1.{}", "A".repeat(4_000))), Err(StateError::NotOurs));
    assert_eq!(decode(&text.replace("aj1.AQ", "aj1.Ag")), Err(StateError::OtherVersion(2)));
    let unknown = State::decode(&text, &a, &b, &[key(2)]);
    assert_eq!(unknown, Err(StateError::UnknownKey(key(1).id())));
    let elsewhere = |origin: &Origin, set: &Set| State::decode(&text, origin, set, &[key(1)]);
    assert_eq!(elsewhere(&origin("b"), &b), Err(StateError::OtherOrigin));
    for other in ["b/8#1", "b/7#2", "c/7#1"] {
        assert_eq!(elsewhere(&a, &set(other)), Err(StateError::OtherSet), "{other}");
    }
    assert!(elsewhere(&a, &b).is_ok());
}

/// Changes bytes and tags them again, as only the writer can.
#[track_caller]
fn assert_malformed(change: impl FnOnce(&mut Vec<u8>)) {
    let text = encode(&state(2, 2));
    let encoded = text.strip_prefix(PREFIX).expect("the prefix");
    let mut bytes = URL_SAFE_NO_PAD.decode(encoded).expect("Base64");
    bytes.truncate(bytes.len() - TAG_BYTES);
    change(&mut bytes);
    let tag = key(1).tag(&bytes);
    bytes.extend(tag);
    let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
    assert_eq!(decode(&text), Err(StateError::Malformed));
}

#[test]
fn a_tag_does_not_excuse_the_form() {
    assert_malformed(|bytes| bytes[1] = 2);
    assert_malformed(|bytes| bytes[26] = 0x80);
    assert_malformed(|bytes| bytes[34] = 0x80);
    assert_malformed(|bytes| bytes[74] = 1);
    assert_malformed(|bytes| bytes[87] = 1);
    assert_malformed(|bytes| bytes[87] = 3);
    assert_malformed(|bytes| bytes[89] = b'A');
    assert_malformed(|bytes| bytes[90] = b'1');
    assert_malformed(|bytes| bytes[90] = b'2');
    assert_malformed(|bytes| bytes[88] = 3);
    assert_malformed(|bytes| bytes[96] = 0);
    assert_malformed(|bytes| bytes.push(0));
    assert_malformed(|bytes| bytes.truncate(bytes.len() - 1));
}

#[test]
fn keys_are_not_printed() {
    assert_eq!(format!("{:?}", key(1)), format!("MetadataKey(of {})", key(1).id()));
}

/// 9999-12-31T23:59:59.999Z.
const LAST_MS: u64 = 253_402_300_799_999;

fn any_state() -> impl Strategy<Value = State> {
    let number = || (0..=Number::MAX.get()).prop_map(|it| Number::new(it).expect("below 2^63"));
    let size = (1..=SIZE_MAX).prop_map(|size| Number::new(size).expect("below 2^63"));
    let name = "[a-z0-9-]{1,30}|~quarantine|~state".prop_map(|name| name.parse().expect("a name"));
    let head = any::<[u8; 32]>().prop_map(Digest::new);
    let chain = (size, head).prop_map(|(size, head)| Chain { size, head });
    let streams = prop::collection::btree_map(name, chain, 0..20);
    let seal = any::<[u8; 32]>().prop_map(Digest::new);
    let sealed_at = (0..=LAST_MS).prop_map(|ms| Time::from_epoch_ms(ms).expect("a time"));
    (number(), number(), seal, sealed_at, any::<bool>(), streams).prop_map(
        |(next_offset, next_seal, last_seal, sealed_at, next_key_announced, streams)| State {
            next_offset,
            next_seal,
            last_seal,
            sealed_at,
            next_key_announced,
            streams,
        },
    )
}

proptest! {
    #[test]
    fn is_read_as_it_was_written(state in any_state()) {
        let text = encode(&state);
        prop_assert!(text.len() <= MAX_CHARACTERS && text.is_ascii());
        prop_assert_eq!(decode(&text), Ok(state));
    }

    #[test]
    fn no_changed_byte_passes(
        state in any_state(), at in any::<prop::sample::Index>(), bits in 1..128_u8
    ) {
        let mut text = encode(&state).into_bytes();
        let at = at.index(text.len());
        text[at] ^= bits;
        let text = String::from_utf8(text).expect("ASCII");
        prop_assert!(decode(&text).is_err(), "{}", text);
    }

    #[test]
    fn nothing_that_is_cut_or_added_passes(
        state in any_state(), at in any::<prop::sample::Index>(), more in "[A-Za-z0-9_-]{1,5}"
    ) {
        let text = encode(&state);
        let at = at.index(text.len());
        prop_assert!(decode(&text[..at]).is_err());
        let (before, after) = text.split_at(at);
        let longer = format!("{before}{more}{after}");
        prop_assert!(decode(&longer).is_err());
    }
}
