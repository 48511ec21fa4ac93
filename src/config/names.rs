//! Which names and templates are legal: topics, groups, actions, CRNs.

/// Kafka's own limit on topic names; groups and ids are held to it as well.
pub(super) const NAME_MAX: usize = 249;
/// Room for what is put behind an instance's name and a topic prefix.
pub(super) const STEM_MAX: usize = 200;

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
