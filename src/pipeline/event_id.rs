//! The id of an audit event: a UUIDv5 of what makes the event unique, so that reading the input again
//! gives the same id. The exact layout is a contract, documented in `schemas/README.md`.

use sha1::Sha1;
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use super::classify::{Actor, UserAction};
use super::field::Raw;
use super::state_change::StateChange;

/// Namespace of the ids that are made of a producer's own `eventId`.
pub const NAMESPACE: Uuid = Uuid::from_u128(0x0f6c_1d52_8a4e_5d39_9b57_2f4f_0a6f_7c31);
/// Namespace of the ids that are made of a record's fields, layout 2: the UUIDv5 of `fields/2` in [`NAMESPACE`].
pub const FIELDS_NAMESPACE: Uuid = Uuid::from_u128(0x99af_0402_232b_531a_afdb_8a2a_39c7_e7d8);

/// The id of the event of an action in an account.
pub fn event_id(action: &UserAction<'_>, account: &str) -> Uuid {
    match &action.change.event_id {
        Some(producers) => {
            let mut name = Name::in_namespace(NAMESPACE);
            name.add("event-id");
            name.add(account);
            name.add(producers);
            name.finish()
        }
        None => {
            let mut name = Name::in_namespace(FIELDS_NAMESPACE);
            name.add_what_happened(action);
            name.add_who(action);
            name.add_how(&action.change);
            name.finish()
        }
    }
}

/// Bytes that are collected before they are hashed. Most names are shorter, and many small calls of the hash cost more than the
/// hash.
const BUFFER_BYTES: usize = 1_024;

/// The name that is hashed: parts with their lengths before them, so that no two lists of parts give the same bytes.
struct Name {
    hash: Sha1,
    buffer: [u8; BUFFER_BYTES],
    filled: usize,
}

impl Name {
    fn in_namespace(namespace: Uuid) -> Self {
        Name {
            hash: Sha1::new_with_prefix(namespace.as_bytes()),
            buffer: [0; BUFFER_BYTES],
            filled: 0,
        }
    }

    fn add(&mut self, part: &str) {
        self.add_bytes(part.as_bytes());
    }

    fn add_optional(&mut self, part: Option<&str>) {
        self.add(part.unwrap_or_default());
    }

    fn add_bytes(&mut self, part: &[u8]) {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        self.write(&length.to_be_bytes());
        self.write(part);
    }

    fn write(&mut self, bytes: &[u8]) {
        let end = self.filled + bytes.len();
        if let Some(room) = self.buffer.get_mut(self.filled..end) {
            room.copy_from_slice(bytes);
            self.filled = end;
            return;
        }
        self.flush();
        self.hash.update(bytes);
    }

    fn flush(&mut self) {
        self.hash.update(&self.buffer[..self.filled]);
        self.filled = 0;
    }

    /// The account, too, is the record's own: the device table's may be another one tomorrow.
    fn add_what_happened(&mut self, action: &UserAction<'_>) {
        let change = &action.change;
        self.add("fields/2");
        self.add(&action.action.name);
        self.add_optional(change.account.as_deref());
        self.add(&change.class);
        self.add(&change.object);
        self.add_optional(change.event_key.as_deref());
        self.add_optional(change.event_name.as_deref());
        self.add_bytes(&change.time.as_nanosecond().to_be_bytes());
        self.add_optional(change.trace_id.as_deref());
        self.add_optional(change.label.as_deref());
        self.add_optional(change.data_center.as_deref());
    }

    fn add_who(&mut self, action: &UserAction<'_>) {
        let change = &action.change;
        let behalf = change.on_behalf_of.as_ref();
        let is_user = action.actor == Actor::User;
        self.add(if is_user { "user" } else { "system" });
        self.add_optional(change.user.as_deref());
        self.add_optional(change.iam_id.as_deref());
        self.add_optional(change.username.as_deref());
        self.add_optional(change.identity_provider_name.as_deref());
        self.add_optional(behalf.and_then(|behalf| behalf.user.as_deref()));
        self.add_optional(behalf.and_then(|behalf| behalf.iam_id.as_deref()));
        self.add_optional(behalf.and_then(|behalf| behalf.username.as_deref()));
        self.add_optional(change.credential_type.as_deref());
        self.add_optional(change.address.as_deref());
        self.add_optional(change.agent.as_deref());
    }

    /// Two events that differ only in their metadata are two events: the public and the private port switched by
    /// one request.
    fn add_how(&mut self, change: &StateChange<'_>) {
        self.add(change.outcome.name());
        self.add_bytes(&change.reason_code.unwrap_or_default().to_be_bytes());
        self.add_optional(change.reason_for_failure.as_deref());
        for state in [change.previous_state, change.new_state] {
            self.add(&state.map(Raw::read_form).unwrap_or_default());
        }
        self.add_bytes(&meta_data_hash(change.meta_data.text()));
        for field in change.unreadable.names() {
            self.add(field);
        }
    }

    /// A UUIDv5 is the beginning of the SHA-1 of namespace and name.
    fn finish(mut self) -> Uuid {
        self.flush();
        let hash: [u8; 20] = self.hash.finalize().into();
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

    #[test]
    fn the_namespace_of_the_second_layout_is_made_of_the_first() {
        let mut name = Name::in_namespace(NAMESPACE);
        name.write(b"fields/2");
        assert_eq!(FIELDS_NAMESPACE, name.finish());
    }
}
