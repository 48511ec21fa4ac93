//! The chains of one set, as the last committed transaction left them, and how a transaction
//! extends them.

use std::collections::BTreeMap;
use std::sync::Arc;

use audit_chain::anchor::Anchored;
use audit_chain::hash::leaf::{Event, leaf};
use audit_chain::hash::{genesis, seal_genesis, step};
use audit_chain::header::HeaderText;
use audit_chain::name::{Set, Source, Stream, StreamName};
use audit_chain::seal::{After, Head, Input, Reason, Seal};
use audit_chain::state::{Chain, EncodeError, MetadataKey, State};
use audit_chain::time::Time;
use audit_chain::{Digest, Number, note};

use super::consumed::{Consumed, number};
use super::settings::{Keys, SealingSettings};
use crate::compose::Composed;
use crate::stream::{Partition, SealRecord};

/// Each seal with a number that this divides names all streams, so that a verifier can begin there.
const ALL_STREAMS_EVERY: u64 = 256;

/// The chains of one set.
#[derive(Debug, Clone)]
pub(super) struct Chains {
    names: Arc<Names>,
    /// Where the next seal's input begins; `None` for the first seal, which defines the start.
    start: Option<Number>,
    next_seal: Number,
    last_seal: Digest,
    after: Option<After>,
    signers: Signers,
    /// Whether the next seal names all streams, whatever was written.
    names_all: bool,
    /// The streams that can grow, by the index of their names in the settings.
    heads: Vec<StreamHead>,
    /// Streams of regions that are not configured any more.
    others: BTreeMap<StreamName, Chain>,
}

/// The names of a partition's chains.
#[derive(Debug)]
struct Names {
    set: Set,
    streams: Vec<Stream>,
}

/// One stream.
#[derive(Debug, Clone, Copy)]
struct StreamHead {
    size: Number,
    digest: Digest,
    /// The output partition that the transaction has written to, if it has.
    written_to: Option<i32>,
}

/// Who signs the next seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signers {
    /// The current key.
    Current,
    /// The previous key, which announces the current one.
    Announcing,
    /// Both: the previous key has announced the current one.
    Both,
}

/// What a seal is made from, besides the chains.
#[derive(Debug)]
pub(super) struct Sealing<'a> {
    pub(super) settings: &'a SealingSettings,
    pub(super) consumed: &'a Consumed,
    /// How many partitions the topic of the set has.
    pub(super) partitions: u32,
    pub(super) time: Time,
    /// Why a person let the chains continue, if that was needed.
    pub(super) resumed: Option<&'a Reason>,
    /// Whether the seal names all streams, whatever was written.
    pub(super) names_all: bool,
}

/// A seal that was signed, and the state of the chains behind it.
#[derive(Debug)]
pub(super) struct Signed<'a> {
    pub(super) seal: SealRecord,
    state: State,
    /// What the tag of the committed state is made with.
    tag: &'a MetadataKey,
}

/// A seal and the state after it.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) seal: SealRecord,
    pub(super) metadata: String,
}

impl Chains {
    /// Begins the chains of a partition that was never sealed, at this offset or at its first
    /// record.
    pub(super) fn fresh(
        set: Set,
        start: Option<Number>,
        settings: &SealingSettings,
    ) -> Result<Self, String> {
        let origin = &settings.origin;
        let last_seal = seal_genesis(origin, &set, None).ok_or("a set of epoch 1 was expected")?;
        let state = State {
            next_offset: start.unwrap_or(Number::ZERO),
            next_seal: Number::ZERO,
            last_seal,
            sealed_at: Time::EPOCH,
            next_key_announced: false,
            streams: BTreeMap::new(),
        };
        let chains = Self::of(set, &state, Signers::Current, None, settings)?;
        Ok(Chains { start, ..chains })
    }

