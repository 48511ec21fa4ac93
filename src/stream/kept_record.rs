//! What is kept of an input record that goes to quarantine: the whole record if its topic surely
//! takes it, else a stub, so that no record can block the quarantine. Which of the two follows from
//! the record and the limit alone.

use audit_judge::fate::Quarantine;
use sha2::{Digest, Sha256};

use super::record::{OwnedHeaders, SourceRecord};

/// So many bytes of a value that is too large are written, and of a key.
pub const STUB_BYTES: usize = 1_000;
/// The most that the original headers of a stub take.
const STUB_HEADER_BYTES: usize = 64 * 1024;
/// What a batch of one record, and the headers that say why it is here, add to the original. The
/// detail alone may have 1,600 bytes.
pub const QUARANTINE_OVERHEAD_BYTES: usize = 4_096;
/// The most that the lengths of a header's name and value take.
const HEADER_FRAMING_BYTES: usize = 10;

/// The largest record batch that the quarantine topic surely takes: a record that is no larger
/// before it is compressed fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordLimit(usize);

impl RecordLimit {
    /// No topic may take less: a stub is made to fit.
    pub const LEAST: RecordLimit = RecordLimit(8_192);
    /// The client's own limit, and that of a request to the broker, is 104,857,600.
    const MOST: RecordLimit = RecordLimit(100_000_000);

    /// A limit of so many bytes, as far as the client and a stub allow.
    pub fn new(bytes: u64) -> Self {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        RecordLimit(bytes.clamp(Self::LEAST.0, Self::MOST.0))
    }

    /// The limit in bytes.
    pub const fn bytes(self) -> usize {
        self.0
    }

    /// The topic refused this record for its size, so its limit is lower. Halves down to it are
    /// few. `None` if the record was as small as any.
    pub fn lowered(self, refused: &KeptRecord) -> Option<Self> {
        let bytes = refused.wire_bytes().min(self.0);
        let halved = RecordLimit((bytes / 2).max(Self::LEAST.0));
        (bytes > Self::LEAST.0).then_some(halved)
    }
}

impl Default for RecordLimit {
    /// What a topic takes by the defaults of every Kafka, for one that does not say.
    fn default() -> Self {
        RecordLimit(1_000_000)
    }
}

/// An input record that could neither be audited nor skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedRecord {
    /// What is kept of the record.
    pub original: KeptRecord,
    /// Why it is here.
    pub quarantine: Quarantine,
}

/// What is kept of an input record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRecord {
    /// The original key; of a stub, its beginning.
    pub key: Option<Vec<u8>>,
    /// The original value; of a stub, its beginning.
    pub payload: Option<Vec<u8>>,
    /// The original headers; of a stub, those that fit.
    pub headers: OwnedHeaders,
    /// What the original was, if this is a stub.
    pub stub: Option<Stub>,
}

/// What is known of an original that is not kept whole.
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
    /// Keeps a record whole if it is within the limit, else a stub. A large value is not copied
    /// first.
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

    /// The same, of a record that was kept whole.
    #[must_use]
    pub fn cut_to(self, limit: RecordLimit) -> Self {
        if self.wire_bytes() <= limit.0 {
            return self;
        }
        stub(self.key.as_deref(), self.payload.as_deref(), self.headers, limit)
    }

    /// What it takes in memory. Headers count, each for its place as well: a flood of them would
    /// else pass the limit of a batch.
    pub fn bytes(&self) -> usize {
        let place = size_of::<(Vec<u8>, Option<Vec<u8>>)>();
        let headers = self.headers.iter();
        let headers: usize = headers.map(|header| place + header_bytes(header)).sum();
        length(self.key.as_deref()) + length(self.payload.as_deref()) + headers
    }

    /// The most that it takes in its topic.
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
    let begin = |bytes: &[u8]| bytes[..bytes.len().min(STUB_BYTES)].to_vec();
    let (kept_key, kept_value) = (key.map(begin), value.map(begin));
    let taken = wire_bytes(kept_key.as_deref(), kept_value.as_deref(), &[]);
    let mut room = limit.0.saturating_sub(taken).min(STUB_HEADER_BYTES);
    headers.retain(|header| {
        let needed = header_bytes(header) + HEADER_FRAMING_BYTES;
        let fits = needed <= room;
        room -= if fits { needed } else { 0 };
        fits
    });
    // The place of those that were dropped is not kept either.
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

/// The most that a record with these parts takes in the quarantine topic, uncompressed.
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

    /// Keeps a record either way, which must come to the same.
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

    #[test]
    fn what_fits_is_kept_whole_and_one_byte_more_is_a_stub() {
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
    fn a_key_is_cut_and_headers_are_kept_as_far_as_they_fit() {
        let headers = vec![header("large", 70_000), header("small", 10)];
        let cut = kept(&[b'k'; 90_000], Some(b"value"), &headers);
        assert_eq!(cut.key, Some(vec![b'k'; STUB_BYTES]));
        assert_eq!(cut.payload.as_deref(), Some(&b"value"[..]), "all of it");
        assert_eq!(cut.headers, headers[1..]);
        let stub = cut.stub.expect("a stub");
        assert_eq!(stub.key_bytes, 90_000);
        assert_eq!(stub.headers_dropped, 1);

        let flood = vec![header("", 0); 50_000];
        let cut = kept(b"", None, &flood);
        assert_eq!(cut.payload, None, "missing stays missing");
        assert_eq!(cut.headers.len(), STUB_HEADER_BYTES / HEADER_FRAMING_BYTES);
        assert_eq!(cut.stub.map(|stub| stub.value_bytes), Some(0));
    }

    /// Each refusal makes the next attempt smaller, down to what every topic must take.
    #[test]
    fn a_limit_is_lowered_until_a_stub_is_as_small_as_any() {
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
        assert_eq!(RecordLimit::new(10), RecordLimit::LEAST);
        assert_eq!(RecordLimit::new(u64::MAX), RecordLimit::MOST);
    }
}
