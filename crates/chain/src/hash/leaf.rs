//! The hash of one event. Allocates nothing, and reads each byte once.

use std::fmt;
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::LEAF;
use crate::Digest;
use crate::header::HEADER_NAME;
use crate::name::Source;

/// A header of a record: the bytes of its name, and its value, which may be null.
pub type RecordHeader<'a> = (&'a [u8], Option<&'a [u8]>);

/// What a leaf covers, besides the record's headers.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// Where the event comes from.
    pub source: Source,
    /// The record's timestamp, in milliseconds since 1970-01-01T00:00:00Z.
    pub timestamp_ms: i64,
    /// The record's key. Null and empty are different.
    pub key: Option<&'a [u8]>,
    /// The record's value. Null and empty are different.
    pub value: Option<&'a [u8]>,
}

/// A record that has no leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// Lengths have 32 bits, and the highest stands for null; Kafka's own limit is 2^31 - 1.
    #[error("a part of the record is longer than 2147483647 bytes")]
    TooLong,
    /// The header that holds the chain cannot be covered by it.
    #[error("the header {HEADER_NAME} is among those to hash: leave it out")]
    ChainHeader,
}

/// Hashes an event: its parts as they are produced, and all headers in order but for the one that
/// holds the chain. The headers are iterated twice, since their number comes first.
///
/// # Errors
///
/// If a part is too long for Kafka, or the chain's own header is among the headers.
pub fn leaf<'a>(
    event: &Event<'_>,
    headers: impl Iterator<Item = RecordHeader<'a>> + Clone,
) -> Result<Digest, LeafError> {
    let mut gathered = Gathered { hash: Sha256::new(), bytes: [0; GATHERED_BYTES], length: 0 };
    write_preimage(event, headers, &mut |bytes| gathered.write(bytes))?;
    Ok(Digest::new(gathered.finish().finalize().into()))
}

/// Bytes of small parts that are hashed together.
const GATHERED_BYTES: usize = 512;

/// Gathers small parts before it hashes them: an event has some 30, and each call costs as much as
/// hashing a few dozen bytes.
struct Gathered {
    hash: Sha256,
    bytes: [u8; GATHERED_BYTES],
    length: usize,
}

impl Gathered {
    fn write(&mut self, part: &[u8]) {
        let end = self.length + part.len();
        if let Some(room) = self.bytes.get_mut(self.length..end) {
            room.copy_from_slice(part);
            self.length = end;
            return;
        }
        self.hash_gathered();
        match self.bytes.get_mut(..part.len()) {
            Some(room) => {
                room.copy_from_slice(part);
                self.length = part.len();
            }
            None => self.hash.update(part),
        }
    }

    fn hash_gathered(&mut self) {
        self.hash.update(self.bytes.get(..self.length).unwrap_or_default());
        self.length = 0;
    }

    fn finish(mut self) -> Sha256 {
        self.hash_gathered();
        self.hash
    }
}

fn write_preimage<'a>(
    event: &Event<'_>,
    headers: impl Iterator<Item = RecordHeader<'a>> + Clone,
    write: &mut impl FnMut(&[u8]),
) -> Result<(), LeafError> {
    write(&[LEAF]);
    write_part(Some(SourceText::of(event.source).as_bytes()), write)?;
    write(&event.timestamp_ms.to_be_bytes());
    write_part(event.key, write)?;
    write_part(event.value, write)?;
    write(&length(headers.clone().count())?);
    for (name, value) in headers {
        if name == HEADER_NAME.as_bytes() {
            return Err(LeafError::ChainHeader);
        }
        write_part(Some(name), write)?;
        write_part(value, write)?;
    }
    Ok(())
}

/// Writes `lp(part)`.
fn write_part(part: Option<&[u8]>, write: &mut impl FnMut(&[u8])) -> Result<(), LeafError> {
    match part {
        None => write(&[0xff; 4]),
        Some(part) => {
            write(&length(part.len())?);
            write(part);
        }
    }
    Ok(())
}

fn length(length: usize) -> Result<[u8; 4], LeafError> {
    let length = i32::try_from(length).map_err(|_| LeafError::TooLong)?;
    Ok(length.to_be_bytes())
}

/// The text of a source, without asking for memory.
struct SourceText {
    bytes: [u8; Source::CHARACTERS_MAX],
    length: usize,
}

