//! The protocol of `quarantine replay` and `done`: what becomes of cases is written, with the
//! events, exactly once. One transaction for each batch, of a producer that no other replayer of
//! the group can have at the same time, and that was opened before the outcomes so far were read.
//! What it needs of a cluster are traits, so that the simulation runs the same code.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{anyhow, bail};

use super::batch::{Batch, Closed};
use super::outcomes::Outcome;
use super::tally::Tally;
use crate::stream::Failure;

/// Attempts in a row that may fail without anything committed or halved.
const ATTEMPTS_MAX: u32 = 5;
/// The pause after a failed attempt.
const ATTEMPT_PAUSE: Duration = Duration::from_secs(1);

/// Stands for a case in a large set.
pub type CaseDigest = [u8; 16];

/// The cases, and what became of them so far.
pub trait Cases {
    /// What writes, once it is opened.
    type Writer: CaseWriter;

    /// Fences every other replayer of the group, and waits until whatever it had begun has ended.
    ///
    /// # Errors
    /// Says whether a new attempt can succeed.
    fn open(&mut self) -> Result<Self::Writer, Failure>;

    /// Reads what became of all cases by now.
    ///
    /// # Errors
    /// If that cannot be known for certain.
    fn read_outcomes(&mut self) -> anyhow::Result<()>;

    /// Returns whether a case was closed when the outcomes were read.
    fn is_closed(&self, case: &CaseDigest) -> bool;

    /// Prepares to decide what becomes of the open cases, and to write it.
    ///
    /// # Errors
    /// Says whether a new attempt can succeed.
    fn prepare(&mut self, writer: &mut Self::Writer) -> Result<(), Stop>;

    /// Hands over each selected case that was open when the outcomes were read, with what decides
    /// it.
    ///
    /// # Errors
    /// If the cases cannot be read.
    fn read_open(
        &mut self,
        receive: &mut dyn FnMut(CaseDigest, &mut Decide<'_>),
    ) -> anyhow::Result<()>;

    /// Everything is committed.
    fn finish(&mut self, writer: Self::Writer);
}

/// Decides what becomes of a case.
pub type Decide<'d> = dyn FnMut() -> Result<Closed, Refused> + 'd;

/// Why a case is not judged.
#[derive(Debug, Clone, Copy)]
pub struct Refused(pub &'static str);

/// Writes what becomes of cases, until another writer is opened.
pub trait CaseWriter {
    /// Splits a batch into transactions.
    fn transactions(&self, batch: Batch) -> Vec<Vec<Closed>>;

    /// Writes what becomes of cases, in one transaction.
    ///
    /// # Errors
    /// As the loop's transactions; after [`Failure::Aborted`] and [`Failure::TooLarge`] it can be
    /// tried again once [`CaseWriter::abort`] succeeded.
    fn publish(&mut self, records: &[Closed]) -> Result<(), Failure>;

    /// Aborts what could not be committed.
    ///
    /// # Errors
    /// If this writer cannot go on.
    fn abort(&mut self) -> Result<(), Failure>;
}

/// Where time passes and progress is told.
pub trait Progress {
    /// Waits.
    fn pause(&mut self, time: Duration);

    /// An attempt failed, and another one begins.
    fn retrying(&mut self, cause: &str);

    /// So many cases need no more.
    fn handled(&mut self, cases: usize);
}

/// Why an attempt ended early.
#[derive(Debug)]
pub enum Stop {
    /// A new writer can go on.
    Retry(String),
    /// It cannot go on.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Stop::Failed(error)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Aborted(_) | Failure::Broken(_) => Stop::Retry(failure.to_string()),
            Failure::Fenced(what) => Stop::Failed(anyhow!(
                "another `quarantine replay` or `done` of this group has taken over; if none runs, the broker has timed the transaction out: run the command again ({what})"
            )),
            other => Stop::Failed(anyhow!(other.to_string())),
        }
    }
}

