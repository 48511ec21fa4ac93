//! Which key must have signed a seal: one that the trust file allows for it, and after an
//! announcement only the key that was announced.

use audit_chain::key::PublicKey;
use audit_chain::seal::Seal;
use audit_chain::trust::Trust;

/// The keys of a set's seals so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Signers {
    /// The keys that count as signers of the last seal.
    current: Vec<PublicKey>,
    /// The key that an earlier seal announced: no other signs from then on.
    announced: Option<PublicKey>,
    /// Whether it was the last seal that announced it.
    is_new: bool,
}

impl Signers {
    pub(super) fn announced(&self) -> Option<&PublicKey> {
        self.announced.as_ref()
    }

    /// Accepts the next seal.
    ///
    /// # Errors
    /// Says why its signatures do not suffice.
    pub(super) fn accept(
        &mut self,
        seal: &Seal,
        signed_by: &[PublicKey],
        trust: &Trust,
    ) -> Result<(), String> {
        let result = self.check(seal, signed_by, trust);
        let announced = self.announced.clone();
        let counts = |key: &&PublicKey| match &announced {
            Some(announced) => *key == announced,
            None => trust.is_signer(key) && trust.allows(key, &seal.set, seal.number),
        };
        self.current = signed_by.iter().filter(counts).cloned().collect();
        self.is_new = seal.next_key.is_some();
        if let Some(next) = &seal.next_key {
            self.announced = Some(next.clone());
        }
        result
    }

    fn check(&self, seal: &Seal, signed_by: &[PublicKey], trust: &Trust) -> Result<(), String> {
        // A key whose validity for this very set was written down needs no word of the old one,
        // which may be lost or stolen.
        let is_pinned = |key: &PublicKey| {
            let mut entries = trust.entries().iter();
            entries.any(|entry| {
                let is_begun = entry.from.is_some_and(|from| from <= seal.number);
                entry.key == *key && is_begun && entry.set.as_ref() == Some(&seal.set)
            })
        };
        let has_old = || self.current.iter().any(|key| signed_by.contains(key));
        if let Some(next) = &self.announced {
            if !signed_by.contains(next) {
                return Err(format!(
                    "an earlier seal announced the key {}, which did not sign",
                    next.id()
                ));
            }
            if self.is_new && !has_old() && !is_pinned(next) {
                return Err("it is the first seal of a new key, and the old key did not sign it"
                    .to_string());
            }
            return Ok(());
        }
        let allowed =
            |key: &&PublicKey| trust.is_signer(key) && trust.allows(key, &seal.set, seal.number);
        let mut allowed = signed_by.iter().filter(allowed).peekable();
        if allowed.peek().is_none() {
            return Err("no key signed it that the trust file allows for this seal".to_string());
        }
        if self.current.is_empty() || has_old() || allowed.any(is_pinned) {
            return Ok(());
        }
        Err("it is signed by another key than the seal before, which no seal announced".to_string())
    }
}
