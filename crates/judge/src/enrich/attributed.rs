//! The result of the stage: a user action with its account, initiator and place.

use jiff::Timestamp;

use super::sides::Side;
use crate::classify::UserAction;
use crate::parse::field::Id;
use crate::reference::{DeviceView, PrincipalKey, PrincipalView};
use crate::regions::Place;

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
