//! The end of a verification: what was found in the partitions is put together, and judged.

mod json;
mod text;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

use audit_chain::name::{self, Set, StreamName};

use crate::finding::{Exit, Findings, Label, range};
use crate::partition::{Claim, FailedBlock, Missing, PartitionReport, PartitionVerifier, Stray};
use crate::seals::{LastSeal, Sealed};

/// What a verification has found.
#[derive(Debug, Clone)]
pub struct Report {
    /// All findings.
    pub findings: Findings,
    /// Events that were confirmed, by stream.
    pub confirmed: BTreeMap<name::Stream, u64>,
    /// The last seal of each set.
    pub seals: BTreeMap<Set, LastSeal>,
    /// Records of outputs that were read.
    pub records: u64,
    /// Records of before the seal at which verification began.
    pub before: u64,
    /// How many seals were remembered outside the cluster and compared.
    pub remembered: usize,
}

impl Report {
    /// Returns how the verification ends.
    pub fn exit(&self) -> Exit {
        self.findings.exit()
    }

    /// Returns what became of quarantined records, as the seals count them; `None` if none was
    /// replayed yet.
    pub fn quarantine(&self) -> Option<QuarantineTotals> {
        let mut totals = QuarantineTotals::default();
        for last in self.seals.values() {
            match last.is_replay {
                true => {
                    totals.audited += last.totals.audited;
                    totals.closed += last.totals.skipped;
                }
                false => totals.quarantined += last.totals.quarantined,
            }
        }
        self.seals.values().any(|last| last.is_replay).then_some(totals)
    }
}

/// What became of quarantined records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QuarantineTotals {
    /// How many were quarantined.
    pub quarantined: u64,
    /// How many of them were audited later.
    pub audited: u64,
    /// How many were closed without an event.
    pub closed: u64,
}

/// What follows after all partitions were read.
#[derive(Debug)]
pub enum Step {
    /// The report.
    Done(Report),
    /// Records claim to be events that were confirmed already. To tell copies from forgeries, some
    /// partitions must be read once more.
    Ask(Questions),
}

/// Records that claim to be events that were confirmed already.
#[derive(Debug)]
pub struct Questions {
    report: Report,
    strays: BTreeMap<(StreamName, u32), Vec<Stray>>,
}

/// Puts the reports of all partitions together. A partition that seals name and that is not among
/// them counts as one without any record.
///
/// # Errors
/// If the temporary file cannot be read.
pub fn conclude(sealed: &Sealed, partitions: Vec<PartitionReport>) -> io::Result<Step> {
    let mut report = Report {
        findings: sealed.findings.clone(),
        confirmed: BTreeMap::new(),
        seals: sealed.sets.clone(),
        records: 0,
        before: 0,
        remembered: sealed.remembered(),
    };
    let mut gathered = Gathered::default();
    let given = partitions.iter().map(|report| (report.output.clone(), report.partition));
    let given: BTreeSet<_> = given.collect();
    let mut partitions = partitions;
    for (output, partition) in sealed.partitions().difference(&given) {
        let verifier = PartitionVerifier::new(sealed, output.clone(), *partition, 0);
        partitions.push(verifier.finish()?);
    }
    for partition in partitions {
        report.records += partition.records;
        report.before += partition.before;
        report.findings.append(partition.findings);
        for (stream, events) in partition.confirmed {
            *report.confirmed.entry(stream).or_default() += events;
        }
        for (set, messages) in partition.audited {
            *gathered.audited.entry(set).or_default() += messages;
        }
        gathered.failed.extend(partition.failed);
        gathered.missing.extend(partition.missing);
        gathered.strays.extend(partition.strays);
        let number = partition.partition;
        let expired = partition.expired_before.into_iter();
        gathered.expired_before.extend(expired.map(|(stream, from)| ((stream, number), from)));
    }
    let strays = gathered.place_strays(sealed)?;
    gathered.judge(sealed, &mut report);
    if report.findings.exit() != Exit::Evidence {
        gathered.check_audited(sealed, &mut report.findings);
    }
    if sealed.sets.is_empty() && report.records == 0 {
        report.findings.add(Label::NothingFound, "there is neither a seal nor an event");
    }
    if strays.is_empty() {
        return Ok(Step::Done(report));
    }
    Ok(Step::Ask(Questions { report, strays }))
}

