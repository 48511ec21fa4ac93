//! A record that claims to be an event of a stream, reduced to what its chain needs.

use audit_chain::hash::step;
use audit_chain::{Digest, Number, name};

use crate::finding::Label;
use crate::record::Place;

/// A record that claims to be an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Which event of its stream it claims to be.
    pub(crate) number: u64,
    /// What it claims to be the head before it.
    pub(crate) previous: Digest,
    /// The hash of its content; `None` if it can have none.
    pub(crate) leaf: Option<Digest>,
    /// Its offset in the output partition.
    pub(crate) offset: u64,
    /// The offset in the input that it claims to come from.
    pub(crate) source: u64,
}

/// A record of an event that is elsewhere, or was confirmed already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stray {
    pub(crate) stream: name::Stream,
    pub(crate) candidate: Candidate,
    pub(crate) place: Place,
}

impl Candidate {
    /// Returns the head behind it, if it is what it claims to be.
    pub(crate) fn head(&self) -> Option<Digest> {
        Some(step(Number::new(self.number)?, &self.previous, &self.leaf?))
    }

    /// Labels a record that claims to be an event for which another record was confirmed: it is a
    /// copy, or a forgery.
    pub(crate) fn label_beside(&self, authentic: &Candidate) -> Label {
        let is_same = (self.previous, self.leaf) == (authentic.previous, authentic.leaf);
        if is_same { Label::Duplicate } else { Label::Inserted }
    }
}
