//! The reference tables: principals and devices, by key and time. Read from JSON lines here; where the
//! lines come from is not this file's business. Whether a principal has access is decided in `access`.

use std::collections::HashMap;
use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::field::{Id, is_iam_id, is_id};
use super::versions::{Version, Versions};

/// The tables that a record is judged against; an immutable snapshot.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    /// Who may act.
    pub principals: Table<PrincipalKey, Principal>,
    /// What is acted upon; `None` where no device table is configured.
    pub devices: Option<Table<Id, Device>>,
}

/// The versions of every key of one table.
#[derive(Debug, Clone)]
pub struct Table<K, V> {
    entries: HashMap<K, Versions<V>>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Table {
            entries: HashMap::new(),
        }
    }
}

impl<K: Eq + std::hash::Hash, V> Table<K, V> {
    /// The version of a key that was valid at a moment.
    pub fn as_of(&self, key: &K, moment: Timestamp) -> Option<&V> {
        self.entries.get(key)?.as_of(moment)
    }

    /// All versions of a key, for people who ask why.
    pub fn versions(&self, key: &K) -> Option<&Versions<V>> {
        self.entries.get(key)
    }

    /// Adds a version of a key.
    pub fn insert(&mut self, key: K, version: Version<V>) {
        self.entries.entry(key).or_default().insert(version);
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Key of a principal: the account, and the classic user id or, where there is none, the IAM id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PrincipalKey {
    /// The classic account.
    pub account: Id,
    /// `userId`, else `iamId`.
    pub id: Id,
}

impl fmt::Display for PrincipalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.id)
    }
}

/// Someone or something that can act in an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The IAM identity that an audit event names as initiator.
    pub iam_id: Option<Id>,
    /// User name, often an e-mail address.
    pub name: Option<String>,
    /// What kind of identity this is.
    pub kind: PrincipalKind,
    /// Whether the classic account is linked to the cloud account for this principal.
    pub linked: bool,
    /// The explicit statement, which wins over the permissions.
    pub infrastructure_access: Option<bool>,
    /// Classic permission names.
    pub permissions: Vec<String>,
    /// The devices that the principal may touch; `None` means all.
    pub devices: Option<Vec<Id>>,
}

/// Kinds of identities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PrincipalKind {
    /// A person.
    #[default]
    User,
    /// A service id.
    ServiceId,
    /// A registered client application.
    Application,
    /// A trusted profile, assumed by a user.
    Profile,
    /// A client certificate.
    Certificate,
}

impl PrincipalKind {
    /// The value of `initiator.typeURI`.
    pub const fn type_uri(self) -> &'static str {
        match self {
            PrincipalKind::User | PrincipalKind::Profile => "service/security/account/user",
            PrincipalKind::ServiceId => "service/security/account/serviceid",
            PrincipalKind::Application => "service/security/clientid",
            PrincipalKind::Certificate => "service/security/client/certificateid",
        }
    }
}

/// A device of the classic infrastructure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The account that owns it.
    pub account: Option<Id>,
    /// Its name.
    pub name: Option<String>,
    /// The data center it stands in.
    pub data_center: Option<String>,
}

/// A line of a reference file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {problem}")]
pub struct LineProblem {
    /// Name of the file, as the caller gave it.
    pub file: String,
    /// Number of the line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

/// Reads principals, one JSON object a line.
///
/// # Errors
/// Every line that cannot be read.
pub fn read_principals(
    file: &str,
    text: &str,
) -> Result<Table<PrincipalKey, Principal>, Vec<LineProblem>> {
    read_lines(file, text, PrincipalEntry::finish)
}

/// Reads devices, one JSON object a line.
///
/// # Errors
/// Every line that cannot be read.
pub fn read_devices(file: &str, text: &str) -> Result<Table<Id, Device>, Vec<LineProblem>> {
    read_lines(file, text, DeviceEntry::finish)
}

fn read_lines<E: DeserializeOwned, K: Eq + std::hash::Hash, V>(
    file: &str,
    text: &str,
    finish: impl Fn(E) -> Result<(K, Version<V>), String>,
) -> Result<Table<K, V>, Vec<LineProblem>> {
    let mut table = Table::default();
    let mut problems = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let entry = serde_json::from_str(line).map_err(|error| error.to_string());
        match entry.and_then(&finish) {
            Ok((key, version)) => table.insert(key, version),
            Err(problem) => problems.push(LineProblem {
                file: file.to_string(),
                line: number + 1,
                problem,
            }),
        }
    }
    if problems.is_empty() {
        Ok(table)
    } else {
        Err(problems)
    }
}

/// A principal as it stands in JSON; `schemas/principal.schema.json`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PrincipalEntry {
    account_id: IdField,
    user_id: Option<IdField>,
    iam_id: Option<String>,
    name: Option<String>,
    #[serde(default)]
    kind: PrincipalKind,
    linked: Option<bool>,
    infrastructure_access: Option<bool>,
    #[serde(default)]
    permissions: Vec<String>,
    devices: Option<DeviceList>,
    valid_from: Option<Timestamp>,
    #[serde(default)]
    deleted: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeviceEntry {
    device_id: IdField,
    account_id: Option<IdField>,
    name: Option<String>,
    datacenter: Option<String>,
    valid_from: Option<Timestamp>,
    #[serde(default)]
    deleted: bool,
}

