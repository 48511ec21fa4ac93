//! `table`: shows the content of the reference tables. It reads their sources and needs no running
//! relay.

use std::io::Write;

use anyhow::{Context, bail};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::oddities::{self, Odd};
use crate::commands::arguments::{TableArgs, TableShow};
use crate::deployment::{load_devices, load_permissions, load_principals};
use crate::tables::TableName;
use audit_judge::reference::packing::Packed;
use audit_judge::reference::versions::{Version, Versions};
use audit_judge::reference::{
    Device, DeviceIds, DeviceView, Principal, PrincipalView, Table, TableKey,
};

/// A table value that can be shown.
trait Shown: Packed {
    /// Returns the value in the form of its schema.
    fn shown(view: Self::View<'_>) -> Value;
}

impl Shown for Principal {
    fn shown(principal: PrincipalView<'_>) -> Value {
        let list = |devices: Option<DeviceIds<'_>>| match devices {
            Some(devices) => json!(devices.iter().collect::<Vec<_>>()),
            None => json!("all"),
        };
        json!({
            "iamId": principal.iam_id,
            "name": principal.name,
            "kind": principal.kind,
            "linked": principal.linked,
            "infrastructureAccess": principal.infrastructure_access,
            "permissions": principal.permissions.iter().collect::<Vec<_>>(),
            "devices": list(principal.devices),
            "virtualGuests": list(principal.virtual_guests),
        })
    }
}

impl Shown for Device {
    fn shown(device: DeviceView<'_>) -> Value {
        json!({"accountId": device.account, "name": device.name, "datacenter": device.data_center})
    }
}

/// Shows a table, a key, or statistics.
///
/// # Errors
/// Fails if the configuration or the table cannot be read, or the key is not in the table.
pub fn table(arguments: &TableArgs) -> anyhow::Result<()> {
    let config = super::load_config(&arguments.config)?;
    let out = &mut std::io::stdout().lock();
    match arguments.table {
        TableName::Principals => {
            let principals = read(load_principals(&config))?;
            let permissions = read(load_permissions(&config))?;
            let odd = |table: &_| oddities::of_principals(table, &permissions);
            show(&principals, odd, arguments, out)
        }
        TableName::Devices => {
            let devices = load_devices(&config).context("no device table is configured")?;
            show(&read(devices)?, oddities::of_devices, arguments, out)
        }
    }
}

fn read<T>(loaded: Result<T, Vec<String>>) -> anyhow::Result<T> {
    loaded.map_err(|problems| anyhow::anyhow!("{}", problems.join("\n")))
}

/// Shows a loaded table.
fn show<K: TableKey, V: Shown>(
    table: &Table<K, V>,
    odd: impl Fn(&Table<K, V>) -> Odd,
    arguments: &TableArgs,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let shown = match &arguments.show {
        TableShow::List => list(table, arguments.json, out),
        TableShow::Get { key } => {
            let known = K::of(key).and_then(|key| Some((table.versions(&key)?, key)));
            let Some((versions, key)) = known else {
                bail!("{key} is not in the table");
            };
            get(&key, versions, arguments.json, out)
        }
        TableShow::Stats => stats(table, &odd(table), arguments.json, out),
    };
    shown.context("write the table")
}

fn list<K: TableKey, V: Shown>(
    table: &Table<K, V>,
    as_json: bool,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let mut entries: Vec<_> = table.iter().map(|(key, all)| (key.to_string(), all)).collect();
    entries.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    for (key, versions) in entries {
        let Some(newest) = versions.iter().next() else {
            continue;
        };
        if as_json {
            writeln!(out, "{}", as_value::<V>(&key, newest))?;
        } else {
            writeln!(out, "{key}  {}", as_text::<V>(newest))?;
        }
    }
    Ok(())
}

fn get<K: TableKey, V: Shown>(
    key: &K,
    versions: Versions<'_, V>,
    as_json: bool,
    out: &mut impl Write,
) -> std::io::Result<()> {
    for version in versions.iter() {
        if as_json {
            writeln!(out, "{}", as_value::<V>(&key.to_string(), version))?;
        } else {
            writeln!(out, "{}", as_text::<V>(version))?;
        }
    }
    Ok(())
}

fn as_value<V: Shown>(key: &str, version: Version<V::View<'_>>) -> Value {
    json!({
        "key": key,
        "validFrom": version.valid_from.to_string(),
        "explicit": version.explicit,
        "unreadable": version.is_unreadable,
        "value": version.value.map(V::shown),
    })
}

fn as_text<V: Shown>(version: Version<V::View<'_>>) -> String {
    let origin = if version.explicit { "" } else { " (record's timestamp)" };
    let value = match version.value {
        Some(value) => V::shown(value).to_string(),
        None if version.is_unreadable => "unreadable".to_string(),
        None => "removed".to_string(),
    };
    format!("from {}{origin}  {value}", version.valid_from)
}

