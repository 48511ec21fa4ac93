//! Files of reference tables: one JSON object per line.

use super::device::{Device, DeviceKey};
use super::entry::{Stated, read_device, read_principal};
use super::oddities::Oddities;
use super::packing::Packed;
use super::principal::{Principal, PrincipalKey};
use super::record::one_line;
use super::table::{Table, TableChange, TableKey, TableWriter};
use crate::reference::versions::{VERSIONS_BYTES_MAX, VERSIONS_MAX, VersionChange};

/// A line of a reference file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {problem}")]
pub struct LineProblem {
    /// Name of the file, as given by the caller.
    pub file: String,
    /// Number of the line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

/// Reads principals, one JSON object per line.
///
/// # Errors
/// All lines that cannot be read.
pub fn read_principals(
    file: &str,
    text: &str,
) -> Result<Table<PrincipalKey, Principal>, Vec<LineProblem>> {
    read_lines(file, text, read_principal)
}

/// Reads devices, one JSON object per line.
///
/// # Errors
/// All lines that cannot be read.
pub fn read_devices(file: &str, text: &str) -> Result<Table<DeviceKey, Device>, Vec<LineProblem>> {
    read_lines(file, text, read_device)
}

fn read_lines<K: TableKey, V: Packed>(
    file: &str,
    text: &str,
    read: impl Fn(&[u8], &mut Oddities) -> Result<Stated<K, V>, String>,
) -> Result<Table<K, V>, Vec<LineProblem>> {
    let mut table = TableWriter::default();
    let mut problems = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let stated = read(line.as_bytes(), table.oddities_mut());
        let applied = stated.and_then(change).and_then(|change| add(&mut table, change));
        if let Err(problem) = applied {
            problems.push(LineProblem {
                file: file.to_string(),
                line: number + 1,
                problem: one_line(&problem),
            });
        }
    }
    if problems.is_empty() { Ok(table.snapshot()) } else { Err(problems) }
}

/// Adds every line of a file to the table, or refuses the file.
fn add<K: TableKey, V: Packed>(
    table: &mut TableWriter<K, V>,
    change: TableChange<K, V>,
) -> Result<(), String> {
    let key = change.key.to_string();
    match table.apply(change) {
        Ok(0) => Ok(()),
        Ok(_) => Err(format!(
            "too many versions of {key}: a key has at most {VERSIONS_MAX}, and at most {VERSIONS_BYTES_MAX} bytes of them; leave out the oldest"
        )),
        Err(full) => Err(full.to_string()),
    }
}

/// Converts a line to a change. A file has no timestamps, so every line must state when its
/// validity begins. Nothing in a file is forgotten.
fn change<K, V>(stated: Stated<K, V>) -> Result<TableChange<K, V>, String> {
    let valid_from =
        stated.valid_from.ok_or("validFrom is missing: a file has no other time for the entry")?;
    Ok(TableChange {
        key: stated.key,
        change: VersionChange {
            valid_from,
            explicit: true,
            value: (!stated.deleted).then_some(stated.value),
            is_unreadable: false,
        },
        written: None,
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::parse::field::Id;

    #[test]
    fn principals_are_keyed_by_user_id_else_by_iam_id() {
        let text = r#"
{"accountId":1,"userId":2,"iamId":"IBMid-X","validFrom":"2018-01-01T00:00:00Z"}
{"accountId":"1","iamId":"iam-ServiceId-7","kind":"serviceId","devices":[5,"6"],"validFrom":"2018-01-01T00:00:00Z"}
{"accountId":"1","userId":"2","deleted":true,"validFrom":"2019-01-01T00:00:00Z"}
"#;
        let table = read_principals("p", text).expect("reads");
        assert_eq!(table.len(), 2);
        let key = |id: &str| PrincipalKey { account: Id::from("1"), id: Id::from(id) };
        let at = |time: &str| time.parse::<Timestamp>().expect("time");
        let user = table.as_of(&key("2"), at("2018-06-01T00:00:00Z"));
        assert!(user.is_some_and(|user| user.linked && user.devices.is_none()));
        assert!(table.as_of(&key("2"), at("2019-06-01T00:00:00Z")).is_none());
        let service = table.as_of(&key("iam-ServiceId-7"), at("2018-06-01T00:00:00Z"));
        let devices = service.and_then(|service| service.devices);
        let devices = devices.map(|devices| devices.iter().collect::<Vec<_>>());
        assert_eq!(devices, Some(vec!["5", "6"]));
    }

    #[test]
    fn every_bad_line_is_named() {
        let text = "{\"accountId\":1}\n\n{\"accountId\":1,\"userId\":2}\nnonsense\n";
        let problems = read_principals("p.jsonl", text).expect_err("refused");
        let lines: Vec<usize> = problems.iter().map(|problem| problem.line).collect();
        assert_eq!(lines, [1, 3, 4]);
        assert!(problems[1].to_string().starts_with("p.jsonl:3: validFrom"));
    }

    #[test]
    fn too_many_versions_of_a_key_are_refused() {
        let line = |second: usize| {
            format!(
                r#"{{"deviceId":1,"validFrom":"2018-01-01T{:02}:{:02}:00Z"}}"#,
                second / 60,
                second % 60
            )
        };
        let lines = |count| (0..count).map(line).collect::<Vec<_>>().join("\n");
        assert!(read_devices("d", &lines(VERSIONS_MAX)).is_ok());
        let problems = read_devices("d", &lines(VERSIONS_MAX + 1)).expect_err("refused");
        let problem = problems[0].to_string();
        assert!(problem.starts_with("d:1001: too many versions of 1:"), "{problem}");
    }

    #[test]
    fn ids_cannot_forge_a_crn() {
        let device = |account: &str| {
            format!(r#"{{"deviceId":1,"accountId":{account},"validFrom":"2018-01-01T00:00:00Z"}}"#)
        };
        for account in ["7", "\" 7 \"", "\"\"", "null"] {
            assert!(read_devices("d", &device(account)).is_ok(), "{account}");
        }
        for account in ["\"7:8\"", "\"a/7\"", "\"7 8\"", "-7"] {
            assert!(read_devices("d", &device(account)).is_err(), "{account}");
        }
    }
}
