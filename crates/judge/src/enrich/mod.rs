//! Third stage, *enrich*: identifies who acted, with what access, and where. Everything is looked
//! up as of the time of the event, and nothing is invented: what cannot be joined is quarantined.
//!
//! Clocks differ slightly. The version valid at the time of the event counts first. If the record
//! would not be audited by it, the versions valid within the clock skew are tried as well, and
//! access by any of them counts.

mod access;
mod attributed;
mod candidates;
mod device;
mod identities;
mod key_lookups;
mod lookup;
mod place;
mod sides;

use super::classify::UserAction;
use super::fate::Unaudited;
use crate::reference::ReferenceTables;
use crate::rules::Rules;

pub use attributed::{AttributedAction, Identity};
use identities::Identities;
pub use key_lookups::{KeyLookup, KeyLookups, Role};
use lookup::Lookup;
pub use sides::Side;

/// Enriches an action. Calls `looked_up` once with the table look-ups, before it decides who acted.
///
/// # Errors
/// The reasons of section *enrich* in `schemas/README.md`.
pub(crate) fn enrich<'a>(
    user_action: UserAction<'a>,
    reference: &'a ReferenceTables,
    rules: &'a Rules,
    looked_up: impl FnOnce(&KeyLookups<'_, '_>),
) -> Result<AttributedAction<'a>, Unaudited> {
    let lookup = Lookup { action: &user_action, reference, rules };
    let version = lookup.device_version();
    let device = lookup.device(version);
    let account = lookup.account(device);
    looked_up(&KeyLookups {
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
