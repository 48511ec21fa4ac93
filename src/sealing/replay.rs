//! Seals what replays of quarantined records write. Each partition of the quarantine topic has a
//! set of its own, with a stream for each region and one for the outcomes. A replay commits no
//! offsets, so the chains continue from the newest seals, which are committed with what they seal.

use std::collections::BTreeMap;

use audit_chain::Number;
use audit_chain::header::{ChainHeader, HEADER_NAME};
use audit_chain::name::{Set, StreamName};
use audit_chain::time::Time;
use audit_judge::fate::RegionIndex;

use super::anchors;
use super::chains::{Chains, Sealing, Signed};
use super::consumed::Consumed;
use super::load;
use super::resume::SealedPartition;
use super::settings::SealingSettings;
use crate::compose::compose_outcome;
use crate::quarantine::resolved::{Destination, Resolved};
use crate::stream::{Content, OwnedHeaders, Partition, Proof};

/// What the topic with the outcomes says of the chains.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SealedOutcomes(BTreeMap<Set, OutcomeChain>);

/// The chain of the outcomes of one set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct OutcomeChain {
    records: u64,
    /// The number behind the highest one.
    end: u64,
    /// The timestamp of the record with the highest number.
    newest_ms: u64,
}

impl SealedOutcomes {
    /// Takes the next record of the topic.
    pub fn take(&mut self, headers: &OwnedHeaders, timestamp_ms: i64) {
        let Some((name, Some(value))) = headers.last() else { return };
        if name != HEADER_NAME.as_bytes() {
            return;
        }
        let header = ChainHeader::parse(value).ok();
        let Some(header) = header.filter(|it| *it.stream.name() == StreamName::State) else {
            return;
        };
        let chain = self.0.entry(header.stream.set().clone()).or_default();
        chain.records += 1;
        if header.number.get() >= chain.end {
            chain.end = header.number.get() + 1;
            chain.newest_ms = u64::try_from(timestamp_ms).unwrap_or_default();
        }
    }
}

/// Seals what a replayer writes, while no other replayer can write.
#[derive(Debug)]
pub struct ReplaySealer {
    settings: SealingSettings,
    /// How many partitions the quarantine topic has.
    partitions: u32,
    /// The chains as they are committed, by the partition of the quarantine.
    chains: BTreeMap<Partition, Chains>,
    /// The chains after the transaction that was sealed last, until it is committed.
    next: BTreeMap<Partition, Chains>,
    proof: Proof,
    /// When the last transaction was sealed.
    time: Time,
    /// Whether one was committed.
    has_committed: bool,
}

impl ReplaySealer {
    /// Starts without any chain, by the settings of the relays.
    pub fn new(settings: &SealingSettings, quarantine: &str, partitions: u32) -> Self {
        ReplaySealer {
            settings: settings.of_replays(quarantine),
            partitions,
            chains: BTreeMap::new(),
            next: BTreeMap::new(),
            proof: Proof::default(),
            time: Time::EPOCH,
            has_committed: false,
        }
    }

    /// Returns the partitions of the quarantine whose chains must be loaded, besides those of the
    /// records: while a key is being replaced, all that have outcomes, since a chain that is not
    /// continued before the old key is gone can never be.
    pub fn rotating(&self, outcomes: &SealedOutcomes) -> Vec<Partition> {
        let keys = outcomes.0.keys().filter(|_| self.settings.keys.are_rotating());
        let keys = keys.filter_map(|set| self.settings.set_of(set.as_str().as_bytes()));
        keys.map(|(_, partition)| partition).collect()
    }

    /// Returns the time from which on the newest seal of a partition is found, in milliseconds
    /// since 1970: a seal is not older than the outcomes of its transaction. 0 if there is no
    /// outcome, since only the seals can tell then whether there were any.
    ///
    /// # Errors
    /// If the quarantine has a name that cannot stand in a seal.
    pub fn search_from(
        &self,
        partition: Partition,
        outcomes: &SealedOutcomes,
    ) -> Result<u64, String> {
        let chain = outcomes.0.get(&self.set(partition)?);
        Ok(chain.map_or(0, |chain| chain.newest_ms))
    }

    /// Takes the next record of the topic with the seals into what was found for its partition, if
    /// it is one of these.
    pub fn take(&self, key: &[u8], note: &[u8], found: &mut BTreeMap<Partition, SealedPartition>) {
        if let Some((set, partition)) = self.settings.set_of(key)
            && let Some(found) = found.get_mut(&partition)
        {
            found.take(&set, note, &self.settings);
        }
    }

    /// Continues the chains of these partitions from their newest seals.
    ///
    /// # Errors
    /// If the seals of a partition and its outcomes do not fit: nothing must be decided then.
    pub fn load(
        &mut self,
        found: &BTreeMap<Partition, SealedPartition>,
        outcomes: &SealedOutcomes,
    ) -> Result<(), String> {
        for (partition, sealed) in found {
            let set = self.set(*partition)?;
            let known = outcomes.0.get(&set).copied().unwrap_or_default();
            let chains = self.continued(set, sealed, known)?;
            self.chains.insert(*partition, chains);
        }
        Ok(())
    }