    /// Continues chains from their committed state.
    pub(super) fn of(
        set: Set,
        state: &State,
        signers: Signers,
        after: Option<After>,
        settings: &SealingSettings,
    ) -> Result<Self, String> {
        if state.next_key_announced && signers == Signers::Current {
            return Err(
                "the last seal announced the next key: set integrity.key to it, and integrity.previous_key to the key that integrity.key names now".to_string(),
            );
        }
        let last_seal = match &after {
            Some(after) => seal_genesis(&settings.origin, &set, Some(&after.digest))
                .ok_or("a set of an epoch above 1 was expected")?,
            None => state.last_seal,
        };
        let names = settings.streams.iter().cloned();
        let streams: Vec<_> = names.map(|name| Stream::new(set.clone(), name)).collect();
        let mut others = state.streams.clone();
        let heads = streams.iter().map(|stream| match others.remove(stream.name()) {
            Some(Chain { size, head }) => StreamHead { size, digest: head, written_to: None },
            None => StreamHead {
                size: Number::ZERO,
                digest: genesis(&settings.origin, stream),
                written_to: None,
            },
        });
        let heads = heads.collect();
        Ok(Chains {
            names: Arc::new(Names { set, streams }),
            start: Some(state.next_offset),
            next_seal: state.next_seal,
            last_seal,
            after,
            signers,
            names_all: true,
            heads,
            others,
        })
    }

