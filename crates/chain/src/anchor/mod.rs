//! An anchor: a signed note that lists the newest seals of some sets, to be kept where nobody who
//! can rewrite the trail can rewrite it too.
//!
//! ```text
//! <origin>
//! audit-anchor/v1
//! time <time>
//! anchor <set> <seal> <digest>      one or more, sorted by the bytes of <set>, each set once
//! ```
//!
//! A file of anchors is a sequence of such notes. Each of them, the last one too, is followed by
//! one empty line, so that a note can be appended, and one that was cut off is noticed.

mod file;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

pub use self::file::{AnchorFileError, format_file, split_file};
use crate::lines::Lines;
use crate::name::{Origin, Set};
use crate::time::Time;
use crate::{Digest, LineError, Number};

/// The second line of an anchor's text.
const VERSION: &str = "audit-anchor/v1";

const TIME: &str = "time <time in UTC with milliseconds>";
const ANCHOR: &str = "anchor <set> <seal> <digest>";
const ANCHORS_SORTED: &str = "anchors sorted by set, each set once";
const END: &str = "anchor lines and nothing else";

/// An anchor with at least one seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    origin: Origin,
    time: Time,
    seals: BTreeMap<Set, Anchored>,
}

/// The newest seal of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchored {
    /// The seal's number.
    pub seal: Number,
    /// The seal's hash.
    pub digest: Digest,
}

impl Anchor {
    /// Makes an anchor. `None` if there is no seal to anchor.
    pub fn new(origin: Origin, time: Time, seals: BTreeMap<Set, Anchored>) -> Option<Self> {
        (!seals.is_empty()).then_some(Self { origin, time, seals })
    }

    /// Returns the trail.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Returns when it was made, as its writer claims.
    pub fn time(&self) -> Time {
        self.time
    }

    /// Returns the seals.
    pub fn seals(&self) -> &BTreeMap<Set, Anchored> {
        &self.seals
    }
}

/// Writes the text to sign.
impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{VERSION}\ntime {}", self.origin, self.time)?;
        for (set, Anchored { seal, digest }) in &self.seals {
            writeln!(f, "anchor {set} {seal} {digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Anchor {
    type Err = LineError;

    fn from_str(text: &str) -> Result<Self, LineError> {
        let mut lines = Lines::of(text)?;
        let origin = lines.take("the origin", |line| line.parse().ok())?;
        lines.take("audit-anchor/v1", |line| (line == VERSION).then_some(()))?;
        let time = lines.take(TIME, |line| line.strip_prefix("time ")?.parse().ok())?;
        let mut seals = BTreeMap::new();
        while seals.is_empty() || lines.is_next("anchor ") {
            let [set, seal, digest] = lines.values("anchor", ANCHOR)?;
            let set = lines.value(set, ANCHOR)?;
            let (seal, digest) = (lines.value(seal, ANCHOR)?, lines.value(digest, ANCHOR)?);
            if seals.last_key_value().is_some_and(|(last, _)| *last >= set) {
                return Err(lines.error(ANCHORS_SORTED));
            }
            seals.insert(set, Anchored { seal, digest });
        }
        lines.finish(END)?;
        Ok(Self { origin, time, seals })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn anchor(sets: &[(u32, u32)], ms: u64) -> Option<Anchor> {
        let seals = sets.iter().map(|(partition, epoch)| {
            let set = Set::new("infra", (*partition).into(), (*epoch).into()).expect("a set");
            (set, Anchored { seal: (*partition).into(), digest: Digest::of(b"seal") })
        });
        let origin = "audit.example.com".parse().expect("an origin");
        Anchor::new(origin, Time::from_epoch_ms(ms).expect("a time"), seals.collect())
    }

    #[test]
    fn anchors_something() {
        assert_eq!(anchor(&[], 0), None);
    }

    proptest! {
        #[test]
        fn is_read_as_it_was_written(
            sets in prop::collection::vec((0..30_u32, 1..12_u32), 1..8), ms in 0..4_000_000_000_000_u64
        ) {
            let anchor = anchor(&sets, ms).expect("seals");
            prop_assert_eq!(anchor.to_string().parse(), Ok(anchor));
        }

        #[test]
        fn any_text_that_is_read_is_written_the_same(
            at in any::<prop::sample::Index>(), byte in 0..128_u8
        ) {
            let anchor = anchor(&[(1, 1), (1, 10), (10, 1), (9, 1)], 0).expect("seals");
            let mut text = anchor.to_string().into_bytes();
            let at = at.index(text.len());
            text[at] = byte;
            let text = String::from_utf8(text).expect("ASCII");
            if let Ok(read) = text.parse::<Anchor>() {
                prop_assert_eq!(read.to_string(), text);
            }
        }
    }
}
