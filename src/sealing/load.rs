//! Decides whether a partition's chains may be continued from where it resumes, and how. A chain
//! that is begun again silently, or continued from an old state, is a signed fork: two histories
//! that contradict each other. So whatever does not fit is refused, and a person decides.

use std::fmt::Display;

use audit_chain::Number;
use audit_chain::name::Set;
use audit_chain::state::{State, StateError};

use super::chains::{Chains, Signers};
use super::found::{Found, SignedSeal};
use super::settings::{Key, Keys, SealingSettings};
use crate::stream::{Partition, Position, ResumePoint};

/// What an operator does about a partition that is refused.
const REMEDY: &str = "find out why; then stop all relays of the group and continue on purpose with `audit-relay resume`";

/// Why chains must not be continued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// The reason that a seal gives, if a person lets them continue.
    pub reason: &'static str,
    /// The reason, and what to do, in words.
    pub text: String,
}

fn refusal(reason: &'static str, what: impl Display) -> Refusal {
    Refusal { reason, text: format!("{what}; {REMEDY}") }
}

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
) -> Result<Chains, Refusal> {
    let position = match place {
        ResumePoint::At(position) => position,
        ResumePoint::Beginning | ResumePoint::NewLog => {
            return without_offset(place, partition, found, settings);
        }
    };
    match decode(position, partition, settings) {
        Ok((set, state, signers)) => {
            check_newest(position, &set, &state, found)?;
            Chains::of(set, &state, signers, None, settings)
                .map_err(|text| Refusal { reason: "key-lost", text })
        }
        Err(StateError::Missing) if !found.any => {
            let start = Number::new(u64::try_from(position.next_offset).unwrap_or_default());
            fresh(partition, start, settings)
        }
        Err(StateError::Missing) => Err(refusal(
            "metadata-lost",
            "the committed offset has lost the state of its chains, as after a reset of offsets",
        )),
        Err(error @ StateError::UnknownKey(_)) => {
            let text =
                format!("{error}: set integrity.previous_key to it. If it is lost, {REMEDY}");
            Err(Refusal { reason: "key-lost", text })
        }
        Err(error) => Err(refusal("metadata-foreign", error)),
    }
}

/// Begins the chains of a partition without a committed offset, unless it was sealed before.
fn without_offset(
    place: &ResumePoint,
    partition: Partition,
    found: &Found,
    settings: &SealingSettings,
) -> Result<Chains, Refusal> {
    match place {
        _ if !found.any => fresh(partition, None, settings),
        ResumePoint::NewLog => Err(refusal(
            "topic-recreated",
            "the input topic was deleted and created again, but its partition was sealed before",
        )),
        ResumePoint::Beginning | ResumePoint::At(_) => Err(refusal(
            "metadata-lost",
            "the group has no committed offset, but the partition was sealed before",
        )),
    }
}

/// Checks that a committed state belongs to its offset, and that nothing newer was sealed.
fn check_newest(
    position: &Position,
    set: &Set,
    state: &State,
    found: &Found,
) -> Result<(), Refusal> {
    if i64::try_from(state.next_offset.get()) != Ok(position.next_offset) {
        return Err(refusal(
            "offsets-moved",
            format_args!(
                "the committed offset is {}, but its state was sealed for {}",
                position.next_offset, state.next_offset
            ),
        ));
    }
    let newest = found.newest.as_ref().filter(|it| it.place() >= (set.epoch(), state.next_seal));
    newest.map_or(Ok(()), |SignedSeal { seal, .. }| {
        Err(refusal(
            "metadata-stale",
            format_args!(
                "the committed state is old: seal {} of {} exists, and the state says that {} comes next",
                seal.number, seal.set, state.next_seal
            ),
        ))
    })
}

fn fresh(
    partition: Partition,
    start: Option<Number>,
    settings: &SealingSettings,
) -> Result<Chains, Refusal> {
    let set = set(partition, Number::from(1), settings);
    set.and_then(|set| Chains::fresh(set, start, settings))
        .map_err(|text| Refusal { reason: "metadata-foreign", text })
}

/// Returns the name of a partition's set.
pub(super) fn set(
    partition: Partition,
    epoch: Number,
    settings: &SealingSettings,
) -> Result<Set, String> {
    let partition = u32::try_from(partition.0).unwrap_or_default();
    Set::new(&settings.topic, partition.into(), epoch).map_err(|error| error.to_string())
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
    let Keys { current, previous, .. } = &*settings.keys;
    let decode = |key: &Key| {
        State::decode(text, &settings.origin, &set, std::slice::from_ref(&key.metadata))
    };
    match (decode(current), previous) {
        (Err(StateError::UnknownKey(_)), Some(previous)) => {
            let state = decode(previous)?;
            let signers =
                if state.next_key_announced { Signers::Both } else { Signers::Announcing };
            Ok((set, state, signers))
        }
        (state, _) => Ok((set, state?, Signers::Current)),
    }
}
