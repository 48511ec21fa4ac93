//! The topics that the relay uses, and what for.

use super::requirements::Role;

/// A topic and its role.
pub(super) struct TopicUse<'a> {
    pub role: Role,
    /// The role's name in messages.
    pub kind: &'static str,
    pub name: &'a str,
}

impl TopicUse<'_> {
    pub(super) fn subject(&self) -> String {
        format!("{} topic {}", self.kind, self.name)
    }
}
