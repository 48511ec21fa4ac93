//! The required forms of a row's values, so that no event built from them violates
//! `schemas/audit-event.schema.json`.

use std::collections::BTreeSet;

use crate::data_file::Report;
use crate::text::clean;

/// Keys of `requestData` that the relay itself writes. No row may copy them.
const OWN_KEYS: [&str; 6] =
    ["updateType", "initialValue", "newValue", "truncated", "unreadable", "unreadableFields"];

/// Returns whether a text is words of `[a-z0-9]` joined by single hyphens.
fn is_hyphenated(text: &str) -> bool {
    let is_word = |word: &str| {
        let mut bytes = word.bytes();
        !word.is_empty() && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    text.split('-').all(is_word)
}

/// Splits an action's name into its three parts.
pub(super) fn name_parts(name: &str) -> Option<(&str, &str, &str)> {
    let mut parts = name.split('.').filter(|part| is_hyphenated(part));
    let found = (parts.next()?, parts.next()?, parts.next()?);
    (name.split('.').count() == 3).then_some(found)
}

/// Checks the beginning of the message, before its colon.
pub(super) fn check_display_name(text: &str, report: &mut Report<'_>) {
    report.require(!text.contains(':') && clean(text) == text, || {
        format!("`display_name` is \"{text}\": leave out colons and control characters, since the message has a colon behind it")
    });
}

/// Checks `target.typeURI`.
pub(super) fn check_target_type(text: &str, report: &mut Report<'_>) {
    let parts: Vec<_> = text.split('/').collect();
    let is_good = (2..=3).contains(&parts.len()) && parts.into_iter().all(is_hyphenated);
    report.require(is_good, || {
        format!("`target_type` is \"{text}\": write service/object or service/object/attribute in a-z, 0-9 and -")
    });
}

/// Checks a classic permission, which is compared exactly.
pub(super) fn check_permission(text: &str, report: &mut Report<'_>) {
    let mut bytes = text.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_uppercase());
    let rest = bytes.all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    report.require(first && rest, || {
        format!("`permission` is \"{text}\": write it as REMOTE_MANAGEMENT, in A-Z, 0-9 and _")
    });
}

/// Checks the metadata key of a new object's place.
pub(super) fn check_place(key: &str, creates: bool, report: &mut Report<'_>) {
    report.require(!key.trim().is_empty(), || {
        "`place` is blank: name a metadata key or leave it out".to_owned()
    });
    report.require(creates, || {
        "`place` is for actions with `creates = true`: of what was there before, the device table knows the place".to_owned()
    });
}

/// Checks the metadata keys to copy.
pub(super) fn check_keys(key: &str, listed: &[String], report: &mut Report<'_>) {
    let mut seen = BTreeSet::new();
    for name in listed {
        check_key(key, name, report);
        report
            .require(seen.insert(name), || format!("`{key}` lists `{name}` twice: leave out one"));
    }
}

/// Checks that a text is not blank.
pub(super) fn check_not_blank(key: &str, value: &str, report: &mut Report<'_>) {
    report.require(!value.trim().is_empty(), || {
        format!("`{key}` is blank: say something or leave it out")
    });
}

/// Checks a metadata key that is copied under its own name.
fn check_key(list: &str, key: &str, report: &mut Report<'_>) {
    let mut bytes = key.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic());
    let rest = bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    report.require(first && rest, || {
        format!(
            "`{list}` lists `{key}`: write keys in letters, digits, _, . and -, with a letter first"
        )
    });
    report.require(!OWN_KEYS.contains(&key), || {
        format!("`{list}` lists `{key}`, which the relay writes itself: leave it out")
    });
}
