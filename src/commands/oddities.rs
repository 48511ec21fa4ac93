//! Warnings about accepted but suspicious entries of a table: unknown fields, and permissions that
//! are blank or unknown.

use serde_json::{Map, Value, json};

use audit_judge::reference::{
    Device, DeviceKey, Oddities, Principal, PrincipalKey, Table, Tally, unknown_permissions,
};
use audit_judge::rules::permissions::PermissionNames;

/// The suspicious entries of a table.
#[derive(Debug)]
pub(super) struct Odd {
    noted: Oddities,
    unknown_permissions: Tally,
}

/// Returns the suspicious entries of the principals.
pub(super) fn of_principals(
    table: &Table<PrincipalKey, Principal>,
    known: &PermissionNames,
) -> Odd {
    Odd {
        noted: table.oddities().clone(),
        unknown_permissions: unknown_permissions(table, |name| known.is_known(name)),
    }
}

/// Returns the suspicious entries of the devices.
pub(super) fn of_devices(table: &Table<DeviceKey, Device>) -> Odd {
    Odd { noted: table.oddities().clone(), unknown_permissions: Tally::default() }
}

impl Odd {
    /// Returns one line for each kind that occurs.
    pub(super) fn lines(&self) -> Vec<String> {
        let names = [
            ("unknown fields", &self.noted.fields),
            ("unknown permissions", &self.unknown_permissions),
        ];
        let names = names.into_iter().filter(|(_, tally)| !tally.is_empty());
        let names = names.map(|(what, tally)| format!("{what}: {tally}"));
        let blank = Some(self.noted.blank_permissions).filter(|blank| *blank > 0);
        let blank = blank.map(|blank| format!("blank permissions: {blank}"));
        names.chain(blank).collect()
    }

    /// Returns the same as JSON.
    pub(super) fn as_json(&self) -> Map<String, Value> {
        let fields = [
            ("unknownFields", object_of(&self.noted.fields)),
            ("unknownPermissions", object_of(&self.unknown_permissions)),
            ("blankPermissions", json!(self.noted.blank_permissions)),
        ];
        fields.into_iter().map(|(name, value)| (name.to_string(), value)).collect()
    }
}

fn object_of(tally: &Tally) -> Value {
    let counts = tally.iter().map(|(name, count)| (name.to_string(), json!(count)));
    Value::Object(counts.collect())
}
