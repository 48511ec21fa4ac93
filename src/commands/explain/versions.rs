//! Describes the entries of the reference tables that a record was judged by: all versions of a
//! key, which of them counted, and which decided.

use std::fmt::Display;

use jiff::Timestamp;

use audit_judge::enrich::{KeyLookup, Role};

/// Describes each version on one line. If none led to an audit event, the one valid at the time
/// decided.
pub(super) fn describe<K: Display>(
    what: &str,
    lookup: &KeyLookup<K>,
    moment: Timestamp,
) -> Vec<String> {
    let KeyLookup { key, versions, decides } = lookup;
    if versions.is_empty() {
        return vec![format!("{what} {key}: not in the table")];
    }
    let mut lines = Vec::new();
    let valid = versions.iter().find(|(_, role)| *role == Role::ValidAtTheTime);
    let valid = valid.map(|(version, _)| version.valid_from);
    if valid.is_none() {
        lines.push(format!("{what} {key}: not known at {moment}"));
    }
    let decides = decides.or(valid);
    for (version, role) in versions {
        let role = match role {
            _ if decides == Some(version.valid_from) => " (decides)",
            Role::ValidAtTheTime => " (valid at the time)",
            Role::WithinClockSkew => " (considered: within the clock skew)",
            Role::Ignored => "",
        };
        let content = match version.value {
            Some(()) => "",
            None if version.is_unreadable => " unreadable",
            None => " removed",
        };
        let origin = if version.explicit { "" } else { ", by the record's timestamp" };
        lines.push(format!("{what} {key}{content} from {}{origin}{role}", version.valid_from));
    }
    lines
}
