//! What sealing needs to know of its deployment.

use std::sync::Arc;

use audit_chain::Invalid;
use audit_chain::key::{PublicKey, SigningKey};
use audit_chain::name::{Origin, Set, StreamName};
use audit_chain::seal::Writer;
use audit_chain::state::MetadataKey;

use super::anchors::AnchorSink;
use crate::compose::RecordFormat;
use crate::stream::Partition;

/// The settings of sealing, the same for all workers of a process.
#[derive(Debug, Clone)]
pub struct SealingSettings {
    /// The name of the trail.
    pub origin: Origin,
    /// The keys that sign.
    pub keys: Arc<Keys>,
    /// Who writes the seals.
    pub writer: Writer,
    /// How records are composed.
    pub format: RecordFormat,
    /// The streams of each set: one for each region, at the region's index, then the quarantine.
    pub streams: Vec<StreamName>,
    /// Where anchors go.
    pub anchors: Arc<AnchorSink>,
}

/// The keys that sign seals.
#[derive(Debug)]
pub struct Keys {
    /// The key that signs, and then the one that did before, while it is being replaced.
    signing: Vec<SigningKey>,
    /// The keys of the committed states' tags, in the same order.
    metadata: Vec<MetadataKey>,
    public: Vec<PublicKey>,
}

impl Keys {
    /// Takes the key that signs, and the one that did before, while it is being replaced.
    pub fn new(current: SigningKey, previous: Option<SigningKey>) -> Self {
        let signing: Vec<_> = [current].into_iter().chain(previous).collect();
        let metadata = signing.iter().map(MetadataKey::derive).collect();
        let public = signing.iter().map(|key| key.public().clone()).collect();
        Keys { signing, metadata, public }
    }

    /// Returns the public keys.
    pub(super) fn public(&self) -> &[PublicKey] {
        &self.public
    }

    /// Returns the key that signs: the new one, if it is being replaced.
    pub(super) fn current(&self) -> Option<(&SigningKey, &MetadataKey)> {
        Some((self.signing.first()?, self.metadata.first()?))
    }

    /// Returns the key that signed before, while it is being replaced.
    pub(super) fn previous(&self) -> Option<(&SigningKey, &MetadataKey)> {
        Some((self.signing.get(1)?, self.metadata.get(1)?))
    }

    /// Returns the keys of the committed states' tags: of the current key, and of the previous one.
    pub(super) fn metadata(&self) -> (&[MetadataKey], &[MetadataKey]) {
        self.metadata.split_at(1.min(self.metadata.len()))
    }
}

impl SealingSettings {
    /// Puts together what a deployment says.
    ///
    /// # Errors
    /// If a name cannot stand in a seal.
    pub fn new(
        origin: Origin,
        keys: Arc<Keys>,
        writer: Writer,
        format: RecordFormat,
        anchors: Arc<AnchorSink>,
    ) -> Result<Self, Invalid> {
        let regions = format.regions.iter().map(|region| region.parse());
        let mut streams = regions.collect::<Result<Vec<StreamName>, _>>()?;
        streams.push(StreamName::Quarantine);
        Ok(SealingSettings { origin, keys, writer, format, streams, anchors })
    }

    /// Returns the set, and the partition of the input that it is of, from the key of a seal's
    /// record. `None` for a set of another topic.
    pub(super) fn set_of(&self, key: &[u8]) -> Option<(Set, Partition)> {
        let set: Set = std::str::from_utf8(key).ok()?.parse().ok()?;
        let partition = i32::try_from(set.partition().get()).ok()?;
        (set.topic() == self.format.input).then_some((set, Partition(partition)))
    }
}
