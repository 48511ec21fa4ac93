//! What the device table has about the device that was acted upon, and the account of the action,
//! which it may have to supply.

use std::fmt;

use jiff::Timestamp;

use super::lookup::Lookup;
use crate::classify::UserAction;
use crate::classify::state_change::StateChange;
use crate::fate::{Quarantine, QuarantineReason};
use crate::parse::field::Id;
use crate::reference::DeviceView;
use crate::reference::versions::Version;

/// The result of a device look-up.
#[derive(Debug, Clone, Copy)]
pub(super) enum FoundDevice<'a> {
    /// No entry, or no look-up.
    Unknown,
    /// The table's record of that time cannot be read, so its content is unknown.
    Unreadable(Timestamp),
    /// The device belongs to another account than the record states. It may be another tenant's,
    /// whose data must not be disclosed.
    Foreign,
    /// Its entry.
    Known(DeviceView<'a>),
}

impl<'a> FoundDevice<'a> {
    /// Returns the entry, if it may be used.
    pub(super) fn entry(self) -> Option<DeviceView<'a>> {
        match self {
            FoundDevice::Known(device) => Some(device),
            FoundDevice::Unknown | FoundDevice::Unreadable(_) | FoundDevice::Foreign => None,
        }
    }
}

/// Returns whether a device belongs to another account than the record states.
fn is_foreign(action: &UserAction<'_>, device: Option<DeviceView<'_>>) -> bool {
    let said = action.change.account.as_deref();
    let known = device.and_then(|device| device.account);
    matches!((said, known), (Some(said), Some(known)) if said != known)
}

impl<'a> Lookup<'_, 'a> {
    /// Returns whether the record lacks something that the device's entry could supply. The device
    /// table is queried only then.
    pub(super) fn asks_for_device(&self) -> bool {
        let change = &self.action.change;
        change.account.is_none() || change.data_center.is_none() || change.label.is_none()
    }

    /// Returns the deciding version of the device's entry: the one valid at the time, else the
    /// nearest. Prefers a version of the record's account to one of another.
    #[inline]
    pub(super) fn device_version(&self) -> Option<Version<DeviceView<'a>>> {
        if !self.asks_for_device() {
            return None;
        }
        let devices = self.reference.devices.as_ref()?;
        let versions = devices.versions(&self.action.device_key()?)?;
        let (moment, tolerance) = (self.moment(), self.tolerance());
        let nearest = versions.nearest(moment, tolerance)?;
        let is_ours = |version: &Version<DeviceView<'_>>| !is_foreign(self.action, version.value);
        if is_ours(&nearest) {
            return Some(nearest);
        }
        let others = versions.others_near(moment, tolerance);
        let mut others = others.into_iter().map(|(_, version)| version);
        Some(others.find(is_ours).unwrap_or(nearest))
    }

    /// Returns the device, by its deciding version.
    #[inline]
    pub(super) fn device(&self, version: Option<Version<DeviceView<'a>>>) -> FoundDevice<'a> {
        match version {
            None => FoundDevice::Unknown,
            Some(version) if version.is_unreadable => FoundDevice::Unreadable(version.valid_from),
            Some(Version { value, .. }) if is_foreign(self.action, value) => FoundDevice::Foreign,
            Some(Version { value, .. }) => value.map_or(FoundDevice::Unknown, FoundDevice::Known),
        }
    }

    /// See [`AttributedAction::awaits_tables`](super::AttributedAction::awaits_tables).
    pub(super) fn awaits_tables(&self, device: FoundDevice<'_>) -> bool {
        let change = &self.action.change;
        let is_placed = change.account.is_some() && change.data_center.is_some();
        let is_named = change.label.is_some() || device.entry().is_some();
        let is_complete = is_placed && is_named;
        !is_complete && self.reference.devices.is_some() && self.action.device_key().is_some()
    }

    /// Returns the account of the action: that of the record, else that of the device.
    #[inline]
    pub(super) fn account(&self, device: FoundDevice<'_>) -> Result<Id, Quarantine> {
        if let Some(account) = &self.action.change.account {
            return Ok(account.clone());
        }
        let entry = device.entry();
        let entry = entry.ok_or_else(|| self.unknown_device("accountId", device))?;
        entry.account.map(Id::from).ok_or_else(|| {
            let id = &self.action.change.object;
            Quarantine::new(
                QuarantineReason::UnknownDevice,
                format_args!("accountId is missing, and device {id} has none in the device table"),
            )
        })
    }

    /// Quarantines an action for which the device should have supplied a field, and did not. Does
    /// not disclose the owner of the device.
    pub(super) fn unknown_device(&self, field: &str, device: FoundDevice<'_>) -> Quarantine {
        let unknown = |why: &dyn fmt::Display| {
            let detail = format_args!("{field} is missing, and {why}");
            Quarantine::new(QuarantineReason::UnknownDevice, detail)
        };
        let Some(key) = self.action.device_key() else {
            let StateChange { class, object, .. } = &self.action.change;
            return unknown(&format_args!(
                "{class:?} {object} is no device by the catalogue (device_kind), so that no table can supply it"
            ));
        };
        match (device, &self.reference.devices) {
            (FoundDevice::Foreign, _) => unknown(&format_args!(
                "device {key} belongs to another account in the device table"
            )),
            (FoundDevice::Unreadable(from), _) => unknown(&format_args!(
                "the device table's record of device {key} from {from} cannot be read: publish it again"
            )),
            (_, Some(_)) => unknown(&format_args!("the device table does not know device {key}")),
            (_, None) => unknown(&format_args!("no device table is configured; device {key}")),
        }
    }
}
