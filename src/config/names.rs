//! The legal names of topics, groups and actions.

/// Kafka's own limit on topic names; groups and ids are held to it as well.
pub(super) const NAME_MAX: usize = 249;
/// Space reserved for what is appended to an instance name or a topic prefix, in characters.
pub(super) const STEM_MAX: usize = 200;

/// What [`is_topic`] expects, in words.
pub(super) const TOPIC: &str = "a topic name (1 to 249 characters from a-z A-Z 0-9 . _ -)";

/// Returns whether Kafka accepts `name` as a topic name.
pub(super) fn is_topic(name: &str) -> bool {
    is_name(name, NAME_MAX) && name != "." && name != ".."
}

/// Returns whether `name` has 1 to `longest` characters, all legal in Kafka's names.
pub(super) fn is_name(name: &str, longest: usize) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=longest).contains(&name.len()) && name.bytes().all(is_legal)
}

/// Returns whether `text` can be the name of an action, or a prefix of such names that ends in
/// `.*`.
pub(super) fn is_action(text: &str) -> bool {
    let stem = text.strip_suffix(".*").unwrap_or(text);
    is_name(stem, NAME_MAX) && !stem.ends_with('.')
}
