//! What the quarantine keeps of an input record: the whole record if the topic is sure to accept
//! it, a stub otherwise, so that no record can block the quarantine. The choice depends only on the
//! record and the limit.

use audit_judge::fate::Quarantine;
use sha2::{Digest, Sha256};

use super::record::{OwnedHeaders, SourceRecord};

/// Bytes that a stub keeps of the value, and of the key.
pub const STUB_BYTES: usize = 1_000;
/// Most bytes of original headers that a stub keeps.
const STUB_HEADER_BYTES: usize = 64 * 1024;
/// Bytes that a record batch of one record and the headers with the reason add to the original. The
/// detail alone may have 1,600 bytes.
pub const QUARANTINE_OVERHEAD_BYTES: usize = 4_096;
/// Most bytes that encode the lengths of a header's name and value.
const HEADER_FRAMING_BYTES: usize = 10;

/// The largest record batch that the quarantine topic is sure to accept. A record fits if it is no
/// larger than this before compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordLimit(usize);

impl RecordLimit {
    /// The smallest limit that a topic may have: a stub always fits into it.
    pub const LEAST: RecordLimit = RecordLimit(8_192);
    /// Below the limit of the client, and of a request to the broker: 104,857,600.
    const MOST: RecordLimit = RecordLimit(100_000_000);

    /// A limit of this many bytes, clamped to what the client and a stub allow.
    pub fn new(bytes: u64) -> Self {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        RecordLimit(bytes.clamp(Self::LEAST.0, Self::MOST.0))
    }

    /// Returns the limit in bytes.
    pub const fn bytes(self) -> usize {
        self.0
    }

    /// Returns a lower limit after the topic refused this record for its size: half of the record's
    /// size, so that few attempts reach the topic's real limit. `None` if the record was already as
    /// small as a stub can be.
    pub fn lowered(self, refused: &KeptRecord) -> Option<Self> {
        let bytes = refused.wire_bytes().min(self.0);
        let halved = RecordLimit((bytes / 2).max(Self::LEAST.0));
        (bytes > Self::LEAST.0).then_some(halved)
    }
}

impl Default for RecordLimit {
    /// What a topic accepts by the defaults of every Kafka version, for a topic whose limit cannot
    /// be read.
    fn default() -> Self {
        RecordLimit(1_000_000)
    }
}

/// An input record that could neither be audited nor skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedRecord {
    /// What is kept of the record.
    pub original: KeptRecord,
    /// Why it is quarantined.
    pub quarantine: Quarantine,
}

/// The part of an input record that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRecord {
    /// The original key; in a stub, its beginning.
    pub key: Option<Vec<u8>>,
    /// The original value; in a stub, its beginning.
    pub payload: Option<Vec<u8>>,
    /// The original headers; in a stub, those that fit.
    pub headers: OwnedHeaders,
    /// Facts about the original, if this is a stub.
    pub stub: Option<Stub>,
}

/// Facts about an original that is not kept whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stub {
    /// The length of its value.
    pub value_bytes: usize,
    /// The SHA-256 of its value.
    pub value_sha256: [u8; 32],
    /// The length of its key.
    pub key_bytes: usize,
    /// How many of its headers are missing.
    pub headers_dropped: usize,
}

impl From<&SourceRecord<'_>> for KeptRecord {
    /// Keeps the whole record.
    fn from(record: &SourceRecord<'_>) -> Self {
        KeptRecord {
            key: record.key.map(Vec::from),
            payload: record.payload.map(Vec::from),
            headers: record.headers.read(),
            stub: None,
        }
    }
}

impl KeptRecord {
    /// Keeps a record whole if it is within the limit, and a stub otherwise. The value is copied
    /// only if it is kept.
    pub fn within(record: &SourceRecord<'_>, limit: RecordLimit) -> Self {
        let headers = record.headers.read();
        if wire_bytes(record.key, record.payload, &headers) > limit.0 {
            return stub(record.key, record.payload, headers, limit);
        }
        KeptRecord {
            key: record.key.map(Vec::from),
            payload: record.payload.map(Vec::from),
            headers,
            stub: None,
        }
    }