impl SourceText {
    fn of(source: Source) -> Self {
        let mut text = Self { bytes: [0; Source::CHARACTERS_MAX], length: 0 };
        // The longest source fits.
        let written = write!(text, "{source}");
        debug_assert_eq!(written, Ok(()));
        text
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl fmt::Write for SourceText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let room = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option::of;
    use proptest::prelude::*;

    use super::*;
    use crate::Number;

    /// A record that owns its parts.
    #[derive(Debug, Clone, PartialEq)]
    struct Record {
        source: (u64, u64),
        timestamp_ms: i64,
        key: Option<Vec<u8>>,
        value: Option<Vec<u8>>,
        headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    }

    impl Record {
        fn preimage(&self) -> Vec<u8> {
            let mut bytes = Vec::new();
            let write = &mut |part: &[u8]| bytes.extend_from_slice(part);
            write_preimage(&self.event(), self.headers(), write).expect("short parts");
            bytes
        }

        fn leaf(&self) -> Digest {
            leaf(&self.event(), self.headers()).expect("short parts")
        }

        fn event(&self) -> Event<'_> {
            let number = |value| Number::new(value).expect("below 2^63");
            let (offset, index) = self.source;
            Event {
                source: Source { offset: number(offset), index: number(index) },
                timestamp_ms: self.timestamp_ms,
                key: self.key.as_deref(),
                value: self.value.as_deref(),
            }
        }

        fn headers(&self) -> impl Iterator<Item = RecordHeader<'_>> + Clone {
            self.headers.iter().map(|(name, value)| (name.as_slice(), value.as_deref()))
        }
    }

    /// Reads a preimage back: what can be read back in one way only was written by one record only.
    fn decode(mut bytes: &[u8]) -> Option<Record> {
        let bytes = &mut bytes;
        (take(bytes, 1)? == [0]).then_some(())?;
        let source = String::from_utf8(decode_part(bytes)??).ok()?;
        let (offset, index) = source.split_once('.')?;
        let timestamp_ms = i64::from_be_bytes(take(bytes, 8)?.try_into().ok()?);
        let (key, value) = (decode_part(bytes)?, decode_part(bytes)?);
        let count = u32::from_be_bytes(take(bytes, 4)?.try_into().ok()?);
        let mut headers = Vec::new();
        for _ in 0..count {
            headers.push((decode_part(bytes)??, decode_part(bytes)?));
        }
        let source = (offset.parse().ok()?, index.parse().ok()?);
        bytes.is_empty().then_some(Record { source, timestamp_ms, key, value, headers })
    }

    fn take<'b>(bytes: &mut &'b [u8], count: usize) -> Option<&'b [u8]> {
        let (part, rest) = bytes.split_at_checked(count)?;
        *bytes = rest;
        Some(part)
    }

    fn decode_part(bytes: &mut &[u8]) -> Option<Option<Vec<u8>>> {
        let length = u32::from_be_bytes(take(bytes, 4)?.try_into().ok()?);
        if length == u32::MAX {
            return Some(None);
        }
        Some(Some(take(bytes, length as usize)?.to_vec()))
    }

    /// Few different bytes, so that parts are often alike.
    fn part() -> impl Strategy<Value = Vec<u8>> {
        vec(prop_oneof![Just(0_u8), Just(1), Just(0xff), Just(b'a'), any::<u8>()], 0..6)
    }

    fn record() -> impl Strategy<Value = Record> {
        let number = || 0..=Number::MAX.get();
        let headers = vec((part(), of(part())), 0..4);
        ((number(), number()), any::<i64>(), of(part()), of(part()), headers).prop_map(
            |(source, timestamp_ms, key, value, headers)| Record {
                source,
                timestamp_ms,
                key,
                value,
                headers,
            },
        )
    }

    /// Changes one thing of a record, or nothing if `which` names what is not there.
    fn change(record: &mut Record, which: usize, bytes: Vec<u8>) {
        let other = |part: &mut Option<Vec<u8>>| match part {
            Some(_) if bytes.is_empty() => *part = None,
            _ => *part = Some(bytes.clone()),
        };
        let last = record.headers.len().saturating_sub(1);
        match which {
            0 => record.source.0 ^= 1,
            1 => record.source.1 ^= 1,
            2 => record.timestamp_ms ^= 1 << (bytes.len() * 8),
            3 => other(&mut record.key),
            4 => other(&mut record.value),
            5 => record.headers.push((bytes, None)),
            6 => drop(record.headers.pop()),
            7 => record.headers.reverse(),
            8 => record.headers.iter_mut().for_each(|(name, _)| *name = bytes.clone()),
            9 => record.headers.iter_mut().for_each(|(_, value)| other(value)),
            10 => std::mem::swap(&mut record.key, &mut record.value),
            _ => record.headers.rotate_right(last.min(1)),
        }
    }

    #[test]
    fn parts_of_any_length_are_hashed_whole_and_in_order() {
        for length in (0..40).chain(GATHERED_BYTES - 40..GATHERED_BYTES + 40).chain([2_000]) {
            let part: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let record = Record {
                source: (1, 2),
                timestamp_ms: 3,
                key: Some(part.clone()),
                value: Some(part.clone()),
                headers: vec![(part.clone(), Some(part)), (b"short".to_vec(), None)],
            };
            assert_eq!(record.leaf(), Digest::of(&record.preimage()), "{length}");
        }
    }

    proptest! {
        #[test]
        fn a_preimage_belongs_to_one_record(record in record()) {
            prop_assert_eq!(decode(&record.preimage()), Some(record));
        }

        #[test]
        fn another_record_has_another_leaf(record in record(), which in 0..12_usize, bytes in part()) {
            let mut other = record.clone();
            change(&mut other, which, bytes);
            prop_assert_eq!(record == other, record.preimage() == other.preimage());
            prop_assert_eq!(record == other, record.leaf() == other.leaf());
        }

        #[test]
        fn the_leaf_is_the_hash_of_the_preimage(record in record()) {
            prop_assert_eq!(record.leaf(), Digest::of(&record.preimage()));
        }
    }

    #[test]
    fn the_chain_does_not_cover_its_own_header() {
        let source = "1.0".parse().expect("a source");
        let event = Event { source, timestamp_ms: 0, key: None, value: None };
        let of = |name: &'static [u8]| leaf(&event, [(name, None)].into_iter());
        assert_eq!(of(b"audit-chain"), Err(LeafError::ChainHeader));
        assert!(of(b"Audit-Chain").is_ok());
    }

    #[test]
    fn lengths_end_where_those_of_kafka_end() {
        assert_eq!(length(0x7fff_ffff), Ok([0x7f, 0xff, 0xff, 0xff]));
        assert_eq!(length(0x8000_0000), Err(LeafError::TooLong));
    }
}
