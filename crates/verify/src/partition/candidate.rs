//! A record that claims to be an event of a stream, reduced to what its chain needs.

use audit_chain::hash::step;
use audit_chain::{Digest, Number, name};

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

    /// Returns whether it is the same event as another, wherever it stands.
    pub(crate) fn is_same(&self, other: &Candidate) -> bool {
        self.leaf.is_some() && (self.previous, self.leaf) == (other.previous, other.leaf)
    }
}
