//! `verify`: proves from public keys and topics that no audit event was altered, removed, inserted,
//! reordered or doubled. It needs no configuration of the relay and no right but to read.

mod memory;
mod progress;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context, anyhow};
use audit_chain::name::StreamName;
use audit_chain::trust::{Problem, Trust};
use audit_verify::{
    Exit, Label, Options, PartitionReport, PartitionVerifier, Record, Report, SealRecord, Seals,
    Step, conclude,
};

use self::memory::{anchors, recall, remember};
use self::progress::Progress;
use super::print;
use super::trail_source::{ExportedTrail, OutputTopic, TrailSource, TrailTopics, connect, whole};
use crate::commands::arguments::VerifyArgs;
use crate::kafka::trail_reader::{LogBounds, TrailRecord};

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
    let trust = trust(&arguments.trust)?;
    let mut options = Options { partitions: arguments.partitions, ..Options::default() };
    options.from.extend(arguments.from.iter().cloned());
    options.remembered = anchors(&arguments.anchors, &trust)?;
    let anchored = options.remembered.len();
    if let Some(state) = &arguments.state {
        options.remembered.extend(recall(state)?);
    }
    let source: Box<dyn TrailSource> = match &arguments.files {
        Some(folder) => Box::new(ExportedTrail::open(folder)?),
        None => Box::new(connect(&arguments.cluster)?),
    };
    let topics = TrailTopics::find(source.as_ref(), &arguments.topics)?;
    let mut report = read_trail(source.as_ref(), &topics, trust, options)?;
    add_asked(&mut report, arguments, anchored);
    if arguments.json {
        print(format_args!("{:#}", report.to_json())).context("write the report")?;
    } else {
        print(report.to_string().trim_end()).context("write the report")?;
    }
    let exit = report.exit();
    if let Some(state) = arguments.state.as_ref().filter(|_| exit != Exit::Evidence) {
        remember(state, &report.seals)?;
    }
    Ok(exit)
}

fn trust(path: &Path) -> anyhow::Result<Trust> {
    let place = || format!("read the trust file {}", path.display());
    let text = std::fs::read_to_string(path).with_context(place)?;
    text.parse().map_err(|problems: Vec<Problem>| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow!("{}: {}", place(), problems.join("; "))
    })
}

/// Adds what was asked for beyond the trail itself.
fn add_asked(report: &mut Report, arguments: &VerifyArgs, anchored: usize) {
    if arguments.require_anchor && anchored == 0 {
        report.findings.add(Label::NoAnchor, "no anchor was given with --anchors");
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    for (set, last) in &report.seals {
        let age = now.as_secs().saturating_sub(last.time_ms / 1_000);
        if arguments.max_age.is_some_and(|max| age > max) {
            let text = format_args!("the last seal of {set} is {age} s old");
            report.findings.add(Label::Stale, text);
        }
    }
}

/// Reads the whole trail: the ends of the outputs, the seals, and then the outputs to ends that lie
/// behind whatever the seals sign. Records behind the first ends may be newer than the seals.
fn read_trail(
    source: &dyn TrailSource,
    topics: &TrailTopics,
    trust: Trust,
    options: Options,
) -> anyhow::Result<Report> {
    let mut progress = Progress::default();
    let before = topics.output_bounds(source)?;
    let mut seals = Seals::new(trust, options);
    if let Some(checkpoints) = &topics.checkpoints {
        let bounds = source.bounds(checkpoints)?;
        source.read(checkpoints, &whole(&bounds), &mut |record| {
            progress.add(checkpoints);
            seals.take(&seal_record(record)).context("write a temporary file")
        })?;
    }
    let sealed = seals.finish().context("read a temporary file")?;
    let mut read = |new: &NewVerifier<'_, '_>| {
        let mut reports = Vec::new();
        for (topic, before) in topics.outputs.iter().zip(&before) {
            reports.extend(read_output(source, topic, before, new, &mut progress)?);
        }
        anyhow::Ok(reports)
    };
    let reports = read(&|stream, partition, low| {
        Some(PartitionVerifier::new(&sealed, stream.clone(), partition, low))
    })?;
    match conclude(&sealed, reports).context("read a temporary file")? {
        Step::Done(report) => Ok(report),
        Step::Ask(questions) => {
            let answers = read(&|stream, partition, _| {
                let is_asked = questions.partitions().any(|asked| asked == (stream, partition));
                is_asked.then(|| questions.verifier(&sealed, stream.clone(), partition))
            })?;
            Ok(questions.answered(answers))
        }
    }
}

/// Returns the verifier of an output's partition, which begins at a low watermark; `None` if the
/// partition need not be read.
type NewVerifier<'f, 's> = dyn Fn(&StreamName, u32, u64) -> Option<PartitionVerifier<'s>> + 'f;

/// Reads an output topic, of which these were the bounds before the seals were read.
fn read_output(
    source: &dyn TrailSource,
    topic: &OutputTopic,
    before: &BTreeMap<i32, LogBounds>,
    new: &NewVerifier<'_, '_>,
    progress: &mut Progress,
) -> anyhow::Result<Vec<PartitionReport>> {
    let after = source.bounds(&topic.name)?;
    let mut verifiers = BTreeMap::new();
    for (partition, bounds) in &after {
        let number = u32::try_from(*partition).unwrap_or_default();
        let low = u64::try_from(bounds.low).unwrap_or_default();
        verifiers.extend(new(&topic.stream, number, low).map(|verifier| (*partition, verifier)));
    }
    let mut ranges = whole(&after);
    ranges.retain(|partition, _| verifiers.contains_key(partition));
    source.read(&topic.name, &ranges, &mut |record| {
        progress.add(&topic.name);
        let Some(verifier) = verifiers.get_mut(&record.partition) else { return Ok(()) };
        let before = before.get(&record.partition).map_or(0, |bounds| bounds.stable_end);
        let headers = record.headers.iter();
        let headers: Vec<_> =
            headers.map(|(name, value)| (name.as_slice(), value.as_deref())).collect();
        let record = Record {
            offset: u64::try_from(record.offset).unwrap_or_default(),
            timestamp_ms: record.timestamp_ms,
            key: record.key,
            value: record.value,
            headers: &headers,
            is_newer_than_seals: record.offset >= before,
        };
        verifier.take(&record).context("read a temporary file")
    })?;
    let reports = verifiers.into_values().map(PartitionVerifier::finish);
    reports.collect::<std::io::Result<_>>().context("read a temporary file")
}

fn seal_record<'a>(record: &TrailRecord<'a>) -> SealRecord<'a> {
    SealRecord {
        partition: u32::try_from(record.partition).unwrap_or_default(),
        offset: u64::try_from(record.offset).unwrap_or_default(),
        key: record.key,
        value: record.value,
        has_headers: !record.headers.is_empty(),
    }
}
