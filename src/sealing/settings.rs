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
    /// The topic whose partitions the sets are of: the input, or the quarantine for replays.
    pub topic: String,
    /// The streams of each set: one for each region, at the region's index, then the quarantine,
    /// or for replays the outcomes.
    pub streams: Vec<StreamName>,
    /// Where anchors go.
    pub anchors: Arc<AnchorSink>,
}

/// The keys that sign seals.
#[derive(Debug)]
pub struct Keys {
    /// The key that signs: the new one, if it is being replaced.
    pub(super) current: Key,
    /// The key that signed before, while it is being replaced.
    pub(super) previous: Option<Key>,
    public: Vec<PublicKey>,
}

/// A key that signs seals, with the one derived from it for the tags of committed states.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) signing: SigningKey,
    pub(super) metadata: MetadataKey,
}

impl Key {
    fn new(signing: SigningKey) -> Self {
        let metadata = MetadataKey::derive(&signing);
        Key { signing, metadata }
    }
}

impl Keys {
    /// Takes the key that signs, and the one that did before, while it is being replaced.
    pub fn new(current: SigningKey, previous: Option<SigningKey>) -> Self {
        let public = [&current].into_iter().chain(&previous);
        let public = public.map(|key| key.public().clone()).collect();
        Keys { current: Key::new(current), previous: previous.map(Key::new), public }
    }

    /// Returns whether a key is being replaced.
    pub(super) fn are_rotating(&self) -> bool {
        self.previous.is_some()
    }

    /// Returns the public keys.
    pub(super) fn public(&self) -> &[PublicKey] {
        &self.public
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
        let topic = format.input.clone();
        Ok(SealingSettings { origin, keys, writer, format, topic, streams, anchors })
    }

    /// Returns those of replays of this quarantine topic.
    pub(super) fn of_replays(&self, quarantine: &str) -> Self {
        let mut settings = SealingSettings { topic: quarantine.to_string(), ..self.clone() };
        settings.streams.pop();
        settings.streams.push(StreamName::State);
        settings
    }

    /// Returns the set, and the partition of the topic that it is of, from the key of a seal's
    /// record. `None` for a set of another topic.
    pub fn set_of(&self, key: &[u8]) -> Option<(Set, Partition)> {
        let set: Set = std::str::from_utf8(key).ok()?.parse().ok()?;
        let partition = i32::try_from(set.partition().get()).ok()?;
        (set.topic() == self.topic).then_some((set, Partition(partition)))
    }
}
