//! Table entries: schemas and readers agree. Valid entries are read with the right values, and
//! entries that are read are valid. The values are generated from the schemas.

use std::cell::Cell;

use audit_cases::generators::hold;
use audit_judge::reference::packing::Packed;
use audit_judge::reference::{
    Device, DeviceIds, DeviceView, LineProblem, Oddities, Principal, PrincipalView, Table,
    TableKey, parse_device_record, parse_principal_record, read_devices, read_principals,
};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::entry_values::{members, texts_of};
use crate::schemas::schema;

/// An independent statement of how values are read.
struct Expected<'v>(&'v Map<String, Value>);

impl Expected<'_> {
    fn trim(text: &str) -> &str {
        text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
    }

    fn absent(text: &str) -> bool {
        let text = Self::trim(text).to_lowercase();
        ["", "null", "none", "nil", "undefined"].contains(&text.as_str())
    }

    fn id_of(value: &Value) -> Option<String> {
        match value {
            Value::String(text) if !Self::absent(text) => Some(Self::trim(text).to_string()),
            Value::Number(number) => {
                let float = || number.as_f64().map(|float| float as u64);
                number.as_u64().or_else(float).map(|id| id.to_string())
            }
            _ => None,
        }
    }

    fn id(&self, field: &str) -> Option<String> {
        Self::id_of(self.0.get(field)?)
    }

    fn text(&self, field: &str) -> Option<&str> {
        self.0.get(field)?.as_str().filter(|text| !Self::absent(text))
    }

    fn flag(&self, field: &str) -> Option<bool> {
        self.0.get(field)?.as_bool()
    }

    fn permissions(&self) -> Vec<String> {
        let list = self.0.get("permissions").and_then(Value::as_array);
        let names = list.into_iter().flatten().filter_map(Value::as_str);
        let names = names.filter(|name| !Self::absent(name));
        names.map(|name| Self::trim(name).to_ascii_uppercase().replace([' ', '-'], "_")).collect()
    }

    fn devices(&self, field: &str) -> Option<Vec<String>> {
        let list = self.0.get(field)?.as_array()?;
        Some(list.iter().filter_map(Self::id_of).collect())
    }

    fn principal(&self) -> (String, String) {
        let user = self.id("userId").or(self.text("iamId").map(str::to_string));
        let key =
            format!("{}/{}", self.id("accountId").unwrap_or_default(), user.unwrap_or_default());
        let iam_id = self.text("iamId");
        let devices = self.devices("devices");
        let is_given = self.0.get("virtualGuests").is_some_and(|given| !given.is_null());
        let guests = match &devices {
            Some(_) if !is_given => Some(Vec::new()),
            _ => self.devices("virtualGuests"),
        };
        let shown = json!([
            iam_id,
            self.text("name"),
            self.text("kind").unwrap_or("user"),
            self.flag("linked").unwrap_or(iam_id.is_some()),
            self.flag("masterUser").unwrap_or_default(),
            self.flag("infrastructureAccess"),
            self.permissions(),
            devices,
            guests,
        ]);
        (key, shown.to_string())
    }

    fn device(&self) -> (String, String) {
        let id = self.id("deviceId").unwrap_or_default();
        let key = match self.text("kind") {
            Some("virtualGuest") => format!("virtualGuest/{id}"),
            _ => id,
        };
        let shown = json!([self.id("accountId"), self.text("name"), self.text("datacenter")]);
        (key, shown.to_string())
    }
}

