//! The pure core: takes the bytes of a record and returns its fate. Nothing in this crate reads a
//! clock, a file or the network, logs, counts, panics or knows Kafka.
//!
//! Reading order: [`fate`], then the stages: [`parse`], [`classify`], [`enrich`], [`route`],
//! `format`. The stages judge by [`rules`], [`catalog`], [`regions`], and the tables in
//! [`reference`](mod@reference). [`trace`] reports what each stage found.

#![forbid(unsafe_code)]

pub mod catalog;
pub mod classify;
mod data_file;
pub mod enrich;
pub mod fate;
mod format;
mod json;
pub mod parse;
pub mod reference;
pub mod regions;
pub mod route;
pub mod rules;
pub mod text;
pub mod trace;

use std::ops::Deref;

use jiff::Timestamp;

use classify::UserAction;
use fate::{Audited, Fate, Quarantine, QuarantineReason, Unaudited};
use parse::record::Record;
use parse::{framing, record, wrapping};
use reference::ReferenceTables;
use rules::Rules;
use trace::{NoTrace, Trace};

/// One input record.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The value of the record.
    pub payload: Option<&'a [u8]>,
    /// Replaces the time of the action: judges the record as if the action had happened then.
    pub at: Option<Timestamp>,
}

/// Judges the value of one input record. Total and deterministic: every record gets exactly one
/// fate, and the same rules and tables reproduce it byte for byte.
///
/// Calls `tables` at most once, and only for an action of a user or a service.
pub fn judge<T: Deref<Target = ReferenceTables>>(
    payload: Option<&[u8]>,
    rules: &Rules,
    tables: impl FnOnce() -> T,
) -> Fate {
    judge_traced(Input { payload, at: None }, rules, tables, &mut NoTrace)
}

/// Judges like [`judge`], and reports to `trace` what each stage found.
pub fn judge_traced<T: Deref<Target = ReferenceTables>>(
    input: Input<'_>,
    rules: &Rules,
    tables: impl FnOnce() -> T,
    trace: &mut impl Trace,
) -> Fate {
    match user_action(input.payload, rules, trace) {
        Ok(action) => audit(action, input.at, rules, &tables(), trace).into(),
        Err(Unaudited::Unrecognised(quarantine)) => {
            unwrapped(input, quarantine, rules, tables, trace).into()
        }
        Err(unaudited) => unaudited.into(),
    }
}

/// Judges a record that is not a state change as it stands. Judges a CloudEvent by its data; for
/// any other wrapping, names the wrapping and the remedy.
#[cold]
fn unwrapped<T: Deref<Target = ReferenceTables>>(
    input: Input<'_>,
    quarantine: Quarantine,
    rules: &Rules,
    tables: impl FnOnce() -> T,
    trace: &mut impl Trace,
) -> Result<Audited, Unaudited> {
    let bytes = input.payload.unwrap_or_default();
    // Inside the frame of a schema registry too. A frame that cannot be taken off is named already.
    let body = framing::body(bytes).unwrap_or(bytes);
    match framing::cloud_event(body) {
        Some(Ok(data)) => {
            trace.unwrapped();
            let action = user_action(Some(&data), rules, trace)?;
            audit(action, input.at, rules, &tables(), trace)
        }
        Some(Err(detail)) => Err(Quarantine::malformed(detail).into()),
        None => Err(match wrapping::recognise(body) {
            Some(what) => Quarantine::malformed(what).into(),
            None => quarantine.into(),
        }),
    }
}

/// Runs the stages that need no table, *parse* and *classify*.
fn user_action<'a>(
    payload: Option<&'a [u8]>,
    rules: &'a Rules,
    trace: &mut impl Trace,
) -> Result<UserAction<'a>, Unaudited> {
    let mut record = Record::default();
    record::parse_into(payload, &mut record).map_err(unread)?;
    trace.parsed(&record);
    classify::classify(&record, &rules.catalog, &rules.policy)
}

/// Sorts parse failures: a malformed value may be a wrapped record, but a record of another version
/// is not.
fn unread(quarantine: Quarantine) -> Unaudited {
    match quarantine.reason {
        QuarantineReason::Malformed => Unaudited::Unrecognised(quarantine),
        _ => quarantine.into(),
    }
}

/// Runs the other stages, *enrich*, *route* and *format*, as of the action's time or of `at`. Not
/// inlined: most records are skipped before this and need none of its stack.
#[inline(never)]
fn audit(
    mut action: UserAction<'_>,
    at: Option<Timestamp>,
    rules: &Rules,
    reference: &ReferenceTables,
    trace: &mut impl Trace,
) -> Result<Audited, Unaudited> {
    // Not in `user_action`: an action is large, and changing it there would copy it.
    action.change.time = at.unwrap_or(action.change.time);
    trace.classified(&action);
    let attributed = enrich::enrich(action, reference, rules, |lookups| trace.looked_up(lookups))?;
    trace.attributed(&attributed);
    let region = rules.routes.route(attributed.place.region);
    let audited = region.and_then(|region| {
        trace.routed(attributed.place.region);
        format::format(&attributed, region, rules)
    });
    let audited =
        audited.map_err(|quarantine| quarantine.awaiting_tables(attributed.awaits_tables))?;
    trace.formatted(&audited);
    Ok(audited)
}
