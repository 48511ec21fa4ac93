//! Describes an action's table look-ups, for a trace: every key, all its versions, and which of
//! them count. It decides nothing, and computes nothing until a trace calls it.

use jiff::Timestamp;

use super::lookup::Lookup;
use super::sides::{Named, acting, behalf};
use crate::parse::field::Id;
use crate::reference::packing::Packed;
use crate::reference::versions::{Version, Versions};
use crate::reference::{DeviceKey, PrincipalKey, Table, TableKey};

/// The look-ups of one action.
pub struct KeyLookups<'l, 'a> {
    pub(super) lookup: &'l Lookup<'l, 'a>,
    /// The account of the action, if it is known.
    pub(super) account: Option<&'l Id>,
    /// Since when the deciding version of the device is valid.
    pub(super) device_from: Option<Timestamp>,
}

/// The look-up of one key in a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLookup<K> {
    /// The key.
    pub key: K,
    /// All its versions, newest first, each with its role. Empty if the table lacks the key.
    pub versions: Vec<(Version<()>, Role)>,
    /// Start of the deciding version. For a principal it is not known until the action is
    /// attributed.
    pub decides: Option<Timestamp>,
}

/// Whether a version counts, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Valid at the time of the action.
    ValidAtTheTime,
    /// Considered, since it is valid within the clock skew.
    WithinClockSkew,
    /// Not considered.
    Ignored,
}

impl KeyLookups<'_, '_> {
    /// Returns the time as of which the tables are queried.
    pub const fn moment(&self) -> Timestamp {
        self.lookup.moment()
    }

    /// Returns the principals that the record names: the one acted for, then the one that acted,
    /// each followed by the identity that it assumed. Empty if the account is not known.
    pub fn principals(&self) -> Vec<KeyLookup<PrincipalKey>> {
        let action = self.lookup.action;
        let mut lookups: Vec<KeyLookup<PrincipalKey>> = Vec::new();
        let Some(account) = self.account else {
            return lookups;
        };
        let sides = behalf(action).into_iter().chain(acting(action));
        for key in sides.flat_map(Named::names).flat_map(|name| self.lookup.keys(account, name)) {
            if lookups.iter().all(|other| other.key != key) {
                lookups.push(self.key_lookup(key, &self.lookup.reference.principals, None));
            }
        }
        lookups
    }

    /// Returns the device, if it is looked up in the device table.
    pub fn device(&self) -> Option<KeyLookup<DeviceKey>> {
        let key = self.lookup.action.device_key().filter(|_| self.lookup.asks_for_device())?;
        let devices = self.lookup.reference.devices.as_ref()?;
        Some(self.key_lookup(key, devices, self.device_from))
    }

    fn key_lookup<K: TableKey, V: Packed>(
        &self,
        key: K,
        table: &Table<K, V>,
        decides: Option<Timestamp>,
    ) -> KeyLookup<K> {
        let versions = table.versions(&key).map(|versions| self.with_roles(versions));
        KeyLookup { key, versions: versions.unwrap_or_default(), decides }
    }

    fn with_roles<V: Packed>(&self, versions: Versions<'_, V>) -> Vec<(Version<()>, Role)> {
        let (moment, tolerance) = (self.lookup.moment(), self.lookup.tolerance());
        let valid = versions.as_of(moment).map(|version| version.valid_from);
        let near = versions.others_near(moment, tolerance);
        let is_near = |from| near.iter().any(|(_, version)| version.valid_from == from);
        let role = |from| match from {
            _ if valid == Some(from) => Role::ValidAtTheTime,
            _ if is_near(from) => Role::WithinClockSkew,
            _ => Role::Ignored,
        };
        versions.iter().map(|version| (version.bare(), role(version.valid_from))).collect()
    }
}
