//! Reads audit events that were written.

use serde::Deserialize;
use uuid::Uuid;

/// The part of an event that is looked at.
#[derive(Deserialize)]
struct EventId<'a> {
    id: &'a str,
}

/// Returns the id of an event; `None` if the value is not one.
pub(super) fn id_of(value: Option<&[u8]>) -> Option<Uuid> {
    let EventId { id } = serde_json::from_slice(value?).ok()?;
    id.parse().ok()
}