    /// Adds a record to a stream, and returns its header.
    pub(super) fn extend(
        &mut self,
        stream: usize,
        offset: i64,
        composed: &Composed<'_>,
        written_to: i32,
    ) -> Result<HeaderText<'_>, String> {
        let name = self.names.streams.get(stream).ok_or("an output has no stream")?;
        let head = self.heads.get_mut(stream).ok_or("an output has no stream")?;
        let source = Source { offset: number(offset)?, index: Number::ZERO };
        let event = Event {
            source,
            timestamp_ms: composed.timestamp_ms,
            key: composed.key,
            value: composed.value,
        };
        let leaf = leaf(&event, composed.headers.iter().copied());
        let leaf = leaf.map_err(|error| error.to_string())?;
        let StreamHead { size, digest: previous, written_to: before } = *head;
        if before.is_some_and(|before| before != written_to) {
            return Err(format!("{name} would be written to two partitions in one transaction"));
        }
        *head = StreamHead {
            size: size.next().ok_or("a stream is too long")?,
            digest: step(size, &previous, &leaf),
            written_to: Some(written_to),
        };
        Ok(HeaderText { stream: name, number: size, source, previous })
    }

    /// Seals what was added. Returns why this partition cannot be sealed, if its state does not fit
    /// into the committed metadata.
    ///
    /// # Errors
    /// If the seal contradicts itself, which is a fault of this program.
    pub(super) fn close(&mut self, with: &Sealing<'_>) -> Result<Result<Closed, String>, String> {
        let Signed { seal, state, tag } = self.sign(with)?;
        match state.encode(&with.settings.origin, &self.names.set, tag) {
            Ok(metadata) => Ok(Ok(Closed { seal, metadata })),
            Err(error @ EncodeError::TooManyStreams { .. }) => Ok(Err(error.to_string())),
            Err(error @ EncodeError::Size(_)) => Err(error.to_string()),
        }
    }

    /// Seals what was added, where nothing is committed but the seal.
    ///
    /// # Errors
    /// If the seal contradicts itself, which is a fault of this program.
    pub(super) fn sign<'s>(&mut self, with: &Sealing<'s>) -> Result<Signed<'s>, String> {
        let Sealing { settings, time, .. } = *with;
        let seal = self.seal(with)?;
        let text = seal.text().map_err(|error| error.to_string())?;
        let Keys { current, previous, .. } = &*settings.keys;
        let (signed_by, tag) = match (self.signers, previous) {
            (Signers::Current, _) => (vec![&current.signing], &current.metadata),
            (Signers::Announcing, Some(previous)) => (vec![&previous.signing], &previous.metadata),
            (Signers::Both, Some(previous)) => {
                (vec![&current.signing, &previous.signing], &current.metadata)
            }
            (Signers::Announcing | Signers::Both, None) => {
                return Err("the previous key is missing".to_string());
            }
        };
        let note = note::sign(&text, &signed_by).map_err(|error| error.to_string())?;
        let is_announced = self.signers == Signers::Announcing;
        self.start = Some(seal.input.end);
        self.next_seal = seal.number.next().ok_or("too many seals")?;
        self.last_seal = Digest::of(text.as_bytes());
        self.after = None;
        self.signers = if is_announced { Signers::Both } else { Signers::Current };
        self.names_all = false;
        self.heads.iter_mut().for_each(|head| head.written_to = None);
        let state = State {
            next_offset: seal.input.end,
            next_seal: self.next_seal,
            last_seal: self.last_seal,
            sealed_at: time,
            next_key_announced: is_announced,
            streams: self.streams(),
        };
        let set = &self.names.set;
        let seal = SealRecord {
            partition: Partition(i32::try_from(set.partition().get()).unwrap_or_default()),
            key: set.to_string(),
            note,
            timestamp_ms: i64::try_from(time.epoch_ms()).unwrap_or(i64::MAX),
        };
        Ok(Signed { seal, state, tag })
    }

    fn seal(&self, with: &Sealing<'_>) -> Result<Seal, String> {
        let Sealing { settings, consumed, partitions, time, resumed, names_all } = *with;
        let Consumed { first, end, counts, gaps } = consumed;
        let start = self.start.or(*first).unwrap_or(*end);
        let names_all = names_all
            || self.names_all
            || counts.read == Number::ZERO
            || self.next_seal.get().is_multiple_of(ALL_STREAMS_EVERY);
        let is_announced = self.signers == Signers::Announcing;
        let announced = is_announced.then(|| settings.keys.current.signing.public());
        Ok(Seal {
            origin: settings.origin.clone(),
            set: self.names.set.clone(),
            partitions: partitions.into(),
            number: self.next_seal,
            previous: self.last_seal,
            input: Input { start, end: *end },
            counts: *counts,
            writer: settings.writer.clone(),
            time,
            after: self.after.clone(),
            resumed: resumed.cloned(),
            gaps: gaps.clone(),
            extensions: Vec::new(),
            heads: self.sealed_heads(names_all),
            next_key: announced.cloned(),
        })
    }

    fn sealed_heads(&self, names_all: bool) -> BTreeMap<StreamName, Head> {
        let growing = self.names.streams.iter().zip(&self.heads);
        let growing = growing
            .filter(|(_, head)| head.written_to.is_some() || names_all && head.size > Number::ZERO);
        let growing = growing.map(|(stream, head)| {
            let partition = head.written_to.and_then(|it| u32::try_from(it).ok());
            let partition = partition.map(Number::from);
            (stream.name().clone(), Head { size: head.size, digest: head.digest, partition })
        });
        let others = self.others.iter().filter(|_| names_all).map(|(name, chain)| {
            (name.clone(), Head { size: chain.size, digest: chain.head, partition: None })
        });
        growing.chain(others).collect()
    }

    fn streams(&self) -> BTreeMap<StreamName, Chain> {
        let growing = self.names.streams.iter().zip(&self.heads);
        let growing = growing.filter(|(_, head)| head.size > Number::ZERO).map(|(stream, head)| {
            (stream.name().clone(), Chain { size: head.size, head: head.digest })
        });
        growing.chain(self.others.clone()).collect()
    }

    /// Returns whether a key is being replaced: the current key does not sign alone yet.
    pub(super) fn is_rotating(&self) -> bool {
        self.signers != Signers::Current
    }

    /// Returns how many records a stream has.
    pub(super) fn size(&self, stream: usize) -> Option<Number> {
        self.heads.get(stream).map(|head| head.size)
    }

    /// Returns the last seal; none if there was no seal yet.
    pub(super) fn last_seal(&self) -> Option<(Set, Anchored)> {
        let seal = Number::new(self.next_seal.get().checked_sub(1)?)?;
        Some((self.names.set.clone(), Anchored { seal, digest: self.last_seal }))
    }
}
