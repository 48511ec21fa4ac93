//! Reads single fields of a record, as the judge would.

use std::borrow::Cow;

use audit_judge::parse::framing;
use audit_judge::parse::record::{Field, parse};

/// Returns an id that a record names; `None` if it names none, or is no state change.
pub(super) fn id_of(value: Option<&[u8]>, field: Field) -> Option<String> {
    let value = value?;
    let value = framing::unwrap(value).unwrap_or(Cow::Borrowed(value));
    let record = parse(Some(&value)).ok()?;
    record.id(field).ok().flatten().map(|id| id.as_str().to_string())
}
