//! Third stage, *enrich*: identifies who acted, with what access, and where. Everything is looked
//! up as of the time of the event, and nothing is invented: what cannot be joined is quarantined.
//!
//! Clocks differ slightly. The version valid at the time of the event counts first. If the record
//! would not be audited by it, the versions valid within the clock skew are tried as well, and
//! access by any of them counts.

mod access;
mod asked;
mod candidates;
mod device;
mod identities;
mod place;
mod sides;

use jiff::{SignedDuration, Timestamp};

use super::classify::UserAction;
use super::fate::{Quarantine, QuarantineReason, Unaudited};
use super::regions::Place;
use crate::parse::field::Id;
use crate::reference::{DeviceView, PrincipalKey, PrincipalView, ReferenceTables};
use crate::rules::Rules;

pub use asked::{Asked, LookUps, Role};
use device::FoundDevice;
use identities::Identities;
pub use sides::Side;

/// A user action with its account, initiator and place.
#[derive(Debug, Clone)]
pub struct AttributedAction<'a> {
    /// The action.
    pub user_action: UserAction<'a>,
    /// The account in which it happened.
    pub account: Id,
    /// Who acted.
    pub initiator: Identity<'a>,
    /// Who had logged in, if that is another identity.
    pub authenticated: Option<Identity<'a>>,
    /// Where it happened.
    pub place: Place<'a>,
    /// The device's entry in the device table.
    pub device: Option<DeviceView<'a>>,
    /// Whether the event waits for the tables: its account or place comes from the device table,
    /// and would stay wrong if the device has moved, or the device that should supply its place or
    /// name is not known.
    pub awaits_tables: bool,
}

/// A principal with its IAM identity.
#[derive(Debug, Clone)]
pub struct Identity<'a> {
    /// The key under which it was found.
    pub key: PrincipalKey,
    /// Its entry as of the time of the event, or near it.
    pub principal: PrincipalView<'a>,
    /// The start of that entry's validity.
    pub valid_from: Timestamp,
    /// Its IAM identity.
    pub iam_id: Id,
    /// The side of the action whose user name applies to this identity if the table has no name
    /// for it. `None` for an identity that a user assumed: the record names the user.
    pub named_by: Option<Side>,
}

/// Enriches an action. Calls `looked_up` once with the table look-ups, before it decides who acted.
///
/// # Errors
/// The reasons of section *enrich* in `schemas/README.md`.
pub(crate) fn enrich<'a>(
    user_action: UserAction<'a>,
    directory: &'a ReferenceTables,
    rules: &'a Rules,
    looked_up: impl FnOnce(&LookUps<'_, '_>),
) -> Result<AttributedAction<'a>, Unaudited> {
    let lookup = Lookup { action: &user_action, directory, rules };
    let version = lookup.device_version();
    let device = lookup.device(version);
    let account = lookup.account(device);
    looked_up(&LookUps {
        lookup: &lookup,
        account: account.as_ref().ok(),
        device_from: version.map(|version| version.valid_from),
    });
    let account = account?;
    let Identities { initiator, authenticated } = lookup.identities(&account)?;
    let place = lookup.place(device)?;
    let awaits_tables = lookup.awaits_tables(device);
    Ok(AttributedAction {
        account,
        initiator,
        authenticated,
        place,
        device: device.entry(),
        awaits_tables,
        user_action,
    })
}

/// Looks up one action in the tables as of its time. [`enrich`] is generic, so it is compiled where
/// it is called; `#[inline]` on methods that only it calls keeps them part of it.
struct Lookup<'l, 'a> {
    action: &'l UserAction<'a>,
    directory: &'a ReferenceTables,
    rules: &'a Rules,
}

impl<'a> Lookup<'_, 'a> {
    /// Returns the time as of which everything is looked up.
    const fn moment(&self) -> Timestamp {
        self.action.change.time
    }

    /// Returns how far from that time a version may be valid and still count.
    fn tolerance(&self) -> SignedDuration {
        SignedDuration::from_millis(self.rules.policy.clock_skew_ms.into())
    }

    /// See [`AttributedAction::awaits_tables`].
    fn awaits_tables(&self, device: FoundDevice<'_>) -> bool {
        let change = &self.action.change;
        let is_placed = change.account.is_some() && change.data_center.is_some();
        let is_named = change.label.is_some() || device.entry().is_some();
        let is_complete = is_placed && is_named;
        !is_complete && self.directory.devices.is_some() && self.action.device_key().is_some()
    }

    #[inline]
    fn account(&self, device: FoundDevice<'_>) -> Result<Id, Quarantine> {
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
}
