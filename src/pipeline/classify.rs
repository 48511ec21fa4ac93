//! Second stage, *classify*: is this one of the catalogue's actions, and did a user initiate it? The
//! cheap questions come first, since most records are the system's own. Who the user is comes later.

use serde_json::{Map, Value};

use super::catalog::{Action, Catalog};
use super::fate::{Quarantine, SkipReason, Unaudited};
use super::policy::Policy;
use super::state_change::StateChange;

/// A state change that is a listed action of a user.
#[derive(Debug, Clone)]
pub struct UserAction<'a> {
    /// The state change.
    pub change: StateChange<'a>,
    /// The catalogue row that it matches.
    pub action: &'a Action,
    /// What its metadata holds.
    pub attributes: Map<String, Value>,
    /// Whether the user acted himself.
    pub actor: Actor,
}

/// Who performed the call upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A user of the account (`CUSTOMER`).
    User,
    /// The system, on behalf of a user.
    SystemOnBehalfOfUser,
}

/// Classifies a state change.
///
/// # Errors
/// `unlisted_action`, `not_user_initiated`, or `malformed` where a listed event does not say who
/// acted or has metadata that cannot be read.
pub fn classify<'a>(
    change: StateChange<'a>,
    catalog: &'a Catalog,
    policy: &Policy,
) -> Result<UserAction<'a>, Unaudited> {
    let listing = catalog
        .listed(
            &change.class,
            change.event_key.as_deref(),
            change.event_name.as_deref(),
        )
        .ok_or(SkipReason::UnlistedAction)?;
    let actor = actor(&change, policy)?;
    let attributes = change
        .meta_data
        .attributes()
        .map_err(Quarantine::malformed)?;
    let action = listing
        .choose(|name| attributes.get(name))
        .ok_or(SkipReason::UnlistedAction)?;
    Ok(UserAction {
        change,
        action,
        attributes,
        actor,
    })
}

fn actor(change: &StateChange<'_>, policy: &Policy) -> Result<Actor, Unaudited> {
    let Some(user_type) = change.user_type.as_deref() else {
        return Err(Quarantine::malformed("userType is missing").into());
    };
    let is = |name: &str| user_type.trim().eq_ignore_ascii_case(name);
    if is("CUSTOMER") {
        Ok(Actor::User)
    } else if is("SYSTEM") && policy.system_on_behalf_of_user && change.on_behalf_of.is_some() {
        Ok(Actor::SystemOnBehalfOfUser)
    } else if is("SYSTEM") || is("EMPLOYEE") {
        Err(SkipReason::NotUserInitiated.into())
    } else {
        // Whether a user acted is unknown: leaving the record out could be the worst fault.
        Err(Quarantine::malformed(format_args!(
            "userType is not CUSTOMER, EMPLOYEE or SYSTEM: {user_type:?}"
        ))
        .into())
    }
}
