//! Reads the text of one catalogue file into rows, and reports every problem. It does not check
//! rows against each other (overlaps, switches).

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use toml::{Table, Value};

use super::action::{Action, Severity, Update};
use super::attributes::{self, AttributeTexts};
use super::forms;
use super::matching::{Match, MatchText, check_names, read_matches};
use crate::data_file;
use crate::data_file::{Problem, Report, is_slug};
use crate::reference::DeviceKind;
use crate::text::names::normalise;

/// One catalogue file: its name in messages, and its text.
#[derive(Debug, Clone, Copy)]
pub struct CatalogFile<'t> {
    pub name: &'t str,
    pub text: &'t str,
}

/// One row as read: its action, and what it matches.
pub(super) struct Row {
    /// The name of its file, for messages.
    pub(super) file: String,
    pub(super) action: Action,
    pub(super) matches: Vec<Match>,
    /// The attribute settings of its file.
    pub(super) attributes: AttributeTexts,
}

const HEAD_KEYS: &[&str] = &[
    "family",
    "enabled",
    "service",
    "display_name",
    "classes",
    "resource_type",
    "device_kind",
    "attributes",
];

/// Settings that apply to all rows of a file.
#[derive(Deserialize)]
struct Head {
    family: String,
    enabled: bool,
    service: String,
    display_name: String,
    classes: Vec<String>,
    resource_type: String,
    device_kind: Option<String>,
    #[serde(default)]
    attributes: AttributeTexts,
}

const ROW_KEYS: &[&str] = &[
    "name",
    "events",
    "match",
    "target_type",
    "severity",
    "permission",
    "creates",
    "place",
    "request_data",
    "response_data",
    "update",
    "classes",
    "resource_type",
    "display_name",
    "device_kind",
];

