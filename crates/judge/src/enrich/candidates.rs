//! The table entries that can decide about an identity: the version valid at the time of the
//! action, and those within the clock skew. An IAM id may match several principals, but only one of
//! them may have it at a time.

use jiff::{SignedDuration, Timestamp};

use super::lookup::Lookup;
use super::sides::{Name, key};
use crate::fate::{Quarantine, QuarantineReason, SkipReason, Unaudited};
use crate::parse::field::Id;
use crate::reference::versions::{Version, Versions};
use crate::reference::{Principal, PrincipalKey, PrincipalView};

/// Most versions considered for one identity beside the one valid at the time of an event.
const OTHER_VERSIONS_MAX: usize = 32;

/// A version by which a principal exists.
#[derive(Debug, Clone)]
pub(super) struct Candidate<'a> {
    pub key: PrincipalKey,
    pub principal: PrincipalView<'a>,
    pub valid_from: Timestamp,
}

impl<'a> Candidate<'a> {
    fn of(account: &Id, id: &str, version: Version<PrincipalView<'a>>) -> Option<Self> {
        Some(Candidate {
            principal: version.value?,
            valid_from: version.valid_from,
            key: key(account, id),
        })
    }
}

/// The versions within the clock skew, beside the one valid at the time.
pub(super) struct Near<'a> {
    /// Nearest first, the earlier of two equally near first. The farthest are left out.
    pub candidates: Vec<Candidate<'a>>,
    /// The fate of an action that would be skipped although one of the versions cannot be read:
    /// that version may have been a grant.
    pub in_doubt: Option<Unaudited>,
}

impl<'a> Lookup<'_, 'a> {
    /// Returns the version valid at the time of the action.
    ///
    /// # Errors
    /// `unlinked_principal` if two principals had the IAM id then; `unknown_principal` if the
    /// table's record of that time cannot be read, since it may revoke what the one before it
    /// grants.
    pub(super) fn at_the_time(
        &self,
        account: &Id,
        name: Name<'_>,
    ) -> Result<Option<Candidate<'a>>, Unaudited> {
        let moment = self.moment();
        let mut found: Option<Candidate<'a>> = None;
        let (mut rival, mut in_doubt) = (None, None);
        self.each_with_name(account, name, |id, versions| {
            let version = versions.as_of(moment);
            if let Some(version) = version.filter(|version| version.is_unreadable)
                && may_be_named(name, id, versions)
            {
                in_doubt = Some(unreadable(&key(account, id), version.valid_from));
            }
            match (version.filter(|it| is_named(name, it)), &found) {
                (None, _) => {}
                (Some(version), None) => found = Candidate::of(account, id, version),
                (Some(_), Some(found)) if found.key.id == id => {}
                (Some(_), Some(_)) => rival = Some(key(account, id)),
            }
        });
        if let Some(in_doubt) = in_doubt {
            return Err(in_doubt);
        }
        match (&found, rival) {
            (Some(found), Some(rival)) => Err(Quarantine::new(
                QuarantineReason::UnlinkedPrincipal,
                format_args!(
                    "two principals had the IAM id {} at the time of the action: {} and {rival}",
                    name.in_account(account).id,
                    found.key
                ),
            )
            .into()),
            _ => Ok(found),
        }
    }

    /// Returns the other versions within the clock skew.
    pub(super) fn near(&self, account: &Id, name: Name<'_>) -> Near<'a> {
        let (moment, tolerance) = (self.moment(), self.tolerance());
        let mut near: Vec<(SignedDuration, Candidate<'a>)> = Vec::new();
        let mut in_doubt = None;
        self.each_with_name(account, name, |id, versions| {
            for (distance, version) in versions.others_near(moment, tolerance) {
                if version.is_unreadable && may_be_named(name, id, versions) {
                    in_doubt = Some(unreadable(&key(account, id), version.valid_from));
                } else if is_named(name, &version) {
                    let candidate = Candidate::of(account, id, version);
                    near.extend(candidate.map(|candidate| (distance, candidate)));
                }
            }
        });
        // Versions of one key are already in order. The order of keys must not depend on how the
        // table stores them.
        near.sort_by(|(one, first), (other, second)| {
            let when = (one, first.valid_from).cmp(&(other, second.valid_from));
            when.then_with(|| first.key.id.cmp(&second.key.id))
        });
        near.dedup_by(|(_, one), (_, other)| {
            one.key == other.key && one.valid_from == other.valid_from
        });
        near.truncate(OTHER_VERSIONS_MAX);
        Near { candidates: near.into_iter().map(|(_, candidate)| candidate).collect(), in_doubt }
    }

    /// Returns the version valid at the time, else the nearest.
    pub(super) fn nearest(
        &self,
        account: &Id,
        name: Name<'_>,
    ) -> Result<Option<Candidate<'a>>, Unaudited> {
        if let Some(found) = self.at_the_time(account, name)? {
            return Ok(Some(found));
        }
        let Near { candidates, in_doubt } = self.near(account, name);
        match (candidates.into_iter().next(), in_doubt) {
            (None, Some(in_doubt)) => Err(in_doubt),
            (nearest, _) => Ok(nearest),
        }
    }

    /// Returns the keys of the principals that decide about an identity of this name, or else the
    /// key that was looked up.
    pub(super) fn keys(&self, account: &Id, name: Name<'_>) -> Vec<PrincipalKey> {
        let mut keys = Vec::new();
        self.each_with_name(account, name, |id, versions| {
            if may_be_named(name, id, versions) {
                keys.push(key(account, id));
            }
        });
        if keys.is_empty() {
            keys.push(name.in_account(account));
        }
        keys
    }

    fn each_with_name(
        &self,
        account: &Id,
        name: Name<'_>,
        mut each: impl FnMut(&str, Versions<'a, Principal>),
    ) {
        let principals = &self.reference.principals;
        match name {
            Name::UserId(id) => {
                if let Some(versions) = principals.versions(&name.in_account(account)) {
                    each(id, versions);
                }
            }
            Name::IamId(iam_id) => principals.carriers(account, iam_id, each),
        }
    }

    /// Returns the fate of an action of a principal that the table lacks.
    pub(super) fn unknown(&self, key: &PrincipalKey) -> Unaudited {
        if self.rules.policy.skip_unknown_principal {
            return SkipReason::UnknownPrincipal.into();
        }
        Quarantine::new(
            QuarantineReason::UnknownPrincipal,
            format_args!("principal {key} was not known at the time of the action"),
        )
        .into()
    }
}

/// Quarantines even where unknown principals are skipped: the table has a record of this one.
fn unreadable(key: &PrincipalKey, from: Timestamp) -> Unaudited {
    Quarantine::new(
        QuarantineReason::UnknownPrincipal,
        format_args!(
            "the principal table's record of principal {key} from {from} cannot be read: publish it again"
        ),
    )
    .into()
}

/// Returns whether a key with an unreadable version may have had the looked-up name.
fn may_be_named(name: Name<'_>, id: &str, versions: Versions<'_, Principal>) -> bool {
    match name {
        Name::UserId(_) => true,
        Name::IamId(iam_id) => {
            id == iam_id || versions.iter().any(|version| is_named(name, &version))
        }
    }
}

/// Returns whether this version has the looked-up IAM id: it may belong to another version of the
/// key.
fn is_named(name: Name<'_>, version: &Version<PrincipalView<'_>>) -> bool {
    match (name, version.value) {
        (Name::UserId(_), principal) => principal.is_some(),
        (Name::IamId(iam_id), Some(principal)) => principal.iam_id == Some(iam_id),
        (Name::IamId(_), None) => false,
    }
}
