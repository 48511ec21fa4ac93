//! Reads a state, and trusts nothing of it before its tag was verified.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{
    Chain, HEAD_BYTES, MAX_CHARACTERS, MetadataKey, NEXT_KEY_ANNOUNCED, PREFIX, State, TAG_BYTES,
    VERSION, hashes,
};
use crate::key::KeyId;
use crate::name::{Origin, Set, StreamName};
use crate::time::Time;
use crate::{Digest, Number};

/// Why a text is not the state of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// There is no metadata: it was never written, or the offset was reset.
    #[error("there is no state")]
    Missing,
    /// The metadata is something else than a state.
    #[error("the metadata is not a state of audit-relay")]
    NotOurs,
    /// A state of another version of this format.
    #[error("the state has version {0}, and only version 1 is known")]
    OtherVersion(u8),
    /// The signing key that the tag's key comes from is not among the given ones.
    #[error("the state was written under the key {0}, which is not configured")]
    UnknownKey(KeyId),
    /// The tag is false: the state was not written with this key, or was changed.
    #[error("the tag of the state is false: it was not written with this key, or was changed")]
    FalseTag,
    /// The state of another trail.
    #[error("the state belongs to another origin")]
    OtherOrigin,
    /// The state of another set of the same trail.
    #[error("the state belongs to another set")]
    OtherSet,
    /// The tag is true, but the bytes are not in the one form of a state.
    #[error("the state is tagged, but malformed")]
    Malformed,
}

impl State {
    /// Returns the epoch that a text claims to be of, without any check: [`State::decode`] verifies
    /// it with the name of the set.
    pub fn epoch(text: &str) -> Option<Number> {
        let bytes = decode_text(text)?;
        let (tagged, _) = bytes.split_last_chunk::<TAG_BYTES>()?;
        Number::new(Fields::split(tagged)?.epoch)
    }

    /// Reads the state of a set of a trail. The key id in it says which key checks its tag, so that
    /// a new key can be configured together with the old one.
    ///
    /// # Errors
    ///
    /// The first of these that applies: the text is empty, not a state, of another version, under
    /// an unknown key, has a false tag, belongs to another origin or to another set, is malformed.
    pub fn decode(
        text: &str,
        origin: &Origin,
        set: &Set,
        keys: &[MetadataKey],
    ) -> Result<Self, StateError> {
        if text.is_empty() {
            return Err(StateError::Missing);
        }
        let bytes = decode_text(text).ok_or(StateError::NotOurs)?;
        if let Some(version) = bytes.first().filter(|version| **version != VERSION) {
            return Err(StateError::OtherVersion(*version));
        }
        let (tagged, tag) = bytes.split_last_chunk::<TAG_BYTES>().ok_or(StateError::NotOurs)?;
        let fields = Fields::split(tagged).ok_or(StateError::NotOurs)?;
        fields.check_tag(tagged, tag, keys)?;
        let [origin, of_set] = hashes(origin, set);
        if fields.origin != origin {
            return Err(StateError::OtherOrigin);
        }
        if fields.set != of_set || fields.epoch != set.epoch().get() {
            return Err(StateError::OtherSet);
        }
        fields.state().ok_or(StateError::Malformed)
    }
}

fn decode_text(text: &str) -> Option<Vec<u8>> {
    if text.len() > MAX_CHARACTERS {
        return None;
    }
    URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()
}

/// What stands before the tag, split and not judged.
struct Fields<'b> {
    flags: u8,
    origin: [u8; 8],
    set: [u8; 8],
    epoch: u64,
    next_offset: u64,
    next_seal: u64,
    last_seal: Digest,
    sealed_at_ms: u64,
    key: KeyId,
    count: u16,
    streams: &'b [u8],
}

impl<'b> Fields<'b> {
    fn split(bytes: &'b [u8]) -> Option<Self> {
        let (head, streams) = bytes.split_first_chunk::<HEAD_BYTES>()?;
        let mut rest = &head[..];
        let [_version, flags] = take(&mut rest)?;
        Some(Self {
            flags,
            origin: take(&mut rest)?,
            set: take(&mut rest)?,
            epoch: u64::from_be_bytes(take(&mut rest)?),
            next_offset: u64::from_be_bytes(take(&mut rest)?),
            next_seal: u64::from_be_bytes(take(&mut rest)?),
            last_seal: Digest::new(take(&mut rest)?),
            sealed_at_ms: u64::from_be_bytes(take(&mut rest)?),
            key: KeyId(take(&mut rest)?),
            count: u16::from_be_bytes(take(&mut rest)?),
            streams,
        })
    }

    fn check_tag(
        &self,
        tagged: &[u8],
        tag: &[u8; TAG_BYTES],
        keys: &[MetadataKey],
    ) -> Result<(), StateError> {
        let mut named = keys.iter().filter(|key| key.id() == self.key).peekable();
        if named.peek().is_none() {
            return Err(StateError::UnknownKey(self.key));
        }
        let is_true = named.any(|key| key.verifies(tagged, tag));
        if is_true { Ok(()) } else { Err(StateError::FalseTag) }
    }

    fn state(&self) -> Option<State> {
        let state = State {
            next_offset: Number::new(self.next_offset)?,
            next_seal: Number::new(self.next_seal)?,
            last_seal: self.last_seal,
            sealed_at: Time::from_epoch_ms(self.sealed_at_ms)?,
            next_key_announced: self.flags & NEXT_KEY_ANNOUNCED != 0,
            streams: self.streams()?,
        };
        (self.flags & !NEXT_KEY_ANNOUNCED == 0).then_some(state)
    }

    fn streams(&self) -> Option<BTreeMap<StreamName, Chain>> {
        let mut streams = BTreeMap::<StreamName, Chain>::new();
        let mut rest = self.streams;
        for _ in 0..self.count {
            let [length] = take(&mut rest)?;
            let (name, after) = rest.split_at_checked(length.into())?;
            rest = after;
            let name = std::str::from_utf8(name).ok()?.parse().ok()?;
            let [a, b, c, d, e, f] = take(&mut rest)?;
            let size = Number::new(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))?;
            let chain = Chain { size, head: Digest::new(take(&mut rest)?) };
            let is_sorted = streams.last_key_value().is_none_or(|(last, _)| *last < name);
            (is_sorted && size > Number::ZERO).then_some(())?;
            streams.insert(name, chain);
        }
        rest.is_empty().then_some(streams)
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}
