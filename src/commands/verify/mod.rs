//! `verify`: proves from public keys and topics that no audit event was altered, removed, inserted,
//! reordered or doubled. It needs no configuration of the relay and no right but to read.

mod follow;
mod memory;

mod reading;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

use anyhow::{Context, anyhow};
use audit_chain::trust::{Problem, Trust};
use audit_verify::{Exit, Findings, Label, Options, Remembered, Report};

use self::memory::{anchors, recall, remember};
use self::reading::{Unverified, Verified};
use super::print;
use super::trail_source::{ExportedTrail, TrailSource, TrailTopics, connect};
use crate::commands::arguments::VerifyArgs;
use crate::commands::progress::Progress;

/// The exit code of a verification that could not be finished: there is no verdict.
pub const UNFINISHED: u8 = 3;

/// Verifies a trail, prints the report, and returns its exit code.
pub fn verify(arguments: &VerifyArgs) -> ExitCode {
    // An accident must never look like a verdict.
    std::panic::set_hook(Box::new(|panic| {
        _ = writeln!(std::io::stderr(), "audit-relay: {panic}");
        std::process::exit(i32::from(UNFINISHED));
    }));
    match run(arguments) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) => {
            _ = writeln!(std::io::stderr(), "audit-relay: no verdict: {error:#}");
            ExitCode::from(UNFINISHED)
        }
    }
}

fn run(arguments: &VerifyArgs) -> anyhow::Result<Exit> {
    let mut witness = Witness::new(arguments)?;
    if arguments.follow {
        return witness.follow();
    }
    let report = witness.verify()?;
    witness.show(&report)?;
    witness.remember(&report)?;
    Ok(report.exit())
}

/// Who verifies a trail, once or again and again.
struct Witness<'a> {
    arguments: &'a VerifyArgs,
    trust: Trust,
    source: Box<dyn TrailSource>,
    progress: Progress,
    /// What was verified so far, to go on behind it.
    verified: Option<Verified>,
    /// When the last whole verification began.
    began: Instant,
    /// What it found to have expired, which stays so.
    expired: Findings,
}

impl<'a> Witness<'a> {
    fn new(arguments: &'a VerifyArgs) -> anyhow::Result<Self> {
        let source: Box<dyn TrailSource> = match &arguments.files {
            Some(folder) => Box::new(ExportedTrail::open(folder)?),
            None => Box::new(connect(&arguments.cluster)?),
        };
        let (trust, progress) = (trust(&arguments.trust)?, Progress::default());
        let (began, expired) = (Instant::now(), Findings::default());
        Ok(Witness { arguments, trust, source, progress, verified: None, began, expired })
    }

    /// Verifies the trail, or what came since it was verified without evidence.
    fn verify(&mut self) -> anyhow::Result<Report> {
        let anchors = anchors(&self.arguments.anchors, &self.trust)?;
        let is_anchored = !anchors.is_empty();
        let mut remembered = anchors;
        if let Some(state) = &self.arguments.state {
            remembered.extend(recall(state)?);
        }
        let is_whole = self.verified.is_none();
        let unverified = match self.verified.take() {
            Some(verified) => verified.go_on(remembered),
            None => {
                self.began = Instant::now();
                Unverified::whole(self.trust.clone(), self.options(remembered))
            }
        };
        let topics = TrailTopics::find(self.source.as_ref(), &self.arguments.topics)?;
        let (mut report, verified) =
            unverified.verify(self.source.as_ref(), &topics, &mut self.progress)?;
        if is_whole {
            self.expired = report.findings.of(Label::Expired);
        } else {
            report.findings.append(self.expired.clone());
        }
        self.add_asked(&mut report, is_anchored);
        self.verified = Some(verified).filter(|_| report.exit() != Exit::Evidence);
        Ok(report)
    }

    fn options(&self, remembered: Vec<Remembered>) -> Options {
        let VerifyArgs { partitions, from, .. } = self.arguments;
        Options { partitions: *partitions, from: from.iter().cloned().collect(), remembered }
    }

    /// Adds what was asked for beyond the trail itself.
    fn add_asked(&self, report: &mut Report, is_anchored: bool) {
        let VerifyArgs { require_anchor, max_age, .. } = *self.arguments;
        if require_anchor && !is_anchored {
            report.findings.add(Label::NoAnchor, "no anchor was given with --anchors");
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // Replays are sealed only when there is one.
        for (set, last) in report.seals.iter().filter(|(_, last)| !last.is_replay) {
            let age = now.as_secs().saturating_sub(last.time_ms / 1_000);
            if max_age.is_some_and(|max| age > max) {
                let text = format_args!("the last seal of {set} is {age} s old");
                report.findings.add(Label::Stale, text);
            }
        }
    }

    /// Prints the report. As JSON it is one line if others may follow.
    fn show(&self, report: &Report) -> anyhow::Result<()> {
        let printed = match (self.arguments.json, self.arguments.follow) {
            (true, true) => print(report.to_json()),
            (true, false) => print(format_args!("{:#}", report.to_json())),
            (false, _) => print(report.to_string().trim_end()),
        };
        printed.context("write the report")
    }

    /// Remembers the last seals for the next verification, unless there is evidence.
    fn remember(&self, report: &Report) -> anyhow::Result<()> {
        let state = self.arguments.state.as_ref().filter(|_| report.exit() != Exit::Evidence);
        state.map_or(Ok(()), |state| remember(state, &report.seals))
    }
}

fn trust(path: &Path) -> anyhow::Result<Trust> {
    let place = || format!("read the trust file {}", path.display());
    let text = std::fs::read_to_string(path).with_context(place)?;
    text.parse().map_err(|problems: Vec<Problem>| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow!("{}: {}", place(), problems.join("; "))
    })
}
