//! Memory while a relay catches up on highly compressed input: the fetch limit counts compressed
//! bytes, but the client holds the whole answer decompressed.

use serde_json::json;

use crate::PROGRAM;
use crate::ledger::PRINCIPALS;
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::relay::TestDeployment;
use audit_testkit::topics::{TestRecord, noise, produce};

/// Records of the backlog: 128 MB in records of 4 kB, a twelfth of that when compressed.
const COUNT: usize = 32_000;
const PARTITIONS: i32 = 12;
/// Incompressible bytes of each record.
const NOISE_BYTES: usize = 300;
/// A record of this size compresses to a few hundred bytes.
const EXTREME_BYTES: usize = 5_000_000;
/// Measured: 79 MB; 137 MB with the client's default queue limits, 167 MB and more with larger
/// fetches.
const PEAK_BYTES_MAX: u64 = 115_000_000;

/// A change that is audited if its number is a multiple of 50, and otherwise skipped.
fn change(number: usize, noise: &[u8], filler: &str) -> TestRecord {
    let action = match number % 50 {
        0 => "Power Off",
        _ => "Looked At",
    };
    let value = json!({
        "accountId": 307_608, "eventCreateDate": "2021-07-14T09:12:44.310001-05:00", "eventName": action,
        "objectName": "Server", "objectId": 1_000_000, "label": "web", "datacenter": "dal10",
        "traceId": number.to_string(), "userId": 6_100_101, "userType": "CUSTOMER", "metaData": "",
        "note": filler,
    });
    TestRecord {
        // Runs of a hundred per partition, for large batches.
        partition: Some(number as i32 / 100 % PARTITIONS),
        value: Some(value.to_string().into_bytes()),
        headers: vec![("noise".to_string(), Some(noise.to_vec()))],
        ..TestRecord::default()
    }
}

/// Uses small fetches, so that the client does not hold the whole backlog; the queue limits are the
/// relay's defaults. The topics accept the extreme record before the broker compresses it.
fn deployment(broker: &KafkaBroker) -> TestDeployment {
    let mut deployment = TestDeployment::create(PROGRAM, broker, 1, PRINCIPALS, "");
    deployment.kafka = "\"fetch.max.bytes\" = 2097152\n".to_string();
    deployment.input = broker.unique("compressed");
    deployment.quarantine = broker.unique("large-quarantine");
    let input = [("compression.type", "zstd"), ("max.message.bytes", "6000000")];
    broker.create_topic_with(&deployment.input, PARTITIONS, &input);
    let quarantine = [("max.message.bytes", "6100000")];
    broker.create_topic_with(&deployment.quarantine, 1, &quarantine);
    deployment
}

#[test]
fn a_highly_compressed_backlog_takes_bounded_memory() {
    let broker = KafkaBroker::shared();
    let deployment = deployment(broker);
    let noise = noise(COUNT * NOISE_BYTES);
    let filler = "state=on;".repeat(370);
    let ordinary = noise.chunks(NOISE_BYTES).enumerate();
    let ordinary = ordinary.map(|(number, noise)| change(number, noise, &filler));
    let extreme = change(COUNT + 1, b"", &" ".repeat(EXTREME_BYTES));
    let written = ordinary.chain([extreme]);
    let count = produce(broker.bootstrap(), &deployment.input, written);

    let relay = deployment.start("only");
    relay.await_metric("audit_relay_records_read_total", "", |read| read == count as f64);
    let peak = relay.peak_resident();
    assert!(peak < PEAK_BYTES_MAX, "{peak} bytes were resident");
}