/// Verifies all output partitions, each with its low watermark, one after another, when they can be
/// read as often as asked: `read` gives a verifier the records of a partition, and ends it.
///
/// # Errors
/// With the error of `read`, or if the temporary file cannot be read.
pub fn verify_partitions(
    sealed: &Sealed,
    partitions: impl IntoIterator<Item = (StreamName, u32, u64)>,
    mut read: impl FnMut(&StreamName, u32, PartitionVerifier<'_>) -> io::Result<PartitionReport>,
) -> io::Result<Report> {
    let first = partitions.into_iter().map(|(output, partition, low_watermark)| {
        let verifier = PartitionVerifier::new(sealed, output.clone(), partition, low_watermark);
        read(&output, partition, verifier)
    });
    let first = first.collect::<io::Result<_>>()?;
    match conclude(sealed, first)? {
        Step::Done(report) => Ok(report),
        Step::Ask(questions) => {
            let asked = questions.partitions().map(|(output, partition)| {
                let verifier = questions.verifier(sealed, output.clone(), partition);
                read(output, partition, verifier)
            });
            let answers = asked.collect::<io::Result<_>>()?;
            Ok(questions.answered(answers))
        }
    }
}

/// What all partitions together leave open.
#[derive(Debug, Default)]
struct Gathered {
    failed: Vec<FailedBlock>,
    missing: Vec<Missing>,
    strays: Vec<Stray>,
    expired_before: BTreeMap<(name::Stream, u32), u64>,
    audited: BTreeMap<Set, u64>,
}

impl Gathered {
    /// Gives each stray to the block that lacks it. Returns those whose events were confirmed
    /// already, by the partition that holds them.
    fn place_strays(
        &mut self,
        sealed: &Sealed,
    ) -> io::Result<BTreeMap<(StreamName, u32), Vec<Stray>>> {
        let mut asked: BTreeMap<_, Vec<Stray>> = BTreeMap::new();
        let failed =
            self.failed.iter().map(|failed| (failed.stream.clone(), failed.block.start.size));
        let mut places: HashMap<_, usize> = failed.zip(0..).collect();
        for stray in std::mem::take(&mut self.strays) {
            let number = stray.candidate.number;
            let Some(stream) = sealed.streams.get(stray.stream.as_str()) else { continue };
            let Some((partition, index)) = stream.locate(number, &sealed.spill)? else { continue };
            let list = stream.blocks.get(&partition);
            let block = list.map(|list| list.get(index, &sealed.spill)).transpose()?.flatten();
            let key = block.map(|block| (stray.stream.clone(), block.start.size));
            let failed = key.and_then(|key| places.get(&key)).copied();
            if let Some(failed) = failed.and_then(|index: usize| self.failed.get_mut(index)) {
                failed.claims.push(claim(stray));
                continue;
            }
            let is_missing = |missing: &Missing| {
                missing.stream == stray.stream && (missing.start..missing.end).contains(&number)
            };
            match block.filter(|_| self.missing.iter().any(is_missing)) {
                Some(block) => {
                    self.take_from_missing(&stray.stream, block.start.size, block.end.size);
                    let stream = stray.stream.clone();
                    places.insert((stream.clone(), block.start.size), self.failed.len());
                    let claims = vec![claim(stray)];
                    self.failed.push(FailedBlock { stream, partition, block, claims });
                }
                None => {
                    let key = (stray.stream.name().clone(), partition);
                    asked.entry(key).or_default().push(stray);
                }
            }
        }
        Ok(asked)
    }

    /// Removes the events of a block from those that are missing.
    fn take_from_missing(&mut self, stream: &name::Stream, start: u64, end: u64) {
        let cut = |missing: Missing| {
            let is_touched =
                missing.stream == *stream && missing.start < end && start < missing.end;
            if !is_touched {
                return vec![missing];
            }
            let before = Missing { end: start.min(missing.end), ..missing.clone() };
            let after = Missing { start: end.max(missing.start), ..missing };
            [before, after].into_iter().filter(|it| it.start < it.end).collect()
        };
        self.missing = std::mem::take(&mut self.missing).into_iter().flat_map(cut).collect();
    }

    /// Labels what could not be confirmed.
    fn judge(&mut self, sealed: &Sealed, report: &mut Report) {
        for failed in &self.failed {
            let judged = failed.judge(&mut report.findings);
            *report.confirmed.entry(failed.stream.clone()).or_default() += judged.confirmed;
            self.missing.extend(judged.missing);
        }
        self.missing.sort_by(|a, b| (&a.stream, a.start).cmp(&(&b.stream, b.start)));
        let mut ranges: Vec<Missing> = Vec::new();
        for missing in std::mem::take(&mut self.missing) {
            missing.join(&mut ranges);
        }
        for Missing { stream, partition, start, end } in ranges {
            let key = (stream, partition);
            let expired_before = self.expired_before.get(&key).copied().unwrap_or_default();
            let (stream, _) = key;
            let size = sealed.streams.get(stream.as_str()).map_or(0, |stream| stream.head.size);
            let label = match end {
                _ if end <= expired_before => Label::Expired,
                _ if end == size => Label::Truncated,
                _ => Label::Missing,
            };
            let events = range("event", start, end);
            report.findings.add(label, format_args!("{stream} {events}"));
        }
    }

    /// Compares what seals say was audited with the events. Only where all events were confirmed.
    fn check_audited(&self, sealed: &Sealed, findings: &mut Findings) {
        if findings.iter().any(|(label, ..)| label == Label::Expired) {
            return;
        }
        for (set, last) in &sealed.sets {
            let found = self.audited.get(set).copied().unwrap_or_default();
            if found < last.audited {
                let text = format_args!(
                    "the seals of {set} count {} audited messages, and the events come from {found}",
                    last.audited
                );
                findings.add(Label::SealCounts, text);
            }
        }
    }
}

fn claim(stray: Stray) -> Claim {
    Claim { candidate: stray.candidate, place: stray.place, is_stray: true }
}

impl Questions {
    /// Returns the partitions to read once more.
    pub fn partitions(&self) -> impl Iterator<Item = (&StreamName, u32)> {
        self.strays.keys().map(|(output, partition)| (output, *partition))
    }

    /// Returns the verifier for reading a partition once more.
    pub fn verifier<'s>(
        &self,
        sealed: &'s Sealed,
        output: StreamName,
        partition: u32,
    ) -> PartitionVerifier<'s> {
        let strays = self.strays.get(&(output.clone(), partition)).cloned().unwrap_or_default();
        PartitionVerifier::new(sealed, output, partition, 0).asking(strays)
    }

    /// Ends with the answers of all these partitions.
    pub fn answered(self, partitions: Vec<PartitionReport>) -> Report {
        let Questions { mut report, .. } = self;
        for partition in partitions {
            report.findings.append(partition.answers);
        }
        report
    }
}
