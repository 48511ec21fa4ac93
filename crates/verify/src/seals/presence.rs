//! Whether all sets are there: each partition of the input, and each epoch of it; and whether the
//! seals that are remembered elsewhere are.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use audit_chain::name::Set;

use super::history::History;
use super::{Remembered, Shared};
use crate::finding::Label;

/// A partition that was added this long ago, in milliseconds, has a seal: two heartbeats.
const NEW_MS: u64 = 2 * 60_000;

/// Checks that the sets are complete.
pub(super) fn check(
    histories: &BTreeMap<Set, History>,
    asked_for: Option<u32>,
    shared: &mut Shared,
) -> io::Result<()> {
    let newest = histories.values().filter_map(|it| it.last()).map(|last| last.time_ms).max();
    for (topic, inputs) in topics(histories) {
        let said = inputs.iter().flat_map(|(_, history)| &history.partitions);
        let said = said.map(|(partitions, _)| *partitions).max().unwrap_or_default();
        let there: BTreeSet<u64> = inputs.iter().map(|(set, _)| set.partition().get()).collect();
        let asked_for = asked_for.map_or(0, u64::from);
        for partition in (0..said.max(asked_for)).filter(|it| !there.contains(it)) {
            let since = added(&inputs, partition).filter(|_| partition >= asked_for);
            let age = since.map(|since| newest.unwrap_or_default().saturating_sub(since));
            let label = match age {
                Some(..NEW_MS) => Label::StreamNew,
                _ => Label::StreamAbsent,
            };
            shared.findings.add(label, format_args!("{topic} partition {partition} has no seal"));
        }
        for partition in there {
            check_epochs(topic, partition, histories, shared)?;
        }
    }
    Ok(())
}

/// Returns when a seal first said that there is a partition, if earlier seals said that there is
/// none.
fn added(inputs: &[(&Set, &History)], partition: u64) -> Option<u64> {
    let said = || inputs.iter().flat_map(|(_, history)| &history.partitions);
    let is_added = said().any(|(partitions, _)| *partitions <= partition);
    let since = said().filter(|(partitions, _)| *partitions > partition).map(|(_, time)| *time);
    since.min().filter(|_| is_added)
}

/// Returns the sets that read input, by topic. A replay reads only what it selects.
fn topics(histories: &BTreeMap<Set, History>) -> BTreeMap<&str, Vec<(&Set, &History)>> {
    let mut topics: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (set, history) in histories.iter().filter(|(_, history)| !history.is_replay) {
        topics.entry(set.topic()).or_default().push((set, history));
    }
    topics
}

/// Checks that no epoch of a partition is missing, and that each begins where the one before ended.
fn check_epochs(
    topic: &str,
    partition: u64,
    histories: &BTreeMap<Set, History>,
    shared: &mut Shared,
) -> io::Result<()> {
    let is_its = |set: &Set| set.topic() == topic && set.partition().get() == partition;
    let mut epochs: Vec<_> = histories.iter().filter(|(set, _)| is_its(set)).collect();
    epochs.sort_by_key(|(set, _)| set.epoch());
    let mut before: Option<(&Set, &History)> = None;
    for (set, history) in epochs {
        let epoch = set.epoch().get();
        for missing in before.map_or(1, |(set, _)| set.epoch().get() + 1)..epoch {
            let text = format_args!(
                "{topic}/{partition}#{missing} has no seal, although epoch {epoch} has"
            );
            shared.findings.add(Label::StreamAbsent, text);
        }
        let earlier = before.replace((set, history)).filter(|(earlier, _)| set.follows(earlier));
        let Some(((earlier, before), (seal, digest))) = earlier.zip(history.after) else {
            continue;
        };
        let Some(last) = before.last() else { continue };
        match before.digest(seal, shared)? {
            None => {
                let text = format_args!("{earlier} seal {seal}, which {set} names as the last");
                shared.findings.add(Label::SealMissing, text);
            }
            Some(found) if found != digest => {
                let text = format_args!("{earlier} seal {seal} is not the one that {set} names");
                shared.findings.add(Label::Forked, text);
            }
            Some(_) if last.seal > seal => {
                let text = format_args!("{earlier} goes on behind seal {seal}, where {set} begins");
                shared.findings.add(Label::SealChain, text);
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Compares a seal that is remembered elsewhere with the one of its number.
pub(super) fn compare(
    remembered: &Remembered,
    histories: &BTreeMap<Set, History>,
    shared: &mut Shared,
) -> io::Result<()> {
    let Remembered { set, seal, digest, by } = remembered;
    let history = histories.get(set);
    let found = history.map(|history| history.digest(*seal, shared)).transpose()?.flatten();
    match found {
        Some(found) if found == *digest => {}
        Some(_) => {
            let text = format_args!("{set} seal {seal} is not the one that {by} remembers");
            shared.findings.add(Label::Forked, text);
        }
        None => {
            let end = history
                .and_then(History::last)
                .map_or("none".to_string(), |last| last.seal.to_string());
            let text =
                format_args!("{set} seal {seal}, which {by} remembers; the last one is {end}");
            shared.findings.add(Label::RolledBack, text);
        }
    }
    Ok(())
}