/// An id as a number or as text.
#[derive(Deserialize)]
#[serde(untagged, expecting = "an id must be a whole number or a string")]
enum IdField {
    Number(u64),
    Text(String),
}

impl IdField {
    /// The id, or nothing where it is blank. Ids of the tables go into CRNs and keys just as those of the
    /// records do, and so must be as harmless.
    fn finish(self, field: &str) -> Result<Option<Id>, String> {
        let id = match self {
            IdField::Number(number) => Id::from(number.to_string()),
            IdField::Text(text) => Id::from(text.trim()),
        };
        if id.is_empty() || is_id(&id) {
            Ok(Some(id).filter(|id| !id.is_empty()))
        } else {
            Err(format!(
                "{field} is not an id of 1 to 64 letters, digits, '_' or '-': {id:?}"
            ))
        }
    }
}

fn optional_id(field: &str, id: Option<IdField>) -> Result<Option<Id>, String> {
    id.map_or(Ok(None), |id| id.finish(field))
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "devices must be \"all\" or a list of ids")]
enum DeviceList {
    Some(Vec<IdField>),
    All(AllDevices),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum AllDevices {
    All,
}

impl DeviceList {
    fn finish(self) -> Result<Option<Vec<Id>>, String> {
        let DeviceList::Some(ids) = self else {
            return Ok(None);
        };
        let ids = ids
            .into_iter()
            .filter_map(|id| id.finish("devices").transpose());
        ids.collect::<Result<_, _>>().map(Some)
    }
}

impl PrincipalEntry {
    fn finish(self) -> Result<(PrincipalKey, Version<Principal>), String> {
        let account = self
            .account_id
            .finish("accountId")?
            .ok_or("accountId is empty")?;
        let iam_id = self.iam_id.filter(|id| !id.trim().is_empty());
        if let Some(id) = iam_id.as_deref().filter(|id| !is_iam_id(id)) {
            return Err(format!("iamId is not an IAM identity: {id:?}"));
        }
        let iam_id = iam_id.map(Id::from);
        let id = optional_id("userId", self.user_id)?
            .or_else(|| iam_id.clone())
            .ok_or("userId and iamId are both missing")?;
        let principal = Principal {
            linked: self.linked.unwrap_or(iam_id.is_some()),
            iam_id,
            name: self.name.filter(|name| !name.trim().is_empty()),
            kind: self.kind,
            infrastructure_access: self.infrastructure_access,
            permissions: self.permissions,
            devices: self.devices.map_or(Ok(None), DeviceList::finish)?,
        };
        let version = version(self.valid_from, self.deleted, principal)?;
        Ok((PrincipalKey { account, id }, version))
    }
}

impl DeviceEntry {
    fn finish(self) -> Result<(Id, Version<Device>), String> {
        let id = self
            .device_id
            .finish("deviceId")?
            .ok_or("deviceId is empty")?;
        let device = Device {
            account: optional_id("accountId", self.account_id)?,
            name: self.name.filter(|name| !name.trim().is_empty()),
            data_center: self.datacenter.filter(|code| !code.trim().is_empty()),
        };
        Ok((id, version(self.valid_from, self.deleted, device)?))
    }
}

fn version<T>(
    valid_from: Option<Timestamp>,
    deleted: bool,
    value: T,
) -> Result<Version<T>, String> {
    Ok(Version {
        valid_from: valid_from
            .ok_or("validFrom is missing: a file has no other time for the entry")?,
        value: (!deleted).then_some(value),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_are_keyed_by_user_id_else_by_iam_id() {
        let text = r#"
{"accountId":1,"userId":2,"iamId":"IBMid-X","validFrom":"2018-01-01T00:00:00Z"}
{"accountId":"1","iamId":"iam-ServiceId-7","kind":"serviceId","devices":[5,"6"],"validFrom":"2018-01-01T00:00:00Z"}
{"accountId":"1","userId":"2","deleted":true,"validFrom":"2019-01-01T00:00:00Z"}
"#;
        let table = read_principals("p", text).expect("reads");
        assert_eq!(table.len(), 2);
        let key = |id: &str| PrincipalKey {
            account: Id::from("1"),
            id: Id::from(id),
        };
        let at = |time: &str| time.parse::<Timestamp>().expect("time");
        let user = table.as_of(&key("2"), at("2018-06-01T00:00:00Z"));
        assert!(user.is_some_and(|user| user.linked && user.devices.is_none()));
        assert_eq!(table.as_of(&key("2"), at("2019-06-01T00:00:00Z")), None);
        let service = table.as_of(&key("iam-ServiceId-7"), at("2018-06-01T00:00:00Z"));
        let devices = service.and_then(|service| service.devices.clone());
        assert_eq!(devices, Some(vec![Id::from("5"), Id::from("6")]));
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
