//! The pure core: the bytes of a record in, its fate out. Nothing in this folder reads a clock, a file
//! or the network, logs, counts, panics or knows Kafka; a test keeps it so.
//!
//! Reading order: [`fate`], [`record`], [`classify`], [`enrich`], [`route`], [`audit_event`].

pub mod access;
pub mod audit_event;
pub mod catalog;
pub mod classify;
pub mod crn;
mod data_file;
pub mod directory;
pub mod enrich;
pub mod event_id;
pub mod fate;
pub mod field;
mod json;
pub mod meta_data;
pub mod permissions;
mod plain_json;
pub mod policy;
pub mod record;
pub mod regions;
mod request_data;
pub mod route;
pub mod state_change;
pub mod versions;

use catalog::Catalog;
use classify::UserAction;
use crn::CrnTemplates;
use directory::Directory;
use fate::{Audited, Fate, Unaudited};
use permissions::PermissionNames;
use policy::Policy;
use record::Record;
use regions::Locations;
use route::Routes;

/// What a deployment decides: fixed for the life of the process.
#[derive(Debug)]
pub struct Rules {
    /// The actions that are audited.
    pub catalog: Catalog,
    /// Which data center belongs to which region, and when.
    pub locations: Locations,
    /// The regions that have an output topic.
    pub routes: Routes,
    /// What permissions mean.
    pub permissions: PermissionNames,
    /// The switches.
    pub policy: Policy,
    /// How resources are named.
    pub crns: CrnTemplates,
    /// Longest audit event, in bytes.
    pub max_event_bytes: usize,
}

/// What a record is judged against.
#[derive(Debug, Clone, Copy)]
pub struct Reference<'a> {
    /// The deployment's rules.
    pub rules: &'a Rules,
    /// The tables.
    pub directory: &'a Directory,
}

/// Judges the value of one input record. Total and deterministic: every record has exactly one fate,
/// and the same record against the same reference has the same one, to the byte.
pub fn judge(payload: Option<&[u8]>, reference: Reference<'_>) -> Fate {
    fate(|| audit(user_action(payload, reference.rules)?, reference))
}

/// The first half of [`judge`], which asks no table: what a user did, if this record says so.
///
/// # Errors
/// The fate of any other record.
pub fn user_action<'a>(
    payload: Option<&'a [u8]>,
    rules: &'a Rules,
) -> Result<UserAction<'a>, Unaudited> {
    let mut record = Record::default();
    record::parse_into(payload, &mut record)?;
    classify::classify(&record, &rules.catalog, &rules.policy)
}

/// The second half. People who ask what would have become of an action at another time change its time in between.
pub fn judge_action(action: UserAction<'_>, reference: Reference<'_>) -> Fate {
    fate(|| audit(action, reference))
}

/// Not inlined: most records are skipped before, and need none of its room.
#[inline(never)]
fn audit(action: UserAction<'_>, reference: Reference<'_>) -> Result<Audited, Unaudited> {
    let Reference { rules, directory } = reference;
    let attributed = enrich::enrich(action, directory, rules)?;
    Ok(route::route(&attributed, rules)?)
}

fn fate(audit: impl FnOnce() -> Result<Audited, Unaudited>) -> Fate {
    match audit() {
        Ok(audited) => Fate::Audited(audited),
        Err(unaudited) => unaudited.into(),
    }
}
