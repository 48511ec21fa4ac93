//! Reads the quarantine topic, and what became of the records in it.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context, anyhow};

use crate::config::Config;
use crate::kafka::Ranges;
use crate::kafka::trail_reader::{TrailReader, TrailRecord};
use crate::quarantine::case::{Case, Place};
use crate::quarantine::outcomes::{self, Outcomes, Standing};

/// The quarantine topic, and the topic with the outcomes.
pub(super) struct Archive {
    reader: TrailReader,
    topic: String,
    outcomes: String,
}

/// A record of the quarantine topic.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) case: Case,
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

/// What was passed over while reading.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Passed {
    /// Records that a relay did not write.
    pub(super) foreign: u64,
    /// Records of cases that had been read already.
    pub(super) repeated: u64,
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
        let mut outcomes = Outcomes::default();
        if !self.reader.topics(&self.outcomes)?.contains(&self.outcomes) {
            return Ok(outcomes);
        }
        let bounds = self.reader.bounds(&self.outcomes)?;
        let ranges = bounds.iter().map(|(partition, log)| (*partition, (log.low, log.end)));
        self.reader.read(&self.outcomes, &ranges.collect(), &mut |record| {
            outcomes.take(record.key, record.value).map_err(|why| {
                let TrailRecord { partition, offset, .. } = record;
                anyhow!("{} {partition}/{offset}: {why}", self.outcomes)
            })
        })?;
        Ok(outcomes)
    }

    /// Returns all that is in the quarantine by now.
    pub(super) fn everything(&self) -> anyhow::Result<Ranges> {
        let bounds = self.reader.bounds(&self.topic)?;
        Ok(bounds.iter().map(|(it, log)| (*it, (log.low, log.stable_end))).collect())
    }

    /// Reads a part of the quarantine, each case once.
    pub(super) fn read(
        &self,
        ranges: &Ranges,
        outcomes: &Outcomes,
        receive: &mut dyn FnMut(&Found<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<Passed> {
        let mut passed = Passed::default();
        let mut seen = HashSet::new();
        self.reader.read(&self.topic, ranges, &mut |record| {
            let Some(case) = Case::read(&record.headers, record.value) else {
                passed.foreign += 1;
                return Ok(());
            };
            let digest = case.id.digest();
            if !seen.insert(digest) {
                passed.repeated += 1;
                return Ok(());
            }
            let place = Place { partition: record.partition, offset: record.offset };
            receive(&Found { case, place, record, standing: outcomes.of_digest(&digest) })
        })?;
        Ok(passed)
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
        anyhow::ensure!(
            (log.low..log.stable_end).contains(&place.offset),
            "{} has no record {place}: partition {} has the offsets {} to {}",
            self.topic,
            place.partition,
            log.low,
            log.stable_end - 1
        );
        let range = BTreeMap::from([(place.partition, (place.offset, place.offset + 1))]);
        let mut is_found = false;
        let passed = self.read(&range, outcomes, &mut |found| {
            is_found = true;
            receive(found)
        })?;
        anyhow::ensure!(passed.foreign == 0, "the record {place} is not a relay's");
        anyhow::ensure!(is_found, "the offset {place} has no record: it is a transaction's end");
        Ok(())
    }
}
