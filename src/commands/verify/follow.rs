//! `verify --follow`: a witness that verifies what comes to a trail, until there is evidence.

use std::io::Write;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use audit_chain::time::Time;
use audit_verify::{Exit, Label, LastSeal, Report};

use super::{Witness, print};

/// How often everything is verified again, since what was verified could have been removed or
/// changed afterwards.
const WHOLE_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

impl Witness<'_> {
    /// Verifies the whole trail, and then again and again what came since.
    ///
    /// # Errors
    /// If the first verification cannot be finished, or a report cannot be written. Later ones are
    /// tried again.
    pub(super) fn follow(&mut self) -> anyhow::Result<Exit> {
        let mut last = self.verify()?;
        self.show(&last)?;
        self.remember(&last)?;
        while last.exit() != Exit::Evidence {
            thread::sleep(Duration::from_secs(self.arguments.every));
            if self.began.elapsed() >= WHOLE_EVERY {
                self.verified = None;
            }
            match self.verify_next() {
                Ok(report) => {
                    self.show_next(&last, &report)?;
                    self.remember(&report)?;
                    last = report;
                }
                Err(error) => {
                    let every = self.arguments.every;
                    _ = writeln!(
                        std::io::stderr(),
                        "audit-relay: no verdict: {error:#}; the whole trail is verified again in {every} s"
                    );
                }
            }
        }
        Ok(last.exit())
    }

    /// Verifies what came since. Where there is evidence, the whole trail is verified, since only
    /// that tells a copy from a forgery.
    fn verify_next(&mut self) -> anyhow::Result<Report> {
        let is_part = self.verified.is_some();
        let report = self.verify()?;
        if !is_part || report.exit() != Exit::Evidence {
            return Ok(report);
        }
        match self.verify() {
            Ok(whole) if whole.exit() == Exit::Evidence => Ok(whole),
            _ => Ok(report),
        }
    }

    /// Prints what is new: all of a report that ends otherwise than the last one, or a line.
    fn show_next(&self, last: &Report, report: &Report) -> anyhow::Result<()> {
        if counts(last) != counts(report) {
            return self.show(report);
        }
        let is_same = |(a, b): (&LastSeal, &LastSeal)| a.digest == b.digest;
        let known = last.seals.values().zip(report.seals.values());
        if last.seals.len() == report.seals.len() && known.into_iter().all(is_same) {
            return Ok(());
        }
        if self.arguments.json {
            return self.show(report);
        }
        let events: u64 = report.confirmed.values().sum();
        let newest =
            report.seals.values().map(|last| last.time_ms).max().and_then(Time::from_epoch_ms);
        let newest = newest.map(|time| time.to_string()).unwrap_or_default();
        print(format_args!("{events} more confirmed; newest seal {newest}"))
            .context("write the report")
    }
}

/// Returns what a report finds, without the texts, which may tell the time.
fn counts(report: &Report) -> Vec<(Label, u64)> {
    report.findings.iter().map(|(label, _, count)| (label, count)).collect()
}
