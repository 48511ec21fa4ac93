//! The lists of a principal's entry, packed while they are read: permission names and device ids.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};

use super::object::{Json, Text};
use super::permissions::Permissions;
use super::principal::DeviceIds;
use super::value::{is_absent, trimmed};

/// Permission names, packed, without blank ones.
#[derive(Default)]
pub(super) struct PermissionList {
    pub packed: Vec<u8>,
    pub blank: u64,
}

/// Device ids, packed.
pub(super) enum DeviceList {
    All,
    Ids(Vec<u8>),
}

impl<'de> Deserialize<'de> for PermissionList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PermissionsVisitor)
    }
}

struct PermissionsVisitor;

impl<'de> Visitor<'de> for PermissionsVisitor {
    type Value = PermissionList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("permissions, which are a list of names")
    }

    fn visit_unit<E: de::Error>(self) -> Result<PermissionList, E> {
        Ok(PermissionList::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<PermissionList, A::Error> {
        let mut permissions = PermissionList::default();
        while let Some(name) = list.next_element::<Option<Text<'de>>>()? {
            match name.filter(|Text(name)| !is_absent(name)) {
                Some(Text(name)) => Permissions::put(&name, &mut permissions.packed),
                None => permissions.blank += 1,
            }
        }
        Ok(permissions)
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
        if trimmed(text).eq_ignore_ascii_case("all") {
            Ok(DeviceList::All)
        } else {
            Err(E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<DeviceList, A::Error> {
        let mut packed = Vec::new();
        while let Some(id) = list.next_element::<Json<'de>>()? {
            if let Some(id) = id.id("devices").map_err(de::Error::custom)? {
                DeviceIds::put(&id, &mut packed);
            }
        }
        Ok(DeviceList::Ids(packed))
    }
}
