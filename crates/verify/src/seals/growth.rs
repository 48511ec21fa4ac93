//! What the heads of a seal add, compared with what the seal counts.

use audit_chain::name::StreamName;
use audit_chain::seal::{Counts, Seal};

/// What the heads of a seal add to those of the seals before.
#[derive(Debug, Default)]
pub(super) struct Growth {
    events: u64,
    quarantined: u64,
    /// Outcomes of a replay.
    outcomes: u64,
    /// Whether it holds what missing seals added.
    pub(super) is_unclear: bool,
}

impl Growth {
    pub(super) fn add(&mut self, name: &StreamName, events: u64) {
        match name {
            StreamName::Region(_) => self.events += events,
            StreamName::Quarantine => self.quarantined += events,
            StreamName::State => self.outcomes += events,
        }
    }

    /// Returns what a seal counts otherwise. A replay leaves in the quarantine what it cannot
    /// audit, and its input is its own outcomes: each is one message, at its place in their
    /// chain.
    pub(super) fn disagreement(&self, seal: &Seal) -> Option<String> {
        let Counts { read, events, quarantined, .. } = seal.counts;
        let (others, counted, found) = match seal.heads.get(&StreamName::State) {
            Some(outcomes) if outcomes.size != seal.input.end => {
                let (end, size) = (seal.input.end, outcomes.size);
                return Some(format!("ends at outcome {end}, and its head has {size}"));
            }
            Some(_) => ("outcomes", read, self.outcomes),
            None => ("quarantined", quarantined, self.quarantined),
        };
        let agrees = self.events == events.get() && found == counted.get();
        (!self.is_unclear && !agrees).then(|| {
            let heads = self.events;
            format!(
                "counts {events} events and {counted} {others}, and its heads {heads} and {found}"
            )
        })
    }
}

/// Returns whether a seal is that of a replay: no other writes to the state topic.
pub(super) fn is_replay(seal: &Seal) -> bool {
    seal.heads.contains_key(&StreamName::State)
}