    /// Turns a record that was kept whole into a stub if it is over the limit.
    #[must_use]
    pub fn cut_to(self, limit: RecordLimit) -> Self {
        if self.wire_bytes() <= limit.0 {
            return self;
        }
        stub(self.key.as_deref(), self.payload.as_deref(), self.headers, limit)
    }

    /// Returns its size in memory. Each header counts with its slot in the vector, or a flood of
    /// empty headers would get past the byte limit of a batch.
    pub fn bytes(&self) -> usize {
        let slot = size_of::<(Vec<u8>, Option<Vec<u8>>)>();
        let headers = self.headers.iter();
        let headers: usize = headers.map(|header| slot + header_bytes(header)).sum();
        length(self.key.as_deref()) + length(self.payload.as_deref()) + headers
    }

    /// Returns its largest possible size in the quarantine topic.
    fn wire_bytes(&self) -> usize {
        wire_bytes(self.key.as_deref(), self.payload.as_deref(), &self.headers)
    }
}

fn stub(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    mut headers: OwnedHeaders,
    limit: RecordLimit,
) -> KeptRecord {
    let (before, original) = (headers.len(), value.unwrap_or_default());
    let cut = |bytes: &[u8]| bytes[..bytes.len().min(STUB_BYTES)].to_vec();
    let (kept_key, kept_value) = (key.map(cut), value.map(cut));
    let used = wire_bytes(kept_key.as_deref(), kept_value.as_deref(), &[]);
    let mut room = limit.0.saturating_sub(used).min(STUB_HEADER_BYTES);
    headers.retain(|header| {
        let needed = header_bytes(header) + HEADER_FRAMING_BYTES;
        let fits = needed <= room;
        room -= if fits { needed } else { 0 };
        fits
    });
    // Frees the slots of the dropped headers.
    headers.shrink_to_fit();
    KeptRecord {
        key: kept_key,
        payload: kept_value,
        stub: Some(Stub {
            value_bytes: original.len(),
            value_sha256: Sha256::digest(original).into(),
            key_bytes: length(key),
            headers_dropped: before - headers.len(),
        }),
        headers,
    }
}

/// Returns the largest size of a record with these parts in the quarantine topic, uncompressed.
fn wire_bytes(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[(Vec<u8>, Option<Vec<u8>>)],
) -> usize {
    let headers = headers.iter();
    let headers: usize = headers.map(|header| header_bytes(header) + HEADER_FRAMING_BYTES).sum();
    QUARANTINE_OVERHEAD_BYTES + length(key) + length(value) + headers
}

fn header_bytes((name, value): &(Vec<u8>, Option<Vec<u8>>)) -> usize {
    name.len() + length(value.as_deref())
}