    fn continued(
        &self,
        set: Set,
        sealed: &SealedPartition,
        known: OutcomeChain,
    ) -> Result<Chains, String> {
        let newest = sealed.found.newest.as_ref();
        if newest.is_none() && sealed.found.any {
            return Err(format!(
                "no seal of {set} is signed by a configured key: configure the key that signed last, as integrity.previous_key"
            ));
        }
        let signed = newest.map_or(0, |newest| newest.seal.input.end.get());
        if (known.records, known.end) != (signed, signed) {
            let OutcomeChain { records, .. } = known;
            return Err(format!(
                "the topic with the outcomes has {records} of {set}, and the newest seal that was found signs {signed}: outcomes or seals were removed or added, and records could be audited twice; `audit-relay verify` says which"
            ));
        }
        match newest {
            Some(newest) => sealed.same_epoch(newest, &self.settings),
            None => Chains::fresh(set, Some(Number::ZERO), &self.settings),
        }
    }

    fn set(&self, partition: Partition) -> Result<Set, String> {
        load::set(partition, Number::from(1), &self.settings)
    }

    /// Seals what is written of these records in one transaction. It begins at what was committed
    /// last, so it may be called again for the same records. The proof has for each record the
    /// header of its event, if it has one, and then that of its outcome.
    ///
    /// # Errors
    /// If one of them cannot be sealed.
    pub fn seal(
        &mut self,
        resolved: &[Resolved<'_>],
        destination: impl Fn(&Resolved<'_>) -> Option<Destination>,
        now_ms: u64,
    ) -> Result<&Proof, String> {
        let newest = resolved.iter().filter_map(|it| u64::try_from(it.at_ms).ok()).max();
        // Not older than the outcomes, whatever the clock does: a search begins at their time.
        self.begin(now_ms.max(newest.unwrap_or_default()))?;
        for record in resolved {
            let to = destination(record).ok_or("no topic for the event of a record")?;
            self.extend(record, to)?;
        }
        self.close(resolved)
    }

    /// Seals, without any record, the chains for which a key is being replaced: the next seal
    /// announces the new key, and the one after it has both. `None` once the new key signs alone.
    ///
    /// # Errors
    /// If one of them cannot be sealed.
    pub fn rotate(&mut self, now_ms: u64) -> Result<Option<&Proof>, String> {
        self.begin(now_ms)?;
        let rotating = self.chains.iter().filter(|(_, chains)| chains.is_rotating());
        self.next.extend(rotating.map(|(partition, chains)| (*partition, chains.clone())));
        if self.next.is_empty() { Ok(None) } else { self.close(&[]).map(Some) }
    }

    fn begin(&mut self, time_ms: u64) -> Result<(), String> {
        self.time = Time::from_epoch_ms(time_ms).ok_or("the clock is beyond 9999")?;
        self.next.clear();
        self.proof.begin(i64::try_from(time_ms).unwrap_or(i64::MAX));
        Ok(())
    }

    /// Seals what was added for these records.
    fn close(&mut self, resolved: &[Resolved<'_>]) -> Result<&Proof, String> {
        for (partition, chains) in &mut self.next {
            let end = chains.size(outcome_stream(&self.settings)).ok_or("no stream of outcomes")?;
            let own = resolved.iter().filter(|it| Partition(it.place.partition) == *partition);
            let consumed = Consumed::outcomes(own.map(|it| it.outcome), end)?;
            let sealing = Sealing {
                settings: &self.settings,
                consumed: &consumed,
                partitions: self.partitions,
                time: self.time,
                resumed: None,
                // The next replay reads no seal but the newest.
                names_all: true,
            };
            let Signed { seal, .. } = chains.sign(&sealing)?;
            self.proof.push_seal(seal);
        }
        Ok(&self.proof)
    }

    /// Extends the chains by the event and the outcome of a record.
    fn extend(&mut self, record: &Resolved<'_>, to: Destination) -> Result<(), String> {
        let place = record.place;
        let partition = Partition(place.partition);
        let chains = match self.next.get_mut(&partition) {
            Some(chains) => chains,
            None => {
                let chains = self.chains.get(&partition).ok_or("the chains were not loaded")?;
                self.next.entry(partition).or_insert_with(|| chains.clone())
            }
        };
        if let Some((output, written_to)) = record.event.as_ref().zip(to.event) {
            let Content::Event { envelope, .. } = output.content else {
                return Err("a replay writes nothing but events".to_string());
            };
            let RegionIndex(stream) = envelope.region;
            let (format, time_ms) = (&self.settings.format, self.proof.time_ms());
            let header = format.compose_replayed(output, place, time_ms, |composed| {
                chains.extend(stream, place.offset, composed, written_to)
            });
            self.proof.push_header(header?);
        }
        let stream = outcome_stream(&self.settings);
        let header = chains.extend(stream, place.offset, &compose_outcome(record), to.outcome);
        self.proof.push_header(header?);
        Ok(())
    }

    /// The transaction that was sealed last is committed.
    pub fn committed(&mut self) {
        self.chains.append(&mut self.next);
        self.has_committed = true;
    }

    /// Anchors the newest seals, and waits until they were sent. Does nothing if none is new.
    pub fn anchor(&self) {
        if !self.has_committed {
            return;
        }
        let seals = self.chains.values().filter_map(Chains::last_seal).collect();
        anchors::anchor(seals, self.time, &self.settings).wait();
    }
}

/// Returns the index of the stream of outcomes, which is the last.
fn outcome_stream(settings: &SealingSettings) -> usize {
    settings.streams.len().saturating_sub(1)
}
