//! The id of an audit event: a UUIDv5 of what makes the event unique, so that reading the input again
//! gives the same id. The exact layout is a contract, documented in `schemas/README.md`.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::catalog::normalise;
use super::state_change::StateChange;

/// Namespace of all event ids.
pub const NAMESPACE: Uuid = Uuid::from_u128(0x0f6c_1d52_8a4e_5d39_9b57_2f4f_0a6f_7c31);

/// The id of the event in an account.
pub fn event_id(change: &StateChange<'_>, account: &str) -> Uuid {
    let name = match &change.event_id {
        Some(producers) => {
            length_prefixed(&[b"event-id", account.as_bytes(), producers.as_bytes()])
        }
        None => from_fields(change, account),
    };
    Uuid::new_v5(&NAMESPACE, &name)
}

/// Two events that differ only in their metadata are two events: the public and the private port
/// switched by one request.
fn from_fields(change: &StateChange<'_>, account: &str) -> Vec<u8> {
    let event = change.event_key.as_deref().or(change.event_name.as_deref());
    let actor = change.user.as_deref().or(change.iam_id.as_deref());
    let meta_data = Sha256::digest(change.meta_data.text().as_bytes());
    length_prefixed(&[
        b"fields",
        account.as_bytes(),
        change.class.as_bytes(),
        change.object.as_bytes(),
        normalise(event.unwrap_or_default()).as_bytes(),
        change.time.as_microsecond().to_string().as_bytes(),
        change.trace_id.as_deref().unwrap_or_default().as_bytes(),
        actor.unwrap_or_default().as_bytes(),
        &meta_data,
    ])
}

/// Joins parts so that no two lists of parts give the same bytes.
fn length_prefixed(parts: &[&[u8]]) -> Vec<u8> {
    let mut name = Vec::with_capacity(192);
    for part in parts {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        name.extend_from_slice(&length.to_be_bytes());
        name.extend_from_slice(part);
    }
    name
}