fn length(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(0, <[u8]>::len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::record::Partition;

    const LIMIT: RecordLimit = RecordLimit(100_000);

    fn header(name: &str, bytes: usize) -> (Vec<u8>, Option<Vec<u8>>) {
        (name.as_bytes().to_vec(), Some(vec![b'h'; bytes]))
    }

    /// Keeps a record in both ways, which must give the same result.
    fn kept(key: &[u8], value: Option<&[u8]>, headers: &OwnedHeaders) -> KeptRecord {
        let record = SourceRecord {
            partition: Partition(0),
            offset: 0,
            timestamp_ms: None,
            key: Some(key),
            payload: value,
            headers,
            leader_epoch: None,
            log: &None,
        };
        let kept = KeptRecord::within(&record, LIMIT);
        assert_eq!(kept, KeptRecord::from(&record).cut_to(LIMIT));
        assert!(kept.wire_bytes() <= LIMIT.0, "{}", kept.wire_bytes());
        kept
    }

    fn of_nothing() -> KeptRecord {
        KeptRecord { key: None, payload: None, headers: Vec::new(), stub: None }
    }

    #[test]
    fn its_size_counts_every_part_and_the_slots_of_headers() {
        let headers = vec![header("name", 10), header("n", 20)];
        let (key, payload) = (Some(vec![b'k'; 3]), Some(vec![b'v'; 500]));
        let kept = KeptRecord { key, payload, headers, stub: None };
        let slots = 2 * size_of::<(Vec<u8>, Option<Vec<u8>>)>();
        assert_eq!(kept.bytes(), 3 + 500 + (4 + 10) + (1 + 20) + slots);
        assert_eq!(of_nothing().bytes(), 0);
    }

    #[test]
    fn a_record_within_the_limit_is_kept_whole_and_one_byte_more_makes_a_stub() {
        let headers = vec![header("a", 9)];
        let room = LIMIT.0 - QUARANTINE_OVERHEAD_BYTES - 3 - 10 - HEADER_FRAMING_BYTES;
        let value = vec![b'v'; room + 1];
        let whole = kept(b"key", Some(&value[..room]), &headers);
        assert_eq!(whole.stub, None);
        assert_eq!(whole.payload.as_deref(), Some(&value[..room]));

        let cut = kept(b"key", Some(&value), &headers);
        assert_eq!(cut.key.as_deref(), Some(&b"key"[..]));
        assert_eq!(cut.payload.as_deref(), Some(&value[..STUB_BYTES]));
        assert_eq!(cut.headers, headers);
        let stub = cut.stub.expect("a stub");
        assert_eq!(stub.value_bytes, room + 1);
        assert_eq!(stub.value_sha256[..], Sha256::digest(&value)[..]);
        assert_eq!((stub.key_bytes, stub.headers_dropped), (3, 0));
    }

    #[test]
    fn a_stub_cuts_the_key_and_keeps_the_headers_that_fit() {
        let headers = vec![header("large", 70_000), header("small", 10)];
        let cut = kept(&[b'k'; 90_000], Some(b"value"), &headers);
        assert_eq!(cut.key, Some(vec![b'k'; STUB_BYTES]));
        assert_eq!(cut.payload.as_deref(), Some(&b"value"[..]), "all of it");
        assert_eq!(cut.headers, headers[1..]);
        let stub = cut.stub.expect("a stub");
        assert_eq!(stub.key_bytes, 90_000);
        assert_eq!(stub.headers_dropped, 1);

        let headers = vec![header("a", 40_000), header("b", 20_000), header("c", 10_000)];
        let cut = kept(&[b'k'; 90_000], Some(b"value"), &headers);
        assert_eq!(cut.headers, headers[..2], "64 KiB of them");

        let flood = vec![header("", 0); 50_000];
        let cut = kept(b"", None, &flood);
        assert_eq!(cut.payload, None, "a missing value stays missing");
        assert_eq!(cut.headers.len(), STUB_HEADER_BYTES / HEADER_FRAMING_BYTES);
        assert_eq!(cut.stub.map(|stub| stub.value_bytes), Some(0));
    }

    /// Each refusal makes the next attempt smaller, down to the size that every topic must accept.
    #[test]
    fn each_refusal_lowers_the_limit_until_a_stub_has_its_smallest_size() {
        let headers = vec![header("a", 60_000), header("b", 3_000), header("c", 100)];
        let original = KeptRecord {
            key: Some(vec![b'k'; 2_000]),
            payload: Some(vec![b'v'; 500_000]),
            headers,
            stub: None,
        };
        let mut limit = RecordLimit::default();
        let mut sizes = Vec::new();
        let mut kept = original.clone().cut_to(limit);
        while let Some(lower) = limit.lowered(&kept) {
            sizes.push(kept.wire_bytes());
            limit = lower;
            kept = original.clone().cut_to(limit);
        }
        assert!(sizes.is_sorted_by(|a, b| a > b) && sizes.len() <= 8, "{sizes:?}");
        assert!(kept.wire_bytes() <= RecordLimit::LEAST.0, "{sizes:?}");
        assert_eq!(kept.payload.map(|value| value.len()), Some(STUB_BYTES));
        let smallest = KeptRecord {
            payload: Some(vec![b'v'; RecordLimit::LEAST.0 - QUARANTINE_OVERHEAD_BYTES]),
            ..of_nothing()
        };
        assert_eq!(RecordLimit::default().lowered(&smallest), None);
        assert_eq!(RecordLimit::new(10), RecordLimit::LEAST);
        assert_eq!(RecordLimit::new(u64::MAX), RecordLimit::MOST);
    }
}
