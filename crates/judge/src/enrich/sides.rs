//! The identities that a record names: who acted, and on whose behalf. Each side is named by its
//! classic user id, by its IAM id, or by both.

use crate::classify::{Actor, UserAction};
use crate::parse::field::Id;
use crate::reference::PrincipalKey;

/// A side of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The identity that acted.
    Acting,
    /// The identity acted for (`onBehalfOf`).
    Behalf,
}

/// How a record names an identity.
#[derive(Debug, Clone, Copy)]
pub(super) enum Name<'r> {
    /// By its classic user id.
    UserId(&'r str),
    /// By its IAM id.
    IamId(&'r str),
}

impl Name<'_> {
    /// Returns the key of the name in the principals table.
    pub(super) fn in_account(self, account: &Id) -> PrincipalKey {
        let (Name::UserId(id) | Name::IamId(id)) = self;
        key(account, id)
    }
}

/// What a record states about one side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'r> {
    /// Which side.
    pub side: Side,
    /// The id that is looked up first.
    pub first: Name<'r>,
    /// The IAM id, if there is a classic id as well.
    pub claimed: Option<&'r str>,
}

impl<'r> Named<'r> {
    fn of(side: Side, user: Option<&'r str>, iam_id: Option<&'r str>) -> Option<Self> {
        let first = user.map(Name::UserId).or(iam_id.map(Name::IamId))?;
        Some(Named { side, first, claimed: iam_id.filter(|_| user.is_some()) })
    }

    /// Iterates over all names of the side.
    pub(super) fn names(self) -> impl Iterator<Item = Name<'r>> {
        std::iter::once(self.first).chain(self.claimed.map(Name::IamId))
    }
}

/// Returns who acted, if the record names it.
pub(super) fn acting<'r>(action: &'r UserAction<'_>) -> Option<Named<'r>> {
    let change = &action.change;
    Named::of(Side::Acting, change.user.as_deref(), change.iam_id.as_deref())
}

/// Returns on whose behalf, if the record names it and it counts.
pub(super) fn behalf<'r>(action: &'r UserAction<'_>) -> Option<Named<'r>> {
    let behalf = action.change.on_behalf_of.as_ref()?;
    Named::of(Side::Behalf, behalf.user.as_deref(), behalf.iam_id.as_deref())
}

pub(super) fn key(account: &Id, id: &str) -> PrincipalKey {
    PrincipalKey { account: account.clone(), id: Id::from(id) }
}

/// Returns whether the record must name who acted: the system may act unnamed.
pub(super) const fn must_be_named(actor: Actor) -> bool {
    !matches!(actor, Actor::SystemOnBehalfOfUser)
}
