//! Runs the verifier over a trail in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;

use audit_chain::hash::leaf::RecordHeader;
use audit_chain::name::StreamName;
use audit_chain::trust::Trust;
use audit_verify::{
    Options, PartitionReport, PartitionVerifier, Record, Report, SealRecord, Seals,
    verify_partitions,
};

use crate::trail::{Stored, Trail};
use crate::writer::key;

/// The trust file with the usual key.
pub(crate) fn usual_trust() -> Trust {
    format!("{}\n", key(1).public()).parse().expect("a trust file")
}

/// Verifies a trail with the usual key.
pub(crate) fn check(trail: &Trail) -> Report {
    check_with(trail, usual_trust(), Options::default())
}

pub(crate) fn check_with(trail: &Trail, trust: Trust, options: Options) -> Report {
    let mut seals = Seals::new(trust, options);
    take_seals(&mut seals, trail, 0..trail.seals.len());
    let sealed = seals.finish().expect("memory");
    let outputs = outputs(trail).into_iter().map(|output| {
        let low = trail.low_watermarks.get(&output).copied().unwrap_or_default();
        (output.0, output.1, low)
    });
    let report = verify_partitions(&sealed, outputs, |output, partition, verifier| {
        let records = trail.outputs.get(&(output.clone(), partition)).into_iter().flatten();
        read(verifier, records, |stored| stored.is_newer_than_seals)
    });
    report.expect("memory")
}

/// Gives these records of the checkpoints topic to the verifier.
pub(crate) fn take_seals(seals: &mut Seals, trail: &Trail, range: Range<usize>) {
    let records = trail.seals.iter().enumerate();
    for (offset, seal) in records.skip(range.start).take(range.len()) {
        let record = SealRecord {
            partition: 0,
            offset: offset as u64,
            key: seal.key.as_deref(),
            value: seal.note.as_deref(),
            has_headers: seal.has_headers,
        };
        seals.take(&record).expect("memory");
    }
}

/// Returns all output partitions: a topic from which everything was removed still has its own.
pub(crate) fn outputs(trail: &Trail) -> BTreeSet<(StreamName, u32)> {
    let names = ["eu-west-1", "us-east-1", "~quarantine"].map(|name| name.parse().expect("a name"));
    let partitions = |name: StreamName| (0..2).map(move |partition| (name.clone(), partition));
    let known = names.into_iter().flat_map(partitions);
    trail.outputs.keys().cloned().chain(known).collect()
}

/// Gives records to a verifier, and tells it which are newer than the seals.
pub(crate) fn read<'t>(
    mut verifier: PartitionVerifier<'_>,
    records: impl IntoIterator<Item = &'t Stored>,
    is_newer_than_seals: impl Fn(&Stored) -> bool,
) -> io::Result<PartitionReport> {
    for stored in records {
        let headers = stored.headers.iter();
        let headers: Vec<RecordHeader<'_>> =
            headers.map(|(name, value)| (name.as_slice(), value.as_deref())).collect();
        let record = Record {
            offset: stored.offset,
            timestamp_ms: stored.timestamp_ms,
            key: stored.key.as_deref(),
            value: stored.value.as_deref(),
            headers: &headers,
            is_newer_than_seals: is_newer_than_seals(stored),
        };
        verifier.take(&record)?;
    }
    verifier.finish()
}

/// The findings of a report, by label, with their numbers.
pub(crate) fn labels(report: &Report) -> BTreeMap<&'static str, u64> {
    report.findings.iter().map(|(label, _, count)| (label.text(), count)).collect()
}

/// Fails unless the findings are these labels.
#[track_caller]
pub(crate) fn assert_labels(name: &str, report: &Report, expected: &[&str]) {
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    let found: Vec<&str> = labels(report).into_keys().collect();
    assert_eq!(found, expected, "{name}: {:#?}", report.findings);
}

/// Fails unless everything was confirmed.
#[track_caller]
pub(crate) fn assert_proven(trail: &Trail, report: &Report) {
    assert_labels("untouched", report, &[]);
    let confirmed: u64 = report.confirmed.values().sum();
    assert_eq!(confirmed, trail.outputs.values().map(|it| it.len() as u64).sum::<u64>());
    assert_eq!(report.exit().code(), 0);
}