fn stats<K: TableKey, V: Shown>(
    table: &Table<K, V>,
    odd: &Odd,
    as_json: bool,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let mut counted = count(table);
    if as_json {
        counted.extend(odd.as_json());
        return writeln!(out, "{}", Value::Object(counted));
    }
    for (name, value) in counted {
        let text = value.as_str().map_or(value.to_string(), str::to_string);
        writeln!(out, "{name:<16} {text}")?;
    }
    for line in odd.lines() {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn count<K: TableKey, V: Packed>(table: &Table<K, V>) -> Map<String, Value> {
    let (mut versions, mut removed, mut unreadable) = (0, 0, 0);
    let mut times: Option<(Timestamp, Timestamp)> = None;
    for (_, all) in table.iter() {
        let newest = all.iter().next();
        removed += usize::from(newest.is_some_and(|newest| newest.is_removal()));
        unreadable += usize::from(all.iter().next().is_some_and(|newest| newest.is_unreadable));
        for version in all.iter() {
            versions += 1;
            let (oldest, newest) = times.get_or_insert((version.valid_from, version.valid_from));
            *oldest = version.valid_from.min(*oldest);
            *newest = version.valid_from.max(*newest);
        }
    }
    let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
    let counts = [
        ("keys", json!(table.len())),
        ("removedKeys", json!(removed)),
        ("unreadableKeys", json!(unreadable)),
        ("versions", json!(versions)),
        ("oldestValidFrom", json!(time(times.map(|(oldest, _)| oldest)))),
        ("newestValidFrom", json!(time(times.map(|(_, newest)| newest)))),
        ("bytes", json!(table.bytes())),
        ("bytesPerKey", json!(table.bytes().checked_div(table.len()))),
    ];
    counts.into_iter().map(|(name, count)| (name.to_string(), count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::arguments::ConfigArgs;
    use audit_judge::reference::read_principals;
    use audit_judge::rules::permissions::PermissionNames;

    const LINES: &str = r#"
{"accountId":1,"userId":3,"iamId":"IBMid-3","devices":[7],"validFrom":"2020-01-01T00:00:00Z"}
{"accountId":1,"userId":2,"iamId":"IBMid-2","permissions":["PORT_CONTROL"],"validFrom":"2018-01-01T00:00:00Z"}
{"accountId":1,"userId":2,"deleted":true,"validFrom":"2019-01-01T00:00:00Z"}
{"accountId":1,"userId":4,"permissions":["ticket view!",""],"infrastructureAcces":true,"validFrom":"2019-01-01T00:00:00Z"}
"#;

    fn shown(show: TableShow, json: bool) -> anyhow::Result<Vec<String>> {
        let arguments = TableArgs {
            show,
            config: ConfigArgs { config: None },
            table: TableName::Principals,
            json,
        };
        let table = read_principals("p", LINES).expect("reads");
        let mut out = Vec::new();
        let permissions = PermissionNames::load(PermissionNames::EMBEDDED).expect("is good");
        let odd = |table: &_| oddities::of_principals(table, &permissions);
        super::show(&table, odd, &arguments, &mut out)?;
        let text = String::from_utf8(out).expect("UTF-8");
        Ok(text.lines().map(str::to_string).collect())
    }

    #[test]
    fn keys_are_listed_in_order() {
        let lines = shown(TableShow::List, false).expect("shown");
        assert_eq!(lines[0], "1/2  from 2019-01-01T00:00:00Z  removed");
        assert!(lines[1].starts_with("1/3  from 2020-01-01T00:00:00Z  {\"iamId\":\"IBMid-3\""));
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn all_versions_of_a_key_are_shown() {
        let get = |key: &str| TableShow::Get { key: key.to_string() };
        let lines = shown(get("1/2"), true).expect("shown");
        let versions: Vec<Value> =
            lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(versions.len(), 2);
        assert_eq!(versions[0]["value"], Value::Null);
        assert_eq!(versions[1]["value"]["permissions"], json!(["PORT_CONTROL"]));
        let error = shown(get("1/9"), false).expect_err("not there");
        assert!(error.to_string().contains("1/9"));
    }

    #[test]
    fn keys_and_versions_are_counted() {
        let lines = shown(TableShow::Stats, true).expect("shown");
        let stats: Value = serde_json::from_str(&lines[0]).expect("JSON");
        assert_eq!((&stats["keys"], &stats["versions"]), (&json!(3), &json!(4)));
        assert_eq!(stats["removedKeys"], 1);
        assert_eq!(stats["oldestValidFrom"], "2018-01-01T00:00:00Z");
    }

    #[test]
    fn suspicious_entries_are_named_and_counted() {
        let lines = shown(TableShow::Stats, true).expect("shown");
        let stats: Value = serde_json::from_str(&lines[0]).expect("JSON");
        assert_eq!(stats["unknownFields"], json!({"infrastructureAcces": 1}));
        assert_eq!(stats["unknownPermissions"], json!({"TICKET_VIEW!": 1}));
        assert_eq!(stats["blankPermissions"], 1);
        let lines = shown(TableShow::Stats, false).expect("shown");
        let expected = [
            r#"unknown fields: "infrastructureAcces" (1)"#,
            r#"unknown permissions: "TICKET_VIEW!" (1)"#,
            "blank permissions: 1",
        ];
        assert!(lines.ends_with(&expected.map(str::to_string)), "{lines:?}");
    }
}
