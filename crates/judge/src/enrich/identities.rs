//! Identifies who acted, and with what access. Every identity, acting or acted for, goes through
//! the same look-up: by its classic user id or by its IAM id. If the record and the table
//! contradict each other, the action is not attributed.

use super::access::Demand;
use super::attributed::Identity;
use super::candidates::Candidate;
use super::lookup::Lookup;
use super::sides::{Name, Named, acting, behalf, must_be_named};
use crate::classify::Actor;
use crate::fate::{Quarantine, QuarantineReason, Skip, SkipReason, Unaudited};
use crate::parse::field::Id;
use crate::reference::PrincipalKind;
use crate::reference::PrincipalKind::{Application, Profile, ServiceId};

/// Who acted, and who had logged in, if that is another identity.
pub(super) struct Identities<'a> {
    pub initiator: Identity<'a>,
    pub authenticated: Option<Identity<'a>>,
}

/// One side of an action, found in the table.
struct Found<'a> {
    who: Identity<'a>,
    /// The user who assumed that identity. Boxed: few users do, and this value is moved often.
    login: Option<Box<Identity<'a>>>,
    /// The fate of an action that needs this side's access and lacks it.
    access: Result<(), Unaudited>,
}

impl<'a> Lookup<'_, 'a> {
    /// Identifies the initiator, with access, and who had logged in if that is another identity.
    #[inline]
    pub(super) fn identities(&self, account: &Id) -> Result<Identities<'a>, Unaudited> {
        let actor = self.action.actor;
        let acting = acting(self.action);
        if acting.is_none() && must_be_named(actor) {
            return Err(Quarantine::malformed("userId and iamId are both missing").into());
        }
        if actor == Actor::Service {
            self.check_service(account)?;
        }
        if let Some(behalf) = behalf(self.action) {
            let initiator = self.side(account, behalf)?;
            let acting = acting.map(|acting| self.side(account, acting));
            return on_behalf(initiator, acting.transpose()?);
        }
        let acting = acting.ok_or(SkipReason::NotUserInitiated)?;
        let Found { who, login, access } = self.side(account, acting)?;
        access?;
        Ok(Identities { initiator: who, authenticated: login.map(|login| *login) })
    }

    /// Checks that the system acted as a service: the table must list the IAM identity as one. The
    /// system cannot act as a user.
    fn check_service(&self, account: &Id) -> Result<(), Unaudited> {
        let iam_id = self.action.change.iam_id.as_deref().unwrap_or_default();
        match self.nearest(account, Name::IamId(iam_id))? {
            None => Err(SkipReason::UnknownService.into()),
            Some(known) if known.principal.kind == PrincipalKind::User => {
                Err(Unaudited::Skipped(Skip {
                    awaits_tables: true,
                    ..Skip::from(SkipReason::NotUserInitiated)
                }))
            }
            Some(_) => Ok(()),
        }
    }

    fn side(&self, account: &Id, named: Named<'_>) -> Result<Found<'a>, Unaudited> {
        self.judged(account, named.first, |candidate| {
            let iam_id = candidate.principal.iam_id;
            match named.claimed.filter(|claimed| iam_id != Some(*claimed)) {
                None => self.itself(candidate, named),
                Some(claimed) => self.under(account, candidate, claimed, named),
            }
        })
    }

    /// Decides by the version of an identity that was valid at the time. If that does not lead to
    /// an audit event, tries the others within the clock skew. The error is that of the first.
    fn judged(
        &self,
        account: &Id,
        name: Name<'_>,
        judge: impl Fn(Candidate<'a>) -> Result<Found<'a>, Unaudited>,
    ) -> Result<Found<'a>, Unaudited> {
        let mut best = match self.at_the_time(account, name)? {
            Some(candidate) => judge(candidate),
            None => Err(self.unknown(&name.in_account(account))),
        };
        if has_access(&best) {
            return best;
        }
        let near = self.near(account, name);
        for candidate in near.candidates {
            let next = judge(candidate);
            if has_access(&next) {
                return next;
            }
            best = match (best, next) {
                // The identity is known then, but the reported error stays that of the time of the
                // action.
                (Err(first), Ok(next)) => Ok(Found { access: Err(first), ..next }),
                (best, _) => best,
            };
        }
        match near.in_doubt {
            Some(in_doubt) => not_skipped(best, in_doubt),
            None => best,
        }
    }

    /// Accepts the identity as the table has it.
    fn itself(&self, candidate: Candidate<'a>, named: Named<'_>) -> Result<Found<'a>, Unaudited> {
        let iam_id = candidate.principal.iam_id.map(Id::from);
        let mut who = self.linked(candidate, iam_id)?;
        who.named_by = Some(named.side);
        Ok(self.found(who, None))
    }

    /// Resolves a record that names another IAM identity than the table has for the user: a
    /// profile, service id or application that the user assumed. If the table has none for the
    /// user, and lists no other principal with that identity, it is the user's own. Any other
    /// difference means that the link is not certain.
    fn under(
        &self,
        account: &Id,
        user: Candidate<'a>,
        claimed: &str,
        named: Named<'_>,
    ) -> Result<Found<'a>, Unaudited> {
        let name = Name::IamId(claimed);
        let other = self.nearest(account, name)?;
        let other = other.filter(|other| other.key != user.key);
        match other {
            None if user.principal.iam_id.is_none() => {
                let mut who = self.linked(user, Some(Id::from(claimed)))?;
                who.named_by = Some(named.side);
                Ok(self.found(who, None))
            }
            Some(other) if is_assumed(other.principal.kind) => {
                let iam_id = user.principal.iam_id.map(Id::from);
                let mut login = self.linked(user, iam_id)?;
                login.named_by = Some(named.side);
                self.judged(account, name, |candidate| self.assumed(candidate, &login, claimed))
            }
            None | Some(_) => Err(contradiction(&user, claimed)),
        }
    }

    fn assumed(
        &self,
        candidate: Candidate<'a>,
        login: &Identity<'a>,
        claimed: &str,
    ) -> Result<Found<'a>, Unaudited> {
        if !is_assumed(candidate.principal.kind) {
            return Err(contradiction(&candidate, claimed));
        }
        let who = self.linked(candidate, Some(Id::from(claimed)))?;
        Ok(self.found(who, Some(Box::new(login.clone()))))
    }

    fn linked(
        &self,
        candidate: Candidate<'a>,
        iam_id: Option<Id>,
    ) -> Result<Identity<'a>, Unaudited> {
        let Candidate { key, principal, valid_from } = candidate;
        match iam_id.filter(|_| principal.linked) {
            Some(iam_id) => Ok(Identity { key, principal, valid_from, iam_id, named_by: None }),
            None => Err(Quarantine::new(
                QuarantineReason::UnlinkedPrincipal,
                format_args!("principal {key} is not linked to an IAM identity"),
            )
            .into()),
        }
    }

    fn found(&self, who: Identity<'a>, login: Option<Box<Identity<'a>>>) -> Found<'a> {
        let access = self.check_access(&who);
        Found { who, login, access }
    }

    fn check_access(&self, who: &Identity<'_>) -> Result<(), Unaudited> {
        let device = self.action.device_key();
        let policy = &self.rules.policy;
        let demand = Demand {
            rules: policy.access,
            names: &self.rules.permissions,
            action: self.action.action,
            device: device.as_ref(),
        };
        match demand.check(who.principal) {
            Ok(()) => Ok(()),
            Err(unmet) if policy.quarantine_no_infrastructure_access => Err(Quarantine::new(
                QuarantineReason::NoInfrastructureAccess,
                format_args!("principal {} {unmet}", who.key),
            )
            .into()),
            Err(_) => Err(SkipReason::NoInfrastructureAccess.into()),
        }
    }
}

