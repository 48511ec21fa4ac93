//! The pure core: the bytes of a record in, its fate out. Nothing in this crate reads a clock, a
//! file or the network, logs, counts, panics or knows Kafka.
//!
//! Reading order: [`fate`], then what happens to a record: [`parse`], [`classify`], [`enrich`],
//! [`route`], [`format`](mod@format). What it is judged by: [`rules`], [`catalog`], [`regions`],
//! and the tables in [`reference`](mod@reference).

#![forbid(unsafe_code)]

pub mod catalog;
pub mod classify;
mod data_file;
pub mod enrich;
pub mod fate;
pub mod format;
mod json;
pub mod parse;
pub mod reference;
pub mod regions;
pub mod route;
pub mod rules;
pub mod text;

use classify::UserAction;
use fate::{Audited, Fate, Quarantine, QuarantineReason, Unaudited};
use parse::record::Record;
use parse::{framing, record, wrapping};
use reference::Directory;
use rules::Rules;

/// What a record is judged against.
#[derive(Debug, Clone, Copy)]
pub struct Reference<'a> {
    /// The deployment's rules.
    pub rules: &'a Rules,
    /// The tables.
    pub directory: &'a Directory,
}

/// Judges the value of one input record. Total and deterministic: every record has exactly one
/// fate, and the same record against the same reference has the same one, to the byte.
pub fn judge(payload: Option<&[u8]>, reference: Reference<'_>) -> Fate {
    match user_action(payload, reference.rules) {
        Ok(action) => judge_action(action, reference),
        Err(unaudited) => judge_other(payload, unaudited, reference),
    }
}

/// Judges a record that is no user's action by the first half of [`judge`]: a CloudEvent by what it
/// holds. What is wrapped otherwise is named, with the remedy.
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

/// The second half. People who ask what would have become of an action at another time change its
/// time in between.
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
    let region = rules.routes.route(attributed.place.region);
    let audited = region.and_then(|region| format::format(&attributed, region, rules));
    Ok(audited.map_err(|quarantine| quarantine.awaiting_tables(attributed.awaits_tables))?)
}
