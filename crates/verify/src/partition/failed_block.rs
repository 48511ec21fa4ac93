//! A block that could not be confirmed when its partition was read, and the judgement of it.

use std::collections::BTreeMap;

use audit_chain::name;

use super::candidate::Candidate;
use super::open_block::path;
use crate::block::Block;
use crate::finding::{Findings, Label};
use crate::record::Place;

/// A block that could not be confirmed, with what was found of it.
#[derive(Debug, Clone)]
pub(crate) struct FailedBlock {
    pub(crate) stream: name::Stream,
    /// The output partition that holds it.
    pub(crate) partition: u32,
    pub(crate) block: Block,
    pub(crate) claims: Vec<Claim>,
}

/// A record that claims to be an event of a block.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub(crate) candidate: Candidate,
    pub(crate) place: Place,
    /// Whether it stands where no event of the block should.
    pub(crate) is_stray: bool,
}

/// Events of a stream that no record claims to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) stream: name::Stream,
    /// The output partition that held them. A replay writes one stream to several.
    pub(crate) partition: u32,
    /// The number of the first one.
    pub(crate) start: u64,
    /// The number behind the last one.
    pub(crate) end: u64,
}

impl Missing {
    /// Adds them to ranges: to the last one if they follow it.
    pub(crate) fn join(self, ranges: &mut Vec<Missing>) {
        match ranges.last_mut() {
            Some(last)
                if (&last.stream, last.partition, last.end)
                    == (&self.stream, self.partition, self.start) =>
            {
                last.end = self.end;
            }
            _ => ranges.push(self),
        }
    }
}

/// What became of a block.
#[derive(Debug)]
pub(crate) struct Judged {
    /// Events that the signed head leads back to.
    pub(crate) confirmed: u64,
    pub(crate) missing: Vec<Missing>,
}

impl FailedBlock {
    /// Labels everything about the block.
    pub(crate) fn judge(&self, findings: &mut Findings) -> Judged {
        let candidates: Vec<Candidate> = self.claims.iter().map(|it| it.candidate).collect();
        let chosen = path(&self.block, &candidates);
        let confirmed = chosen.len() as u64;
        self.label_chosen(&chosen, findings);
        self.label_others(&chosen, findings);
        let missing = self.label_rest(self.block.end.size - confirmed, findings);
        Judged { confirmed, missing }
    }

    fn label(&self, label: Label, claim: &Claim, findings: &mut Findings) {
        findings.add_event(label, &self.stream, claim.candidate.number, &claim.place);
    }

    /// Labels confirmed events that stand in the wrong place, and a chain that does not begin where
    /// it must.
    fn label_chosen(&self, chosen: &[usize], findings: &mut Findings) {
        let mut last = None;
        for claim in chosen.iter().filter_map(|index| self.claims.get(*index)) {
            let is_late = last.is_some_and(|last| claim.place.offset < last);
            if claim.is_stray || is_late {
                self.label(Label::Reordered, claim, findings);
            }
            if !claim.is_stray {
                last = Some(claim.place.offset);
            }
        }
        let first = chosen.first().and_then(|index| self.claims.get(*index));
        let Block { start, end, .. } = self.block;
        let is_whole = chosen.len() as u64 == self.block.len();
        if is_whole && first.is_some_and(|first| first.candidate.previous != start.digest) {
            let text = format_args!(
                "{}: the signed head of {} events does not extend that of {}",
                self.stream, end.size, start.size
            );
            findings.add(Label::Forked, text);
        }
    }

    /// Labels records of numbers that other records were confirmed for.
    fn label_others(&self, chosen: &[usize], findings: &mut Findings) {
        let confirmed_from = self.block.end.size - chosen.len() as u64;
        for (index, claim) in self.claims.iter().enumerate() {
            let Some(place) = claim.candidate.number.checked_sub(confirmed_from) else { continue };
            let authentic = chosen.get(place as usize).filter(|authentic| **authentic != index);
            let Some(authentic) = authentic else { continue };
            let authentic = self.claims.get(*authentic).map(|authentic| &authentic.candidate);
            let label = authentic.map_or(Label::Inserted, |it| claim.candidate.label_beside(it));
            self.label(label, claim, findings);
        }
    }

    /// Labels the events before the confirmed ones, and returns those that are missing.
    fn label_rest(&self, confirmed_from: u64, findings: &mut Findings) -> Vec<Missing> {
        let claims = self.claims.iter().map(|claim| (claim.candidate.number, claim));
        // Of several claims the first counts.
        let claims: BTreeMap<u64, &Claim> = claims.rev().collect();
        let mut missing: Vec<Missing> = Vec::new();
        for number in self.block.start.size..confirmed_from {
            match claims.get(&number) {
                Some(claim) if number + 1 == confirmed_from => {
                    self.label(Label::Altered, claim, findings);
                }
                Some(claim) => self.label(Label::Unconfirmed, claim, findings),
                None => {
                    let (stream, partition) = (self.stream.clone(), self.partition);
                    let (start, end) = (number, number + 1);
                    Missing { stream, partition, start, end }.join(&mut missing);
                }
            }
        }
        missing
    }
}
