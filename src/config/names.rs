//! Which names and templates are legal: topics, groups, actions, CRNs.
//!
//! Pure questions; where a value came from is the reader's business.

use super::{Input, Output};

/// Kafka's own limit on topic names; groups and ids are held to it as well.
pub(super) const MAX_NAME: usize = 249;
/// Room for what is put behind an instance's name and a topic prefix.
pub(super) const MAX_STEM: usize = 200;

/// Whether Kafka takes it as a topic's name.
pub(super) fn is_topic(name: &str) -> bool {
    is_name(name, MAX_NAME) && name != "." && name != ".."
}

/// Whether it is 1 to `longest` of the characters that Kafka takes in names.
pub(super) fn is_name(name: &str, longest: usize) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=longest).contains(&name.len()) && name.bytes().all(is_legal)
}

/// Whether `text` can be an action's name, or a prefix of some that ends in `.*`.
pub(super) fn is_action(text: &str) -> bool {
    let stem = text.strip_suffix(".*").unwrap_or(text);
    is_name(stem, MAX_NAME) && !stem.ends_with('.')
}

/// What is wrong with the topics of `regions`.
pub(super) fn output_topic_complaints(
    input: &Input,
    output: &Output,
    regions: &[impl AsRef<str>],
) -> Vec<String> {
    let complaint = |region: &str| {
        let topic = output.topic(region);
        let wrong = match () {
            () if topic == input.topic => "is the input topic as well",
            () if topic == output.quarantine_topic => "is the quarantine topic as well",
            () if !is_topic(&topic) => "is no legal topic name (1 to 249 of a-z A-Z 0-9 . _ -)",
            () => return None,
        };
        Some(format!(
            "the topic {topic:?} of region {region:?} {wrong}; change the prefix or the region"
        ))
    };
    regions.iter().filter_map(|region| complaint(region.as_ref())).collect()
}

/// Whether a CRN template begins as one and holds known placeholders only.
pub(super) fn check_crn_template(template: &str) -> Result<(), String> {
    const PLACEHOLDERS: &[&str] = &["service", "location", "account", "resource_type", "id"];
    if !template.starts_with("crn:") || !template.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("{template:?} will not do; begin with crn: and use no blanks"));
    }
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        let inner = rest[at..].strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let Some((name, after)) = inner else {
            return Err(format!(
                "{template:?} has an unpaired brace; write placeholders as {{name}}"
            ));
        };
        if !PLACEHOLDERS.contains(&name) {
            return Err(format!(
                "{{{name}}} is not a placeholder; use {{{}}}",
                PLACEHOLDERS.join("} {")
            ));
        }
        rest = after;
    }
    Ok(())
}
