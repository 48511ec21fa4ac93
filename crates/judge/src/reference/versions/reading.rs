//! All versions of a key, and which of them was valid when. It reads no clock; the caller passes
//! the moment.

use std::marker::PhantomData;

use jiff::{SignedDuration, Timestamp};

use super::raw::Raw;
use super::version::Version;
use crate::reference::packing::{Packed, Reader};

/// All known versions of one key, read in place.
#[derive(Debug)]
pub struct Versions<'a, V> {
    /// Newest first: the newest are looked up most, and the oldest are cut off.
    packed: Reader<'a>,
    values: PhantomData<fn() -> V>,
}

impl<V> Clone for Versions<'_, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Versions<'_, V> {}

impl<'a, V: Packed> Versions<'a, V> {
    /// Wraps the versions that `writing` wrote.
    pub(crate) const fn read(packed: &'a [u8]) -> Self {
        Versions { packed: Reader(packed), values: PhantomData }
    }

    /// Returns the version valid at a moment. The earliest version also counts before its time,
    /// unless it is explicit: compaction forgets older versions.
    pub fn as_of(self, moment: Timestamp) -> Option<Version<V::View<'a>>> {
        self.raw_as_of(moment).map(view::<V>)
    }

    /// Returns the other versions by which the key exists, or may exist, that are valid at some
    /// time in `[moment - tolerance, moment + tolerance]`, each with its distance from the moment.
    /// Nearest first, the earlier of two equally near first.
    pub fn others_near(
        self,
        moment: Timestamp,
        tolerance: SignedDuration,
    ) -> Vec<(SignedDuration, Version<V::View<'a>>)> {
        let at_moment = self.raw_as_of(moment).map(|version| version.valid_from);
        let others = self
            .spans_near(moment, tolerance)
            .filter(|span| Some(span.version.valid_from) != at_moment);
        let mut others: Vec<_> =
            others.map(|span| (span.distance(moment), view::<V>(span.version))).collect();
        others.sort_by_key(|(distance, version)| (*distance, version.valid_from));
        others
    }

    /// Returns the version valid at a moment if the key existed then, else the nearest within a
    /// tolerance by which it did. Of two equally near, returns the earlier. A key with an
    /// unreadable version may have existed.
    pub fn nearest(
        self,
        moment: Timestamp,
        tolerance: SignedDuration,
    ) -> Option<Version<V::View<'a>>> {
        let at_moment = self.raw_as_of(moment);
        let existed = at_moment.filter(|version| !version.is_removal());
        let nearest = || {
            self.spans_near(moment, tolerance)
                .min_by_key(|span| (span.distance(moment), span.version.valid_from))
                .map(|span| span.version)
        };
        existed.or_else(nearest).map(view::<V>)
    }

    /// Iterates over all versions, newest first.
    pub fn iter(self) -> impl Iterator<Item = Version<V::View<'a>>> {
        self.raw().map(view::<V>)
    }

    fn raw(self) -> Raw<'a> {
        Raw(self.packed)
    }

    fn raw_as_of(self, moment: Timestamp) -> Option<Version<&'a [u8]>> {
        let mut earliest = None;
        for version in self.raw() {
            if version.valid_from <= moment {
                return Some(version);
            }
            earliest = Some(version);
        }
        earliest.filter(|version| !version.explicit)
    }

    /// Iterates over the versions by which the key exists, or may exist: an unreadable one counts.
    fn spans_near(
        self,
        moment: Timestamp,
        tolerance: SignedDuration,
    ) -> impl Iterator<Item = Span<'a>> {
        let earliest = shifted(moment, -tolerance);
        let latest = shifted(moment, tolerance);
        self.spans().filter(move |span| {
            let is_near = span.begins <= latest && span.ends.is_none_or(|ends| ends > earliest);
            is_near && !span.version.is_removal()
        })
    }

    fn spans(self) -> impl Iterator<Item = Span<'a>> {
        let mut raw = self.raw();
        let mut ends = None;
        std::iter::from_fn(move || {
            let version = raw.next()?;
            let is_earliest = raw.0.0.is_empty();
            let begins =
                if is_earliest && !version.explicit { Timestamp::MIN } else { version.valid_from };
            let span = Span { version, begins, ends };
            ends = Some(version.valid_from);
            Some(span)
        })
    }
}

/// A version with the period for which it is valid.
struct Span<'a> {
    version: Version<&'a [u8]>,
    /// The first moment at which it is valid.
    begins: Timestamp,
    /// The first moment at which it is no longer valid.
    ends: Option<Timestamp>,
}

impl Span<'_> {
    fn distance(&self, moment: Timestamp) -> SignedDuration {
        match self.ends {
            _ if self.begins > moment => self.begins.duration_since(moment),
            Some(ends) if ends <= moment => moment.duration_since(ends),
            _ => SignedDuration::ZERO,
        }
    }
}

fn shifted(moment: Timestamp, by: SignedDuration) -> Timestamp {
    moment.saturating_add(by).unwrap_or(moment)
}

fn view<'a, V: Packed>(raw: Version<&'a [u8]>) -> Version<V::View<'a>> {
    Version {
        valid_from: raw.valid_from,
        explicit: raw.explicit,
        value: raw.value.map(V::view),
        is_unreadable: raw.is_unreadable,
    }
}