#[derive(Deserialize)]
struct RowText {
    name: String,
    #[serde(default)]
    events: Vec<String>,
    #[serde(default, rename = "match")]
    matches: Vec<MatchText>,
    target_type: String,
    severity: String,
    permission: Option<String>,
    #[serde(default)]
    creates: bool,
    place: Option<String>,
    #[serde(default)]
    request_data: Vec<String>,
    #[serde(default)]
    response_data: Vec<String>,
    update: Option<UpdateText>,
    classes: Option<Vec<String>>,
    resource_type: Option<String>,
    display_name: Option<String>,
    device_kind: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UpdateText {
    #[serde(rename = "type")]
    update_type: String,
    initial: String,
    new: String,
}

/// Adds the file's rows to `rows` and its problems to `problems`. Rows with problems are added too
/// if they can be read at all, so that the checks across rows do not report mere consequences of
/// another problem.
pub(super) fn read(file: &CatalogFile<'_>, rows: &mut Vec<Row>, problems: &mut Vec<Problem>) {
    let mut report = Report::of(file.name);
    read_text(file, rows, &mut report);
    problems.append(&mut report.problems);
}

fn read_text(file: &CatalogFile<'_>, rows: &mut Vec<Row>, report: &mut Report<'_>) {
    let Some(mut table) = report.accept(data_file::parse(file.text)) else {
        return;
    };
    let tables = report.accept(data_file::take_rows(&mut table, "action"));
    let head = read_head(table, report);
    if tables.as_ref().is_some_and(Vec::is_empty) {
        report.say("describes no action: add [[action]] rows or leave the file out");
    }
    for (position, table) in tables.unwrap_or_default().into_iter().enumerate() {
        report.row = Some(label(&table, position));
        let text = read_row(table, report);
        if let (Some(head), Some(text)) = (&head, text) {
            rows.push(build(file.name, head, text, report));
        }
    }
}

/// Removes all but the first row of each name, so that the copies are not also reported as
/// overlapping.
pub(super) fn refuse_repeated_names(rows: &mut Vec<Row>, problems: &mut Vec<Problem>) {
    let mut first_file: BTreeMap<String, String> = BTreeMap::new();
    rows.retain(|row| {
        let name = &row.action.name;
        let Some(first) = first_file.get(name) else {
            first_file.insert(name.clone(), row.file.clone());
            return true;
        };
        let message =
            format!("the name is given twice, first in {first}: merge or rename the rows");
        problems.push(Problem::of_row(&row.file, name, message));
        false
    });
}

fn label(table: &Table, position: usize) -> String {
    let name = table.get("name").and_then(Value::as_str);
    let name = name.filter(|name| !name.trim().is_empty());
    name.map_or_else(|| format!("action {}", position + 1), str::to_owned)
}

fn read_head(mut table: Table, report: &mut Report<'_>) -> Option<Head> {
    report.say_all(data_file::take_unknown(&mut table, HEAD_KEYS));
    let head: Head = report.accept(data_file::read(table))?;
    for (key, value) in [("family", &head.family), ("service", &head.service)] {
        report.require(is_slug(value), || not_a_slug(key, value));
    }
    check_common(&head.classes, &head.resource_type, &head.display_name, report);
    attributes::check(&head.attributes, report);
    Some(head)
}

fn read_row(mut table: Table, report: &mut Report<'_>) -> Option<RowText> {
    report.say_all(data_file::take_unknown(&mut table, ROW_KEYS));
    report.accept(data_file::read(table))
}

/// Checks settings that the head gives and a row may override.
fn check_common(
    classes: &[String],
    resource_type: &str,
    display_name: &str,
    report: &mut Report<'_>,
) {
    report.require(!classes.is_empty(), || {
        "`classes` is empty: name the upstream classes".to_owned()
    });
    check_names("classes", classes, report);
    report.require(is_slug(resource_type), || not_a_slug("resource_type", resource_type));
    forms::check_not_blank("display_name", display_name, report);
    forms::check_display_name(display_name, report);
}

fn build(file: &str, head: &Head, text: RowText, report: &mut Report<'_>) -> Row {
    check_row(&text, report);
    let (service, object, verb) = read_name(&text.name, &head.service, report);
    let severity = read_severity(&text.severity, report);
    let device_kind = text.device_kind.as_ref().or(head.device_kind.as_ref());
    let device_kind = device_kind.and_then(|name| read_device_kind(name, report));
    let classes = text.classes.unwrap_or_else(|| head.classes.clone());
    // The head's device kind applies only to the head's own classes.
    let is_of_head = |class: &&String| head.classes.iter().any(|it| is_same(it, class));
    let others = classes.iter().filter(|class| !is_of_head(class));
    let others = others.filter(|_| text.device_kind.is_none());
    let deviceless_classes = others.cloned().collect();
    let matches = read_matches(text.events, text.matches, report);
    let events = matches.iter().flat_map(|matched| &matched.events);
    let events: BTreeSet<_> = events.cloned().collect();
    let action = Action {
        service,
        object,
        verb,
        family: head.family.clone(),
        display_name: text.display_name.unwrap_or_else(|| head.display_name.clone()),
        resource_type: text.resource_type.unwrap_or_else(|| head.resource_type.clone()),
        target_type: text.target_type,
        device_kind,
        deviceless_classes,
        severity,
        permission: text.permission,
        creates: text.creates,
        place: text.place,
        request_data: text.request_data,
        response_data: text.response_data,
        update: text.update.map(Update::from),
        enabled: head.enabled,
        classes,
        events: events.into_iter().collect(),
        name: text.name,
    };
    Row { file: file.to_owned(), action, matches, attributes: head.attributes.clone() }
}

impl From<UpdateText> for Update {
    fn from(text: UpdateText) -> Self {
        Self { update_type: text.update_type, initial_key: text.initial, new_key: text.new }
    }
}

/// Checks everything that depends on the row alone.
fn check_row(text: &RowText, report: &mut Report<'_>) {
    check_common(
        text.classes.as_deref().unwrap_or(&["any".to_owned()]),
        text.resource_type.as_deref().unwrap_or("any"),
        text.display_name.as_deref().unwrap_or("any"),
        report,
    );
    forms::check_target_type(&text.target_type, report);
    if let Some(permission) = &text.permission {
        forms::check_permission(permission, report);
    }
    if let Some(place) = &text.place {
        forms::check_place(place, text.creates, report);
    }
    forms::check_keys("request_data", &text.request_data, report);
    forms::check_keys("response_data", &text.response_data, report);
    if let Some(update) = &text.update {
        forms::check_not_blank("update.type", &update.update_type, report);
        forms::check_not_blank("update.initial", &update.initial, report);
        forms::check_not_blank("update.new", &update.new, report);
    }
}

fn read_name(name: &str, service: &str, report: &mut Report<'_>) -> (String, String, String) {
    let parts = forms::name_parts(name);
    report.require(parts.is_some(), || {
        format!("`{name}` is not of the form service.object.verb in [a-z0-9-]: e.g. `audit-log.bare-metal.reboot`")
    });
    let (of_name, object, verb) = parts.unwrap_or_default();
    report.require(parts.is_none() || of_name == service, || {
        format!(
            "the name's service `{of_name}` is not the file's, `{service}`: correct one of them"
        )
    });
    (of_name.to_owned(), object.to_owned(), verb.to_owned())
}

fn read_severity(name: &str, report: &mut Report<'_>) -> Severity {
    let severity = Severity::from_name(name);
    report.require(severity.is_some(), || {
        format!("unknown severity `{name}`: write normal, warning or critical")
    });
    severity.unwrap_or(Severity::Normal)
}

fn is_same(one: &str, other: &str) -> bool {
    normalise(one) == normalise(other)
}

/// Reads a kind of device; `None` for objects that are not devices.
fn read_device_kind(name: &str, report: &mut Report<'_>) -> Option<DeviceKind> {
    let kind = DeviceKind::of(name);
    report.require(kind.is_some() || name == "none", || {
        format!("unknown device_kind `{name}`: write hardware, virtualGuest or none")
    });
    kind
}

fn not_a_slug(key: &str, value: &str) -> String {
    format!("`{key}` is \"{value}\": write one or more of a-z, 0-9 and -")
}
