//! Third stage, *enrich*: whose action was it, with what access, and where? Everything is looked up as
//! of the time of the event, and nothing is invented: what cannot be joined goes to quarantine.

use super::access;
use super::classify::{Actor, UserAction};
use super::directory::{Device, Directory, Principal, PrincipalKey};
use super::fate::{Quarantine, QuarantineReason, SkipReason, Unaudited};
use super::policy::Policy;
use super::regions::{Locations, Place};
use super::state_change::Id;

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
    pub device: Option<&'a Device>,
    /// Whether the device table was asked for a name and did not know the device.
    pub lacks_device: bool,
}

/// A principal with the IAM identity that it goes by.
#[derive(Debug, Clone)]
pub struct Identity<'a> {
    /// Key under which it was found.
    pub key: PrincipalKey,
    /// Its entry as of the time of the event.
    pub principal: &'a Principal,
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
    let (initiator, authenticated) = lookup.identities(&account)?;
    lookup.check_access(&initiator)?;
    let place = lookup.place(device, locations)?;
    let lacks_device =
        user_action.change.label.is_none() && device.is_none() && directory.devices.is_some();
    Ok(AttributedAction {
        account,
        initiator,
        authenticated,
        place,
        device,
        lacks_device,
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
    /// The device's entry, looked up only when the record lacks something it could supply.
    fn device(&self) -> Option<&'a Device> {
        let change = &self.action.change;
        let complete =
            change.account.is_some() && change.data_center.is_some() && change.label.is_some();
        let devices = self.directory.devices.as_ref().filter(|_| !complete)?;
        devices.as_of(&change.object, change.time)
    }

    fn account(&self, device: Option<&Device>) -> Result<Id, Quarantine> {
        if let Some(account) = &self.action.change.account {
            return Ok(account.clone());
        }
        let device = device.ok_or_else(|| self.unknown_device("accountId"))?;
        device.account.clone().ok_or_else(|| {
            Quarantine::malformed("accountId is missing, and the device table has none either")
        })
    }

    /// The initiator, and who had logged in if that is somebody else.
    fn identities(&self, account: &Id) -> Result<(Identity<'a>, Option<Identity<'a>>), Unaudited> {
        let change = &self.action.change;
        if let Some(behalf) = &change.on_behalf_of {
            let initiator = self.identity(account, &behalf.user, None)?;
            let authenticated = match (&change.user, self.action.actor) {
                (Some(user), Actor::User) if *user != behalf.user => {
                    Some(self.identity(account, user, change.iam_id.as_deref())?)
                }
                _ => None,
            };
            return Ok((initiator, authenticated));
        }
        let iam_id = change.iam_id.as_deref();
        let Some(user) = &change.user else {
            let iam_id =
                iam_id.ok_or_else(|| Quarantine::malformed("userId and iamId are both missing"))?;
            return Ok((self.identity(account, iam_id, Some(iam_id))?, None));
        };
        let identity = self.identity(account, user, iam_id)?;
        match iam_id {
            Some(claimed) if identity.iam_id != claimed => self.assumed(identity, account, claimed),
            _ => Ok((identity, None)),
        }
    }

    /// The record names another IAM identity than the table has for the user: a profile, service id or
    /// application that the user assumed. Any other difference means that the link is not certain.
    fn assumed(
        &self,
        user: Identity<'a>,
        account: &Id,
        claimed: &str,
    ) -> Result<(Identity<'a>, Option<Identity<'a>>), Unaudited> {
        use super::directory::PrincipalKind::{Application, Profile, ServiceId};
        let key = key(account, claimed);
        let principal = self.principal(&key);
        match principal.filter(|known| matches!(known.kind, Profile | ServiceId | Application)) {
            Some(principal) => {
                let assumed = self.linked(key, principal, Some(claimed))?;
                Ok((assumed, Some(user)))
            }
            None => Err(Quarantine::new(
                QuarantineReason::UnlinkedPrincipal,
                format_args!(
                    "principal {} is linked to {}, but the record says {claimed}",
                    user.key, user.iam_id
                ),
            )
            .into()),
        }
    }

    fn identity(
        &self,
        account: &Id,
        id: &str,
        claimed: Option<&str>,
    ) -> Result<Identity<'a>, Unaudited> {
        let key = key(account, id);
        match self.principal(&key) {
            Some(principal) => Ok(self.linked(key, principal, claimed)?),
            None if self.policy.skip_unknown_principal => Err(SkipReason::UnknownPrincipal.into()),
            None => Err(Quarantine::new(
                QuarantineReason::UnknownPrincipal,
                format_args!("principal {key} was not known at the time of the action"),
            )
            .into()),
        }
    }

    fn principal(&self, key: &PrincipalKey) -> Option<&'a Principal> {
        self.directory
            .principals
            .as_of(key, self.action.change.time)
    }

    fn linked(
        &self,
        key: PrincipalKey,
        principal: &'a Principal,
        claimed: Option<&str>,
    ) -> Result<Identity<'a>, Quarantine> {
        let iam_id = principal.iam_id.clone().or_else(|| claimed.map(Id::from));
        match iam_id.filter(|_| principal.linked) {
            Some(iam_id) => Ok(Identity {
                key,
                principal,
                iam_id,
            }),
            None => Err(Quarantine::new(
                QuarantineReason::UnlinkedPrincipal,
                format_args!("principal {key} is not linked to an IAM identity"),
            )),
        }
    }

    fn check_access(&self, initiator: &Identity<'_>) -> Result<(), Unaudited> {
        let UserAction { change, action, .. } = self.action;
        let access = access::check(
            self.policy.access,
            initiator.principal,
            action,
            &change.object,
        );
        match access {
            Ok(()) => Ok(()),
            Err(unmet) if self.policy.quarantine_no_infrastructure_access => Err(Quarantine::new(
                QuarantineReason::NoInfrastructureAccess,
                format_args!("principal {} {unmet}", initiator.key),
            )
            .into()),
            Err(_) => Err(SkipReason::NoInfrastructureAccess.into()),
        }
    }

    fn place(
        &self,
        device: Option<&'a Device>,
        locations: &'a Locations,
    ) -> Result<Place<'a>, Quarantine> {
        let change = &self.action.change;
        let unknown =
            |what: &dyn std::fmt::Display| Quarantine::new(QuarantineReason::UnknownLocation, what);
        let code = match (change.data_center.as_deref(), device) {
            (Some(code), _) => code,
            (None, None) => return Err(self.unknown_device("datacenter")),
            (None, Some(device)) => device.data_center.as_deref().ok_or_else(|| {
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
        let id = &self.action.change.object;
        let table = match self.directory.devices {
            Some(_) => "and the device table does not know device",
            None => "and no device table is configured; device",
        };
        Quarantine::new(
            QuarantineReason::UnknownDevice,
            format_args!("{field} is missing, {table} {id}"),
        )
    }
}

fn key(account: &Id, id: &str) -> PrincipalKey {
    PrincipalKey {
        account: account.clone(),
        id: Id::from(id),
    }
}