/// Closes the open cases, at most so many, and returns what became of them.
///
/// # Errors
/// If the cluster refuses, another replayer takes over, or nothing can be committed for several
/// attempts.
pub fn close(
    cases: &mut impl Cases,
    limit: Option<u64>,
    progress: &mut dyn Progress,
) -> anyhow::Result<Tally> {
    let mut closing = Closing {
        limit,
        progress,
        tally: Tally::default(),
        handled: HashSet::new(),
        unclear: Vec::new(),
        records_max: usize::MAX,
    };
    let mut failed = 0;
    loop {
        let before = (closing.handled.len(), closing.records_max);
        match closing.attempt(cases) {
            Ok(()) => return Ok(closing.tally),
            Err(Stop::Failed(error)) => return Err(error),
            Err(Stop::Retry(cause)) => {
                let is_further = before != (closing.handled.len(), closing.records_max);
                failed = if is_further { 1 } else { failed + 1 };
                if failed >= ATTEMPTS_MAX {
                    let handled = closing.handled.len();
                    bail!(
                        "given up after {ATTEMPTS_MAX} attempts; {handled} records were committed; {cause}"
                    );
                }
                closing.progress.retrying(&cause);
                closing.progress.pause(ATTEMPT_PAUSE);
            }
        }
    }
}

/// What is known of the cases over all attempts.
struct Closing<'p> {
    limit: Option<u64>,
    progress: &'p mut dyn Progress,
    tally: Tally,
    /// The cases that need no more: committed, or not to be judged.
    handled: HashSet<CaseDigest>,
    /// The cases of a transaction of which it is not known whether it was committed.
    unclear: Vec<(CaseDigest, Outcome)>,
    /// How many records a topic accepts in one transaction, as far as is known. A refusal mostly
    /// costs the writer, so a later attempt must know.
    records_max: usize,
}

impl Closing<'_> {
    /// Opens a writer, and only then reads what is open: whatever another replayer had begun is
    /// committed or aborted by now.
    fn attempt<C: Cases>(&mut self, cases: &mut C) -> Result<(), Stop> {
        let mut writer = cases.open()?;
        cases.read_outcomes()?;
        self.clear_up(cases);
        cases.prepare(&mut writer)?;
        let mut batch = Batch::default();
        let mut stopped = None;
        cases.read_open(&mut |case, decide| {
            let chosen = self.tally.selected() + batch.len() as u64;
            let is_enough = self.limit.is_some_and(|limit| chosen >= limit);
            if stopped.is_some() || is_enough || self.handled.contains(&case) {
                return;
            }
            match decide() {
                Ok(closed) => batch.add(closed),
                Err(Refused(why)) => {
                    self.tally.refuse(why);
                    self.handled.insert(case);
                }
            }
            if batch.is_full() {
                stopped = self.commit(&mut writer, &mut batch).err();
            }
        })?;
        if let Some(stop) = stopped {
            return Err(stop);
        }
        self.commit(&mut writer, &mut batch)?;
        cases.finish(writer);
        Ok(())
    }

    /// Finds out what became of a transaction whose commit had no answer.
    fn clear_up(&mut self, cases: &impl Cases) {
        for (case, outcome) in std::mem::take(&mut self.unclear) {
            if cases.is_closed(&case) {
                self.handled.insert(case);
                self.tally.add(outcome, None);
            }
        }
    }

    /// Commits a batch, and empties it.
    fn commit(&mut self, writer: &mut impl CaseWriter, batch: &mut Batch) -> Result<(), Stop> {
        for records in writer.transactions(std::mem::take(batch)) {
            self.publish_all(writer, &records)?;
        }
        Ok(())
    }

    /// Publishes records in one transaction, or in several where a topic does not accept so much at
    /// once.
    fn publish_all(
        &mut self,
        writer: &mut impl CaseWriter,
        records: &[Closed],
    ) -> Result<(), Stop> {
        for records in records.chunks(self.records_max) {
            self.publish(writer, records)?;
            self.progress.handled(self.handled.len());
        }
        Ok(())
    }

    fn publish(&mut self, writer: &mut impl CaseWriter, records: &[Closed]) -> Result<(), Stop> {
        let mut aborted = 0;
        loop {
            match writer.publish(records) {
                Ok(()) => break,
                Err(Failure::TooLarge(_)) if records.len() > 1 => {
                    self.records_max = records.len() / 2;
                    writer.abort()?;
                    return self.publish_all(writer, records);
                }
                Err(Failure::Aborted(what)) => {
                    writer.abort()?;
                    aborted += 1;
                    if aborted == ATTEMPTS_MAX {
                        return Err(Stop::Retry(what));
                    }
                    self.progress.pause(ATTEMPT_PAUSE);
                }
                Err(failure) => {
                    self.unclear = records.iter().map(|it| (it.digest(), it.outcome())).collect();
                    return Err(failure.into());
                }
            }
        }
        for record in records {
            self.handled.insert(record.digest());
            self.tally.add(record.outcome(), record.reason());
        }
        Ok(())
    }
}
