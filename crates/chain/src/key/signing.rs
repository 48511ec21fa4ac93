//! Private keys: made from a seed or read from a file that OpenSSL wrote.

use std::fmt;

use ed25519_dalek::Signer as _;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, KeypairBytes};
use zeroize::Zeroizing;

use super::PublicKey;
use crate::name::Origin;

/// A text that is not a private key. The text is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid private key: expected Ed25519 as PKCS#8 in PEM, as \"openssl genpkey -algorithm ed25519\" writes it"
)]
pub struct PrivateKeyError;

/// A key that signs, with its name. Wiped from memory when dropped; `Debug` prints the public key.
pub struct SigningKey {
    public: PublicKey,
    secret: ed25519_dalek::SigningKey,
}

impl SigningKey {
    /// Makes a key from its seed, 32 bytes from a source of randomness for keys (RFC 8032, section
    /// 5.1.5). The same seed always makes the same key.
    pub fn from_seed(name: Origin, seed: &[u8; 32]) -> Self {
        Self::of(name, ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// Reads a key from PKCS#8 in PEM (RFC 8410). White space after it is ignored.
    ///
    /// # Errors
    ///
    /// If the text is anything else: encrypted, of another algorithm, or more than one key.
    pub fn from_pem(name: Origin, pem: &str) -> Result<Self, PrivateKeyError> {
        let secret = ed25519_dalek::SigningKey::from_pkcs8_pem(pem.trim_ascii_end());
        Ok(Self::of(name, secret.map_err(|_| PrivateKeyError)?))
    }

    fn of(name: Origin, secret: ed25519_dalek::SigningKey) -> Self {
        Self { public: PublicKey::of_signer(name, secret.verifying_key()), secret }
    }

    /// Returns the key as PKCS#8 in PEM: version 1, without the public key, as OpenSSL writes it.
    ///
    /// # Errors
    ///
    /// Never in practice: a key of 32 bytes has an encoding.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, PrivateKeyError> {
        let bytes = KeypairBytes { secret_key: self.secret.to_bytes(), public_key: None };
        bytes.to_pkcs8_pem(LineEnding::LF).map_err(|_| PrivateKeyError)
    }

    /// Returns the public key.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a message. The same message always gets the same signature.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.secret.sign(message).to_bytes()
    }

    /// Returns the seed, from which other keys are derived.
    pub(crate) fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.secret.to_bytes())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_seed("audit.example.com".parse().expect("an origin"), &[7; 32])
    }

    fn read(pem: &str) -> Result<SigningKey, PrivateKeyError> {
        SigningKey::from_pem("audit.example.com".parse().expect("an origin"), pem)
    }

    #[test]
    fn is_written_as_openssl_writes_it_and_read_back() {
        let pem = key().to_pem().expect("a key");
        let lines: Vec<_> = pem.lines().map(str::len).collect();
        assert_eq!(lines, ["-----BEGIN PRIVATE KEY-----".len(), 64, 25]);
        assert_eq!(*read(&pem).expect("its own").seed(), [7; 32]);
        assert!(
            read(pem.trim_end()).is_ok(),
            "secrets are often stored without their last line feed"
        );
        assert!(read(&format!("{}{}", *pem, *pem)).is_err());
    }

    #[test]
    fn is_never_printed() {
        let (printed, pem) = (format!("{:?}", key()), key().to_pem().expect("a key"));
        let secret = pem.lines().nth(1).expect("a line");
        assert!(printed.starts_with("SigningKey(audit.example.com+"), "{printed}");
        assert!(!printed.contains(secret.get(22..).expect("64 characters")));
        let message = read(&pem.replace("PRIVATE", "SECRET")).expect_err("a label").to_string();
        assert!(!message.contains(secret));
    }

    #[test]
    fn a_changed_file_is_another_key_or_none() {
        let pem = key().to_pem().expect("a key");
        for at in 0..pem.len() {
            let mut other = pem.as_bytes().to_vec();
            other[at] ^= 1;
            let other = Zeroizing::new(String::from_utf8(other).expect("ASCII"));
            if let Ok(other) = read(&other) {
                assert_ne!(*other.seed(), [7; 32], "byte {at}");
            }
        }
    }
}
