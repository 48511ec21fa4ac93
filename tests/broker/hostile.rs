//! Records at the limits of the input: 10 MB, floods of headers, binary keys. Each is quarantined
//! unchanged, the partition continues, and the metrics do not grow with producers' data. A record
//! that decompresses beyond the quarantine's limit becomes a stub.

use openssl::sha::sha256;

use crate::PROGRAM;
use crate::ledger::{ADDED, ExpectedFate, PRINCIPALS, assert_accounted, change, expected_fate};
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::relay::{Relay, TestDeployment, measured};
use audit_testkit::topics::{
    HeaderList, Seen, TestRecord, noise, produce, produce_compressed, read_committed,
};

/// The largest record batch of the input.
const INPUT_BYTES: usize = 12_000_000;
/// Measured: 152 MB, which is the record as the client holds it, without a copy.
const PEAK_BYTES_MAX: u64 = 200_000_000;

fn bad(key: &[u8], value: Vec<u8>, headers: HeaderList) -> TestRecord {
    TestRecord { key: Some(key.to_vec()), value: Some(value), headers, ..TestRecord::default() }
}

/// Headers with all kinds of names and values, including the relay's own names.
fn flood(count: usize) -> HeaderList {
    let header = |number: usize| match number % 4 {
        0 => ("audit-relay-reason".to_string(), Some(b"forged\r\n".to_vec())),
        1 => (String::new(), None),
        2 => ("\u{1b}[31m".to_string(), Some(vec![0xff; 100])),
        _ => (format!("header-{number}"), Some(Vec::new())),
    };
    (0..count).map(header).collect()
}

fn records() -> Vec<TestRecord> {
    // Incompressible: the quarantine must accept what the input accepts.
    let large = noise;
    vec![
        bad(b"large", large(10_000_000), Vec::new()),
        // The largest possible value; the rest is for the framing.
        bad(b"limit", large(INPUT_BYTES - 200), Vec::new()),
        // librdkafka reads at most 100,000 headers of a record, including those of the quarantined
        // copy.
        bad(b"flood", b"x".to_vec(), flood(99_990)),
        bad(&[0xff, 0, b'\n', 0x1b], b"\xff\xfe".to_vec(), flood(4)),
        bad(&large(1_000_000), b"{}".to_vec(), Vec::new()),
        bad(b"partition=\"9\"} 1\n# HELP", b"{\"eventName\":\"\\n\"}".to_vec(), Vec::new()),
        TestRecord { key: None, value: None, ..TestRecord::default() },
    ]
}

/// A deployment with topics for large records.
fn deployment(broker: &KafkaBroker) -> TestDeployment {
    let mut deployment = TestDeployment::create(PROGRAM, broker, 1, PRINCIPALS, "");
    let topic = |name: &str, bytes: usize| {
        let name = broker.unique(name);
        broker.create_topic_with(&name, 1, &[("max.message.bytes", &bytes.to_string())]);
        name
    };
    deployment.input = topic("large-changes", INPUT_BYTES);
    // The minimum that the cluster check requires.
    deployment.quarantine = topic("large-quarantine", INPUT_BYTES + 4_096);
    deployment
}

#[test]
fn records_at_the_limit_are_quarantined_unchanged_and_block_nothing() {
    let broker = KafkaBroker::shared();
    let deployment = deployment(broker);
    let hostile = records();
    let count = hostile.len();
    let behind = (0..4).map(|number| TestRecord { partition: Some(0), ..change(number) });
    produce(broker.bootstrap(), &deployment.input, hostile.clone().into_iter().chain(behind));
    let relay = deployment.start("steadfast");
    let metrics = await_read(&relay, count as u64 + 4);
    let audited = measured(&metrics, "audit_relay_records_total", "fate=\"audited\"");
    assert_eq!(audited, Some(4.0));
    let series = metrics.lines().filter(|line| line.starts_with("audit_relay_records_total{"));
    // One series for each fate and reason of one partition, and none from producers' data.
    assert_eq!(series.count(), 15, "{metrics}");
    assert_accounted(&metrics);
    let kept = read_committed(broker.bootstrap(), &deployment.quarantine);
    assert_eq!(kept.len(), count);
    for (offset, (original, kept)) in hostile.iter().zip(&kept).enumerate() {
        assert_kept_unchanged(original, kept, &deployment.input, offset);
    }
}

