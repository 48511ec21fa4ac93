//! Third stage, *enrich*: whose action was it, with what access, and where? Everything is looked up as
//! of the time of the event, and nothing is invented: what cannot be joined goes to quarantine.
//!
//! Clocks disagree a little. The version that was valid at the time of the event counts first; if by it the
//! record would not be audited, those valid within the clock skew are asked as well, and access by any counts.

mod identities;

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::classify::UserAction;
use super::directory::{DeviceKey, DeviceView, Directory, PrincipalKey, PrincipalView};
use super::fate::{Quarantine, QuarantineReason, Unaudited};
use super::field::Id;
use super::policy::Policy;
use super::regions::{Locations, Place};
use super::versions::Version;

use identities::Identities;
pub use identities::principals_asked;

/// A user action with its account, initiator and place.
#[derive(Debug, Clone)]
pub struct AttributedAction<'a> {
    /// The action.
    pub user_action: UserAction<'a>,
    /// The account in which it happened.
    pub account: Id,
    /// Who acted.
    pub initiator: Identity<'a>,
    /// Who had logged in, where that is somebody else.
    pub authenticated: Option<Identity<'a>>,
    /// Where.
    pub place: Place<'a>,
    /// The device's entry in the device table.
    pub device: Option<DeviceView<'a>>,
    /// Whether the event waits for the tables: its account or place is the device table's, and would be wrong for good if the
    /// device has moved, or the device that should supply its name is not known.
    pub awaits_tables: bool,
}

/// A principal with the IAM identity that it goes by.
#[derive(Debug, Clone)]
pub struct Identity<'a> {
    /// Key under which it was found.
    pub key: PrincipalKey,
    /// Its entry as of the time of the event, or near it.
    pub principal: PrincipalView<'a>,
    /// Since when that entry is valid.
    pub valid_from: Timestamp,
    /// Its IAM identity.
    pub iam_id: Id,
}

/// Enriches an action.
///
/// # Errors
/// The reasons of section *enrich* in `schemas/README.md`.
pub fn enrich<'a>(
    user_action: UserAction<'a>,
    directory: &'a Directory,
    locations: &'a Locations,
    policy: &Policy,
) -> Result<AttributedAction<'a>, Unaudited> {
    let lookup = Lookup {
        action: &user_action,
        directory,
        policy,
    };
    let device = lookup.device();
    let account = lookup.account(device)?;
    let Identities {
        initiator,
        authenticated,
    } = lookup.identities(&account)?;
    let place = lookup.place(device, locations)?;
    let awaits_tables = lookup.awaits_tables(device);
    Ok(AttributedAction {
        account,
        initiator,
        authenticated,
        place,
        device,
        awaits_tables,
        user_action,
    })
}

/// One action against the tables as of its time.
struct Lookup<'l, 'a> {
    action: &'l UserAction<'a>,
    directory: &'a Directory,
    policy: &'l Policy,
}

impl<'a> Lookup<'_, 'a> {
    fn tolerance(&self) -> SignedDuration {
        SignedDuration::from_millis(self.policy.clock_skew_ms.into())
    }

    /// The device's entry, looked up only when the record lacks something it could supply.
    fn device(&self) -> Option<DeviceView<'a>> {
        let change = &self.action.change;
        let complete =
            change.account.is_some() && change.data_center.is_some() && change.label.is_some();
        if complete {
            return None;
        }
        self.device_version()?.value
    }

    /// What counts of the device's entry at the time of the event.
    fn device_version(&self) -> Option<Version<DeviceView<'a>>> {
        let versions = self.directory.devices.as_ref()?;
        let versions = versions.versions(&self.device_key()?)?;
        versions.nearest(self.action.change.time, self.tolerance())
    }

    /// The object as a device; nothing if it is none.
    fn device_key(&self) -> Option<DeviceKey> {
        self.action.device_key()
    }

    /// See [`AttributedAction::awaits_tables`].
    fn awaits_tables(&self, device: Option<DeviceView<'_>>) -> bool {
        let change = &self.action.change;
        let is_placed = change.account.is_some() && change.data_center.is_some();
        let is_named = change.label.is_some() || device.is_some();
        let is_complete = is_placed && is_named;
        !is_complete && self.directory.devices.is_some() && self.device_key().is_some()
    }

    fn account(&self, device: Option<DeviceView<'_>>) -> Result<Id, Quarantine> {
        if let Some(account) = &self.action.change.account {
            return Ok(account.clone());
        }
        let device = device.ok_or_else(|| self.unknown_device("accountId"))?;
        device.account.map(Id::from).ok_or_else(|| {
            let id = &self.action.change.object;
            Quarantine::new(
                QuarantineReason::UnknownDevice,
                format_args!("accountId is missing, and device {id} has none in the device table"),
            )
        })
    }

    fn place(
        &self,
        device: Option<DeviceView<'a>>,
        locations: &'a Locations,
    ) -> Result<Place<'a>, Quarantine> {
        let change = &self.action.change;
        let unknown =
            |what: &dyn std::fmt::Display| Quarantine::new(QuarantineReason::UnknownLocation, what);
        let code = match (change.data_center.as_deref(), device) {
            (Some(code), _) => code,
            (None, None) => return Err(self.unknown_device("datacenter")),
            (None, Some(device)) => device.data_center.ok_or_else(|| {
                unknown(&format_args!(
                    "device {} has no data center in the device table",
                    change.object
                ))
            })?,
        };
        locations.locate(code, change.time).ok_or_else(|| {
            unknown(&format_args!(
                "data center {code:?} is not in the location table at {}",
                change.time
            ))
        })
    }

    fn unknown_device(&self, field: &str) -> Quarantine {
        let change = &self.action.change;
        let unknown = |why: &dyn fmt::Display| {
            let detail = format_args!("{field} is missing, and {why}");
            Quarantine::new(QuarantineReason::UnknownDevice, detail)
        };
        let Some(key) = self.device_key() else {
            let (class, id) = (&change.class, &change.object);
            return unknown(&format_args!(
                "{class:?} {id} is no device by the catalogue (device_kind), so that no table can supply it"
            ));
        };
        let unreadable = self
            .device_version()
            .filter(|version| version.is_unreadable);
        match (&self.directory.devices, unreadable) {
            (None, _) => unknown(&format_args!("no device table is configured; device {key}")),
            (_, Some(version)) => unknown(&format_args!(
                "the device table's record of device {key} from {} cannot be read: publish it again",
                version.valid_from
            )),
            (_, None) => unknown(&format_args!("the device table does not know device {key}")),
        }
    }
}
