//! The id of an audit event: a UUIDv5 of what makes the event unique, so that reading the input
//! again produces the same id. The exact layout is a contract, documented in `schemas/README.md`.

use sha1::{Digest, Sha1};
use uuid::{Builder, Uuid};

use crate::classify::state_change::StateChange;
use crate::classify::{Actor, UserAction};
use crate::json::Raw;

/// Namespace of the ids made from a producer's own `eventId`.
const NAMESPACE: Uuid = Uuid::from_u128(0x0f6c_1d52_8a4e_5d39_9b57_2f4f_0a6f_7c31);
/// Namespace of the ids made from a record's fields, layout 3: the UUIDv5 of `fields/3` in
/// [`NAMESPACE`].
const FIELDS_NAMESPACE: Uuid = Uuid::from_u128(0xcddb_3b4a_f5cb_5815_83e1_c5a9_5a12_239f);

/// Returns the event id of an action in an account.
pub(super) fn event_id(action: &UserAction<'_>, account: &str) -> Uuid {
    match &action.change.event_id {
        Some(producers) => {
            let mut name = Name::in_namespace(NAMESPACE);
            // Parts of this name keep four-byte lengths: its ids predate the other length encoding
            // and must not change.
            for part in ["event-id", account, producers] {
                name.write(&(part.len() as u32).to_be_bytes());
                name.write(part.as_bytes());
            }
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

/// Bytes buffered before hashing. Most names are shorter, and many small calls cost more than the
/// hash itself.
const BUFFER_BYTES: usize = 1_024;
/// Lengths have seven bits in each byte, the lowest first. The highest bit marks that another byte
/// follows.
const ONE_MORE: u8 = 0x80;

/// The hashed name, without its namespace: length-prefixed parts, so that no two lists of parts
/// produce the same bytes.
struct Name {
    hash: Sha1,
    buffer: [u8; BUFFER_BYTES],
    filled: usize,
}

impl Name {
    fn in_namespace(namespace: Uuid) -> Self {
        let mut name = Name { hash: Sha1::new(), buffer: [0; BUFFER_BYTES], filled: 0 };
        name.write(namespace.as_bytes());
        name
    }

    fn add(&mut self, part: &str) {
        self.add_bytes(part.as_bytes());
    }

    fn add_optional(&mut self, part: Option<&str>) {
        self.add(part.unwrap_or_default());
    }

    fn add_bytes(&mut self, part: &[u8]) {
        // Nearly all parts are short and fit.
        let room = self.buffer.get_mut(self.filled..);
        if part.len() < usize::from(ONE_MORE)
            && let Some([length, room @ ..]) = room
            && let Some(room) = room.get_mut(..part.len())
        {
            *length = part.len() as u8;
            room.copy_from_slice(part);
            self.filled += 1 + part.len();
            return;
        }
        self.add_long(part);
    }

    #[cold]
    fn add_long(&mut self, part: &[u8]) {
        let mut length = part.len();
        while length >= usize::from(ONE_MORE) {
            self.write(&[length as u8 | ONE_MORE]);
            length >>= 7;
        }
        self.write(&[length as u8]);
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

    /// Adds what happened, with the account of the record: that of the device table may change.
    fn add_what_happened(&mut self, action: &UserAction<'_>) {
        let change = &action.change;
        self.add(&action.action.name);
        self.add_optional(change.account.as_deref());
        self.add(&change.class);
        self.add(&change.object);
        self.add_optional(change.event_key.as_deref());
        self.add_optional(change.event_name.as_deref());
        // Times of records are between 1970 and 2200, less than 2^63 nanoseconds.
        let nanoseconds = change.time.as_nanosecond() as u64;
        self.add_bytes(&nanoseconds.to_be_bytes());
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

    /// Adds the metadata. Two events that differ only in their metadata are two events: one request
    /// can switch the public and the private port.
    fn add_how(&mut self, change: &StateChange<'_>) {
        self.add(change.outcome.name());
        self.add_bytes(&change.reason_code.unwrap_or_default().to_be_bytes());
        self.add_optional(change.reason_for_failure.as_deref());
        for state in [change.previous_state, change.new_state] {
            self.add(&state.map(Raw::read_form).unwrap_or_default());
        }
        self.add(change.meta_data.text());
        for field in change.unreadable.names() {
            self.add(field);
        }
    }

    /// Returns the UUIDv5: the first bytes of the SHA-1 of namespace and name.
    fn finish(mut self) -> Uuid {
        self.flush();
        let hash: [u8; 20] = self.hash.finalize().into();
        let [digest @ .., _, _, _, _] = hash;
        Builder::from_sha1_bytes(digest).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespace_of_the_third_layout_is_made_of_the_first() {
        let mut name = Name::in_namespace(NAMESPACE);
        name.write(b"fields/3");
        assert_eq!(FIELDS_NAMESPACE, name.finish());
    }

    /// Compares the hashed bytes with a hash that was fed one byte at a time.
    #[track_caller]
    fn assert_same(parts: &[&[u8]], bytes: &[u8]) {
        let mut name = Name::in_namespace(NAMESPACE);
        parts.iter().for_each(|part| name.add_bytes(part));
        let mut plain = Name::in_namespace(NAMESPACE);
        bytes.chunks(1).for_each(|byte| plain.write(byte));
        assert_eq!(name.finish(), plain.finish());
    }

    #[test]
    fn parts_have_their_lengths_before_them() {
        assert_same(&[b"", b"ab", b""], b"\x00\x02ab\x00");
        assert_same(&[b"ab"], b"\x02ab");
        for (length, written) in
            [(127, &[127][..]), (128, &[0x80, 1]), (300, &[0xac, 2]), (20_000, &[0xa0, 0x9c, 1])]
        {
            let part = vec![b'x'; length];
            let bytes = [written, &part, &[1, b'y']].concat();
            assert_same(&[&part, b"y"], &bytes);
        }
    }

    /// Holds for any earlier buffer content and any position of the buffer's end.
    #[test]
    fn a_name_may_be_longer_than_the_buffer() {
        for length in [900, 1_007, 1_008, 1_009, 1_100] {
            let part = vec![b'x'; length];
            let long = [&[(length % 128) as u8 | 0x80, (length / 128) as u8], &part[..]].concat();
            let bytes = [&long[..], &[3, b'a', b'b', b'c'], &long].concat();
            assert_same(&[&part, b"abc", &part], &bytes);
        }
    }
}
