//! The header that an event carries: which chain it belongs to, where in it, and what came before.

use std::fmt;
use std::str::FromStr;

use crate::name::{Source, Stream};
use crate::{Digest, Invalid, Number};

/// The name of the header. A record has exactly one of this name, and it is the last of all.
pub const HEADER_NAME: &str = "audit-chain";

const VERSION: &str = "v1";

/// The value of the header, `v1 <stream> <seq> <source> <prev>`, e.g.
/// `v1 infra.changes/7#1@eu-west-1 48213 9182.0 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainHeader {
    /// The chain.
    pub stream: Stream,
    /// The number of the event in the chain, from 0.
    pub number: Number,
    /// Where the event comes from.
    pub source: Source,
    /// The head of the chain before the event: for number 0 its genesis.
    pub previous: Digest,
}

impl ChainHeader {
    /// Reads the value of a header.
    ///
    /// # Errors
    ///
    /// If it is anything but the one text of a header: other spaces, zeros before numbers, or
    /// Base64 in another form.
    pub fn parse(value: &[u8]) -> Result<Self, Invalid> {
        match std::str::from_utf8(value) {
            Ok(text) => text.parse(),
            Err(_) => Err(invalid(&String::from_utf8_lossy(value))),
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let mut next = || parts.next();
        (next()? == VERSION).then_some(())?;
        let stream = next()?.parse().ok()?;
        let number = Number::parse(next()?)?;
        let (source, previous) = (next()?.parse().ok()?, next()?.parse().ok()?);
        next().is_none().then_some(Self { stream, number, source, previous })
    }

    /// Returns the most bytes that the value has in any event of a stream, so that room can be kept
    /// for it. The header's name comes on top.
    pub fn bytes_max(stream: &Stream) -> usize {
        let values = [
            VERSION.len(),
            stream.as_str().len(),
            Number::DIGITS_MAX,
            Source::CHARACTERS_MAX,
            Digest::CHARACTERS,
        ];
        let spaces = values.len() - 1;
        values.iter().sum::<usize>() + spaces
    }
}

#[cold]
fn invalid(text: &str) -> Invalid {
    let expected = "v1 <stream> <seq> <offset>.<index> <digest>, each after one space";
    Invalid::new("chain header", text, expected)
}

impl FromStr for ChainHeader {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::from_text(text).ok_or_else(|| invalid(text))
    }
}

impl fmt::Display for ChainHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, number, source, previous } = self;
        let (number, source, previous) = (*number, *source, *previous);
        HeaderText { stream, number, source, previous }.fmt(f)
    }
}

/// A header that is about to be written. It borrows the name of the stream, so that a writer need
/// not ask for memory for each event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderText<'s> {
    /// The chain.
    pub stream: &'s Stream,
    /// The number of the event in the chain, from 0.
    pub number: Number,
    /// Where the event comes from.
    pub source: Source,
    /// The head of the chain before the event: for number 0 its genesis.
    pub previous: Digest,
}

impl fmt::Display for HeaderText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, number, source, previous } = self;
        write!(f, "{VERSION} {stream} {number} {source} {previous}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(seq: u64, offset: u64, index: u64) -> ChainHeader {
        let number = |value| Number::new(value).expect("below 2^63");
        ChainHeader {
            stream: "infra.changes/7#1@eu-west-1".parse().expect("a stream"),
            number: number(seq),
            source: Source { offset: number(offset), index: number(index) },
            previous: Digest::of(&offset.to_be_bytes()),
        }
    }

    #[test]
    fn the_longest_value_is_as_long_as_said() {
        let max = Number::MAX.get();
        let longest = header(max, max, max);
        assert_eq!(longest.to_string().len(), ChainHeader::bytes_max(&longest.stream));
    }

    proptest! {
        #[test]
        fn is_read_as_it_was_written(numbers in prop::array::uniform3(0..=Number::MAX.get())) {
            let [number, offset, index] = numbers;
            let header = header(number, offset, index);
            let text = header.to_string();
            prop_assert!(text.len() <= ChainHeader::bytes_max(&header.stream));
            prop_assert_eq!(ChainHeader::parse(text.as_bytes()), Ok(header));
        }

        #[test]
        fn any_text_that_is_read_is_written_the_same(
            text in "v1 [a/.]{1,3}/[0-9]{1,2}#[0-9]{1,2}@[a~-]{1,2} [0-9]{1,2} [0-9]{1,2}[.][0-9]{1,2} [A-Za-z0-9+/]{42}[A-Z]="
        ) {
            if let Ok(header) = text.parse::<ChainHeader>() {
                prop_assert_eq!(header.to_string(), text);
            }
        }
    }
}
