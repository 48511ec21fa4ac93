//! What the device table knows of the device that was acted upon.

use super::super::Rules;
use super::super::classify::UserAction;
use super::super::directory::{DeviceView, Directory};
use super::super::fate::{Quarantine, QuarantineReason};
use super::super::versions::Version;
use super::{Lookup, tolerance};

/// What was found of a device.
#[derive(Debug, Clone, Copy)]
pub(super) enum FoundDevice<'a> {
    /// Nothing, or nothing was asked.
    Unknown,
    /// It belongs to another account than the record says: it may be another tenant's, of which nothing may be told.
    Foreign,
    /// Its entry.
    Known(DeviceView<'a>),
}

impl<'a> FoundDevice<'a> {
    /// The entry, if it may be used.
    pub fn entry(self) -> Option<DeviceView<'a>> {
        match self {
            FoundDevice::Known(device) => Some(device),
            FoundDevice::Unknown | FoundDevice::Foreign => None,
        }
    }
}

/// The version of the device's entry that counts: the one valid at the time, else the nearest, and rather one of the
/// record's account than one of another.
pub fn device_version<'a>(
    action: &UserAction<'_>,
    directory: &'a Directory,
    rules: &Rules,
) -> Option<Version<DeviceView<'a>>> {
    let change = &action.change;
    let versions = directory.devices.as_ref()?.versions(&change.object)?;
    let tolerance = tolerance(rules);
    let nearest = versions.nearest(change.time, tolerance)?;
    let is_ours = |version: &Version<DeviceView<'_>>| !is_foreign(action, version.value);
    if is_ours(&nearest) {
        return Some(nearest);
    }
    let others = versions.others_near(change.time, tolerance);
    let mut others = others.into_iter().map(|(_, version)| version);
    Some(others.find(is_ours).unwrap_or(nearest))
}

/// Whether a device belongs to another account than the record says.
fn is_foreign(action: &UserAction<'_>, device: Option<DeviceView<'_>>) -> bool {
    let said = action.change.account.as_deref();
    let known = device.and_then(|device| device.account);
    matches!((said, known), (Some(said), Some(known)) if said != known)
}

impl<'a> Lookup<'_, 'a> {
    /// The device, looked up only when the record lacks something that it could supply.
    pub(super) fn device(&self) -> FoundDevice<'a> {
        let change = &self.action.change;
        if change.account.is_some() && change.data_center.is_some() && change.label.is_some() {
            return FoundDevice::Unknown;
        }
        let version = device_version(self.action, self.directory, self.rules);
        match version.and_then(|version| version.value) {
            None => FoundDevice::Unknown,
            device if is_foreign(self.action, device) => FoundDevice::Foreign,
            Some(device) => FoundDevice::Known(device),
        }
    }

    /// The device should have supplied a field, and did not. Whose device it is stays untold.
    pub(super) fn unknown_device(&self, field: &str, device: FoundDevice<'_>) -> Quarantine {
        let id = &self.action.change.object;
        let (before, after) = match (device, &self.directory.devices) {
            (FoundDevice::Foreign, _) => (
                "and device",
                " belongs to another account in the device table",
            ),
            (_, Some(_)) => ("and the device table does not know device", ""),
            (_, None) => ("and no device table is configured; device", ""),
        };
        Quarantine::new(
            QuarantineReason::UnknownDevice,
            format_args!("{field} is missing, {before} {id}{after}"),
        )
    }
}