/// Asserts that the original is unchanged, and that the relay's headers follow its own, each once
/// and correct.
#[track_caller]
fn assert_kept_unchanged(original: &TestRecord, kept: &Seen, topic: &str, offset: usize) {
    let key = String::from_utf8_lossy(original.key.as_deref().unwrap_or_default());
    let key: String = key.chars().take(20).collect();
    assert!(original.key == kept.key, "{key:?}: the key");
    assert!(original.value == kept.value, "{key:?}: the value");
    let count = original.headers.len();
    assert!(kept.headers.len() >= count, "{key:?}: the headers");
    let (theirs, ours) = kept.headers.split_at(count);
    assert!(original.headers == theirs, "{key:?}: the headers");
    let names: Vec<&str> = ours.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ADDED, "{key:?}");
    assert!(!header(kept, "audit-relay-detail").is_empty(), "{key:?}");
    for (name, expected) in [
        ("audit-relay-reason", "malformed"),
        ("audit-relay-topic", topic),
        ("audit-relay-partition", "0"),
        ("audit-relay-offset", &offset.to_string()),
        ("audit-relay-version", env!("CARGO_PKG_VERSION")),
        ("audit-relay-stub", "false"),
    ] {
        assert_eq!(header(kept, name), expected, "{key:?}: {name}");
    }
}

/// Bytes that gzip compresses eight times, and lz4 hardly.
fn bits(bytes: usize) -> Vec<u8> {
    let noise = noise(bytes.div_ceil(8));
    let bits = noise.iter().flat_map(|byte| (0..8).map(move |bit| b'0' + (byte >> bit & 1)));
    bits.take(bytes).collect()
}

/// A malformed record that fits a broker's default limit when compressed.
fn compressible(name: &str, value: Vec<u8>) -> TestRecord {
    let beginning =
        br#"{"eventName":"Power On","objectName":"Server","userType":"CUSTOMER","metaData":""#;
    TestRecord {
        partition: Some(0),
        value: Some([&beginning[..], &value].concat()),
        ..bad(name.as_bytes(), Vec::new(), vec![("of".to_string(), Some(name.into()))])
    }
}

/// Topics with the broker's default limits.
fn plain_deployment(broker: &KafkaBroker) -> TestDeployment {
    let mut deployment = TestDeployment::create(PROGRAM, broker, 1, PRINCIPALS, "");
    deployment.quarantine = broker.unique("plain-quarantine");
    broker.create_topic(&deployment.quarantine, 1);
    deployment
}

/// Writes valid records and these bad ones among them, compressed. Returns the total number.
fn write_mixed(
    broker: &KafkaBroker,
    deployment: &TestDeployment,
    codec: &str,
    bad: &[TestRecord],
) -> u64 {
    let good = (0..40).map(|number| TestRecord { partition: Some(0), ..change(number) });
    let mut records: Vec<TestRecord> = good.collect();
    for (number, record) in bad.iter().enumerate() {
        records.insert(5 + 6 * number, record.clone());
    }
    let records = records.into_iter();
    produce_compressed(broker.bootstrap(), &deployment.input, codec, records) as u64
}

#[track_caller]
fn await_read(relay: &Relay, count: u64) -> String {
    relay.await_metric("audit_relay_records_read_total", "", |read| read == count as f64)
}

/// Returns the last header with this name, as text.
fn header<'a>(seen: &'a Seen, name: &str) -> &'a str {
    let last = seen.headers.iter().rev().find(|(header, _)| header == name);
    let value = last.and_then(|(_, value)| value.as_deref());
    std::str::from_utf8(value.unwrap_or_default()).expect("text")
}

