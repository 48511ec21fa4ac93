//! Third stage, *enrich*: whose action was it, with what access, and where? Everything is looked up as
//! of the time of the event, and nothing is invented: what cannot be joined goes to quarantine.
//!
//! Clocks disagree a little. The version that was valid at the time of the event counts first; if by it the
//! record would not be audited, those valid within the clock skew are asked as well, and access by any counts.

use jiff::{SignedDuration, Timestamp};

use super::access;
use super::classify::{Actor, UserAction};
use super::directory::{DeviceView, Directory, PrincipalKey, PrincipalView};
use super::fate::{Quarantine, QuarantineReason, SkipReason, Unaudited};
use super::policy::Policy;
use super::regions::{Locations, Place};
use super::state_change::Id;
use super::versions::Version;

/// Most versions beside the one valid at the time of an event by which one principal is judged.
const MOST_OTHER_VERSIONS: usize = 32;

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
    /// Whether the device table was asked for a name and did not know the device.
    pub lacks_device: bool,
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

/// Who acted, and who had logged in, where that is somebody else.
struct Identities<'a> {
    initiator: Identity<'a>,
    authenticated: Option<Identity<'a>>,
}

/// The keys under which the principals of an action are looked up: who acted, then who had logged in or what
/// identity was assumed.
pub fn principals_asked(action: &UserAction<'_>, account: &Id) -> Vec<PrincipalKey> {
    let change = &action.change;
    let behalf = change.on_behalf_of.as_ref().map(|behalf| &behalf.user);
    let mut ids: Vec<&str> = Vec::new();
    ids.extend(behalf.map(Id::as_str));
    if behalf.is_none() || action.actor == Actor::User {
        ids.extend(change.user.as_deref());
    }
    if behalf.is_none() {
        ids.extend(change.iam_id.as_deref());
    }
    ids.dedup();
    ids.into_iter().map(|id| key(account, id)).collect()
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
        let devices = self.directory.devices.as_ref().filter(|_| !complete)?;
        let versions = devices.versions(&change.object)?;
        versions.nearest(change.time, self.tolerance())?.value
    }

    fn account(&self, device: Option<DeviceView<'_>>) -> Result<Id, Quarantine> {
        if let Some(account) = &self.action.change.account {
            return Ok(account.clone());
        }
        let device = device.ok_or_else(|| self.unknown_device("accountId"))?;
        device.account.map(Id::from).ok_or_else(|| {
            Quarantine::malformed("accountId is missing, and the device table has none either")
        })
    }

    /// The initiator, with access, and who had logged in if that is somebody else.
    fn identities(&self, account: &Id) -> Result<Identities<'a>, Unaudited> {
        let change = &self.action.change;
        let claimed = change.iam_id.as_deref();
        match (&change.on_behalf_of, &change.user, claimed) {
            (Some(behalf), _, _) => self.on_behalf(account, &behalf.user),
            (None, Some(user), _) => self.by_user(account, user, claimed),
            (None, None, Some(iam_id)) => {
                let key = key(account, iam_id);
                self.by_any_version(&key, |known| {
                    let initiator = self.linked(&key, known, claimed)?;
                    self.with_access(initiator, None)
                })
            }
            (None, None, None) => {
                Err(Quarantine::malformed("userId and iamId are both missing").into())
            }
        }
    }

    fn on_behalf(&self, account: &Id, behalf: &Id) -> Result<Identities<'a>, Unaudited> {
        let change = &self.action.change;
        let acting = change.user.as_ref();
        let acting = acting.filter(|user| *user != behalf && self.action.actor == Actor::User);
        let acting = acting.map(|user| key(account, user));
        let key = key(account, behalf);
        self.by_any_version(&key, |known| {
            let initiator = self.linked(&key, known, None)?;
            let authenticated = acting.as_ref().map(|acting| {
                self.by_any_version(acting, |known| {
                    self.linked(acting, known, change.iam_id.as_deref())
                })
            });
            self.with_access(initiator, authenticated.transpose()?)
        })
    }

    fn by_user(
        &self,
        account: &Id,
        user: &Id,
        claimed: Option<&str>,
    ) -> Result<Identities<'a>, Unaudited> {
        let key = key(account, user);
        self.by_any_version(&key, |known| {
            let identity = self.linked(&key, known, claimed)?;
            match claimed {
                Some(claimed) if identity.iam_id != claimed => {
                    self.assumed(&identity, account, claimed)
                }
                _ => self.with_access(identity, None),
            }
        })
    }

    /// The record names another IAM identity than the table has for the user: a profile, service id or
    /// application that the user assumed. Any other difference means that the link is not certain.
    fn assumed(
        &self,
        user: &Identity<'a>,
        account: &Id,
        claimed: &str,
    ) -> Result<Identities<'a>, Unaudited> {
        use super::directory::PrincipalKind::{Application, Profile, ServiceId};
        let key = key(account, claimed);
        self.by_any_version(&key, |known| {
            let kind = known.and_then(|known| known.value).map(|known| known.kind);
            if kind.is_none_or(|kind| !matches!(kind, Profile | ServiceId | Application)) {
                return Err(Quarantine::new(
                    QuarantineReason::UnlinkedPrincipal,
                    format_args!(
                        "principal {} is linked to {}, but the record says {claimed}",
                        user.key, user.iam_id
                    ),
                )
                .into());
            }
            let assumed = self.linked(&key, known, Some(claimed))?;
            self.with_access(assumed, Some(user.clone()))
        })
    }

    /// Judges by the version of a principal that was valid at the time; if that does not lead to an audit
    /// event, by the others within the clock skew. The error is that of the first.
    fn by_any_version<T>(
        &self,
        key: &PrincipalKey,
        judge: impl Fn(Option<Version<PrincipalView<'a>>>) -> Result<T, Unaudited>,
    ) -> Result<T, Unaudited> {
        let moment = self.action.change.time;
        let versions = self.directory.principals.versions(key);
        let first = judge(versions.and_then(|versions| versions.as_of(moment)));
        let (Err(_), Some(versions)) = (&first, versions) else {
            return first;
        };
        let others = versions.others_near(moment, self.tolerance());
        let mut others = others.take(MOST_OTHER_VERSIONS);
        others
            .find_map(|other| judge(Some(other)).ok())
            .map_or(first, Ok)
    }

    fn linked(
        &self,
        key: &PrincipalKey,
        known: Option<Version<PrincipalView<'a>>>,
        claimed: Option<&str>,
    ) -> Result<Identity<'a>, Unaudited> {
        let Some((principal, valid_from)) =
            known.and_then(|known| Some((known.value?, known.valid_from)))
        else {
            return Err(self.unknown(key));
        };
        let iam_id = principal.iam_id.or(claimed).map(Id::from);
        match iam_id.filter(|_| principal.linked) {
            Some(iam_id) => Ok(Identity {
                key: key.clone(),
                principal,
                valid_from,
                iam_id,
            }),
            None => Err(Quarantine::new(
                QuarantineReason::UnlinkedPrincipal,
                format_args!("principal {key} is not linked to an IAM identity"),
            )
            .into()),
        }
    }

    fn unknown(&self, key: &PrincipalKey) -> Unaudited {
        if self.policy.skip_unknown_principal {
            return SkipReason::UnknownPrincipal.into();
        }
        Quarantine::new(
            QuarantineReason::UnknownPrincipal,
            format_args!("principal {key} was not known at the time of the action"),
        )
        .into()
    }

    fn with_access(
        &self,
        initiator: Identity<'a>,
        authenticated: Option<Identity<'a>>,
    ) -> Result<Identities<'a>, Unaudited> {
        self.check_access(&initiator)?;
        Ok(Identities {
            initiator,
            authenticated,
        })
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
