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
    pub(super) newest: Option<Newest>,
}

/// A seal, as far as the next writer must know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Newest {
    pub(super) set: Set,
    pub(super) seal: Number,
}

impl Found {
    /// Takes a record with the key of a set of the partition.
    pub(super) fn take(&mut self, set: Set, note: &[u8], settings: &SealingSettings) {
        self.any = true;
        let Some(SignedSeal { seal, .. }) = read(&set, note, settings) else { return };
        let newest = Newest { set, seal: seal.number };
        let place = |it: &Newest| (it.set.epoch(), it.seal);
        if self.newest.as_ref().is_none_or(|known| place(known) < place(&newest)) {
            self.newest = Some(newest);
        }
    }
}

/// A seal that one of the configured keys has signed.
#[derive(Debug, Clone)]
pub(super) struct SignedSeal {
    pub(super) seal: Seal,
    pub(super) digest: Digest,
    /// Whether the current key is among those that signed it.
    pub(super) is_signed_by_current: bool,
}

/// Returns the seal in a record, if one of the configured keys has signed it: anything else is for
/// a verifier to find.
pub(super) fn read(set: &Set, note: &[u8], settings: &SealingSettings) -> Option<SignedSeal> {
    let note = Note::split(note).ok()?;
    let keys = settings.keys.public();
    let signers = note.verify(keys).ok()?;
    let is_signed_by_current = signers.iter().any(|signer| keys.first() == Some(*signer));
    let seal: Seal = note.text().parse().ok()?;
    let digest = Digest::of(note.text().as_bytes());
    let is_ours = seal.set == *set && seal.origin == settings.origin;
    is_ours.then_some(SignedSeal { seal, digest, is_signed_by_current })
}