trait Entry: Packed {
    fn shown(view: Self::View<'_>) -> String;
}

impl Entry for Principal {
    fn shown(view: PrincipalView<'_>) -> String {
        let list =
            |ids: Option<DeviceIds<'_>>| ids.map(|ids| json!(ids.iter().collect::<Vec<_>>()));
        json!([
            view.iam_id,
            view.name,
            view.kind,
            view.linked,
            view.master,
            view.infrastructure_access,
            view.permissions.iter().collect::<Vec<_>>(),
            list(view.devices),
            list(view.virtual_guests),
        ])
        .to_string()
    }
}

impl Entry for Device {
    fn shown(view: DeviceView<'_>) -> String {
        json!([view.account, view.name, view.data_center]).to_string()
    }
}

/// Returns the only entry of a table with one line.
fn only_entry<K: TableKey, V: Entry>(
    table: &Table<K, V>,
) -> (String, Option<Timestamp>, Option<String>) {
    let (key, versions) = table.iter().next().expect("a key");
    let version = versions.iter().next().expect("a version");
    let from = Some(version.valid_from);
    (key.to_string(), from, version.value.map(V::shown))
}

/// Reads an entry as a topic record and, if it has a time, also as a file line.
fn check_reading<K: TableKey, V: Entry>(
    value: &Value,
    text: &str,
    (key, shown): (String, String),
    record: impl Fn(&[u8], &[u8]) -> Result<(), String>,
    line: impl Fn(&str) -> Result<Table<K, V>, String>,
) -> Result<(), TestCaseError> {
    let is_deleted = value["deleted"] == true;
    let taken = record(key.as_bytes(), text.as_bytes());
    match taken {
        Ok(()) => prop_assert!(!is_deleted, "{}", text),
        Err(problem) => {
            prop_assert!(is_deleted && problem.contains("deleted"), "{}: {}", text, problem)
        }
    }
    let from = value["validFrom"].as_str();
    match line(text) {
        Ok(table) => {
            let from = from.map(|from| from.parse().expect("a time"));
            let shown = Some(shown).filter(|_| !is_deleted);
            prop_assert_eq!(only_entry(&table), (key, from, shown), "{}", text);
        }
        Err(problem) => {
            prop_assert!(from.is_none() && problem.contains("validFrom"), "{}: {}", text, problem)
        }
    }
    Ok(())
}

fn principal_record(key: &[u8], value: &[u8]) -> Result<(), String> {
    let read = parse_principal_record(key, Some(value), Some(1), &mut Oddities::default());
    read.map(drop).map_err(String::from)
}

fn device_record(key: &[u8], value: &[u8]) -> Result<(), String> {
    let read = parse_device_record(key, Some(value), Some(1), &mut Oddities::default());
    read.map(drop).map_err(String::from)
}

/// Checks a property on objects of a schema, each as a JSON value and as text. The property returns
/// whether it used the object; at most `unused_percent_max` percent may be unused.
fn try_objects(
    name: &str,
    junk: bool,
    unused_percent_max: u32,
    property: impl Fn(&Value, &str) -> Result<bool, TestCaseError>,
) {
    let (all, used) = (Cell::new(0), Cell::new(0));
    hold(1_500, (members(name, junk), 0u8..4), |(members, case)| {
        let (value, text) = texts_of(&members, case);
        all.set(all.get() + 1);
        used.set(used.get() + u32::from(property(&value, &text)?));
        Ok(())
    });
    let unused = (all.get() - used.get()) * 100 / all.get();
    assert!(unused <= unused_percent_max, "{unused} % of the objects are unused");
}

#[test]
fn principals_valid_by_schema_are_read() {
    let validator = schema("principal");
    try_objects("principal", false, 60, |value, text| {
        let Some(object) = value.as_object().filter(|_| validator.is_valid(value)) else {
            return Ok(false);
        };
        let expected = Expected(object).principal();
        let line =
            |line: &str| read_principals("p", line).map_err(|problems| problems[0].to_string());
        check_reading(value, text, expected, principal_record, line)?;
        Ok(true)
    });
}

#[test]
fn devices_valid_by_schema_are_read() {
    let validator = schema("device");
    try_objects("device", false, 60, |value, text| {
        let Some(object) = value.as_object().filter(|_| validator.is_valid(value)) else {
            return Ok(false);
        };
        let expected = Expected(object).device();
        let line = |line: &str| read_devices("d", line).map_err(|problems| problems[0].to_string());
        check_reading(value, text, expected, device_record, line)?;
        Ok(true)
    });
}

/// Returns whether an object is read as a file line, ignoring a missing time, which a line
/// requires.
fn is_read(problems: Option<Vec<LineProblem>>) -> bool {
    let Some(problems) = problems else {
        return true;
    };
    problems[0].problem.starts_with("validFrom is missing")
}

#[test]
fn principals_that_are_read_are_valid_by_schema() {
    let validator = schema("principal");
    try_objects("principal", true, 95, |value, text| {
        let taken = is_read(read_principals("p", text).err());
        prop_assert!(!taken || validator.is_valid(value), "{}", text);
        Ok(taken)
    });
}

#[test]
fn devices_that_are_read_are_valid_by_schema() {
    let validator = schema("device");
    try_objects("device", true, 80, |value, text| {
        let taken = is_read(read_devices("d", text).err());
        prop_assert!(!taken || validator.is_valid(value), "{}", text);
        Ok(taken)
    });
}
