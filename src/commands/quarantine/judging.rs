//! Judges quarantined records as a relay would now.

use std::collections::HashSet;

use anyhow::Context;
use audit_judge::enrich::KeyLookups;
use audit_judge::fate::Fate;
use audit_judge::trace::Trace;
use audit_judge::{Input, judge_traced};
use jiff::Timestamp;
use uuid::Uuid;

use super::archive::{Archive, Found, Outcomes};
use super::closing::Decider;
use super::present::Wanted;
use crate::commands::arguments::ReplayArgs;
use crate::commands::history::oldest_known;
use crate::config::Config;
use crate::deployment::Deployment;
use crate::kafka::Ranges;
use crate::quarantine::batch::Decision;
use crate::quarantine::closing::Refused;
use crate::quarantine::outcomes::Outcome;

/// Why a stub is not judged.
const STUB: &str = "only the beginning of the record is here; the rest is in the input topic";
/// Why an action is not judged that is older than what the tables' topics keep.
const TOO_OLD: &str = "the action is older than the history of the tables' topics (tables.history_hours); with --accept-tables it is judged by what they have";

/// Judges by rules and tables that are read after the records are known.
pub(super) struct Judge<'a> {
    arguments: &'a ReplayArgs,
    config: &'a Config,
    deployment: Deployment,
    pub(super) archive: &'a Archive,
    /// Actions before this time are refused.
    oldest: Option<Timestamp>,
    /// The ids of events that are in the outputs already, or are written by this command.
    present: HashSet<Uuid>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        arguments: &'a ReplayArgs,
        config: &'a Config,
        deployment: Deployment,
        archive: &'a Archive,
    ) -> Self {
        Judge { arguments, config, deployment, archive, oldest: None, present: HashSet::new() }
    }

    /// Judges a record; says as of which time the tables were asked, if they were.
    fn judge(&self, found: &Found<'_>) -> (Fate, Option<Timestamp>) {
        let mut moment = Moment(None);
        let Deployment { rules, reference, .. } = &self.deployment;
        let input = Input { payload: found.record.value, at: None };
        (judge_traced(input, rules, || reference, &mut moment), moment.0)
    }

    /// Finds out which of the events are in the outputs already.
    fn find_present(&mut self, outcomes: &Outcomes, part: &Ranges) -> anyhow::Result<()> {
        let mut wanted = Wanted::default();
        let meant = (&self.arguments.closing.selection, false);
        self.archive.select(part, outcomes, meant, &mut |found| {
            if !found.case.is_stub
                && let (Fate::Audited(audited), _) = self.judge(found)
            {
                wanted.add(&audited, found);
            }
            Ok(())
        })?;
        self.present = wanted.find(self.archive.reader(), &self.deployment.topics.regions)?;
        Ok(())
    }

    fn decision(&mut self, fate: Fate) -> Decision {
        match fate {
            Fate::Audited(audited) => {
                let id = Some(audited.envelope.id);
                match self.present.insert(audited.envelope.id) {
                    true => Decision { id, event: Some(audited), ..Decision::of(Outcome::Audited) },
                    false => Decision { id, ..Decision::of(Outcome::Present) },
                }
            }
            Fate::Skipped(skip) => Decision {
                reason: Some(skip.reason.name().to_string()),
                detail: Some(skip.reason.meaning().to_string()),
                ..Decision::of(Outcome::Skipped)
            },
            Fate::Quarantined(quarantine) => Decision {
                reason: Some(quarantine.reason.name().to_string()),
                detail: Some(quarantine.detail),
                ..Decision::of(Outcome::Again)
            },
        }
    }
}

impl Decider for Judge<'_> {
    fn prepare(&mut self, outcomes: &Outcomes, part: &Ranges) -> anyhow::Result<()> {
        // After the records were written, so that the tables are at least as new.
        self.deployment.read_table_topics(self.config).context("read the tables' topics")?;
        let oldest = oldest_known(self.config)?;
        self.oldest = oldest.filter(|_| !self.arguments.accept_tables);
        self.present.clear();
        match self.arguments.no_scan {
            true => Ok(()),
            false => self.find_present(outcomes, part),
        }
    }

    fn decide(&mut self, found: &Found<'_>) -> Result<Decision, Refused> {
        if found.case.is_stub {
            return Err(Refused(STUB));
        }
        let (fate, moment) = self.judge(found);
        if self.oldest.zip(moment).is_some_and(|(oldest, moment)| moment < oldest) {
            return Err(Refused(TOO_OLD));
        }
        Ok(self.decision(fate))
    }
}

/// The time as of which the tables were asked.
struct Moment(Option<Timestamp>);

impl Trace for Moment {
    fn unwrapped(&mut self) {
        self.0 = None;
    }

    fn looked_up(&mut self, lookups: &KeyLookups<'_, '_>) {
        self.0 = Some(lookups.moment());
    }
}
