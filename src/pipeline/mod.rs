//! The pure core: the bytes of a record in, its fate out. Nothing in this folder reads a clock, a file
//! or the network, logs, counts, panics or knows Kafka; a test keeps it so.
//!
//! Reading order: [`fate`], [`record`], [`classify`], [`enrich`], [`route`], [`audit_event`].

pub mod access;
mod address;
pub mod audit_event;
pub mod catalog;
pub mod classify;
pub mod crn;
mod data_file;
mod descriptive;
pub mod directory;
pub mod enrich;
pub mod event_id;
pub mod fate;
pub mod field;
pub mod framing;
mod json;
pub mod meta_data;
mod nested;
mod number;
pub mod outcome;
pub mod permissions;
mod plain_json;
pub mod policy;
pub mod record;
pub mod regions;
mod request_data;
pub mod route;
mod scan;
pub mod state_change;
mod text;
mod time;
pub mod versions;
mod wrapping;

use catalog::Catalog;
use classify::UserAction;
use crn::CrnTemplates;
use directory::Directory;
use fate::{Audited, Fate, Quarantine, QuarantineReason, Unaudited};
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
    match user_action(payload, reference.rules) {
        Ok(action) => judge_action(action, reference),
        Err(unaudited) => judge_other(payload, unaudited, reference),
    }
}

/// Judges a record that is no user's action by the first half of [`judge`]: a CloudEvent by what it holds. What is wrapped
/// otherwise is named, with the remedy.
pub fn judge_other(payload: Option<&[u8]>, unaudited: Unaudited, reference: Reference<'_>) -> Fate {
    match unaudited {
        Unaudited::Unrecognised(quarantine) => unwrapped(payload, quarantine, reference),
        unaudited => unaudited.into(),
    }
}

#[cold]
fn unwrapped(payload: Option<&[u8]>, quarantine: Quarantine, reference: Reference<'_>) -> Fate {
    let bytes = payload.unwrap_or_default();
    let held = match framing::body(bytes).map(framing::cloud_event) {
        Ok(Some(Ok(data))) => {
            user_action(Some(&data), reference.rules).map(|action| judge_action(action, reference))
        }
        Ok(Some(Err(detail))) => Err(Quarantine::malformed(detail).into()),
        Ok(None) | Err(_) => Err(match wrapping::recognise(bytes) {
            Some(what) => Quarantine::malformed(what).into(),
            None => quarantine.into(),
        }),
    };
    held.unwrap_or_else(Fate::from)
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
    record::parse_into(payload, &mut record).map_err(unread)?;
    classify::classify(&record, &rules.catalog, &rules.policy)
}

/// Of what could not be read as a record. One of another version was.
fn unread(quarantine: Quarantine) -> Unaudited {
    match quarantine.reason {
        QuarantineReason::Malformed => Unaudited::Unrecognised(quarantine),
        _ => quarantine.into(),
    }
}

/// The second half. People who ask what would have become of an action at another time change its time in between.
pub fn judge_action(action: UserAction<'_>, reference: Reference<'_>) -> Fate {
    match audit(action, reference) {
        Ok(audited) => Fate::Audited(audited),
        Err(unaudited) => unaudited.into(),
    }
}

/// Not inlined: most records are skipped before, and need none of its room.
#[inline(never)]
fn audit(action: UserAction<'_>, reference: Reference<'_>) -> Result<Audited, Unaudited> {
    let Reference { rules, directory } = reference;
    let attributed = enrich::enrich(action, directory, rules)?;
    Ok(route::route(&attributed, rules)?)
}
