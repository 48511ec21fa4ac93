//! Principals and devices as they stand in JSON, checked and packed: the same object is a line of a file and the
//! value of a record. Millions are read at the start, so that nothing is copied that can be packed from where it
//! stands.

use std::borrow::Cow;
use std::fmt;

use compact_str::ToCompactString;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};

use super::super::field::{Id, is_iam_id, is_id};
use super::packing::PackedValue;
use super::principal::{DeviceIds, Permissions};
use super::{Device, DeviceView, Principal, PrincipalKey, PrincipalKind, PrincipalView};

/// What an entry says: of which key, from when on, and what.
pub(super) struct Stated<K, V> {
    pub key: K,
    pub valid_from: Option<Timestamp>,
    pub deleted: bool,
    pub value: PackedValue<V>,
}

/// A principal as it stands in JSON; `schemas/principal.schema.json`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PrincipalEntry<'a> {
    #[serde(borrow)]
    account_id: IdField<'a>,
    #[serde(borrow)]
    user_id: Option<IdField<'a>>,
    #[serde(borrow)]
    iam_id: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(default)]
    kind: PrincipalKind,
    linked: Option<bool>,
    master_user: Option<bool>,
    infrastructure_access: Option<bool>,
    #[serde(default)]
    permissions: PermissionList,
    devices: Option<DeviceList>,
    valid_from: Option<Timestamp>,
    #[serde(default)]
    deleted: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeviceEntry<'a> {
    #[serde(borrow)]
    device_id: IdField<'a>,
    #[serde(borrow)]
    account_id: Option<IdField<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    datacenter: Option<Text<'a>>,
    valid_from: Option<Timestamp>,
    #[serde(default)]
    deleted: bool,
}

/// Reads a principal.
pub(super) fn read_principal(json: &[u8]) -> Result<Stated<PrincipalKey, Principal>, String> {
    let entry: PrincipalEntry<'_> =
        serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let account = entry.account_id.finish("accountId")?;
    let account = account.ok_or("accountId is empty")?;
    let iam_id = filled(entry.iam_id.as_ref());
    if let Some(id) = iam_id.filter(|id| !is_iam_id(id)) {
        return Err(format!("iamId is not an IAM identity: {id:?}"));
    }
    let user = entry.user_id.map_or(Ok(None), |id| id.finish("userId"))?;
    let id = user.or_else(|| iam_id.map(Id::from));
    let id = id.ok_or("userId and iamId are both missing")?;
    if entry.master_user == Some(true) && entry.kind != PrincipalKind::User {
        return Err("masterUser is true, but kind is not user".to_string());
    }
    let value = PackedValue::of(&PrincipalView {
        iam_id,
        name: filled(entry.name.as_ref()),
        kind: entry.kind,
        linked: entry.linked.unwrap_or(iam_id.is_some()),
        master: entry.master_user == Some(true),
        infrastructure_access: entry.infrastructure_access,
        permissions: Permissions::packed(&entry.permissions.0),
        devices: match &entry.devices {
            None | Some(DeviceList::All) => None,
            Some(DeviceList::Ids(ids)) => Some(DeviceIds::packed(ids)),
        },
    });
    Ok(Stated {
        key: PrincipalKey { account, id },
        valid_from: entry.valid_from,
        deleted: entry.deleted,
        value,
    })
}

/// Reads a device.
pub(super) fn read_device(json: &[u8]) -> Result<Stated<Id, Device>, String> {
    let entry: DeviceEntry<'_> = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let id = entry.device_id.finish("deviceId")?;
    let account = entry.account_id;
    let account = account.map_or(Ok(None), |id| id.finish("accountId"))?;
    let value = PackedValue::of(&DeviceView {
        account: account.as_deref(),
        name: filled(entry.name.as_ref()),
        data_center: filled(entry.datacenter.as_ref()),
    });
    Ok(Stated {
        key: id.ok_or("deviceId is empty")?,
        valid_from: entry.valid_from,
        deleted: entry.deleted,
        value,
    })
}

/// The text of a field that is present and not blank.
fn filled<'a>(text: Option<&'a Text<'_>>) -> Option<&'a str> {
    let text: Option<&str> = text.map(|text| &*text.0);
    text.filter(|text| !text.trim().is_empty())
}

/// A text, borrowed if it has no escapes.
struct Text<'a>(Cow<'a, str>);

/// An id as a number or as text.
enum IdField<'a> {
    Number(u64),
    Text(Text<'a>),
}

impl IdField<'_> {
    /// The id, or nothing where it is blank. Ids of the tables go into CRNs and keys just as those of the
    /// records do, and so must be as harmless.
    fn finish(self, field: &str) -> Result<Option<Id>, String> {
        let id = match self {
            IdField::Number(number) => return Ok(Some(number.to_compact_string())),
            IdField::Text(text) => Id::from(text.0.trim()),
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

/// Names of permissions, packed.
#[derive(Default)]
struct PermissionList(Vec<u8>);

/// Ids of devices, packed.
enum DeviceList {
    All,
    Ids(Vec<u8>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for IdField<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IdVisitor)
    }
}

struct IdVisitor;

impl<'de> Visitor<'de> for IdVisitor {
    type Value = IdField<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id, which is a whole number or a string")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<IdField<'de>, E> {
        Ok(IdField::Number(number))
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<IdField<'de>, E> {
        TextVisitor.visit_borrowed_str(text).map(IdField::Text)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<IdField<'de>, E> {
        TextVisitor.visit_str(text).map(IdField::Text)
    }
}

impl<'de> Deserialize<'de> for PermissionList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(PermissionsVisitor)
    }
}

struct PermissionsVisitor;

impl<'de> Visitor<'de> for PermissionsVisitor {
    type Value = PermissionList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of permissions")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<PermissionList, A::Error> {
        let mut packed = Vec::new();
        while let Some(Text(name)) = list.next_element()? {
            Permissions::put(&name, &mut packed);
        }
        Ok(PermissionList(packed))
    }
}

impl<'de> Deserialize<'de> for DeviceList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DevicesVisitor)
    }
}

struct DevicesVisitor;

impl<'de> Visitor<'de> for DevicesVisitor {
    type Value = DeviceList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("devices, which are \"all\" or a list of ids")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<DeviceList, E> {
        match text {
            "all" => Ok(DeviceList::All),
            _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<DeviceList, A::Error> {
        let mut packed = Vec::new();
        while let Some(id) = list.next_element::<IdField<'de>>()? {
            if let Some(id) = id.finish("devices").map_err(de::Error::custom)? {
                DeviceIds::put(&id, &mut packed);
            }
        }
        Ok(DeviceList::Ids(packed))
    }
}
