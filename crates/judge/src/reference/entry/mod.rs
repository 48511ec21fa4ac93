//! Principals and devices in JSON, checked and packed: the same object is a line of a file and the
//! value of a record. Millions are read at startup, so values are packed straight from the input
//! where possible. `schemas/principal.schema.json` and `schemas/device.schema.json` state the same
//! rules; a test compares them.

use jiff::Timestamp;
use serde::de::MapAccess;

use super::device::{Device, DeviceKey, DeviceKind, DeviceView};
use super::list::{DeviceList, PermissionList};
use super::object::{Fields, Json, read_object};
use super::oddities::Oddities;
use super::packing::PackedValue;
use super::permissions::Permissions;
use super::principal::{DeviceIds, Principal, PrincipalKey, PrincipalKind, PrincipalView};
use crate::parse::field::Id;

/// The content of an entry: its key, the start of its validity, and its value.
pub(super) struct Stated<K, V> {
    pub key: K,
    pub valid_from: Option<Timestamp>,
    pub deleted: bool,
    pub value: PackedValue<V>,
}

#[derive(Default)]
struct PrincipalFields<'a> {
    account_id: Json<'a>,
    user_id: Json<'a>,
    iam_id: Json<'a>,
    name: Json<'a>,
    kind: Json<'a>,
    linked: Json<'a>,
    master_user: Json<'a>,
    infrastructure_access: Json<'a>,
    permissions: PermissionList,
    devices: Option<DeviceList>,
    virtual_guests: Option<DeviceList>,
    valid_from: Json<'a>,
    deleted: Json<'a>,
}

impl<'de> Fields<'de> for PrincipalFields<'de> {
    const NAMES: &'static [&'static str] = &[
        "accountId",
        "userId",
        "iamId",
        "name",
        "kind",
        "linked",
        "masterUser",
        "infrastructureAccess",
        "permissions",
        "devices",
        "virtualGuests",
        "validFrom",
        "deleted",
    ];

    fn take<A: MapAccess<'de>>(&mut self, place: usize, map: &mut A) -> Result<(), A::Error> {
        match place {
            0 => self.account_id = map.next_value()?,
            1 => self.user_id = map.next_value()?,
            2 => self.iam_id = map.next_value()?,
            3 => self.name = map.next_value()?,
            4 => self.kind = map.next_value()?,
            5 => self.linked = map.next_value()?,
            6 => self.master_user = map.next_value()?,
            7 => self.infrastructure_access = map.next_value()?,
            8 => self.permissions = map.next_value()?,
            9 => self.devices = map.next_value()?,
            10 => self.virtual_guests = map.next_value()?,
            11 => self.valid_from = map.next_value()?,
            _ => self.deleted = map.next_value()?,
        }
        Ok(())
    }
}

#[derive(Default)]
struct DeviceFields<'a> {
    device_id: Json<'a>,
    kind: Json<'a>,
    account_id: Json<'a>,
    name: Json<'a>,
    datacenter: Json<'a>,
    valid_from: Json<'a>,
    deleted: Json<'a>,
}

impl<'de> Fields<'de> for DeviceFields<'de> {
    const NAMES: &'static [&'static str] =
        &["deviceId", "kind", "accountId", "name", "datacenter", "validFrom", "deleted"];

    fn take<A: MapAccess<'de>>(&mut self, place: usize, map: &mut A) -> Result<(), A::Error> {
        match place {
            0 => self.device_id = map.next_value()?,
            1 => self.kind = map.next_value()?,
            2 => self.account_id = map.next_value()?,
            3 => self.name = map.next_value()?,
            4 => self.datacenter = map.next_value()?,
            5 => self.valid_from = map.next_value()?,
            _ => self.deleted = map.next_value()?,
        }
        Ok(())
    }
}

/// Reads a principal.
pub(super) fn read_principal(
    json: &[u8],
    oddities: &mut Oddities,
) -> Result<Stated<PrincipalKey, Principal>, String> {
    let fields: PrincipalFields<'_> = read_object(json, oddities)?;
    oddities.blank_permissions += fields.permissions.blank;
    let account = fields.account_id.id("accountId")?;
    let account = account.ok_or("accountId is missing")?;
    let iam_id = fields.iam_id.iam_id()?;
    let user = fields.user_id.id("userId")?;
    let id = user.or_else(|| iam_id.as_deref().map(Id::from));
    let id = id.ok_or("userId and iamId are both missing")?;
    let kind = fields.kind.principal_kind()?;
    let master = fields.master_user.flag("masterUser")? == Some(true);
    if master && kind != PrincipalKind::User {
        return Err("masterUser is true, but kind is not user".to_string());
    }
    let linked = fields.linked.flag("linked")?;
    let (devices, virtual_guests) = (fields.devices.as_ref(), fields.virtual_guests.as_ref());
    let value = PackedValue::of(&PrincipalView {
        name: fields.name.name("name")?.as_deref(),
        kind,
        linked: linked.unwrap_or(iam_id.is_some()),
        master,
        iam_id: iam_id.as_deref(),
        infrastructure_access: fields.infrastructure_access.flag("infrastructureAccess")?,
        permissions: Permissions::packed(&fields.permissions.packed),
        devices: ids(devices),
        virtual_guests: match (virtual_guests, ids(devices)) {
            // A list of hardware means that guests are not included.
            (None, Some(_)) => Some(DeviceIds::packed(&[])),
            (given, _) => ids(given),
        },
    });
    Ok(Stated {
        key: PrincipalKey { account, id },
        valid_from: fields.valid_from.time("validFrom")?,
        deleted: fields.deleted.flag("deleted")?.unwrap_or(false),
        value,
    })
}

/// Returns the ids of a list; `None` if all are meant.
fn ids(list: Option<&DeviceList>) -> Option<DeviceIds<'_>> {
    match list {
        None | Some(DeviceList::All) => None,
        Some(DeviceList::Ids(ids)) => Some(DeviceIds::packed(ids)),
    }
}

/// Reads a device.
pub(super) fn read_device(
    json: &[u8],
    oddities: &mut Oddities,
) -> Result<Stated<DeviceKey, Device>, String> {
    let fields: DeviceFields<'_> = read_object(json, oddities)?;
    let id = fields.device_id.id("deviceId")?;
    let value = PackedValue::of(&DeviceView {
        account: fields.account_id.id("accountId")?.as_deref(),
        name: fields.name.name("name")?.as_deref(),
        data_center: fields.datacenter.name("datacenter")?.as_deref(),
    });
    Ok(Stated {
        key: DeviceKey { kind: fields.kind.device_kind()?, id: id.ok_or("deviceId is missing")? },
        valid_from: fields.valid_from.time("validFrom")?,
        deleted: fields.deleted.flag("deleted")?.unwrap_or(false),
        value,
    })
}

impl Json<'_> {
    fn principal_kind(self) -> Result<PrincipalKind, String> {
        let Some(name) = self.string("kind")? else {
            return Ok(PrincipalKind::default());
        };
        PrincipalKind::of(&name).ok_or_else(|| format!("kind is no kind of principal: {name:.80?}"))
    }

    fn device_kind(self) -> Result<DeviceKind, String> {
        let Some(name) = self.string("kind")? else {
            return Ok(DeviceKind::default());
        };
        DeviceKind::of(&name).ok_or_else(|| format!("kind is no kind of device: {name:.80?}"))
    }
}

#[cfg(test)]
mod tests;
