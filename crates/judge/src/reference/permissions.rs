//! Names of classic permissions: when two are equal, and their packed form. `access` decides what
//! they allow.

use std::borrow::Cow;

use super::packing::{Reader, put_bytes};
use super::value::trimmed;

/// Returns a name in its one spelling: `Remote Management` and `remote-management` become
/// `REMOTE_MANAGEMENT`.
fn normalised(name: &str) -> Cow<'_, str> {
    if is_well_formed(name) {
        return Cow::Borrowed(name);
    }
    let normal = |c: char| match c {
        ' ' | '-' => '_',
        c => c.to_ascii_uppercase(),
    };
    Cow::Owned(trimmed(name).chars().map(normal).collect())
}

/// Returns whether a name has the form of the published ones.
fn is_well_formed(name: &str) -> bool {
    let legal = |c: u8| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_';
    name.starts_with(|first: char| first.is_ascii_uppercase()) && name.bytes().all(legal)
}

/// The published classic permission names, packed as one byte each. Their order must not change.
pub(crate) const KNOWN_PERMISSIONS: [&str; 10] = [
    "HARDWARE_VIEW",
    "ACCESS_ALL_HARDWARE",
    "REMOTE_MANAGEMENT",
    "SERVER_RELOAD",
    "PORT_CONTROL",
    "HOSTNAME_EDIT",
    "SERVER_ADD",
    "SERVER_CANCEL",
    "SERVER_UPGRADE",
    "USER_MANAGE",
];
/// Takes the place of a published name's byte: another name follows.
const OTHER_PERMISSION: u8 = u8::MAX;

/// One name as it is packed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PackedName<'a> {
    /// The index in [`KNOWN_PERMISSIONS`].
    Known(u8),
    /// Any other name.
    Other(&'a str),
}

impl<'a> PackedName<'a> {
    /// Returns the name as text.
    pub(crate) fn text(self) -> &'a str {
        match self {
            PackedName::Known(known) => {
                KNOWN_PERMISSIONS.get(usize::from(known)).copied().unwrap_or_default()
            }
            PackedName::Other(name) => name,
        }
    }
}

/// Permission names, packed.
#[derive(Debug, Clone, Copy)]
pub struct Permissions<'a>(pub(super) &'a [u8]);

impl<'a> Permissions<'a> {
    /// Returns whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Iterates over all names, normalised.
    pub fn iter(self) -> impl Iterator<Item = &'a str> {
        self.packed_names().map(PackedName::text)
    }

    /// Iterates over all names, without resolving the known ones to text.
    pub(crate) fn packed_names(self) -> impl Iterator<Item = PackedName<'a>> {
        let mut rest = Reader(self.0);
        std::iter::from_fn(move || {
            (!rest.0.is_empty()).then(|| match rest.byte() {
                OTHER_PERMISSION => PackedName::Other(rest.text()),
                known => PackedName::Known(known),
            })
        })
    }

    /// Wraps the names that [`Permissions::put`] packed.
    pub(super) const fn packed(names: &'a [u8]) -> Self {
        Permissions(names)
    }

    /// Packs another name, normalised.
    pub(super) fn put(name: &str, out: &mut Vec<u8>) {
        let name = &*normalised(name);
        match KNOWN_PERMISSIONS.iter().position(|known| *known == name) {
            Some(known) => out.push(known as u8),
            None => {
                out.push(OTHER_PERMISSION);
                put_bytes(out, name.as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_however_they_are_written() {
        for name in
            ["REMOTE_MANAGEMENT", "remote_management", "Remote Management", " remote-Management "]
        {
            let mut packed = Vec::new();
            Permissions::put(name, &mut packed);
            assert_eq!(packed.len(), 1, "{name} is not packed as a known one");
            assert!(Permissions::packed(&packed).iter().eq(["REMOTE_MANAGEMENT"]), "{name}");
        }
        assert_eq!(normalised("ticket view+"), "TICKET_VIEW+");
        assert!(is_well_formed("ACCESS_ALL_2"), "it would be copied to be normalised");
        assert!(!is_well_formed("TICKET_VIEW+") && !is_well_formed("1A") && !is_well_formed(""));
    }
}
