//! Names of classic permissions: when two are equal, and which of those held by principals are
//! unknown. `access` decides what they allow.

use std::borrow::Cow;

use super::oddities::Tally;
use super::value::trimmed;
use super::{Principal, PrincipalKey, Table};

/// Returns a name in its one spelling: `Remote Management` and `remote-management` become
/// `REMOTE_MANAGEMENT`.
pub(super) fn normalised(name: &str) -> Cow<'_, str> {
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

/// Counts the names that any version of a principal holds and `is_known` rejects.
pub fn unknown_permissions(
    principals: &Table<PrincipalKey, Principal>,
    is_known: impl Fn(&str) -> bool,
) -> Tally {
    let mut unknown = Tally::default();
    for (_, versions) in principals.iter() {
        let held = versions.iter().filter_map(|version| version.value);
        let names = held.flat_map(|principal| principal.permissions.iter());
        for name in names.filter(|name| !is_known(name)) {
            unknown.count(name);
        }
    }
    unknown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Permissions;

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
        assert!(!is_well_formed("TICKET_VIEW+") && !is_well_formed("1A") && !is_well_formed(""));
    }
}
