//! Which names are legal: topics, groups, actions.

/// Kafka's own limit on topic names; groups and ids are held to it as well.
pub(super) const NAME_MAX: usize = 249;
/// Room for what is put behind an instance's name and a topic prefix.
pub(super) const STEM_MAX: usize = 200;

/// What [`is_topic`] asks for, in words.
pub(super) const TOPIC: &str = "a topic name (1 to 249 characters from a-z A-Z 0-9 . _ -)";

/// Whether Kafka takes it as a topic's name.
pub(super) fn is_topic(name: &str) -> bool {
    is_name(name, NAME_MAX) && name != "." && name != ".."
}

/// Whether it is 1 to `longest` of the characters that Kafka takes in names.
pub(super) fn is_name(name: &str, longest: usize) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=longest).contains(&name.len()) && name.bytes().all(is_legal)
}

/// Whether `text` can be an action's name, or a prefix of some that ends in `.*`.
pub(super) fn is_action(text: &str) -> bool {
    let stem = text.strip_suffix(".*").unwrap_or(text);
    is_name(stem, NAME_MAX) && !stem.ends_with('.')
}
