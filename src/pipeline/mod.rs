//! The pure core: the bytes of a record in, its fate out. Nothing in this folder reads a clock, a file
//! or the network, logs, counts, panics or knows Kafka; a test keeps it so.
//!
//! Reading order: [`fate`], [`state_change`], [`classify`], [`enrich`], [`route`], [`audit_event`].

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
pub mod meta_data;
pub mod policy;
pub mod regions;
mod request_data;
pub mod route;
pub mod state_change;
pub mod versions;

use catalog::Catalog;
use crn::CrnTemplates;
use directory::Directory;
use fate::{Audited, Fate, Unaudited};
use policy::Policy;
use regions::Locations;
use route::Routes;
use state_change::StateChange;

/// What a deployment decides: fixed for the life of the process.
#[derive(Debug)]
pub struct Rules {
    /// The actions that are audited.
    pub catalog: Catalog,
    /// Which data center belongs to which region, and when.
    pub locations: Locations,
    /// The regions that have an output topic.
    pub routes: Routes,
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
    match audit(payload, reference) {
        Ok(audited) => Fate::Audited(audited),
        Err(unaudited) => unaudited.into(),
    }
}

/// Judges a record that has been read. [`judge`] is this after `parse`; people who ask what would have become
/// of a record at another time change its time in between.
pub fn judge_change(change: StateChange<'_>, reference: Reference<'_>) -> Fate {
    match audit_change(change, reference) {
        Ok(audited) => Fate::Audited(audited),
        Err(unaudited) => unaudited.into(),
    }
}

fn audit(payload: Option<&[u8]>, reference: Reference<'_>) -> Result<Audited, Unaudited> {
    audit_change(state_change::parse(payload)?, reference)
}

fn audit_change(change: StateChange<'_>, reference: Reference<'_>) -> Result<Audited, Unaudited> {
    let Reference { rules, directory } = reference;
    let action = classify::classify(change, &rules.catalog, &rules.policy)?;
    let attributed = enrich::enrich(action, directory, &rules.locations, &rules.policy)?;
    Ok(route::route(&attributed, rules)?)
}
