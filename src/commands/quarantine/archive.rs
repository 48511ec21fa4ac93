//! Reads the quarantine topic, and what became of the records in it.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context, ensure};

use crate::commands::arguments::SelectionArgs;
use crate::commands::outcomes::read_outcomes;
use crate::config::Config;
use crate::kafka::Ranges;
use crate::kafka::topics::output_partition;
use crate::kafka::trail_reader::{TrailReader, TrailRecord};
use crate::quarantine::case::{Case, Place};
use crate::quarantine::outcomes::{self, Outcomes as Standings, Standing};
use crate::sealing::SealedOutcomes;
use crate::stream::Partition;

/// The quarantine topic, and the topic with the outcomes.
pub(super) struct Archive {
    reader: TrailReader,
    topic: String,
    outcomes: String,
}

/// What became of all records.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    standings: Standings,
    /// The chains of the records that say so, if they are sealed.
    pub(super) chains: SealedOutcomes,
}

impl Outcomes {
    /// Returns where a case stands; `None` if it has no outcome.
    pub(super) fn of(&self, case: &[u8; 16]) -> Option<&Standing> {
        self.standings.of(case)
    }
}

/// A record of the quarantine topic.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) case: Case,
    /// What stands for the case in a large set.
    pub(super) digest: [u8; 16],
    pub(super) place: Place,
    pub(super) record: &'a TrailRecord<'a>,
    /// Where the case stands; none if it was never judged again.
    pub(super) standing: Option<&'a Standing>,
}

impl Found<'_> {
    pub(super) fn is_open(&self) -> bool {
        !self.standing.is_some_and(Standing::is_closed)
    }

    /// Why it is in quarantine, by the last judgement.
    pub(super) fn reason(&self) -> &str {
        match self.standing {
            Some(Standing::Again { reason, .. }) => reason,
            _ => &self.case.reason,
        }
    }

    /// The same in words.
    pub(super) fn detail(&self) -> &str {
        match self.standing {
            Some(Standing::Again { detail, .. }) => detail,
            _ => &self.case.detail,
        }
    }
}

impl Archive {
    pub(super) fn open(config: &Config) -> anyhow::Result<Self> {
        let topic = config.output.quarantine_topic.clone();
        let outcomes = outcomes::topic(&topic);
        Ok(Archive { reader: TrailReader::of_relay(config)?, topic, outcomes })
    }

    pub(super) fn reader(&self) -> &TrailReader {
        &self.reader
    }

    pub(super) fn outcomes_topic(&self) -> &str {
        &self.outcomes
    }

    /// Reads what became of all records by now. Without the topic, nothing did.
    pub(super) fn outcomes(&self) -> anyhow::Result<Outcomes> {
        if !self.reader.topics(&self.outcomes)?.contains(&self.outcomes) {
            return Ok(Outcomes::default());
        }
        let mut chains = SealedOutcomes::default();
        let standings = read_outcomes(&self.reader, &self.outcomes, &mut |record| {
            chains.take(&record.headers, record.timestamp_ms);
        })?;
        Ok(Outcomes { standings, chains })
    }

    /// Reads the topic with the seals, for each of these partitions of the quarantine from a time
    /// on, in milliseconds since 1970, and hands over key and value of each record.
    pub(super) fn read_seals(
        &self,
        topic: &str,
        since: &BTreeMap<Partition, u64>,
        receive: &mut dyn FnMut(&[u8], &[u8]),
    ) -> anyhow::Result<()> {
        let count = i32::try_from(self.reader.bounds(topic)?.len())?;
        let mut times = BTreeMap::<i32, u64>::new();
        for (partition, since) in since {
            let time = times.entry(output_partition(*partition, count)).or_insert(*since);
            *time = (*time).min(*since);
        }
        let ranges = self.reader.since(topic, &times)?;
        self.reader.read(topic, &ranges, &mut |record| {
            receive(record.key.unwrap_or_default(), record.value.unwrap_or_default());
            Ok(())
        })
    }

    /// Returns all that is in the quarantine by now.
    pub(super) fn everything(&self) -> anyhow::Result<Ranges> {
        let bounds = self.reader.bounds(&self.topic)?;
        Ok(bounds.iter().map(|(it, log)| (*it, (log.low, log.stable_end))).collect())
    }

    /// Reads a part of the quarantine, each case once. Returns how many records are not a relay's.
    pub(super) fn read(
        &self,
        ranges: &Ranges,
        outcomes: &Outcomes,
        receive: &mut dyn FnMut(&Found<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<u64> {
        let mut foreign = 0;
        let mut seen = HashSet::new();
        self.reader.read(&self.topic, ranges, &mut |record| {
            let Some(case) = Case::read(&record.headers, record.value) else {
                foreign += 1;
                return Ok(());
            };
            let digest = case.id.digest();
            if !seen.insert(digest) {
                return Ok(());
            }
            let place = Place { partition: record.partition, offset: record.offset };
            let standing = outcomes.of(&digest);
            receive(&Found { case, digest, place, record, standing })
        })?;
        Ok(foreign)
    }

    /// Reads the selected records of a part of the quarantine: the open ones, or the closed ones
    /// too. Returns how many records are not a relay's.
    pub(super) fn select(
        &self,
        ranges: &Ranges,
        outcomes: &Outcomes,
        (selection, with_closed): (&SelectionArgs, bool),
        receive: &mut dyn FnMut(&Found<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<u64> {
        self.read(ranges, outcomes, &mut |found| {
            let is_meant = (with_closed || found.is_open()) && selection.holds(found);
            if is_meant { receive(found) } else { Ok(()) }
        })
    }

    /// Reads one record.
    pub(super) fn find(
        &self,
        place: Place,
        outcomes: &Outcomes,
        receive: &mut dyn FnMut(&Found<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let bounds = self.reader.bounds(&self.topic)?;
        let log = bounds.get(&place.partition);
        let log =
            log.with_context(|| format!("{} has no partition {}", self.topic, place.partition))?;
        ensure!(
            (log.low..log.stable_end).contains(&place.offset),
            "{} has no record {place}: partition {} has the offsets {} to {}",
            self.topic,
            place.partition,
            log.low,
            log.stable_end - 1
        );
        let range = BTreeMap::from([(place.partition, (place.offset, place.offset + 1))]);
        let mut is_found = false;
        let foreign = self.read(&range, outcomes, &mut |found| {
            is_found = true;
            receive(found)
        })?;
        ensure!(foreign == 0, "the record {place} is not a relay's");
        ensure!(is_found, "the offset {place} has no record: it is a transaction's end");
        Ok(())
    }
}