/// Accepts access of either side. Otherwise a record could hide what a principal with access did by
/// naming one without.
fn on_behalf<'a>(
    initiator: Found<'a>,
    acting: Option<Found<'a>>,
) -> Result<Identities<'a>, Unaudited> {
    let is_acting_allowed = acting.as_ref().is_some_and(|it| it.access.is_ok());
    if !is_acting_allowed {
        initiator.access?;
    }
    let Found { who, login, .. } = initiator;
    let acting = acting.and_then(|acting| {
        let user = acting.login.map(|login| *login);
        let mut others = user.into_iter().chain([acting.who]);
        others.find(|other| other.iam_id != who.iam_id)
    });
    Ok(Identities { initiator: who, authenticated: acting.or(login.map(|login| *login)) })
}

/// Prevents a skip when a version nearby cannot be read. Quarantined and audited actions rest on
/// other versions.
fn not_skipped<'a>(
    found: Result<Found<'a>, Unaudited>,
    in_doubt: Unaudited,
) -> Result<Found<'a>, Unaudited> {
    match found {
        Err(Unaudited::Skipped(_)) => Err(in_doubt),
        Ok(Found { who, login, access: Err(Unaudited::Skipped(_)) }) => {
            Ok(Found { who, login, access: Err(in_doubt) })
        }
        found => found,
    }
}

fn has_access(found: &Result<Found<'_>, Unaudited>) -> bool {
    found.as_ref().is_ok_and(|found| found.access.is_ok())
}

/// Returns whether a user can act as an identity of this kind.
const fn is_assumed(kind: PrincipalKind) -> bool {
    matches!(kind, Profile | ServiceId | Application)
}

fn contradiction(user: &Candidate<'_>, claimed: &str) -> Unaudited {
    let known = user.principal.iam_id.unwrap_or("no IAM identity");
    Quarantine::new(
        QuarantineReason::UnlinkedPrincipal,
        format_args!("principal {} is linked to {known}, but the record says {claimed}", user.key),
    )
    .into()
}
