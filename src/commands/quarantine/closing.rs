//! Writes down what becomes of records, with the events, exactly once: one transaction for each
//! batch, of a producer that no other replayer of the group can have at the same time, and that
//! was opened before the outcomes so far were read.

use std::collections::HashSet;
use std::io::{IsTerminal, Write};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};

use super::archive::{Archive, Found, Outcomes};
use super::batch::{Batch, Closed};
use super::judging::Decision;
use super::tally::Tally;
use super::writing::{Writer, Written};
use crate::commands::arguments::ClosingArgs;
use crate::commands::print;
use crate::config::Config;
use crate::deployment::Deployment;
use crate::kafka::Ranges;
use crate::kafka::check::check_outcomes;
use crate::quarantine::outcomes::{Author, Outcome};
use crate::stream::Failure;

/// Attempts in a row that may fail without anything committed.
const ATTEMPTS_MAX: u32 = 5;
/// The pause after a failed attempt.
const ATTEMPT_PAUSE: Duration = Duration::from_secs(1);
/// The pause between two lines about the progress.
const PROGRESS_PAUSE: Duration = Duration::from_secs(2);

/// Prints what became of the records.
pub(super) fn show(tally: &Tally, as_json: bool) -> anyhow::Result<()> {
    let shown = if as_json { print(tally.to_json()) } else { print(tally) };
    shown.context("write the answer")
}

/// Decides what becomes of records.
pub(super) trait Decider {
    /// Prepares for a part of the quarantine, once it is known what is open in it.
    fn prepare(&mut self, outcomes: &Outcomes, part: &Ranges) -> anyhow::Result<()>;

    /// Decides what becomes of a record; `None` if it is not judged, which is counted.
    fn decide(&mut self, found: &Found<'_>, tally: &mut Tally) -> Option<Decision>;
}

/// Closes records.
pub(super) struct Closer<'a> {
    arguments: &'a ClosingArgs,
    config: &'a Config,
    written: Written,
    archive: &'a Archive,
    author: Author,
    tally: Tally,
    /// The cases that need no more: committed, or not to be judged.
    handled: HashSet<[u8; 16]>,
    /// The cases of a transaction of which it is not known whether it was committed.
    unclear: Vec<([u8; 16], Outcome)>,
    began: Instant,
    shown: Instant,
}