/// Asserts that the stub has the beginning of the original and describes it.
#[track_caller]
fn assert_is_stub_of(original: &TestRecord, stub: &Seen) {
    let value = original.value.as_deref().unwrap_or_default();
    assert_eq!(stub.value.as_deref(), Some(&value[..1_000]));
    assert_eq!(stub.key, original.key);
    assert!(stub.headers.starts_with(&original.headers));
    let sha256: String = sha256(value).iter().map(|byte| format!("{byte:02x}")).collect();
    for (name, expected) in [
        ("audit-relay-stub", "true"),
        ("audit-relay-reason", "malformed"),
        ("audit-relay-partition", "0"),
        ("audit-relay-value-bytes", &value.len().to_string()),
        ("audit-relay-value-sha256", &sha256),
    ] {
        assert_eq!(header(stub, name), expected, "{name}");
    }
}

/// Asserts that all valid records are audited and that each bad one has a stub.
#[track_caller]
fn assert_nothing_held(broker: &KafkaBroker, deployment: &TestDeployment, bad: &[TestRecord]) {
    let kept = read_committed(broker.bootstrap(), &deployment.quarantine);
    let stubs = kept.iter().filter(|seen| header(seen, "audit-relay-stub") == "true");
    let stubs: Vec<&Seen> = stubs.collect();
    assert_eq!(stubs.len(), bad.len());
    for (original, stub) in bad.iter().zip(stubs) {
        assert_is_stub_of(original, stub);
    }
    let audited = deployment.outputs().into_iter();
    let audited = audited.map(|topic| read_committed(broker.bootstrap(), &topic).len());
    let expected = (0..40).filter(|number| expected_fate(*number) == ExpectedFate::Audited);
    assert_eq!(audited.sum::<usize>(), expected.count());
}

#[test]
fn a_record_that_decompresses_beyond_the_quarantine_limit_becomes_a_stub() {
    let broker = KafkaBroker::shared();
    for (codec, name, value) in [
        ("gzip", "bits", bits(5_500_000)),
        ("zstd", "blanks", vec![b' '; 3_000_000]),
        ("lz4", "blanks", vec![b' '; 20_000_000]),
    ] {
        let deployment = plain_deployment(broker);
        let bad = [compressible(name, value.clone()), compressible(name, value)];
        let count = write_mixed(broker, &deployment, codec, &bad);
        let relay = deployment.start("steadfast");
        let metrics = await_read(&relay, count);
        let stubs = measured(&metrics, "audit_relay_quarantine_stubs_total", "");
        assert_eq!(stubs, Some(bad.len() as f64), "{codec}");
        assert_nothing_held(broker, &deployment, &bad);
        let log = relay.log();
        let said = log.matches("each was written as a stub").count();
        assert_eq!(said, 1, "{log}");
    }
}

/// The quarantine's limit is lowered after the relay has read it: the relay learns it from the
/// refusal.
#[test]
fn a_lowered_quarantine_limit_blocks_nothing() {
    let broker = KafkaBroker::shared();
    let deployment = plain_deployment(broker);
    let relay = deployment.start("steadfast");
    relay.await_ready();
    let lower = [("max.message.bytes", "100000")];
    let lowered = broker.try_alter_topic(&deployment.quarantine, &lower);
    lowered.expect("the limit is lowered");
    let bad: Vec<TestRecord> =
        (0..4).map(|number| compressible("noise", noise(500_000 - number))).collect();
    let count = write_mixed(broker, &deployment, "none", &bad);
    let metrics = await_read(&relay, count);
    assert_nothing_held(broker, &deployment, &bad);
    let aborted = measured(&metrics, "audit_relay_transactions_total", "\"aborted\"");
    let aborted = aborted.expect("shown");
    assert!((1.0..=6.0).contains(&aborted), "{aborted}: {}", relay.log());
}

/// 120 MB of blanks, compressed by the producer to a few kilobytes.
#[test]
fn a_decompression_bomb_takes_bounded_memory() {
    const BYTES: usize = 120_000_000;
    let broker = KafkaBroker::shared();
    for codec in ["gzip", "zstd"] {
        let deployment = plain_deployment(broker);
        let bad = [compressible("bomb", vec![b' '; BYTES])];
        let count = write_mixed(broker, &deployment, codec, &bad);
        let relay = deployment.start("steadfast");
        await_read(&relay, count);
        assert_nothing_held(broker, &deployment, &bad);
        let peak = relay.peak_resident();
        assert!(peak < PEAK_BYTES_MAX, "{codec}: {peak} bytes were resident");
    }
}
