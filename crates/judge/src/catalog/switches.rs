//! Decides which actions are enabled: the catalogue's files, overridden by what the configuration
//! enables and disables.

use super::file::Row;
use crate::data_file::Problem;
use crate::text::nearest;

/// The configuration's patterns for actions, as written: action names, or prefixes ending in `.*`.
///
/// `audit-log.vsi.*` means every action whose name begins with `audit-log.vsi.`; this excludes
/// `audit-log.vsi-port.enable`.
#[derive(Debug, Clone, Default)]
pub struct Switches {
    pub enable: Vec<String>,
    pub disable: Vec<String>,
}

/// What problems call the place to correct.
const CONFIGURATION: &str = "configuration";

/// Enables and disables rows, and returns what is wrong with the patterns.
pub(super) fn apply(rows: &mut [Row], switches: &Switches) -> Vec<Problem> {
    let mut problems = unmatched(rows, "catalog.enable", &switches.enable);
    problems.extend(unmatched(rows, "catalog.disable", &switches.disable));
    problems.extend(contradictions(rows, switches));
    for row in rows {
        let name = &row.action.name;
        let enabled = row.action.enabled || first_match(&switches.enable, name).is_some();
        row.action.enabled = enabled && first_match(&switches.disable, name).is_none();
    }
    problems
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => prefix.ends_with('.') && name.starts_with(prefix),
        None => pattern == name,
    }
}

fn first_match<'p>(patterns: &'p [String], name: &str) -> Option<&'p String> {
    patterns.iter().find(|pattern| matches(pattern, name))
}

fn unmatched(rows: &[Row], key: &str, patterns: &[String]) -> Vec<Problem> {
    let names = || rows.iter().map(|row| row.action.name.as_str());
    let unknown = patterns.iter().filter(|pattern| !names().any(|name| matches(pattern, name)));
    unknown
        .map(|pattern| {
            let remedy = match nearest(pattern, names()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "write an action's name, or a prefix ending in `.*`".to_owned(),
            };
            let message = format!("`{pattern}` matches no action: {remedy}");
            Problem::of_row(CONFIGURATION, key, message)
        })
        .collect()
}

fn contradictions(rows: &[Row], switches: &Switches) -> Vec<Problem> {
    rows.iter()
        .filter_map(|row| {
            let name = &row.action.name;
            let enable = first_match(&switches.enable, name)?;
            let disable = first_match(&switches.disable, name)?;
            let message = format!(
                "`{name}` is both enabled (by `{enable}`) and disabled (by `{disable}`): leave out one of the two"
            );
            Some(Problem::of_row(CONFIGURATION, "catalog", message))
        })
        .collect()
}
