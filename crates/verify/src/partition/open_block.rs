//! A block whose events are being collected.

use audit_chain::Digest;

use super::candidate::Candidate;
use crate::block::Block;

/// A block whose events are being collected.
#[derive(Debug)]
pub(super) struct OpenBlock {
    pub(super) block: Block,
    candidates: Vec<Candidate>,
    /// The head behind the candidates, while each is the next event of the one before.
    straight: Option<Digest>,
    /// How many candidates there must be before they are tried again.
    try_at: u64,
}

/// The events of a block that was confirmed.
#[derive(Debug)]
pub(super) struct Confirmed {
    pub(super) block: Block,
    /// The authentic events, by number.
    pub(super) events: Vec<Candidate>,
    /// Records that claim to be one of them.
    pub(super) others: Vec<Candidate>,
}

impl OpenBlock {
    pub(super) fn new(block: Block) -> Self {
        OpenBlock {
            block,
            candidates: Vec::new(),
            straight: Some(block.start.digest),
            try_at: block.len(),
        }
    }

    /// Adds a record. Returns the block's events if it is confirmed now, and keeps nothing then.
    pub(super) fn add(&mut self, candidate: Candidate) -> Option<Confirmed> {
        self.straight = self.straight.and_then(|head| {
            let next = self.block.start.size + self.candidates.len() as u64;
            let is_next = candidate.number == next && candidate.previous == head;
            candidate.head().filter(|_| is_next)
        });
        self.candidates.push(candidate);
        let count = self.candidates.len() as u64;
        if self.straight.is_some() {
            let is_whole =
                count == self.block.len() && self.straight == Some(self.block.end.digest);
            return is_whole.then(|| Confirmed {
                block: self.block,
                events: std::mem::take(&mut self.candidates),
                others: Vec::new(),
            });
        }
        if count < self.try_at {
            return None;
        }
        // Tried again with each of the next few, then each time with half as many again: not with
        // each forged one.
        let is_near = count <= self.block.len() + 8;
        self.try_at = if is_near { count + 1 } else { count + count / 2 + 1 };
        let chosen = path(&self.block, &self.candidates);
        (chosen.len() as u64 == self.block.len()).then(|| self.confirmed(&chosen))
    }

    fn confirmed(&mut self, chosen: &[usize]) -> Confirmed {
        let candidates = std::mem::take(&mut self.candidates);
        let mut is_chosen = vec![false; candidates.len()];
        for index in chosen {
            is_chosen[*index] = true;
        }
        let others = candidates.iter().zip(&is_chosen).filter(|(_, is_chosen)| !**is_chosen);
        let others = others.map(|(candidate, _)| *candidate).collect();
        let events = chosen.iter().filter_map(|index| candidates.get(*index).copied()).collect();
        Confirmed { block: self.block, events, others }
    }

    pub(super) fn into_candidates(self) -> Vec<Candidate> {
        self.candidates
    }
}

/// Walks back from the signed head of a block as far as records lead. Returns the indexes of the
/// records, the first event first; it begins behind the first number that no record leads to.
pub(super) fn path(block: &Block, candidates: &[Candidate]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    // Among equal ones the first counts.
    order.sort_by_key(|index| candidates.get(*index).map(|it| (it.number, it.offset)));
    let number_of = |index: usize| candidates.get(index).map_or(0, |it| it.number);
    let mut path = Vec::new();
    let mut head = block.end.digest;
    for number in (block.start.size..block.end.size).rev() {
        let first = order.partition_point(|index| number_of(*index) < number);
        let mut claims = order.iter().skip(first).take_while(|index| number_of(**index) == number);
        let fits = |index: &&usize| candidates.get(**index).and_then(Candidate::head) == Some(head);
        let Some(index) = claims.find(fits) else { break };
        head = candidates.get(*index).map_or(head, |it| it.previous);
        path.push(*index);
    }
    path.reverse();
    path
}
