//! The id of an audit event: a UUIDv5 of what makes the event unique, so that reading the input again
//! gives the same id. The exact layout is a contract, documented in `schemas/README.md`.

use compact_str::ToCompactString;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use super::catalog::normalise;
use super::state_change::StateChange;

/// Namespace of all event ids.
pub const NAMESPACE: Uuid = Uuid::from_u128(0x0f6c_1d52_8a4e_5d39_9b57_2f4f_0a6f_7c31);

/// The id of the event in an account.
pub fn event_id(change: &StateChange<'_>, account: &str) -> Uuid {
    let mut name = Name::default();
    match &change.event_id {
        Some(producers) => {
            name.add(b"event-id");
            name.add(account.as_bytes());
            name.add(producers.as_bytes());
        }
        None => name.add_fields(change, account),
    }
    name.finish()
}

/// The name that is hashed: parts with their lengths before them, so that no two lists of parts give the same bytes.
struct Name(Sha1);

impl Default for Name {
    fn default() -> Self {
        Name(Sha1::new_with_prefix(NAMESPACE.as_bytes()))
    }
}

impl Name {
    fn add(&mut self, part: &[u8]) {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        self.0.update(length.to_be_bytes());
        self.0.update(part);
    }

    /// Two events that differ only in their metadata are two events: the public and the private port switched by
    /// one request.
    fn add_fields(&mut self, change: &StateChange<'_>, account: &str) {
        let event = change.event_key.as_deref().or(change.event_name.as_deref());
        let actor = change.user.as_deref().or(change.iam_id.as_deref());
        let trace_id = change.trace_id.as_deref();
        let time = change.time.as_microsecond().to_compact_string();
        self.add(b"fields");
        self.add(account.as_bytes());
        self.add(change.class.as_bytes());
        self.add(change.object.as_bytes());
        self.add(normalise(event.unwrap_or_default()).as_bytes());
        self.add(time.as_bytes());
        self.add(trace_id.unwrap_or_default().as_bytes());
        self.add(actor.unwrap_or_default().as_bytes());
        self.add(&meta_data_hash(change.meta_data.text()));
    }

    /// A UUIDv5 is the beginning of the SHA-1 of namespace and name.
    fn finish(self) -> Uuid {
        let hash: [u8; 20] = self.0.finalize().into();
        let [digest @ .., _, _, _, _] = hash;
        Builder::from_sha1_bytes(digest).into_uuid()
    }
}

/// Most records have no metadata.
fn meta_data_hash(text: &str) -> [u8; 32] {
    match text {
        "" => SHA_256_OF_NOTHING,
        text => Sha256::digest(text.as_bytes()).into(),
    }
}

const SHA_256_OF_NOTHING: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_its_hash() {
        let hash: [u8; 32] = Sha256::digest(b"").into();
        assert_eq!(meta_data_hash(""), hash);
    }
}
