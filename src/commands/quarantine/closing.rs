//! Closes records on the cluster: what the protocol of `quarantine/closing.rs` needs is made of the
//! archive, which reads, and the writer.

use std::io::Write;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;

use super::archive::{Archive, Found, Outcomes};
use super::writing::{Writer, Written};
use crate::commands::arguments::ClosingArgs;
use crate::commands::{print, progress};
use crate::config::Config;
use crate::deployment::Deployment;
use crate::kafka::Ranges;
use crate::kafka::check::check_outcomes;
use crate::quarantine::batch::{Closed, Decision, Quarantined};
use crate::quarantine::closing::{CaseDigest, Cases, Decide, Progress, Refused, Stop, close};
use crate::quarantine::outcomes::{Author, Standing};
use crate::quarantine::tally::Tally;
use crate::stream::Failure;

/// Prints what became of the records.
pub(super) fn show(tally: &Tally, as_json: bool) -> anyhow::Result<()> {
    let shown = if as_json { print(tally.to_json()) } else { print(tally) };
    shown.context("write the answer")
}

/// Decides what becomes of records.
pub(super) trait Decider {
    /// Prepares for a part of the quarantine, once it is known what is open in it.
    fn prepare(&mut self, outcomes: &Outcomes, part: &Ranges) -> anyhow::Result<()>;

    /// Decides what becomes of a record.
    ///
    /// # Errors
    /// If it is not judged.
    fn decide(&mut self, found: &Found<'_>) -> Result<Decision, Refused>;
}

/// Closes records.
pub(super) struct Closer<'a> {
    arguments: &'a ClosingArgs,
    config: &'a Config,
    written: Written,
    archive: &'a Archive,
    author: Author,
}

impl<'a> Closer<'a> {
    /// Prepares to close records.
    ///
    /// # Errors
    /// If the topic with the outcomes is missing or does not keep them, or that with the seals.
    pub(super) fn new(
        config: &'a Config,
        deployment: &Deployment,
        archive: &'a Archive,
        arguments: &'a ClosingArgs,
    ) -> anyhow::Result<Self> {
        let written = Written::new(deployment);
        let findings = check_outcomes(config, written.topics(), archive.outcomes_topic());
        let problem = findings.iter().find(|finding| finding.verdict.is_problem());
        if let Some(problem) = problem {
            bail!("{problem}; `audit-relay manifest --replay` prints what is needed");
        }
        let host = gethostname::gethostname().to_string_lossy().into_owned();
        let ClosingArgs { by, note, .. } = arguments.clone();
        Ok(Closer {
            arguments,
            config,
            written,
            archive,
            author: Author { by, host, note, config: config.fingerprint() },
        })
    }

    /// Closes the selected records that are open, at most so many, and returns what became of them.
    ///
    /// # Errors
    /// As [`close`].
    pub(super) fn close(
        self,
        limit: Option<u64>,
        decider: &mut impl Decider,
    ) -> anyhow::Result<Tally> {
        let (outcomes, everything) = (Outcomes::default(), Ranges::default());
        let mut cases = OpenCases { closer: self, decider, outcomes, everything };
        close(&mut cases, limit, &mut Shown::default())
    }

    fn closed(&self, found: &Found<'_>, decision: Decision) -> Closed {
        let record = Quarantined {
            case: found.case.id.clone(),
            place: found.place,
            timestamp_ms: found.record.timestamp_ms,
        };
        Closed::new(record, decision, &self.author, &self.written.regions, Timestamp::now())
    }
}

/// The cases of the quarantine topic, as they were read last.
struct OpenCases<'a, D> {
    closer: Closer<'a>,
    decider: &'a mut D,
    outcomes: Outcomes,
    everything: Ranges,
}

impl<D: Decider> Cases for OpenCases<'_, D> {
    type Writer = Writer;

    fn open(&mut self) -> Result<Writer, Failure> {
        let Closer { config, written, archive, .. } = &self.closer;
        Writer::open(config, written, archive)
    }

    fn read_outcomes(&mut self) -> anyhow::Result<()> {
        self.outcomes = self.closer.archive.outcomes()?;
        self.everything = self.closer.archive.everything()?;
        Ok(())
    }

    fn is_closed(&self, case: &CaseDigest) -> bool {
        self.outcomes.of(case).is_some_and(Standing::is_closed)
    }

    fn prepare(&mut self, writer: &mut Writer) -> Result<(), Stop> {
        let OpenCases { closer, decider, outcomes, everything } = self;
        let Closer { written, archive, arguments, .. } = closer;
        writer.load_chains(written, archive, everything, outcomes, &arguments.selection)?;
        writer.rotate_key()?;
        Ok(decider.prepare(outcomes, everything)?)
    }

    fn read_open(
        &mut self,
        receive: &mut dyn FnMut(CaseDigest, &mut Decide<'_>),
    ) -> anyhow::Result<()> {
        let OpenCases { closer, decider, outcomes, everything } = self;
        let meant = (&closer.arguments.selection, false);
        closer.archive.select(everything, outcomes, meant, &mut |found| {
            receive(found.digest, &mut || Ok(closer.closed(found, decider.decide(found)?)));
            Ok(())
        })?;
        Ok(())
    }

    fn finish(&mut self, writer: Writer) {
        writer.anchor();
    }
}

/// Shows the progress on a terminal.
#[derive(Default)]
struct Shown(progress::Progress);

impl Progress for Shown {
    fn pause(&mut self, time: Duration) {
        thread::sleep(time);
    }

    fn retrying(&mut self, cause: &str) {
        _ = writeln!(std::io::stderr(), "{cause}; beginning again");
    }

    fn handled(&mut self, cases: usize) {
        self.0.show(|seconds| {
            format!("{cases} records were committed, {:.0} a second", cases as f64 / seconds)
        });
    }
}
