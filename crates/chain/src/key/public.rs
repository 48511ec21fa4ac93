//! Public keys, as text for verifiers of signed notes and as PEM for everything else.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::pkcs8::EncodePublicKey as _;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::{Signature, VerifyingKey};

use crate::name::Origin;
use crate::{Digest, Invalid};

/// The type byte of Ed25519 signatures in C2SP's `signed-note`.
const ED25519: u8 = 1;

/// Names a key in signature lines: the first four bytes of SHA-256 over name, line feed, type byte
/// and public key (C2SP's `signed-note`). Not collision-resistant: it finds a key, it proves none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 4]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

/// A public key with its name. Its text is the *vkey* of C2SP's `signed-note`,
/// `<name>+<key id in hexadecimal>+<Base64 of 0x01 and the key>`.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: Origin,
    id: KeyId,
    key: VerifyingKey,
}

impl PublicKey {
    /// Names a key. `None` if the bytes are not a public key, or one with which a signature would
    /// hold for more than one text (a point of small order).
    pub fn new(name: Origin, bytes: &[u8; 32]) -> Option<Self> {
        let key = VerifyingKey::from_bytes(bytes).ok()?;
        // Points have more than one encoding; the signatures of one must not hold under another.
        let is_canonical = key.to_bytes() == *bytes && key.to_edwards().compress().0 == *bytes;
        (is_canonical && !key.is_weak()).then(|| Self { id: key_id(&name, bytes), name, key })
    }

    pub(super) fn of_signer(name: Origin, key: VerifyingKey) -> Self {
        Self { id: key_id(&name, key.as_bytes()), name, key }
    }

    /// Returns the name: for keys that sign a trail, its origin.
    pub fn name(&self) -> &Origin {
        &self.name
    }

    /// Returns the key id.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Returns the 32 bytes of the key (RFC 8032, section 5.1.5).
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// Returns whether a signature of 64 bytes is this key's over a message. Strict: a signature
    /// holds for one key and one message only.
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.key.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }

    /// Returns the key as PEM: SubjectPublicKeyInfo (RFC 8410), as `openssl pkey -pubout` writes
    /// it. The name is not part of it. `None` if the encoder fails, which it does for no key.
    pub fn to_pem(&self) -> Option<String> {
        self.key.to_public_key_pem(LineEnding::LF).ok()
    }

    fn parse(text: &str) -> Option<Self> {
        // Base64 may hold more of the separators.
        let mut parts = text.splitn(3, '+');
        let mut next = || parts.next();
        let (name, id, encoded) = (next()?.parse().ok()?, next()?, next()?);
        let bytes = STANDARD.decode(encoded).ok()?;
        let (kind, bytes) = bytes.split_first()?;
        let key = Self::new(name, bytes.try_into().ok()?)?;
        (*kind == ED25519 && key.id.to_string() == id).then_some(key)
    }
}

fn key_id(name: &Origin, key: &[u8; 32]) -> KeyId {
    let preimage = [name.as_str().as_bytes(), b"\n", &[ED25519], key].concat();
    let [first, second, third, fourth, ..] = *Digest::of(&preimage).as_bytes();
    KeyId([first, second, third, fourth])
}

impl FromStr for PublicKey {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let expected = "<name>+<key id>+<Base64 of an Ed25519 public key>, as it was printed when the key was made";
        Self::parse(text).ok_or_else(|| Invalid::new("vkey", text, expected))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&[ED25519][..], self.as_bytes()].concat();
        write!(f, "{}+{}+{}", self.name, self.id, STANDARD.encode(bytes))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}
