//! Who acted, and with what access: the principals of an action, judged by each of their versions that may
//! have been valid.

use jiff::Timestamp;

use super::super::access;
use super::super::classify::{Actor, UserAction};
use super::super::directory::{PrincipalKey, PrincipalView};
use super::super::fate::{Quarantine, QuarantineReason, SkipReason, Unaudited};
use super::super::field::Id;
use super::super::versions::Version;
use super::{Identity, Lookup};

/// Most versions beside the one valid at the time of an event by which one principal is judged.
const MOST_OTHER_VERSIONS: usize = 32;

/// Who acted, and who had logged in, where that is somebody else.
pub(super) struct Identities<'a> {
    pub initiator: Identity<'a>,
    pub authenticated: Option<Identity<'a>>,
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

impl<'a> Lookup<'_, 'a> {
    /// The initiator, with access, and who had logged in if that is somebody else.
    pub(super) fn identities(&self, account: &Id) -> Result<Identities<'a>, Unaudited> {
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
        use super::super::directory::PrincipalKind::{Application, Profile, ServiceId};
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
    ///
    /// Nothing rests on a version that cannot be read: it may take away what the version before it grants, and may grant what
    /// that one does not. If it was valid at the time, no other is asked; if it is near, the action is not skipped.
    fn by_any_version<T>(
        &self,
        key: &PrincipalKey,
        judge: impl Fn(Option<Version<PrincipalView<'a>>>) -> Result<T, Unaudited>,
    ) -> Result<T, Unaudited> {
        let moment = self.action.change.time;
        let versions = self.directory.principals.versions(key);
        let at_moment = versions.and_then(|versions| versions.as_of(moment));
        if let Some(unreadable) = at_moment.filter(|version| version.is_unreadable) {
            return Err(unreadable_principal(key, unreadable.valid_from));
        }
        let first = judge(at_moment);
        let (Err(_), Some(versions)) = (&first, versions) else {
            return first;
        };
        let mut in_doubt = None;
        for other in versions
            .others_near(moment, self.tolerance())
            .take(MOST_OTHER_VERSIONS)
        {
            if other.is_unreadable {
                in_doubt = Some(unreadable_principal(key, other.valid_from));
            } else if let Ok(audited) = judge(Some(other)) {
                return Ok(audited);
            }
        }
        match (first, in_doubt) {
            (Err(Unaudited::Skipped(_)), Some(in_doubt)) => Err(in_doubt),
            (first, _) => first,
        }
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
        let access = access::check(
            self.policy.access,
            initiator.principal,
            self.action.action,
            self.action.device_key().as_ref(),
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
}

/// Also where unknown principals are skipped: something was said of this one.
fn unreadable_principal(key: &PrincipalKey, from: Timestamp) -> Unaudited {
    Quarantine::new(
        QuarantineReason::UnknownPrincipal,
        format_args!(
            "the principal table's record of principal {key} from {from} cannot be read: publish it again"
        ),
    )
    .into()
}

fn key(account: &Id, id: &str) -> PrincipalKey {
    PrincipalKey {
        account: account.clone(),
        id: Id::from(id),
    }
}
