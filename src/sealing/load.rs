//! Decides whether a partition's chains may be continued from where it resumes, and how. A chain
//! that is begun again silently, or continued from an old state, is a signed fork: two histories
//! that contradict each other. So whatever does not fit is refused, and a person decides.

use audit_chain::Number;
use audit_chain::name::Set;
use audit_chain::seal::After;
use audit_chain::state::{State, StateError};

use super::chains::{Chains, Signers};
use super::found::Found;
use super::settings::SealingSettings;
use crate::stream::{Partition, Position, ResumePoint};

/// What an operator does about a partition that is refused.
const REMEDY: &str = "find out why; then stop the group and continue on purpose with `audit-relay resume`, which the next seal records";

/// Returns the time from which on a newer seal than the committed state's would be found, in
/// milliseconds since 1970. 0 if there is no such state.
pub(super) fn search_from(
    place: &ResumePoint,
    partition: Partition,
    settings: &SealingSettings,
) -> u64 {
    match place {
        ResumePoint::At(position) => match decode(position, partition, settings) {
            Ok((_, state, _)) => state.sealed_at.epoch_ms(),
            Err(_) => 0,
        },
        ResumePoint::Beginning | ResumePoint::NewLog => 0,
    }
}

/// Returns the chains of a partition that resumes at this place, when these seals were found from
/// [`search_from`] on.
///
/// # Errors
/// Says why they must not be continued, and what to do.
pub(super) fn load(
    place: &ResumePoint,
    partition: Partition,
    found: &Found,
    settings: &SealingSettings,
) -> Result<Chains, String> {
    let position = match place {
        ResumePoint::At(position) => position,
        ResumePoint::NewLog if found.any => {
            return Err(format!(
                "the input topic was deleted and created again, but its partition was sealed before; {REMEDY}"
            ));
        }
        ResumePoint::Beginning if found.any => {
            return Err(format!(
                "the group has no committed offset, but the partition was sealed before; {REMEDY}"
            ));
        }
        ResumePoint::Beginning | ResumePoint::NewLog => {
            return Chains::fresh(first_set(partition, settings)?, None, settings);
        }
    };
    let (set, state, signers) = match decode(position, partition, settings) {
        Ok(decoded) => decoded,
        Err(StateError::Missing) if !found.any => {
            let start = Number::new(u64::try_from(position.next_offset).unwrap_or_default());
            return Chains::fresh(first_set(partition, settings)?, start, settings);
        }
        Err(StateError::Missing) => {
            return Err(format!(
                "the committed offset has lost the state of its chains, as after a reset of offsets; {REMEDY}"
            ));
        }
        Err(error @ StateError::UnknownKey(_)) => {
            return Err(format!(
                "{error}: set integrity.previous_key to it, or, if it is lost, {REMEDY}"
            ));
        }
        Err(error) => return Err(format!("{error}; {REMEDY}")),
    };
    if i64::try_from(state.next_offset.get()) != Ok(position.next_offset) {
        return Err(format!(
            "the committed offset is {}, but its state was sealed for {}; {REMEDY}",
            position.next_offset, state.next_offset
        ));
    }
    let newest = found.newest.as_ref();
    let is_newer = |set: &Set, seal: Number| {
        newest.filter(|newest| (newest.set.epoch(), newest.seal) >= (set.epoch(), seal))
    };
    if let Some(newer) = is_newer(&set, state.next_seal) {
        return Err(format!(
            "the committed state is old: seal {} of {} exists, and the state says that {} comes next; {REMEDY}",
            newer.seal, newer.set, state.next_seal
        ));
    }
    let after = if state.next_seal == Number::ZERO && set.epoch() > Number::from(1) {
        let last = newest.filter(|newest| set.follows(&newest.set));
        let last = last.ok_or_else(|| format!("no seal of the epoch before {set} was found"))?;
        Some(After { set: last.set.clone(), seal: last.seal, digest: last.digest })
    } else {
        None
    };
    Chains::of(set, &state, signers, after, settings)
}

fn first_set(partition: Partition, settings: &SealingSettings) -> Result<Set, String> {
    set(partition, Number::from(1), settings)
}

fn set(partition: Partition, epoch: Number, settings: &SealingSettings) -> Result<Set, String> {
    let partition = u32::try_from(partition.0).unwrap_or_default();
    Set::new(&settings.format.input, partition.into(), epoch).map_err(|error| error.to_string())
}

/// Reads the committed state, and tells which keys sign the next seal.
fn decode(
    position: &Position,
    partition: Partition,
    settings: &SealingSettings,
) -> Result<(Set, State, Signers), StateError> {
    let text = &position.metadata;
    let epoch = State::epoch(text).unwrap_or(Number::from(1));
    let set = set(partition, epoch, settings).map_err(|_| StateError::OtherSet)?;
    let (current, previous) = settings.keys.metadata();
    match State::decode(text, &settings.origin, &set, current) {
        Ok(state) => Ok((set, state, Signers::Current)),
        Err(StateError::UnknownKey(_)) if !previous.is_empty() => {
            let state = State::decode(text, &settings.origin, &set, previous)?;
            let signers =
                if state.next_key_announced { Signers::Both } else { Signers::Announcing };
            Ok((set, state, signers))
        }
        Err(error) => Err(error),
    }
}
