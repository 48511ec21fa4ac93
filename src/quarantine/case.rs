//! A case: an input record that is in quarantine. It stays one case if it is quarantined twice,
//! as after the group's offsets were reset.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use super::headers;
use crate::stream::OwnedHeaders;

/// Names a case: where the input record stood, and the beginning of its value's hash, since a topic
/// that was recreated has other records at the same places.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CaseId {
    /// The input topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// The offset there.
    pub offset: i64,
    /// The first eight bytes of the SHA-256 of the value; of a missing value, that of no bytes.
    pub hash: [u8; 8],
}

impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:016x}", self.source(), u64::from_be_bytes(self.hash))
    }
}

impl CaseId {
    /// Returns the place of the input record: topic, partition and offset.
    pub fn source(&self) -> String {
        format!("{}/{}/{}", self.topic, self.partition, self.offset)
    }

    /// Returns 16 bytes that stand for it in a large set.
    pub fn digest(&self) -> [u8; 16] {
        digest_of(&self.to_string())
    }
}

/// Returns the same for the text of a case's name.
pub(super) fn digest_of(name: &str) -> [u8; 16] {
    beginning(name.as_bytes())
}

/// A place in the quarantine topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.offset)
    }
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let place = || {
            let (partition, offset) = text.split_once('/')?;
            let place = Place { partition: partition.parse().ok()?, offset: offset.parse().ok()? };
            (place.partition >= 0 && place.offset >= 0).then_some(place)
        };
        place().ok_or("expected PARTITION/OFFSET of the quarantine topic, such as 3/1200")
    }
}

/// What the headers of a quarantined record say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Its name.
    pub id: CaseId,
    /// Why the record is here: the name of a reason, perhaps of another version.
    pub reason: String,
    /// The reason in words.
    pub detail: String,
    /// Whether only the beginning of the record is here.
    pub is_stub: bool,
}

impl Case {
    /// Reads a record of the quarantine topic. `None` if its headers are not those of a relay.
    pub fn read(all: &OwnedHeaders, value: Option<&[u8]>) -> Option<Self> {
        let header = |name| {
            let all = all.iter().filter_map(|(name, value)| {
                Some((std::str::from_utf8(name).ok()?, value.as_deref()))
            });
            headers::read(all, name)
        };
        let is_stub = header(headers::STUB)? == "true";
        let hash = match is_stub {
            true => hash_of_hex(header(headers::VALUE_SHA256)?)?,
            false => hash_of(value),
        };
        Some(Case {
            id: CaseId {
                topic: header(headers::TOPIC)?.to_string(),
                partition: header(headers::PARTITION)?.parse().ok()?,
                offset: header(headers::OFFSET)?.parse().ok()?,
                hash,
            },
            reason: header(headers::REASON)?.to_string(),
            detail: header(headers::DETAIL)?.to_string(),
            is_stub,
        })
    }
}

fn hash_of(value: Option<&[u8]>) -> [u8; 8] {
    beginning(value.unwrap_or_default())
}

/// Returns the first bytes of a hash, which has 32.
fn beginning<const N: usize>(bytes: &[u8]) -> [u8; N] {
    Sha256::digest(bytes).first_chunk().copied().unwrap_or([0; N])
}

fn hash_of_hex(hex: &str) -> Option<[u8; 8]> {
    Some(u64::from_str_radix(hex.get(..16)?, 16).ok()?.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(more: &[(&str, &str)]) -> OwnedHeaders {
        let usual = [
            (headers::REASON, "unknown_principal"),
            (headers::DETAIL, "no user 7"),
            (headers::TOPIC, "changes"),
            (headers::PARTITION, "3"),
            (headers::OFFSET, "1200"),
            (headers::STUB, "false"),
        ];
        let all = usual.iter().chain(more);
        all.map(|(name, value)| (name.as_bytes().to_vec(), Some(value.as_bytes().to_vec())))
            .collect()
    }

    #[test]
    fn a_case_is_named_by_the_input_record() {
        let case = Case::read(&written(&[]), Some(b"{}")).expect("a case");
        // printf '{}' | sha256sum
        assert_eq!(case.id.to_string(), "changes/3/1200/44136fa355b3678a");
        assert_eq!(
            (case.reason.as_str(), case.detail.as_str()),
            ("unknown_principal", "no user 7")
        );
        let other = Case::read(&written(&[]), Some(b"{ }")).expect("a case");
        assert_ne!(case.id.digest(), other.id.digest());
        assert!(Case::read(&written(&[])[1..].to_vec(), Some(b"{}")).is_none(), "no reason");
    }

    /// The chain's header stands behind the relay's, and the producer's own one before them.
    #[test]
    fn a_record_of_a_sealed_trail_is_a_case() {
        let chain = [("audit-chain", "v1 changes/3#1@~quarantine 0 1200.0 x")];
        let mut headers = written(&chain);
        headers.insert(0, (b"original-audit-chain".to_vec(), None));
        let sealed = Case::read(&headers, Some(b"{}")).expect("a case");
        assert_eq!(Some(sealed), Case::read(&written(&[]), Some(b"{}")));
    }

    /// The original is larger than what is here, but its hash is known.
    #[test]
    fn a_stub_has_the_name_of_the_whole_record() {
        let whole = Case::read(&written(&[]), Some(b"{}")).expect("a case");
        let sha256 = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        let more = [(headers::STUB, "true"), (headers::VALUE_SHA256, sha256)];
        let stub = Case::read(&written(&more), Some(b"{")).expect("a stub");
        assert!(stub.is_stub && !whole.is_stub);
        assert_eq!(stub.id, whole.id);
        let more = [(headers::STUB, "true"), (headers::VALUE_SHA256, "é")];
        assert!(Case::read(&written(&more), Some(b"{")).is_none());
    }

    #[test]
    fn a_place_has_a_partition_and_an_offset() {
        let place: Place = "3/1200".parse().expect("a place");
        assert_eq!(
            (place, place.to_string().as_str()),
            (Place { partition: 3, offset: 1_200 }, "3/1200")
        );
        for bad in ["", "3", "3/", "/1", "-1/2", "1/-2", "a/b", "1/2/3"] {
            assert!(bad.parse::<Place>().is_err(), "{bad:?}");
        }
    }
}
