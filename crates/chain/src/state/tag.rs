//! The tag of a state, and the key that it is made with.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::TAG_BYTES;
use crate::key::{KeyId, SigningKey};

/// A key as HMAC takes it: of one block, a shorter one filled up with zeros (RFC 2104).
type Block = Zeroizing<[u8; 64]>;

/// The key of the tags, derived from a signing key: HKDF-SHA256 (RFC 5869) with the seed as input
/// key material, no salt, and the info `audit-chain/v1/metadata`; 32 bytes. Wiped from memory when
/// dropped, and never printed.
pub struct MetadataKey {
    id: KeyId,
    block: Block,
}

impl MetadataKey {
    /// Derives the key that belongs to a signing key.
    pub fn derive(key: &SigningKey) -> Self {
        // No salt is one of zeros. 32 bytes are the first block of HKDF's output, so one step of
        // each kind is all there is.
        let extracted = hmac(&Zeroizing::new([0; 64]), &[&key.seed()[..]]);
        let derived = hmac(&extracted, &[b"audit-chain/v1/metadata", &[1]]);
        Self { id: key.public().id(), block: derived }
    }

    /// Returns the id of the signing key.
    pub fn id(&self) -> KeyId {
        self.id
    }

    pub(super) fn tag(&self, bytes: &[u8]) -> [u8; TAG_BYTES] {
        let whole = hmac(&self.block, &[bytes]);
        let mut tag = [0; TAG_BYTES];
        tag.iter_mut().zip(whole.iter()).for_each(|(tag, byte)| *tag = *byte);
        tag
    }

    /// Compares in constant time.
    pub(super) fn verifies(&self, bytes: &[u8], tag: &[u8; TAG_BYTES]) -> bool {
        let mut mac = <Hmac<Sha256>>::new((&*self.block).into());
        mac.update(bytes);
        mac.verify_truncated_left(tag).is_ok()
    }
}

impl fmt::Debug for MetadataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MetadataKey(of {})", self.id)
    }
}

/// Returns HMAC-SHA256 of the parts, filled up to a block.
fn hmac(key: &Block, parts: &[&[u8]]) -> Block {
    let mut mac = <Hmac<Sha256>>::new((&**key).into());
    parts.iter().for_each(|part| mac.update(part));
    let mut block = Zeroizing::new([0; 64]);
    let output = Zeroizing::new(<[u8; 32]>::from(mac.finalize().into_bytes()));
    block.iter_mut().zip(output.iter()).for_each(|(to, from)| *to = *from);
    block
}
