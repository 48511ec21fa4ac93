//! Verifies what a sealed run has written, as an auditor would: with the public key, the committed
//! records of the outputs, and the committed seals.

use std::collections::BTreeMap;
use std::io;

use audit_chain::name::StreamName;
use audit_chain::trust::Trust;
use audit_verify::{
    Exit, Options, PartitionReport, PartitionVerifier, Record, Report, SealRecord, Seals,
    verify_partitions,
};

use super::cluster::{Cluster, Written};
use super::oracle::Content;
use super::seam::signing_key;

/// The name of the trail.
pub const ORIGIN: &str = "audit.example.com/simulation";
/// The name of the input topic.
pub const INPUT: &str = "changes";
/// The regions' names, by index. The planted fault of wrong regions writes to one more.
pub const REGIONS: [&str; 4] = ["eu-de", "us-east", "us-south", "jp-tok"];
/// The time at which every run begins, in milliseconds since 1970.
pub const START_MS: u64 = 1_700_000_000_000;

/// A record as the broker stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    pub timestamp_ms: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// Returns what a verifier finds wrong.
pub fn verify(cluster: &Cluster) -> Vec<String> {
    let trust: Trust = signing_key().public().to_string().parse().expect("a trust file");
    let mut seals = Seals::new(trust, Options::default());
    for (offset, (key, note)) in (0..).zip(committed(cluster).filter_map(seal)) {
        let (key, value) = (Some(key.as_bytes()), Some(note.as_bytes()));
        let record = SealRecord { partition: 0, offset, key, value, has_headers: false };
        seals.take(&record).expect("a temporary file");
    }
    let sealed = seals.finish().expect("a temporary file");
    let mut outputs = BTreeMap::<_, Vec<&StoredRecord>>::new();
    for written in committed(cluster) {
        if let (Some(record), Some(stream)) = (&written.draft.record, stream(written)) {
            outputs.entry((stream, written.draft.partition.0 as u32)).or_default().push(record);
        }
    }
    let partitions = outputs.keys().map(|(stream, partition)| (stream.clone(), *partition, 0));
    let report = verify_partitions(&sealed, partitions, |stream, partition, verifier| {
        let records = outputs.get(&(stream.clone(), partition));
        read(verifier, records.map_or(&[][..], Vec::as_slice))
    });
    let report = report.expect("a temporary file");
    findings(&report)
}

fn findings(report: &Report) -> Vec<String> {
    if report.exit() != Exit::Evidence {
        return Vec::new();
    }
    let findings = report.findings.iter();
    findings.map(|(label, texts, count)| format!("{label:?} {count}: {texts:?}")).collect()
}

fn read(
    mut verifier: PartitionVerifier<'_>,
    records: &[&StoredRecord],
) -> io::Result<PartitionReport> {
    for (offset, stored) in (0..).zip(records) {
        let headers = stored.headers.iter();
        let headers: Vec<_> =
            headers.map(|(name, value)| (name.as_slice(), value.as_deref())).collect();
        let record = Record {
            offset,
            timestamp_ms: stored.timestamp_ms,
            key: stored.key.as_deref(),
            value: stored.value.as_deref(),
            headers: &headers,
            is_newer_than_seals: false,
        };
        verifier.take(&record)?;
    }
    verifier.finish()
}

fn committed(cluster: &Cluster) -> impl Iterator<Item = &Written> {
    let written = cluster.written.iter();
    written.filter(|written| cluster.transactions[written.transaction].is_committed())
}

fn seal(written: &Written) -> Option<(&str, &str)> {
    match &written.draft.content {
        Content::Seal { key, note, .. } => Some((key, note)),
        Content::Event { .. } | Content::Original { .. } => None,
    }
}

fn stream(written: &Written) -> Option<StreamName> {
    match &written.draft.content {
        Content::Event { region, .. } => REGIONS.get(*region)?.parse().ok(),
        Content::Original { .. } => Some(StreamName::Quarantine),
        Content::Seal { .. } => None,
    }
}
