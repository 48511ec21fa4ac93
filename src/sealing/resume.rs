//! Continues chains on purpose, after a person has found out why they must not simply go on. It
//! writes a seal of its own, which says so. Pure; `commands/resume` reads and writes.

use std::collections::BTreeMap;

use audit_chain::Number;
use audit_chain::key::PublicKey;
use audit_chain::name::{Set, StreamName};
use audit_chain::seal::{After, Cause, Gap, Reason};
use audit_chain::state::{Chain, State};
use audit_chain::time::Time;

use super::chains::{Chains, Sealing, Signers};
use super::consumed::{Consumed, number};
use super::found::{Found, SignedSeal};
use super::load::{Refusal, load};
use super::settings::SealingSettings;
use crate::stream::{Partition, Position, ResumePoint, SealRecord};

/// All seals of one partition of the input, read from the first to the last.
#[derive(Debug, Clone, Default)]
pub struct SealedPartition {
    pub(super) found: Found,
    /// The streams of the newest seal's epoch, as far as its seals name them.
    streams: BTreeMap<StreamName, Chain>,
    /// The key that was announced last.
    announced: Option<PublicKey>,
}

/// Where a partition continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContinueAt {
    /// Where its last seal ends: nothing is lost or doubled.
    Seal,
    /// At a later offset. What lies between was not judged and never will be; the seal says so.
    Later(i64),
    /// At this offset of a topic that was created again, in the next epoch.
    NewTopic(i64),
}

/// A seal to be written, and the position to be committed with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resumed {
    /// The seal.
    pub seal: SealRecord,
    /// The position, with the state of the chains.
    pub position: Position,
}

impl SealedPartition {
    /// Takes the next record with the key of a set of this partition.
    pub fn take(&mut self, set: &Set, note: &[u8], settings: &SealingSettings) {
        let Some((seal, before)) = self.found.take(set, note, settings) else { return };
        if before.is_some_and(|before| before.seal.set != seal.set) {
            self.streams.clear();
        }
        let heads = seal.heads.iter();
        let heads =
            heads.map(|(name, head)| (name.clone(), Chain { size: head.size, head: head.digest }));
        self.streams.extend(heads);
        if let Some(next) = &seal.next_key {
            self.announced = Some(next.clone());
        }
    }

    /// Returns the newest seal's set and number, and the offset of the input at which it ends.
    pub fn last(&self) -> Option<(&Set, u64, u64)> {
        let SignedSeal { seal, .. } = self.found.newest.as_ref()?;
        Some((&seal.set, seal.number.get(), seal.input.end.get()))
    }

    /// Returns why a relay would not continue at this place, in a word and in words; `None` if it
    /// would.
    pub fn refusal(
        &self,
        partition: Partition,
        place: &ResumePoint,
        settings: &SealingSettings,
    ) -> Option<Refusal> {
        load(place, partition, &self.found, settings).err()
    }

    /// Continues the chains: returns a seal that says why, and the position that belongs to it.
    ///
    /// # Errors
    /// If there is no seal to continue from, or it cannot be continued like this.
    pub fn resume(
        &self,
        at: ContinueAt,
        reason: &Reason,
        (partitions, time): (u32, Time),
        settings: &SealingSettings,
    ) -> Result<Resumed, String> {
        let last = self.found.newest.as_ref().ok_or(
            "no seal of the configured keys was found: configure the key that signed last, as integrity.previous_key",
        )?;
        let mut chains = match at {
            ContinueAt::NewTopic(start) => self.next_epoch(last, start, settings)?,
            ContinueAt::Seal | ContinueAt::Later(_) => self.same_epoch(last, settings)?,
        };
        let consumed = silent(at, last.seal.input.end)?;
        let sealing = Sealing {
            settings,
            consumed: &consumed,
            partitions,
            time,
            resumed: Some(reason),
            names_all: true,
        };
        let closed = chains.close(&sealing)??;
        let position = Position {
            partition: closed.seal.partition,
            next_offset: i64::try_from(consumed.end.get()).unwrap_or(i64::MAX),
            leader_epoch: None,
            metadata: closed.metadata,
        };
        Ok(Resumed { seal: closed.seal, position })
    }

    /// Returns the chains behind the last seal.
    pub(super) fn same_epoch(
        &self,
        last: &SignedSeal,
        settings: &SealingSettings,
    ) -> Result<Chains, String> {
        self.check_key(settings)?;
        let state = State {
            next_offset: last.seal.input.end,
            next_seal: last.seal.number.next().ok_or("there are too many seals")?,
            last_seal: last.digest,
            sealed_at: last.seal.time,
            next_key_announced: last.seal.next_key.is_some(),
            streams: self.streams.clone(),
        };
        Chains::of(last.seal.set.clone(), &state, last.signers(), None, settings)
    }

    /// Refuses a key that was replaced: once another is announced, no verifier accepts it alone.
    fn check_key(&self, settings: &SealingSettings) -> Result<(), String> {
        let current = settings.keys.current.signing.public();
        match &self.announced {
            Some(announced) if announced != current => Err(format!(
                "a seal announced the key {}: set integrity.key to it, and integrity.previous_key to the key that integrity.key names now, if the last seal is not signed by it yet",
                announced.id()
            )),
            _ => Ok(()),
        }
    }

    fn next_epoch(
        &self,
        last: &SignedSeal,
        start: i64,
        settings: &SealingSettings,
    ) -> Result<Chains, String> {
        self.check_key(settings)?;
        let before = &last.seal.set;
        let epoch = before.epoch().next().ok_or("there are too many epochs")?;
        let set = Set::new(before.topic(), before.partition(), epoch);
        let start = u64::try_from(start).ok().and_then(Number::new);
        let state = State {
            next_offset: start.ok_or("the topic begins before 0")?,
            next_seal: Number::ZERO,
            last_seal: last.digest,
            sealed_at: last.seal.time,
            next_key_announced: last.seal.next_key.is_some(),
            streams: BTreeMap::new(),
        };
        let after = After { set: before.clone(), seal: last.seal.number, digest: last.digest };
        let set = set.map_err(|error| error.to_string())?;
        Chains::of(set, &state, last.signers(), Some(after), settings)
    }
}

impl SignedSeal {
    /// Returns who signs the seal after this one.
    fn signers(&self) -> Signers {
        match (self.is_signed_by_current, &self.seal.next_key) {
            (true, _) => Signers::Current,
            (false, None) => Signers::Announcing,
            (false, Some(_)) => Signers::Both,
        }
    }
}

/// What a seal consumes that only says that the writer continues, behind a seal that ends here.
fn silent(at: ContinueAt, last: Number) -> Result<Consumed, String> {
    let (end, gaps) = match at {
        ContinueAt::Seal => (last, Vec::new()),
        ContinueAt::NewTopic(start) => (number(start)?, Vec::new()),
        ContinueAt::Later(offset) => {
            let end = number(offset)?;
            if end < last {
                return Err(format!(
                    "offset {offset} lies before {last}, where the last seal ends: its records would be audited twice"
                ));
            }
            let gap = Gap { start: last, end, cause: Cause::PassedOver };
            (end, if last < end { vec![gap] } else { Vec::new() })
        }
    };
    Ok(Consumed { end, gaps, ..Consumed::default() })
}
