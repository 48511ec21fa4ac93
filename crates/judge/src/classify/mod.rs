//! Second stage, *classify*: decides whether a record is one of the catalogue's actions, initiated
//! by a user or a service. The cheap checks come first, since most records are the system's own. A
//! record that is skipped here is skipped by its event and its actor type alone; its other fields
//! are checked only if it goes on. A later stage identifies the user.

mod descriptive;
pub mod meta_data;
pub mod outcome;
pub mod state_change;
mod time;

use super::fate::{Quarantine, Skip, SkipReason, Unaudited};
use crate::catalog::{Action, Attributes, Catalog, Found, Listing};
use crate::classify::meta_data::MetaDataProblem;
use crate::classify::state_change::{EventNames, OnBehalfOf, StateChange};
use crate::json::Raw;
use crate::parse::field::iam_id;
use crate::parse::record::{Field, Record};
use crate::reference::DeviceKey;
use crate::rules::policy::Policy;
use crate::text::names::normalise;

/// A state change that is a listed action of a user or of a possible service.
#[derive(Debug, Clone)]
pub struct UserAction<'a> {
    /// The state change.
    pub change: StateChange<'a>,
    /// The matching catalogue row.
    pub action: &'a Action,
    /// The attributes in its metadata.
    pub attributes: Attributes<'a>,
    /// Who performed the call upstream.
    pub actor: Actor,
}

impl UserAction<'_> {
    /// Returns the object as a device of its kind; `None` if it is not a device.
    pub fn device_key(&self) -> Option<DeviceKey> {
        let kind = self.action.device_kind(&self.change.class)?;
        let id = self.change.object.clone();
        Some(DeviceKey { kind, id })
    }
}

/// Who performed the call upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A user of the account (`CUSTOMER`).
    User,
    /// The system, on behalf of a user.
    SystemOnBehalfOfUser,
    /// The system, under an IAM identity. The tables decide whether that is a service's.
    Service,
}

/// The value of `userType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UserType {
    Customer,
    Employee,
    System,
}

impl UserType {
    /// Reads the value as producers write it, in any case and with invisible characters.
    fn of(text: &str) -> Option<Self> {
        Self::named(text).or_else(|| Self::named(&normalise(text)))
    }

    fn named(text: &str) -> Option<Self> {
        let is = |name: &str| text.eq_ignore_ascii_case(name);
        if is("SYSTEM") {
            Some(UserType::System)
        } else if is("CUSTOMER") {
            Some(UserType::Customer)
        } else {
            is("EMPLOYEE").then_some(UserType::Employee)
        }
    }
}

/// Classifies a record.
///
/// # Errors
/// `unlisted_action`, `not_user_initiated`, or `malformed`: the record does not state what
/// happened, a listed event does not state who acted, or a field of a user's listed action cannot
/// be read.
pub(crate) fn classify<'a>(
    record: &Record<'a>,
    catalog: &'a Catalog,
    policy: &Policy,
) -> Result<UserAction<'a>, Unaudited> {
    let names = EventNames::read(record).map_err(Quarantine::malformed)?;
    let listing = listing(record, &names, catalog)?;
    let actor = actor(record, policy)?;
    let mut change = StateChange::check(record, names).map_err(Quarantine::malformed)?;
    let attributes = attributes(&mut change, listing)?;
    let action = listing.choose(&attributes).map_err(Quarantine::malformed)?;
    let action = action.ok_or(SkipReason::UnlistedAction)?;
    Ok(UserAction { change, action, attributes, actor })
}

/// Reads the attributes that matter. Unreadable metadata does not make the action less real, unless
/// the metadata decides which action it was.
fn attributes<'c>(
    change: &mut StateChange<'_>,
    listing: &'c Listing,
) -> Result<Attributes<'c>, Quarantine> {
    match change.meta_data.attributes(listing.keys()) {
        Ok(attributes) => Ok(attributes),
        Err(MetaDataProblem::Unreadable(_)) if !listing.needs_attributes() => {
            change.unreadable.insert(Field::MetaData);
            Ok(Attributes::default())
        }
        Err(MetaDataProblem::Unreadable(detail) | MetaDataProblem::Ambiguous(detail)) => {
            Err(Quarantine::malformed(detail))
        }
    }
}

fn listing<'c>(
    record: &Record<'_>,
    names: &EventNames<'_>,
    catalog: &'c Catalog,
) -> Result<&'c Listing, Unaudited> {
    let EventNames { class, key, name } = names;
    let (key, name) = (key.as_deref(), name.as_deref());
    if key.is_none() && name.is_none() {
        return Err(Unaudited::Unrecognised(Quarantine::malformed(
            "eventName and eventKey are both missing",
        )));
    }
    let class = class.as_deref();
    let class = class.ok_or_else(|| Quarantine::malformed("objectName is missing"))?;
    match catalog.find(class, key, name) {
        Found::Listed(listing) => Ok(listing),
        Found::Nothing => Err(SkipReason::UnlistedAction.into()),
        Found::UnknownName => {
            let name = name.or(key).unwrap_or_default();
            Err(Unaudited::Skipped(unlisted(record, name)))
        }
    }
}

/// Skips an event of an audited class whose name no row lists. Most of them are the system's own;
/// the name is kept only for a customer's.
fn unlisted(record: &Record<'_>, name: &str) -> Skip {
    let by_customer = match record.raw(Field::UserType) {
        Some(Raw("\"SYSTEM\"")) | None => false,
        Some(_) => {
            let user_type = record.text(Field::UserType).ok().flatten();
            user_type.and_then(|text| UserType::of(&text)) == Some(UserType::Customer)
        }
    };
    match by_customer {
        true => Skip::unlisted_by_a_customer(name),
        false => SkipReason::UnlistedAction.into(),
    }
}

fn actor(record: &Record<'_>, policy: &Policy) -> Result<Actor, Unaudited> {
    let user_type = record.text(Field::UserType).map_err(Quarantine::malformed)?;
    let Some(user_type) = user_type else {
        return Err(Quarantine::malformed("userType is missing").into());
    };
    match UserType::of(&user_type) {
        Some(UserType::Customer) => Ok(Actor::User),
        Some(UserType::System) => system(record, policy),
        Some(UserType::Employee) => Err(SkipReason::NotUserInitiated.into()),
        // Whether a user acted is unknown. Losing a user's action would be the worst fault.
        None => Err(Quarantine::malformed(format_args!(
            "userType is not CUSTOMER, EMPLOYEE or SYSTEM: {user_type:?}"
        ))
        .into()),
    }
}

fn system(record: &Record<'_>, policy: &Policy) -> Result<Actor, Unaudited> {
    if policy.system_on_behalf_of_user {
        let behalf = OnBehalfOf::check(record).map_err(Quarantine::malformed)?;
        if behalf.is_some() {
            return Ok(Actor::SystemOnBehalfOfUser);
        }
    }
    if policy.service_initiators && record.raw(Field::IamId).is_some() {
        let iam_id = iam_id(record.raw(Field::IamId)).map_err(Quarantine::malformed)?;
        if iam_id.is_some() {
            return Ok(Actor::Service);
        }
    }
    Err(SkipReason::NotUserInitiated.into())
}
