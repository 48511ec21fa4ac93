//! The state of a set's chains between two transactions, as one short text: the metadata of the
//! offset that a transaction commits. It is a copy of what the newest seal says, protected by a tag
//! so that nobody else can write it.
//!
//! The text is `aj1.` and the Base64 (RFC 4648, section 5, without padding) of, in this order:
//!
//! ```text
//! version          u8, 1
//! flags            u8, bit 0: a next key was announced; the others are 0
//! origin           first 8 bytes of SHA-256
//! set              first 8 bytes of SHA-256
//! epoch            u64be
//! next offset      u64be
//! next seal        u64be
//! last seal        32 bytes, its hash
//! sealed at        u64be, the time of the last seal, in milliseconds since 1970
//! key id           4 bytes, of the signing key that the tag's key comes from
//! count            u16be
//! streams          count × (u8 length of name, name, u48be size, 32 bytes head), sorted by name
//! tag              first 16 bytes of HMAC-SHA256 over everything before
//! ```

mod decode;
mod encode;
mod tag;

use std::collections::BTreeMap;

pub use self::decode::StateError;
pub use self::encode::EncodeError;
pub use self::tag::MetadataKey;
use crate::name::{Origin, Set, StreamName};
use crate::time::Time;
use crate::{Digest, Number};

/// The most characters of the text. Kafka's default limit is 4,096 (`offset.metadata.max.bytes`,
/// which counts characters).
pub const MAX_CHARACTERS: usize = 4_000;

const PREFIX: &str = "aj1.";
const VERSION: u8 = 1;
const NEXT_KEY_ANNOUNCED: u8 = 1;
/// Bytes before the streams, and those of the tag.
const HEAD_BYTES: usize = 88;
const TAG_BYTES: usize = 16;
/// The largest size of a stream, 2^48 - 1.
const SIZE_MAX: u64 = (1 << 48) - 1;

/// The state of a set's chains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The offset of the input that is read next: the offset that this is the metadata of.
    pub next_offset: Number,
    /// The number of the set's next seal.
    pub next_seal: Number,
    /// The hash of the set's last seal, or the genesis of its seals.
    pub last_seal: Digest,
    /// The time of the last seal, which is also the timestamp of its record: a writer that
    /// takes the set over looks for newer seals from there on.
    pub sealed_at: Time,
    /// Whether the last seal announced the next key.
    pub next_key_announced: bool,
    /// All streams of the set that have events.
    pub streams: BTreeMap<StreamName, Chain>,
}

/// A stream of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    /// How many events it has: from 1 to 2^48 - 1.
    pub size: Number,
    /// The head of its chain.
    pub head: Digest,
}

/// Returns the first eight bytes of a text's hash, which tell texts apart by accident, not against
/// an attacker: the tag keeps those out.
fn short_hash(text: &str) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = *Digest::of(text.as_bytes()).as_bytes();
    [a, b, c, d, e, f, g, h]
}

fn hashes(origin: &Origin, set: &Set) -> [[u8; 8]; 2] {
    [short_hash(origin.as_str()), short_hash(set.as_str())]
}

#[cfg(test)]
mod tests;
