//! Seals: that reading and writing are each other's inverse, and which seals contradict themselves.
//! The grammar is tested by the vectors.

use proptest::prelude::*;

use super::*;
use crate::hash::seal_genesis;
use crate::key::SigningKey;

const ORIGIN: &str = "audit.example.com/prod/infra";

fn number(value: u64) -> Number {
    Number::new(value).expect("below 2^63")
}

/// A seal of four messages: one audited with two events, one skipped, two quarantined.
fn seal() -> Seal {
    let origin: Origin = ORIGIN.parse().expect("an origin");
    let head = |size, partition: Option<u32>| Head {
        size: number(size),
        digest: Digest::of(b"head"),
        partition: partition.map(Number::from),
    };
    let name = |name: &str| name.parse::<StreamName>().expect(name);
    Seal {
        set: "infra.changes/7#1".parse().expect("a set"),
        partitions: number(12),
        number: number(3),
        previous: Digest::of(b"before"),
        input: Input { start: number(10), end: number(15) },
        counts: Counts {
            read: number(4),
            events: number(2),
            skipped: number(1),
            quarantined: number(2),
        },
        writer: Writer::new("group", "host-3", 7).expect("named"),
        time: Time::from_epoch_ms(1_795_331_703_120).expect("a time"),
        after: None,
        resumed: None,
        gaps: Vec::new(),
        extensions: Vec::new(),
        heads: BTreeMap::from([
            (name("eu-west-1"), head(48_216, Some(7))),
            (name("us-east-1"), head(2, None)),
            (name("~quarantine"), head(2, Some(0))),
        ]),
        next_key: None,
        origin,
    }
}

fn gap(start: u64, end: u64, cause: Cause) -> Gap {
    Gap { start: number(start), end: number(end), cause }
}

/// The first seal of the second epoch.
fn linked() -> Seal {
    let set: Set = "infra.changes/7#2".parse().expect("a set");
    let last = Digest::of(b"the last seal");
    let mut seal = seal();
    seal.number = Number::ZERO;
    seal.previous = seal_genesis(&seal.origin, &set, Some(&last)).expect("linked");
    let before = std::mem::replace(&mut seal.set, set);
    seal.after = Some(After { set: before, seal: number(99), digest: last });
    seal
}

#[track_caller]
fn assert_same(seal: &Seal) {
    let text = seal.text().expect("a text");
    assert_eq!(text.parse::<Seal>().as_ref(), Ok(seal), "{text}");
}

#[test]
fn is_read_as_it_was_written() {
    assert_same(&seal());
    assert_same(&linked());
    let mut whole = linked();
    whole.resumed = Some("topic-recreated".parse().expect("a reason"));
    whole.gaps = vec![gap(14, 15, Cause::Deleted)];
    let line = |word| Extension::new(word, "any text").expect("a line");
    whole.extensions = vec![line("b"), line("a"), line("a")];
    let key = SigningKey::from_seed(whole.origin.clone(), &[1; 32]);
    whole.next_key = Some(key.public().clone());
    assert_same(&whole);
    let mut silent = seal();
    (silent.input.end, silent.counts) = (silent.input.start, Counts::default());
    silent.heads = BTreeMap::new();
    assert_same(&silent);
}

#[test]
fn the_hash_is_that_of_the_text() {
    let seal = seal();
    let text = seal.text().expect("a text");
    assert_eq!(seal.digest(), Ok(Digest::of(text.as_bytes())));
}

/// Changes a good seal, and expects it to have no text. The same change in a text is not read
/// either: the vectors have one for each rule.
#[track_caller]
fn assert_contradiction(mut seal: Seal, change: impl FnOnce(&mut Seal)) {
    change(&mut seal);
    assert!(matches!(seal.text(), Err(SealError::Contradiction(_))), "{seal:?}");
}

fn head<'s>(seal: &'s mut Seal, name: &str) -> &'s mut Head {
    seal.heads.get_mut(&name.parse::<StreamName>().expect(name)).expect(name)
}

#[test]
fn what_contradicts_itself_has_no_text() {
    assert_contradiction(seal(), |seal| seal.partitions = number(7));
    assert_contradiction(seal(), |seal| seal.after = linked().after);
    assert_contradiction(seal(), |seal| seal.number = Number::ZERO);
    assert_contradiction(linked(), |seal| seal.after = None);
    assert_contradiction(linked(), |seal| seal.number = number(1));
    assert_contradiction(linked(), |seal| seal.previous = Digest::of(b"another"));
    assert_contradiction(linked(), |seal| {
        let other = "infra.changes/6#1".parse().expect("a set");
        seal.after.as_mut().expect("linked").set = other;
    });
    assert_contradiction(seal(), |seal| seal.input.end = number(9));
    assert_contradiction(seal(), |seal| seal.input.end = number(13));
    for gaps in [&[(14, 14)][..], &[(15, 14)], &[(9, 10)], &[(14, 16)], &[(11, 13)]] {
        assert_contradiction(seal(), |seal| {
            let gaps = gaps.iter().map(|(start, end)| gap(*start, *end, Cause::PassedOver));
            seal.gaps = gaps.collect();
        });
    }
    assert_contradiction(seal(), |seal| {
        seal.input.end = number(99);
        seal.gaps = vec![gap(20, 22, Cause::Deleted), gap(21, 23, Cause::Deleted)];
    });
    assert_contradiction(seal(), |seal| seal.counts.skipped = number(3));
    assert_contradiction(seal(), |seal| seal.counts.events = number(0));
    assert_contradiction(seal(), |seal| seal.counts.skipped = number(2));
    assert_contradiction(seal(), |seal| seal.counts.quarantined = number(0));
    assert_contradiction(seal(), |seal| head(seal, "eu-west-1").size = Number::ZERO);
    assert_contradiction(seal(), |seal| head(seal, "eu-west-1").size = number(1));
    assert_contradiction(seal(), |seal| head(seal, "eu-west-1").partition = None);
    assert_contradiction(seal(), |seal| {
        seal.counts.events = number(1);
        head(seal, "us-east-1").partition = Some(number(0));
    });
    assert_contradiction(seal(), |seal| {
        seal.counts.skipped = number(3);
        seal.counts.quarantined = number(0);
    });
    assert_contradiction(seal(), |seal| {
        let other = "another.example.com".parse().expect("an origin");
        seal.next_key = Some(SigningKey::from_seed(other, &[1; 32]).public().clone());
    });
}

#[test]
fn the_largest_numbers_are_no_trouble() {
    let mut seal = seal();
    seal.input = Input { start: Number::ZERO, end: Number::MAX };
    let max = Number::MAX;
    seal.counts = Counts { read: max, events: max, skipped: max, quarantined: max };
    assert!(matches!(seal.text(), Err(SealError::Contradiction(_))));
    seal.counts = Counts { read: max, events: max, skipped: Number::ZERO, quarantined: number(1) };
    for name in ["eu-west-1", "us-east-1"] {
        *head(&mut seal, name) = Head { size: max, digest: Digest::of(b""), partition: Some(max) };
    }
    assert_same(&seal);
}

proptest! {
    /// Any change of one byte leaves a text that is refused, or that is the text of what is read.
    #[test]
    fn any_text_that_is_read_is_written_the_same(
        at in any::<prop::sample::Index>(), byte in 0..128_u8, is_linked: bool
    ) {
        let seal = if is_linked { linked() } else { seal() };
        let mut text = seal.text().expect("a text").into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        let text = String::from_utf8(text).expect("ASCII");
        if let Ok(read) = text.parse::<Seal>() {
            prop_assert_eq!(read.text(), Ok(text));
        }
    }
}
