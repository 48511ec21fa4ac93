//! What a search among the seals has found for one partition of the input.

use audit_chain::name::Set;
use audit_chain::note::Note;
use audit_chain::seal::Seal;
use audit_chain::{Digest, Number};

use super::SealingSettings;

/// The records that were found for one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Whether there is any record, whatever it says and whichever key signed it.
    pub(super) any: bool,
    /// The newest seal that one of the configured keys has signed.
    pub(super) newest: Option<SignedSeal>,
}

/// A seal that one of the configured keys has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SignedSeal {
    pub(super) seal: Seal,
    pub(super) digest: Digest,
    /// Whether the current key is among those that signed it.
    pub(super) is_signed_by_current: bool,
}

impl Found {
    /// Takes a record with the key of a set of the partition. Returns its seal and the newest one
    /// before, if the record is the newest seal now.
    pub(super) fn take(
        &mut self,
        set: &Set,
        note: &[u8],
        settings: &SealingSettings,
    ) -> Option<(&Seal, Option<SignedSeal>)> {
        self.any = true;
        let signed = read(set, note, settings)?;
        if self.newest.as_ref().is_some_and(|newest| signed.place() <= newest.place()) {
            return None;
        }
        let before = self.newest.replace(signed);
        Some((&self.newest.as_ref()?.seal, before))
    }
}

impl SignedSeal {
    /// Returns the epoch and the number: the order of the seals of a partition.
    pub(super) fn place(&self) -> (Number, Number) {
        (self.seal.set.epoch(), self.seal.number)
    }
}

/// Returns the seal in a record, if one of the configured keys has signed it: anything else is for
/// a verifier to find.
fn read(set: &Set, note: &[u8], settings: &SealingSettings) -> Option<SignedSeal> {
    let note = Note::split(note).ok()?;
    let keys = settings.keys.public();
    let signers = note.verify(keys).ok()?;
    let is_signed_by_current = signers.contains(&settings.keys.current.signing.public());
    let seal: Seal = note.text().parse().ok()?;
    let digest = Digest::of(note.text().as_bytes());
    let is_ours = seal.set == *set && seal.origin == settings.origin;
    is_ours.then_some(SignedSeal { seal, digest, is_signed_by_current })
}
