//! Records on the limit of what the input takes: 10 MB, floods of headers, keys that are no text. Each gets into
//! the quarantine as it was, the partition goes on behind it, and the metrics do not grow with what a producer writes.

use crate::ledger::{PRINCIPALS, change};
use crate::support::kafka::KafkaBroker;
use crate::support::relay::{Deployment, sum};
use crate::support::topics::{HeaderList, Seen, TestRecord, noise, produce, read_committed};

/// The largest record batch of the input.
const INPUT_BYTES: usize = 12_000_000;
/// Headers that the relay adds.
const OURS: usize = 6;

fn bad(key: &[u8], value: Vec<u8>, headers: HeaderList) -> TestRecord {
    TestRecord {
        key: Some(key.to_vec()),
        value: Some(value),
        headers,
        ..TestRecord::default()
    }
}

/// Headers with names and values of all kinds, those of the relay among them.
fn flood(count: usize) -> HeaderList {
    let header = |number: usize| match number % 4 {
        0 => (
            "audit-relay-reason".to_string(),
            Some(b"forged\r\n".to_vec()),
        ),
        1 => (String::new(), None),
        2 => ("\u{1b}[31m".to_string(), Some(vec![0xff; 100])),
        _ => (format!("header-{number}"), Some(Vec::new())),
    };
    (0..count).map(header).collect()
}

fn records() -> Vec<TestRecord> {
    // Not to be compressed: the quarantine must hold what the input holds.
    let large = noise;
    vec![
        bad(b"large", large(10_000_000), Vec::new()),
        // As large as it can be: what is left is for the framing.
        bad(b"limit", large(INPUT_BYTES - 200), Vec::new()),
        // librdkafka reads at most 100,000 headers of a record, which the copy has as well.
        bad(b"flood", b"x".to_vec(), flood(99_990)),
        bad(&[0xff, 0, b'\n', 0x1b], b"\xff\xfe".to_vec(), flood(4)),
        bad(&large(1_000_000), b"{}".to_vec(), Vec::new()),
        bad(
            b"partition=\"9\"} 1\n# HELP",
            b"{\"eventName\":\"\\n\"}".to_vec(),
            Vec::new(),
        ),
        TestRecord {
            key: None,
            value: None,
            ..TestRecord::default()
        },
    ]
}

/// A deployment whose topics take large records.
fn deployment(broker: &KafkaBroker) -> Deployment {
    let mut deployment = Deployment::create(broker, 1, PRINCIPALS, "");
    let topic = |name: &str, bytes: usize| {
        let name = broker.unique(name);
        broker.create_topic_with(&name, 1, &[("max.message.bytes", &bytes.to_string())]);
        name
    };
    deployment.input = topic("large-changes", INPUT_BYTES);
    // What the check of the cluster demands, and no more.
    deployment.quarantine = topic("large-quarantine", INPUT_BYTES + 4_096);
    deployment
}

#[test]
fn records_on_the_limit_are_kept_whole_and_hold_nothing_up() {
    let broker = KafkaBroker::shared();
    let deployment = deployment(broker);
    let hostile = records();
    let count = hostile.len();
    let behind = (0..4).map(|number| TestRecord {
        partition: Some(0),
        ..change(number)
    });
    produce(
        broker.bootstrap(),
        &deployment.input,
        hostile.clone().into_iter().chain(behind),
    );
    let relay = deployment.start("steadfast");
    let metrics = relay.await_page("/metrics", |_, body| {
        sum(body, "audit_relay_records_read_total", "") == (count + 4) as f64
    });
    assert_eq!(
        sum(&metrics, "audit_relay_records_total", "fate=\"audited\""),
        4.0
    );
    let series = metrics
        .lines()
        .filter(|line| line.starts_with("audit_relay_records_total{"));
    assert!(
        series.count() <= 20,
        "one for each fate and reason: {metrics}"
    );
    let kept = read_committed(broker.bootstrap(), &deployment.quarantine);
    assert_eq!(kept.len(), count);
    for (original, kept) in hostile.iter().zip(&kept) {
        is_kept_whole(original, kept);
    }
}

fn is_kept_whole(original: &TestRecord, kept: &Seen) {
    let key = String::from_utf8_lossy(original.key.as_deref().unwrap_or_default());
    let key: String = key.chars().take(20).collect();
    assert!(original.key == kept.key, "{key:?}: the key");
    assert!(original.value == kept.value, "{key:?}: the value");
    assert_eq!(
        kept.headers.len(),
        original.headers.len() + OURS,
        "{key:?}: the headers"
    );
    let (theirs, ours) = kept.headers.split_at(original.headers.len());
    assert!(original.headers == theirs, "{key:?}: the headers");
    let (name, value) = &ours[0];
    assert_eq!(
        (name.as_str(), value.as_deref()),
        ("audit-relay-reason", Some(&b"malformed"[..]))
    );
}