/// Why an attempt ended early.
enum Stop {
    /// A new producer can go on.
    Retry(String),
    /// It cannot go on.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Stop::Failed(error)
    }
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
            tally: Tally::default(),
            handled: HashSet::new(),
            unclear: Vec::new(),
            began: Instant::now(),
            shown: Instant::now(),
        })
    }

    /// Closes the selected records that are open, at most so many, and returns what became of them.
    ///
    /// # Errors
    /// If the cluster refuses, another replayer takes over, or nothing can be committed for several
    /// attempts.
    pub(super) fn close(
        mut self,
        limit: Option<u64>,
        decider: &mut impl Decider,
    ) -> anyhow::Result<Tally> {
        let mut failed = 0;
        loop {
            let handled = self.handled.len();
            match self.attempt(limit, decider) {
                Ok(()) => return Ok(self.tally),
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::Retry(cause)) => {
                    failed = if self.handled.len() > handled { 1 } else { failed + 1 };
                    if failed >= ATTEMPTS_MAX {
                        bail!("given up after {ATTEMPTS_MAX} attempts; {}; {cause}", self.so_far());
                    }
                    _ = writeln!(std::io::stderr(), "{cause}; beginning again");
                    thread::sleep(ATTEMPT_PAUSE);
                }
            }
        }
    }

    /// Opens a producer, and only then reads what is open: whatever another replayer had begun is
    /// committed or aborted by now.
    fn attempt(&mut self, limit: Option<u64>, decider: &mut impl Decider) -> Result<(), Stop> {
        let archive = self.archive;
        let mut writer = Writer::open(self.config, &self.written, archive).map_err(stop)?;
        let outcomes = archive.outcomes()?;
        self.clear_up(&outcomes);
        let everything = archive.everything()?;
        let selection = &self.arguments.selection;
        writer.load_chains(&self.written, archive, &everything, &outcomes, selection)?;
        writer.rotate_key().map_err(stop)?;
        decider.prepare(&outcomes, &everything)?;
        let mut batch = Batch::default();
        let mut stopped = None;
        archive.select(&everything, &outcomes, (selection, false), &mut |found| {
            let is_enough = limit
                .is_some_and(|limit| self.tally.selected() + batch.records.len() as u64 >= limit);
            if stopped.is_some() || is_enough || self.handled.contains(&found.digest) {
                return Ok(());
            }
            match decider.decide(found, &mut self.tally) {
                None => _ = self.handled.insert(found.digest),
                Some(decision) => batch.add(found, decision, &self.author, &self.written.regions),
            }
            if batch.is_full()
                && let Err(stop) = self.commit(&mut writer, &mut batch)
            {
                stopped = Some(stop);
            }
            Ok(())
        })?;
        match stopped {
            Some(stop) => Err(stop),
            None => self.commit(&mut writer, &mut batch),
        }?;
        writer.anchor();
        Ok(())
    }

    /// Finds out what became of a transaction whose commit had no answer.
    fn clear_up(&mut self, outcomes: &Outcomes) {
        for (digest, outcome) in std::mem::take(&mut self.unclear) {
            let is_closed = outcomes.of(&digest).is_some_and(|it| it.is_closed());
            if is_closed {
                self.handled.insert(digest);
                self.tally.add(outcome, None);
            }
        }
    }

    /// Commits a batch, and empties it.
    fn commit(&mut self, writer: &mut Writer, batch: &mut Batch) -> Result<(), Stop> {
        for records in writer.transactions(std::mem::take(batch)) {
            self.publish(writer, &records)?;
            self.show_progress();
        }
        Ok(())
    }

    /// Publishes records in one transaction, or in several where a topic does not accept so much at
    /// once.
    fn publish(&mut self, writer: &mut Writer, records: &[Closed]) -> Result<(), Stop> {
        if records.is_empty() {
            return Ok(());
        }
        let mut aborted = 0;
        loop {
            match writer.publish(records) {
                Ok(()) => break,
                Err(Failure::TooLarge(_)) if records.len() > 1 => {
                    writer.abort().map_err(stop)?;
                    let (first, second) = records.split_at(records.len() / 2);
                    self.publish(writer, first)?;
                    return self.publish(writer, second);
                }
                Err(Failure::Aborted(what)) => {
                    writer.abort().map_err(stop)?;
                    aborted += 1;
                    if aborted == ATTEMPTS_MAX {
                        return Err(Stop::Retry(what));
                    }
                    thread::sleep(ATTEMPT_PAUSE);
                }
                Err(failure) => {
                    self.unclear = records.iter().map(|it| (it.digest, it.outcome)).collect();
                    return Err(stop(failure));
                }
            }
        }
        for record in records {
            self.handled.insert(record.digest);
            self.tally.add(record.outcome, record.reason.as_deref());
        }
        Ok(())
    }

    fn so_far(&self) -> String {
        format!("{} records were committed", self.handled.len())
    }

    fn show_progress(&mut self) {
        if self.shown.elapsed() >= PROGRESS_PAUSE && std::io::stderr().is_terminal() {
            self.shown = Instant::now();
            let rate = self.handled.len() as f64 / self.began.elapsed().as_secs_f64();
            _ = writeln!(std::io::stderr(), "{}, {rate:.0} a second", self.so_far());
        }
    }
}

/// Returns whether a new producer can go on after a failure.
fn stop(failure: Failure) -> Stop {
    match failure {
        Failure::Aborted(_) | Failure::Broken(_) => Stop::Retry(failure.to_string()),
        Failure::Fenced(what) => Stop::Failed(anyhow!(
            "another `quarantine replay` or `done` of this group has taken over; if none runs, the broker has timed the transaction out: run the command again ({what})"
        )),
        other => Stop::Failed(anyhow!(other.to_string())),
    }
}
