//! The trail of a deployment, verified as an auditor would: with the public key, and what the
//! topics hold.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use audit_chain::key::SigningKey;
use audit_chain::name::StreamName;
use audit_verify::{
    Exit, Options, PartitionReport, PartitionVerifier, Record, Report, SealRecord, Seals,
    verify_partitions,
};

use crate::operator;
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::relay::{REGIONS, TestDeployment};
use audit_testkit::topics::{Seen, read_committed};

const ORIGIN: &str = "audit.example.com/test";

/// The settings of a topic that deletes nothing.
pub const KEPT_FOREVER: [(&str, &str); 2] = [("retention.ms", "-1"), ("retention.bytes", "-1")];

/// The key that signs in every deployment.
pub fn signing_key() -> SigningKey {
    SigningKey::from_seed(ORIGIN.parse().expect("an origin"), &[9; 32])
}

/// Seals a deployment from now on. The topic with the seals has as many partitions as no other.
#[track_caller]
pub fn seal(broker: &KafkaBroker, deployment: &mut TestDeployment) {
    broker.create_topic_with(&deployment.checkpoints(), 5, &KEPT_FOREVER);
    configure_seals(deployment);
}

/// Writes the key, and the lines of the configuration that seal the trail.
#[track_caller]
pub fn configure_seals(deployment: &mut TestDeployment) {
    let path = deployment.path("seal.pem");
    fs::write(&path, &*signing_key().to_pem().expect("a key")).expect("write the key");
    deployment.integrity = format!("origin = \"{ORIGIN}\"\nkey = \"{}\"\n", path.display());
}

/// Runs `resume` with these arguments.
#[track_caller]
pub fn resume(deployment: &TestDeployment, arguments: &[&str]) -> (bool, String) {
    let (code, said) = operator::run(deployment, &[&["resume"], arguments].concat());
    (code == Some(0), said)
}

/// Fails the test unless every event is proven, and there is something to prove.
#[track_caller]
pub fn assert_proven(broker: &KafkaBroker, deployment: &TestDeployment) -> Report {
    let report = verify(broker, deployment);
    assert_ne!(report.exit(), Exit::Evidence, "{report}");
    let confirmed: u64 = report.confirmed.values().sum();
    assert!(confirmed > 0 && confirmed == report.records, "{report}");
    report
}

/// Verifies the trail of a deployment.
pub fn verify(broker: &KafkaBroker, deployment: &TestDeployment) -> Report {
    let trust = signing_key().public().to_string().parse().expect("a trust file");
    let mut seals = Seals::new(trust, Options::default());
    for seen in read_committed(broker.bootstrap(), &deployment.checkpoints()) {
        let record = SealRecord {
            partition: seen.partition as u32,
            offset: seen.offset as u64,
            key: seen.key.as_deref(),
            value: seen.value.as_deref(),
            has_headers: !seen.headers.is_empty(),
        };
        seals.take(&record).expect("a temporary file");
    }
    let sealed = seals.finish().expect("a temporary file");
    let outputs = outputs(broker, deployment);
    let partitions = outputs.keys().map(|(stream, partition)| (stream.clone(), *partition, 0));
    let report = verify_partitions(&sealed, partitions, |stream, partition, verifier| {
        let records = outputs.get(&(stream.clone(), partition));
        read(verifier, records.map_or(&[][..], Vec::as_slice))
    });
    report.expect("a temporary file")
}

/// The records of all outputs, by stream and partition.
fn outputs(
    broker: &KafkaBroker,
    deployment: &TestDeployment,
) -> BTreeMap<(StreamName, u32), Vec<Seen>> {
    let regions = REGIONS.map(|region| region.parse().expect("a region"));
    let streams = regions.into_iter().chain([StreamName::Quarantine]);
    let topics = deployment.outputs().into_iter().chain([deployment.quarantine.clone()]);
    let mut outputs = BTreeMap::<_, Vec<Seen>>::new();
    for (stream, topic) in streams.zip(topics) {
        for seen in read_committed(broker.bootstrap(), &topic) {
            outputs.entry((stream.clone(), seen.partition as u32)).or_default().push(seen);
        }
    }
    outputs
}

fn read(mut verifier: PartitionVerifier<'_>, records: &[Seen]) -> io::Result<PartitionReport> {
    for seen in records {
        let headers = seen.headers.iter();
        let headers: Vec<_> =
            headers.map(|(name, value)| (name.as_bytes(), value.as_deref())).collect();
        let record = Record {
            offset: seen.offset as u64,
            timestamp_ms: seen.timestamp.unwrap_or(-1),
            key: seen.key.as_deref(),
            value: seen.value.as_deref(),
            headers: &headers,
            is_newer_than_seals: false,
        };
        verifier.take(&record)?;
    }
    verifier.finish()
}
