//! Principals and devices as they stand in JSON, checked: the same object is a line of a file and the value
//! of a record.

use jiff::Timestamp;
use serde::Deserialize;

use super::super::field::{Id, is_iam_id, is_id};
use super::{Device, Principal, PrincipalKey, PrincipalKind};

/// What an entry says: of which key, from when on, and what.
pub(super) struct Stated<K, V> {
    pub key: K,
    pub valid_from: Option<Timestamp>,
    pub deleted: bool,
    pub value: V,
}

/// A principal as it stands in JSON; `schemas/principal.schema.json`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PrincipalEntry {
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
pub(super) struct DeviceEntry {
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
    pub(super) fn finish(self) -> Result<Stated<PrincipalKey, Principal>, String> {
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
        Ok(Stated {
            key: PrincipalKey { account, id },
            valid_from: self.valid_from,
            deleted: self.deleted,
            value: principal,
        })
    }
}

impl DeviceEntry {
    pub(super) fn finish(self) -> Result<Stated<Id, Device>, String> {
        let id = self
            .device_id
            .finish("deviceId")?
            .ok_or("deviceId is empty")?;
        let device = Device {
            account: optional_id("accountId", self.account_id)?,
            name: self.name.filter(|name| !name.trim().is_empty()),
            data_center: self.datacenter.filter(|code| !code.trim().is_empty()),
        };
        Ok(Stated {
            key: id,
            valid_from: self.valid_from,
            deleted: self.deleted,
            value: device,
        })
    }
}
