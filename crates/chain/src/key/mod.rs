//! Keys: Ed25519 (RFC 8032), each with the name of its owner. Private keys are wiped from memory
//! when they are dropped, and are never printed.

mod public;
mod signing;

pub use self::public::{KeyId, PublicKey};
pub use self::signing::{PrivateKeyError, SigningKey};
